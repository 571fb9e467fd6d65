"""Fetches images in the worker and uploads them: those that the service cannot fetch."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from airflow_provider_123pan.exceptions import (
    Pan123Error,
    Pan123InputError,
    Pan123ServiceError,
    Pan123SourceError,
    Pan123WaitTimeoutError,
)
from airflow_provider_123pan.service.image_file import ImageFile
from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.service.refusals import concerns_account, is_name_taken
from airflow_provider_123pan.source.formats import HEAD_BYTES, sniff
from airflow_provider_123pan.source.naming import lacks_format
from airflow_provider_123pan.source.placeholders import PIXEL, is_pixel
from airflow_provider_123pan.sync.conversions import Conversion
from airflow_provider_123pan.sync.entries import ManifestEntry
from airflow_provider_123pan.sync.image_list import difference
from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.options import SyncOptions
from airflow_provider_123pan.sync.timing import SyncTiming

if TYPE_CHECKING:
    from airflow_provider_123pan.hooks.pan123 import Pan123Hook

log = logging.getLogger(__name__)

#: What fetched an image, in its record.
WORKER = "worker"

AHEAD_PER_THREAD = 16  # images that run or wait for a thread, so that no thread waits for the next one
MAX_NUMBER = 3  # of a name that is taken, such as ``cat(3).jpg``


class _PixelError(Exception):
    """The source sent a pixel instead of an image."""


class WorkerFetches:
    """Fetches and uploads images for one worker, several at once.

    Nothing about it is kept: a killed worker leaves an image either stored, which the next one finds in the directory,
    or not stored at all. So a worker does not defer while this is busy.

    :param directory_of: returns the id of the directory of a folder.
    """

    def __init__(
        self,
        hook: Pan123Hook,
        inventory: Inventory,
        options: SyncOptions,
        directory_of: Callable[[str], str | None],
        timing: SyncTiming,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hook = hook
        self._inventory = inventory
        self._access = options.fetching.access
        self._converter = options.fetching.converter
        self._overwrite = options.overwrite
        self._allow_equal = options.allow_equal
        self._directory_of = directory_of
        self._timing = timing
        self._clock = clock
        self._ahead = AHEAD_PER_THREAD * options.fetching.max_uploads
        self._threads = ThreadPoolExecutor(options.fetching.max_uploads, "pan123-upload")
        self._closed = threading.Event()
        self._running: dict[Future[tuple[Image, ImageFile | None]], int] = {}
        self._of_the_service: dict[int, str] = {}  # why the service failed an image
        self._failed_once: deque[int] = deque()
        self._last: deque[int] = deque()  # the second tries, once all other images have ended
        self._tried: set[int] = set()
        self._put_back: Counter[int] = Counter()
        self._refusals = 0
        self._failing_since: float | None = None
        self._not_before = 0.0

    def __len__(self) -> int:
        return len(self._running)

    @property
    def is_uploading(self) -> bool:
        """Whether images are being fetched, or wait for nothing but a thread."""
        return bool(self._running or self._last) or self._inventory.first(ImageState.WORKER) is not None

    @property
    def is_busy(self) -> bool:
        """Whether there are images that this is to fetch."""
        return self.is_uploading or bool(self._failed_once)

    def fill(self, *, others_ended: bool) -> None:
        """Begin to fetch what is to be fetched.

        :param others_ended: nothing is in flight or to be submitted; then images that failed get their second try.
        """
        if self._clock() < self._not_before:
            return
        while len(self._running) < self._ahead and (number := self._next(others_ended)) is not None:
            if number not in self._of_the_service and (reason := self._inventory.reason(number)):
                self._of_the_service[number] = reason
            self._inventory.activate(number)
            self._running[self._threads.submit(self._migrate, self._inventory.entry(number))] = number

    def collect(self) -> bool:
        """Record what has ended; return whether anything has.

        :raises Pan123Error: the service refuses the account, or has failed for too long.
        """
        done = [fetch for fetch in self._running if fetch.done()]
        for fetch in done:
            number = self._running.pop(fetch)
            try:
                image, converted = fetch.result()
            except Pan123Error as error:
                self._failed(number, error)
            except _PixelError:
                self._inventory.record(number, ImageState.SUSPECT, reason=PIXEL)
            else:
                if converted and image.etag:
                    made = Conversion(converted.etag, converted.size, image.etag)
                    self._inventory.conversions.add(number, made)
                self._stored(number, image)
        return bool(done)

    def close(self) -> None:
        """End the threads; an upload that is running ends by itself, and no other one begins."""
        self._closed.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _next(self, others_ended: bool) -> int | None:
        number = self._inventory.first(ImageState.WORKER)
        if number is None and others_ended and not self._running:
            self._last, self._failed_once = self._last + self._failed_once, deque()
        if number is None and self._last:
            return self._last.popleft()
        return number

    # -- in a thread of the pool --

    def _migrate(self, entry: ManifestEntry) -> tuple[Image, ImageFile | None]:
        """Fetch, convert and upload an image; return it, and what was fetched if that was converted."""
        with self._access.fetch(entry.url) as fetched:
            if reason := difference(entry, fetched):
                raise Pan123SourceError(reason)
            if not self._allow_equal and is_pixel(b"".join(fetched.chunks(0, HEAD_BYTES))):
                raise _PixelError
            name = entry.file_name
            if lacks_format(name):
                name += sniff(b"".join(fetched.chunks(0, HEAD_BYTES))) or ""
            stem, _, extension = name.rpartition(".")
            if (target := self._converter.target(fetched)) is None:
                name = f"{stem}.{self._converter.extension(fetched, extension)}"
                return self._upload(fetched, name, entry), None
            with self._converter.convert(fetched) as image:
                return self._upload(image, f"{stem}.{target}", entry), fetched

    def _upload(self, image: ImageFile, name: str, entry: ManifestEntry) -> Image:
        """Upload an image; if its name is taken, under a numbered one, as the service names what it fetches.

        Without a size or an MD5, the next sync could not distinguish the two images of a name.
        """
        stem, _, extension = name.rpartition(".")
        may_number = self._overwrite or entry.md5 is not None or entry.size is not None
        numbered = (
            [f"{stem}({number}).{extension}" for number in range(1, MAX_NUMBER + 1)] if may_number else []
        )
        for file_name in (name, *numbered):
            if self._closed.is_set():
                raise Pan123WaitTimeoutError("the sync has ended")
            try:
                return self._hook.upload_image(image, file_name, self._directory_of(entry.folder))
            except Pan123ServiceError as error:
                if not is_name_taken(error):
                    raise
        raise Pan123InputError(
            f"file_name: the directory has another image of the name {name!r}; give another name, or delete that image"
        )

    # -- what comes back --

    def _stored(self, number: int, image: Image) -> None:
        self._failing_since, self._refusals = None, 0
        self._of_the_service.pop(number, None)
        if image.rejected:
            reason = f"rejected by review (status {image.status})"
            self._inventory.record(number, ImageState.FAILED, image, reason=reason)
        else:
            self._inventory.record(number, ImageState.MIGRATED, image, fetched_by=WORKER)

    def _failed(self, number: int, error: Pan123Error) -> None:
        if not isinstance(error, Pan123InputError) and (
            not error.retryable or (isinstance(error, Pan123ServiceError) and concerns_account(error))
        ):
            raise error
        if error.transient and self._is_put_back(number, error):
            return
        shown = self._inventory.redacted(number)
        reason = self._inventory.redact(number, error.message).removeprefix(f"{shown}: ")
        is_last = isinstance(error, Pan123InputError) or number in self._tried
        log.warning("%s: %s%s", shown, reason, "" if is_last else "; the worker will try again")
        if is_last:
            if before := self._of_the_service.pop(number, None):
                reason = f"service: {before}; worker: {reason}"
            self._inventory.record(number, ImageState.FAILED, reason=reason)
        else:
            self._tried.add(number)
            self._failed_once.append(number)

    def _is_put_back(self, number: int, error: Pan123Error) -> bool:
        """Return whether the service failed, rather than this image, which is then tried again after a pause."""
        self._put_back[number] += 1
        if self._put_back[number] % self._timing.max_put_backs == 0:
            return False
        now = self._clock()
        self._failing_since = self._failing_since or now
        if now - self._failing_since > self._timing.retry_for:
            raise error
        log.warning("Uploads begin again later: %s", error)
        if now >= self._not_before:
            self._not_before = now + min(2.0**self._refusals, 30.0) * random.uniform(0.5, 1)
            self._refusals += 1
        self._last.append(number)
        return True
