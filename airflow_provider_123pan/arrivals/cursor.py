"""What a watch has seen of a directory, as it is kept from one triggerer to the next."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from itertools import islice
from typing import Any

from airflow_provider_123pan.service.models import Image

KEY_BYTES = 8
#: Images of one listing that are remembered; two listings need 10 MB. The rest may be reported a second time.
MAX_SEEN = 50_000
#: Images that are stored, so that a cursor fits into 64 KB.
MAX_STORED = 4_000


def key_of(image: Image) -> bytes:
    """Return the key of an image: a file with other bytes is another image."""
    return blake2b(f"{image.fileID}\n{image.etag}".encode(), digest_size=KEY_BYTES).digest()


class Cursor:
    """Where a watch continues.

    Remembers the images of the latest complete listing and of the current one, newest first.

    :ivar since: Unix seconds; listings show what is not older.
    :ivar held_since: the same of the listing that showed the image that is held back; None if none is.
    """

    def __init__(self, since: int, seen: Iterable[bytes] = ()) -> None:
        self.since = since
        self.held_since: int | None = None
        self._previous: dict[bytes, None] = {}
        self._current: dict[bytes, None] = dict.fromkeys(islice(seen, MAX_SEEN))

    def begin_listing(self) -> None:
        """Remember what follows as the images of another listing."""
        self._previous, self._current = self._current, {}

    def abandon_listing(self) -> None:
        """Remember the images of an incomplete listing together with those of the one before it."""
        self._current = dict.fromkeys(islice([*self._current, *self._previous], MAX_SEEN))

    def knows(self, key: bytes) -> bool:
        """Return whether the image was seen, and remember it further."""
        known = key in self._current or key in self._previous
        if known:
            self.add(key)
        return known

    def add(self, key: bytes) -> None:
        """Remember an image."""
        if len(self._current) < MAX_SEEN:
            self._current[key] = None

    def dump(self) -> dict[str, Any]:
        """Return the cursor as JSON, between two listings; with it, an image that is held back is listed again."""
        keys = b"".join(islice(self._current, MAX_STORED))
        since = self.since if self.held_since is None else min(self.since, self.held_since)
        return {"since": since, "seen": b64encode(keys).decode()}

    @classmethod
    def load(cls, stored: Any) -> Cursor:
        """Return a stored cursor.

        :raises ValueError: it is not one.
        """
        if not isinstance(stored, Mapping):
            raise ValueError("not an object")
        since, seen = stored.get("since"), stored.get("seen")
        if type(since) is not int or not isinstance(seen, str):
            raise ValueError("without the fields since and seen")
        keys = b64decode(seen, validate=True)
        if len(keys) % KEY_BYTES:
            raise ValueError("seen is cut")
        return cls(since, (keys[start : start + KEY_BYTES] for start in range(0, len(keys), KEY_BYTES)))
