"""A sync's options."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.service.listing import DEFAULT_DIRECTORY
from airflow_provider_123pan.source.probe import Prober


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """An operator's arguments, checked.

    :ivar directory_id: the target directory's id, if that was given.
    :ivar names: the path to it, if that was given instead; without either it is the default directory.
    :ivar results: the path of the results file.
    :ivar overwrite: fetch images whose names are taken again.
    :ivar max_in_flight: images in flight at most; None for as many as the service accepts.
    :ivar deadline: Unix seconds.
    :ivar prober: probes sources; None: they are not probed.
    :ivar verify: how new URLs are verified: ``address``, ``content``, or None: they are not.
    """

    directory_id: str | None
    names: tuple[str, ...]
    results: str | None
    overwrite: bool
    max_in_flight: int | None
    deferrable: bool
    deadline: float
    prober: Prober | None = None
    verify: str | None = None

    @property
    def target(self) -> str:
        """The directory, as people know it."""
        return self.directory_id or "/".join(self.names) or DEFAULT_DIRECTORY


def check_verify(verify: object) -> str | None:
    """Return an operator's argument ``verify``.

    :raises Pan123InputError: it is unknown.
    """
    if verify is None or verify == "address" or verify == "content":
        return verify
    raise Pan123InputError(f"verify: {verify!r} is neither 'address' nor 'content' nor None")
