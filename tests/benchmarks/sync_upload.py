"""Fetch and upload images with plain `requests`, as the peer of a sync whose worker does: the same calls, no more.

python -m tests.benchmarks.sync_upload '{"base_url": …, "account": …, "source": …, "images": …, "threads": …}'
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

from airflow_provider_123pan.sandbox.images import tiny
from tests.benchmarks.servers import log_in

IMAGE_BYTES = 200_000
CREATE, URL, COMPLETE, RESULT = "create", "get_upload_url", "upload_complete", "upload_async_result"


def _content(path: str) -> bytes:
    """Return an image of its own for each path: a picture, and bytes that decoders ignore."""
    picture = tiny(path).content
    return picture + bytes(IMAGE_BYTES - len(picture))


def serve_images(port: int) -> None:
    """Serve images until the process ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = _content(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.serve_forever()


class _Peer:
    """A client with a session for each thread."""

    def __init__(self, base_url: str, headers: dict[str, str], directory_id: str, url: str) -> None:
        self._base_url = base_url
        self._headers = headers
        self._directory_id = directory_id
        self._url = url
        self._local = threading.local()

    @property
    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
        session: requests.Session = self._local.session
        return session

    def _call(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._session.request(
            method, f"{self._base_url}{path}", json=body, headers=self._headers, timeout=30
        ).json()
        assert answer["code"] == 0, answer
        data: dict[str, Any] = answer["data"]
        return data

    def _step(self, step: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._call("POST", f"/upload/v1/oss/file/{step}", body)

    def migrate(self, number: int) -> None:
        """Fetch and upload an image."""
        content = self._session.get(f"{self._url}/{number}.png", timeout=30).content
        etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        announced = {"filename": f"{number}.png", "etag": etag, "size": len(content), "type": 1}
        preupload_id = self._step(CREATE, {"parentFileID": self._directory_id, **announced})["preuploadID"]
        slice_url = self._step(URL, {"preuploadID": preupload_id, "sliceNo": 1})["presignedURL"]
        headers = {"Content-Type": "application/octet-stream"}
        self._session.put(slice_url, content, headers=headers, timeout=30).raise_for_status()
        stored = self._step(COMPLETE, {"preuploadID": preupload_id})
        image = self._call("GET", f"/api/v1/oss/file/detail?fileID={stored['fileID']}", {})
        assert image["etag"] == etag, image


def main() -> None:
    """Upload with the arguments of the command line, and print the seconds as JSON."""
    given = json.loads(sys.argv[1])
    base_url = given["base_url"]
    headers = log_in(base_url, *given["account"])
    made = requests.post(
        f"{base_url}/upload/v1/oss/file/mkdir",
        json={"name": [f"peer-{time.time_ns()}"], "parentID": "", "type": 1},
        headers=headers,
        timeout=30,
    ).json()
    peer = _Peer(base_url, headers, made["data"]["list"][0]["dirID"], given["source"])
    started = time.monotonic()
    with ThreadPoolExecutor(given["threads"]) as threads:
        for _ in threads.map(peer.migrate, range(given["images"])):
            pass
    print(json.dumps({"seconds": time.monotonic() - started}))


if __name__ == "__main__":
    main()
