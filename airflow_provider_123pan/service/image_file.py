"""An image's bytes on this machine, with what the service wants to know before they are sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import IO

_CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class ImageFile:
    """An image in a temporary file; use it as a context manager, or call :meth:`close`.

    One thread at a time may read it.

    :ivar size: bytes.
    :ivar etag: MD5 of the bytes, lower-case hex.
    """

    file: IO[bytes]
    size: int
    etag: str

    def chunks(self, offset: int, length: int) -> Iterator[bytes]:
        """Yield a part of the bytes in chunks of at most 256 KiB."""
        self.file.seek(offset)
        while length > 0 and (chunk := self.file.read(min(length, _CHUNK_BYTES))):
            length -= len(chunk)
            yield chunk

    def close(self) -> None:
        """Delete the temporary file."""
        self.file.close()

    def __enter__(self) -> ImageFile:
        """Return the image."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Delete the temporary file."""
        self.close()
