"""Downloads the source of an offline task and checks that it is an image the service takes."""

from __future__ import annotations

import asyncio

import httpx

from airflow_provider_123pan.sandbox.images import NotAnImage, Picture, identify, tiny
from airflow_provider_123pan.sandbox.options import Options

_AT_ONCE = 8
_TIMEOUT = 30.0


class FetchError(Exception):
    """Why there is no image; the text is the reason that the callback gives."""


class Fetcher:
    def __init__(self, options: Options) -> None:
        self._options = options
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._client = httpx.AsyncClient(follow_redirects=True, max_redirects=5, timeout=_TIMEOUT)

    async def fetch(self, url: str) -> Picture:
        """The image at `url`, redirects followed; raises `FetchError`."""
        if self._options.fail and self._options.fail.search(url):
            raise FetchError(self._options.fail_reason)
        if not self._options.fetch:
            return tiny(url)
        try:
            async with self._slots:
                content = await asyncio.wait_for(self._download(url), _TIMEOUT)
                return await asyncio.to_thread(identify, content)
        except asyncio.TimeoutError as error:
            raise FetchError("the source did not answer in time") from error
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise FetchError(f"the source cannot be downloaded: {type(error).__name__}") from error
        except NotAnImage as error:
            raise FetchError(str(error)) from error

    async def _download(self, url: str) -> bytes:
        content = bytearray()
        async with self._client.stream("GET", url) as answer:
            if answer.status_code != httpx.codes.OK:
                raise FetchError(f"the source answered {answer.status_code}")
            async for part in answer.aiter_bytes():
                content += part
                if len(content) > self._options.max_bytes:
                    raise FetchError(f"the image is larger than {self._options.max_bytes} bytes")
        return bytes(content)

    async def close(self) -> None:
        await self._client.aclose()
