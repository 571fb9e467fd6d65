"""A stand-in for the service with one directory of any number of images, which a sandbox takes too long to store."""

from __future__ import annotations

import json
import random
from typing import Any

import uvicorn

from airflow_provider_123pan.service.protocol import PAGE
from airflow_provider_123pan.sync.entries import ManifestEntry

LAST_PAGE = "-1"


def url(number: int) -> str:
    """Return the source URL of an image."""
    return f"https://images.example.com/{number // 1000}/{number}.jpg"


class Directory:
    """An ASGI app: a directory of images under the names that the operator derives, in random order."""

    def __init__(self, count: int) -> None:
        """List `count` images."""
        self._names = [ManifestEntry.of({"url": url(number)}).file_name for number in range(count)]
        random.Random(count).shuffle(self._names)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request for a page of the directory, or else for a token."""
        received = await receive()
        data = self._page(json.loads(received["body"])) if scope["path"] == "/api/v1/oss/file/list" else TOKEN
        body = json.dumps({"code": 0, "message": "ok", "data": data, "x-traceID": "benchmark"}).encode()
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body})

    def _page(self, request: dict[str, Any]) -> dict[str, Any]:
        start = int(request.get("lastFileId", -1)) + 1
        end = start + PAGE
        items = [item(number, name) for number, name in enumerate(self._names[start:end], start)]
        return {"lastFileId": str(end - 1) if end < len(self._names) else LAST_PAGE, "fileList": items}


TOKEN = {"accessToken": "benchmark", "expiredAt": "2100-01-01T00:00:00+08:00"}


def item(number: int, name: str) -> dict[str, Any]:
    """Return an image as the service lists it."""
    return {
        "fileId": str(number),
        "filename": name,
        "parentFileId": "yk6baz03t0l000d7w33fbyq51l4izkne",
        "type": 0,
        "etag": f"{number:032x}",
        "size": 100_000 + number,
        "status": 2,
        "createAt": "2026-11-01 12:00:00",
        "updateAt": "2026-11-01 12:00:00",
        "downloadURL": f"https://vip.123pan.cn/1815309870/yk6baz03t0l000d7w33fbyq51l4izkne{number}.jpg",
        "userSelfURL": "",
        "totalTraffic": 0,
        "parentFilename": "images",
        "extension": "jpg",
    }


def serve(port: int, count: int) -> None:
    """Serve a directory of `count` images until the process ends."""
    uvicorn.run(Directory(count), port=port, lifespan="off", log_level="warning", access_log=False)
