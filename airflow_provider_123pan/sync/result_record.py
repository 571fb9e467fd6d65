"""A record of the results file."""

from __future__ import annotations

from typing import NamedTuple


class ResultRecord(NamedTuple):
    """What became of a source URL.

    :ivar status: ``present``, ``migrated``, ``suspect`` (stored, but perhaps a placeholder) or ``failed``.
    """

    url: str
    file_name: str | None
    status: str
    taskID: int | None
    fileID: str | None
    download_url: str | None
    user_url: str | None
    etag: str | None
    size: int | None
    reason: str | None
    fetched_by: str | None = None

    @property
    def is_stored(self) -> bool:
        """Whether 123pan has the image, for all that is known."""
        return self.status in ("present", "migrated")

    @property
    def new_url(self) -> str | None:
        """The image's new URL, on the user's own domain if there is one; None unless it is stored."""
        return (self.user_url or self.download_url) if self.is_stored else None
