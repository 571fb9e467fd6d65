"""Downloads the source of an offline task and checks that it is an image that the service accepts."""

from __future__ import annotations

import asyncio

import httpx

from airflow_provider_123pan.sandbox.images import NotAnImage, Picture, identify, tiny
from airflow_provider_123pan.sandbox.options import Options

_MAX_CONCURRENT = 8
_TIMEOUT_SECONDS = 30.0


class FetchError(Exception):
    """A failed download; its message is the reason that the callback reports."""


class Fetcher:
    """Downloads source images, several at a time."""

    def __init__(self, options: Options) -> None:
        """Open a client without connections.

        :param options: The sandbox's options, read at each download.
        """
        self._options = options
        self._slots = asyncio.Semaphore(_MAX_CONCURRENT)
        self._client = httpx.AsyncClient(follow_redirects=True, max_redirects=5, timeout=_TIMEOUT_SECONDS)

    async def fetch(self, url: str) -> Picture:
        """Return the image at a URL, or without the option `fetch` a tiny image made from the URL.

        :param url: The source URL; redirects are followed.
        :raises FetchError: The download fails, is too large or is not an image, or the option `fail` matches.
        """
        if self._options.fail and self._options.fail.search(url):
            raise FetchError(self._options.fail_reason)
        if not self._options.fetch:
            return tiny(url)
        try:
            async with self._slots:
                content = await asyncio.wait_for(self._download(url), _TIMEOUT_SECONDS)
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
        """Close all connections."""
        await self._client.aclose()
