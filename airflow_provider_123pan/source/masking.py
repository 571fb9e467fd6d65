"""Hides the values of headers that sources get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk.log import mask_secret

#: Headers that are no secrets. The ``Referer`` often begins the URLs of a list, which logs must be able to show.
PUBLIC_HEADERS = frozenset({"accept", "accept-language", "referer", "user-agent"})


class MaskedHeaders:
    """An operator's argument with headers by host: Airflow hides their values once they are set or rendered."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = f"_{name}"

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else getattr(instance, self._name)

    def __set__(self, instance: Any, by_host: Any) -> None:
        if isinstance(by_host, Mapping):
            for headers in by_host.values():
                mask_headers(headers)
        setattr(instance, self._name, by_host)


def mask_headers(headers: Any) -> None:
    """Have Airflow hide the values of headers wherever it shows or logs them."""
    if isinstance(headers, Mapping):
        for name, value in headers.items():
            if isinstance(value, str) and str(name).lower() not in PUBLIC_HEADERS:
                mask_secret(value)
