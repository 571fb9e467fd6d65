"""How an image of a storage is read."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.io import attach
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem  # type: ignore[import-untyped]

from airflow_provider_123pan.source.fetch import fetch_image
from tests.sources import JPEG

MIB = 2**20
CONTENT = JPEG.ljust(20 * MIB, b"\0")


class Remote(AbstractFileSystem):  # type: ignore[misc]  # it has no types
    """A storage of one image, whose client reads as far ahead as that of S3.

    :ivar parts: bytes of each request for a part of the image.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.parts: list[int] = []

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        return {"name": path, "type": "file", "size": len(CONTENT)}

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **options: Any) -> Any:
        return _RemoteFile(self, path, mode, block_size or 50 * MIB, **options)


class _RemoteFile(AbstractBufferedFile):  # type: ignore[misc]
    def _fetch_range(self, start: int, end: int) -> bytes:
        self.fs.parts.append(end - start)
        return CONTENT[start:end]


def test_a_large_image_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow.sdk.io.store._STORE_CACHE", {})
    storage = Remote(skip_instance_cache=True)
    attach("memory", fs=storage)
    with fetch_image("memory://bucket/a.jpg") as image:
        assert b"".join(image.chunks(0, image.size)) == CONTENT
    assert max(storage.parts) <= 5 * MIB
    assert sum(storage.parts) < 2 * len(CONTENT)
