"""Uploads an image's bytes: announces it, sends its slices, and proves what was stored.

Every step may be repeated. A second announcement of the same bytes makes another upload, of which nothing is seen
unless it is completed; if the first one was completed meanwhile, the answer names its image. A slice is written to
the same place again. A completion that may have arrived is followed by the question how it ended. So a killed upload
that is made again sends its bytes at most once more, and never if they are stored.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from airflow_provider_123pan.exceptions import (
    Pan123AnswerError,
    Pan123RedirectError,
    Pan123ServiceError,
    Pan123UnavailableError,
    Pan123UploadError,
    Pan123VerifyingError,
    Pan123WaitTimeoutError,
    may_have_arrived,
)
from airflow_provider_123pan.service.error_codes import NO_FILE
from airflow_provider_123pan.service.flow import Flow, Sleep
from airflow_provider_123pan.service.image_file import ImageFile
from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.service.protocol import Call, MakeCall, get_image
from airflow_provider_123pan.service.storage import PutSlice
from airflow_provider_123pan.service.upload_calls import (
    CreatedUpload,
    complete_upload,
    create_upload,
    get_upload_result,
    get_upload_url,
)

T = TypeVar("T")

#: More slices than these are a mistake; 123pan's have 100 MiB (official sample).
MAX_SLICES = 1000


@dataclass(frozen=True, slots=True)
class UploadTiming:
    """How long an upload waits for what, in seconds.

    :ivar pauses: before each repetition of a step that got no answer of the service or the storage.
    :ivar verifying: before each repetition of a call that the service answers with code 20103; at least 1 (observed).
    :ivar first_poll: before the first question how a completion in the background ended; at least 1 (official).
    :ivar last_poll: each pause is half as long again as the one before, up to this.
    :ivar confirmed: from a step to its confirmation at most: code 20103, the completion, the image's details.
    :ivar slice_least: for a slice, whatever its size.
    :ivar slice_speed: bytes per second that a connection must have; more time for a slice.
    """

    pauses: tuple[float, ...] = (1.0, 2.0, 4.0)
    verifying: float = 1.0
    first_poll: float = 1.0
    last_poll: float = 5.0
    confirmed: float = 300.0
    slice_least: float = 60.0
    slice_speed: float = 50_000.0


TIMING = UploadTiming()


def upload(
    image: ImageFile,
    file_name: str,
    directory_id: str,
    timing: UploadTiming = TIMING,
    clock: Callable[[], float] = time.monotonic,
) -> Flow[Image]:
    """Upload an image and return it as it is stored; for the blocking client only.

    :param file_name: its name, with an image extension.
    :param directory_id: ``""`` for the root.
    :param clock: monotonic seconds.
    :raises Pan123UploadError: the storage refuses the bytes, or another image than this one is stored.
    :raises Pan123WaitTimeoutError: the service does not confirm the image in time.
    """
    return (yield from _Upload(image, timing, clock).run(file_name, directory_id))


class _Upload:
    def __init__(self, image: ImageFile, timing: UploadTiming, clock: Callable[[], float]) -> None:
        self._image = image
        self._timing = timing
        self._clock = clock

    def run(self, file_name: str, directory_id: str) -> Flow[Image]:
        create = create_upload(file_name, directory_id, self._image.etag, self._image.size)
        created = yield from self._repeat(create, self._limit())
        file_id = created.fileID
        if file_id is None:
            yield from self._send(created)
            file_id = yield from self._complete(created.preuploadID)
        return (yield from self._prove(file_id))

    def _send(self, created: CreatedUpload) -> Flow[None]:
        size = self._image.size
        offsets = range(0, size, created.slice_size)
        if len(offsets) > MAX_SLICES:
            raise Pan123AnswerError(
                f"sliceSize is {created.slice_size}, which makes {len(offsets)} slices", call="create_upload"
            )
        for number, offset in enumerate(offsets, 1):
            yield from self._send_slice(created, number, offset, min(created.slice_size, size - offset))

    def _send_slice(self, created: CreatedUpload, number: int, offset: int, length: int) -> Flow[None]:
        seconds = self._timing.slice_least + length / self._timing.slice_speed
        for pause in (*self._timing.pauses, None):
            # A new URL for each attempt, since the old one may have expired.
            url = yield from self._repeat(get_upload_url(created.preuploadID, number), self._limit())
            try:
                yield PutSlice(url, self._image, offset, length, seconds)
                return
            except (Pan123UnavailableError, Pan123UploadError):
                if pause is None:
                    raise
            yield Sleep(pause)

    def _complete(self, preuploadID: str) -> Flow[str]:
        limit, pause = self._limit(), self._timing.first_poll
        poll = get_upload_result(preuploadID)
        result = yield from self._repeat(complete_upload(preuploadID), limit, if_doubtful=poll)
        while result.fileID is None:
            if self._clock() + pause > limit:
                raise Pan123WaitTimeoutError(
                    f"123pan did not complete the upload within {self._timing.confirmed:g} s; upload again, which "
                    "sends nothing if the image is stored by then",
                    call=poll.name,
                )
            yield Sleep(pause)
            pause = min(1.5 * pause, self._timing.last_poll)
            result = yield from self._repeat(poll, limit)
        return result.fileID

    def _prove(self, file_id: str) -> Flow[Image]:
        """Return the stored image, once its details show that it is this one, or that review rejected it."""
        call, limit = get_image(file_id), self._limit()
        while True:
            try:
                stored = yield from self._repeat(call, limit)
            except Pan123ServiceError as error:
                if error.code != NO_FILE or self._clock() + self._timing.verifying > limit:
                    raise
            else:
                if stored.etag:
                    self._check(stored)
                if stored.rejected or (stored.etag and (stored.download_url or stored.user_url)):
                    return stored
                if self._clock() + self._timing.verifying > limit:
                    raise Pan123WaitTimeoutError(
                        f"the image is stored with the fileID {file_id!r:.100}, but after "
                        f"{self._timing.confirmed:g} s its details still lack the etag or a URL",
                        call=call.name,
                    )
            yield Sleep(self._timing.verifying)

    def _check(self, stored: Image) -> None:
        expected, found = (self._image.etag, self._image.size), (stored.etag, stored.size)
        if found != expected:
            raise Pan123UploadError(
                f"123pan stored something else: etag and size are {found!r:.100} instead of {expected!r}; upload again",
                call="get_image",
            )

    def _limit(self) -> float:
        return self._clock() + self._timing.confirmed

    def _repeat(self, call: Call[T], limit: float, *, if_doubtful: Call[T] | None = None) -> Flow[T]:
        """Make a call, and make it again if the service still verifies a file, or if there is no answer.

        :param limit: code 20103 is no longer waited for after this time.
        :param if_doubtful: the call whose answer counts if an attempt may have arrived and another one is refused.
        """
        pauses = iter(self._timing.pauses)
        doubtful = False
        while True:
            try:
                answer: T = yield MakeCall(call)
            except Pan123VerifyingError:
                pause = self._timing.verifying
                if self._clock() + pause > limit:
                    raise
            except (Pan123UnavailableError, Pan123RedirectError) as error:
                doubtful = doubtful or may_have_arrived(error)
                if (next_pause := next(pauses, None)) is None:
                    raise
                pause = next_pause
            except (Pan123ServiceError, Pan123AnswerError) as error:
                arrived = doubtful or isinstance(error, Pan123AnswerError)
                if not arrived or if_doubtful is None:
                    raise
                return (yield from self._repeat(if_doubtful, limit))
            else:
                return answer
            yield Sleep(pause)
