"""A sync's options."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.service.listing import DEFAULT_DIRECTORY
from airflow_provider_123pan.source.access import SourceAccess
from airflow_provider_123pan.source.convert import Converter
from airflow_provider_123pan.source.probe import Prober

MAX_UPLOADS = 8  # of one sync at once, as of one hook


class Fetch(Enum):
    """Who fetches the images of a list."""

    SERVICE = "service"
    WORKER = "worker"
    AUTO = "auto"  # the service; what it fails, the worker


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """How the worker fetches images.

    :ivar max_uploads: images that it fetches and uploads at once.
    :ivar converter: converts what it fetched.
    """

    fetch: Fetch
    access: SourceAccess
    max_uploads: int
    converter: Converter

    @classmethod
    def of(
        cls,
        fetch: Any,
        headers: Any,
        conn_ids: Any,
        private_hosts: object,
        max_uploads: Any,
        convert: Any = None,
    ) -> FetchOptions:
        """Check an operator's arguments.

        :raises Pan123InputError: names the argument and the fix.
        """
        if fetch not in [each.value for each in Fetch]:
            raise Pan123InputError(f"fetch: {fetch!r:.50} is none of 'service', 'worker' and 'auto'")
        if fetch == Fetch.SERVICE.value:
            for field, given in (("fetch_headers", headers), ("fetch_conn_ids", conn_ids)):
                if given:
                    raise Pan123InputError(
                        f"{field}: 123pan sends no headers; pass fetch='auto' or fetch='worker' as well"
                    )
            if convert:
                raise Pan123InputError(
                    "convert: 123pan converts nothing; pass fetch='auto' or fetch='worker' as well"
                )
        if (
            isinstance(max_uploads, bool)
            or not isinstance(max_uploads, int)
            or not 1 <= max_uploads <= MAX_UPLOADS
        ):
            raise Pan123InputError(
                f"max_uploads: {max_uploads!r:.50} is not a number from 1 to {MAX_UPLOADS}"
            )
        converter = Converter.of(convert)
        access = SourceAccess.of(headers, conn_ids, private_hosts, converter.targets)
        return cls(Fetch(fetch), access, max_uploads, converter)


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """An operator's arguments, checked.

    :ivar directory_id: the target directory's id, if that was given.
    :ivar names: the path to it, if that was given instead; without either it is the default directory.
    :ivar results: the path of the results file.
    :ivar overwrite: fetch images whose names are taken again.
    :ivar max_in_flight: images in flight at most; None for as many as the service accepts.
    :ivar deadline: Unix seconds.
    :ivar fetching: how the worker fetches images.
    :ivar prober: probes sources; None: they are not probed.
    :ivar verify: how new URLs are verified: ``address``, ``content``, or None: they are not.
    :ivar allow_equal: many images may have the same bytes, so placeholders are not looked for.
    """

    directory_id: str | None
    names: tuple[str, ...]
    results: str | None
    overwrite: bool
    max_in_flight: int | None
    deferrable: bool
    deadline: float
    fetching: FetchOptions
    prober: Prober | None = None
    verify: str | None = None
    allow_equal: bool = False

    def __post_init__(self) -> None:
        """Check the arguments together."""
        self.check_target(by_worker=self.fetching.fetch is not Fetch.SERVICE)

    @property
    def target(self) -> str:
        """The directory, as people know it."""
        return self.directory_id or "/".join(self.names) or DEFAULT_DIRECTORY

    def check_target(self, *, by_worker: bool) -> None:
        """Check that there is a directory for what the worker uploads: the default one is the service's own.

        :param by_worker: the worker fetches images.
        :raises Pan123InputError: neither ``directory`` nor ``directory_id`` was given.
        """
        if by_worker and self.directory_id is None and not self.names:
            raise Pan123InputError(
                "directory: the worker uploads images, which needs a directory; give directory or directory_id"
            )


def check_choice(field: str, value: Any, *choices: str | None) -> Any:
    """Return an argument that has one of some values.

    :raises Pan123InputError: it has another one.
    """
    if value not in choices:
        raise Pan123InputError(f"{field}: {value!r} is neither {' nor '.join(map(repr, choices))}")
    return value


def check_verify(verify: Any) -> str | None:
    """Return an operator's argument ``verify``, checked."""
    checked: str | None = check_choice("verify", verify, "address", "content", None)
    return checked


def check_max_active(max_active: Any) -> int | None:
    """Return the most offline tasks at once, checked; None for as many as the service accepts."""
    if max_active is None or (
        isinstance(max_active, int) and not isinstance(max_active, bool) and max_active >= 1
    ):
        return max_active
    raise Pan123InputError(f"max_active: {max_active!r} is not a number above 0")


def allowance(max_failures: Any) -> Callable[[int], float]:
    """Return the function from the number of images to the number that may fail."""
    text = str(max_failures).strip()
    try:
        share = float(text.removesuffix("%"))
        if not 0 <= share < math.inf or not (text.endswith("%") or share.is_integer()):
            raise ValueError
    except ValueError:
        raise Pan123InputError(
            f"max_failures: {max_failures!r} is neither a number of images nor a share such as '5%'"
        ) from None
    return lambda total: total * share / 100 if text.endswith("%") else share
