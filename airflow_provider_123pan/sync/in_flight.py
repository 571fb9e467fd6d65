"""The images in flight: submitted, and not known to have ended."""

from __future__ import annotations

import hashlib
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, NamedTuple

from airflow_provider_123pan.callbacks.delivery import Delivery
from airflow_provider_123pan.download.lookup import has_content
from airflow_provider_123pan.service.models import Image, OfflineTask
from airflow_provider_123pan.source.digests import SourceDigest
from airflow_provider_123pan.sync.inventory import Inventory

Clock = Callable[[], float]


class StoredImage(NamedTuple):
    """An image in flight as a checkpoint and ``task_state_store`` hold it: a list in this order.

    :ivar canonical_digest: a digest of its source URL without what signs it.
    :ivar attempt: 0, or 1 for the second submission.
    :ivar taskID: None while it is not known whether the submission arrived.
    :ivar sent_at, submitted_at, succeeded_at, failed_at: as in :class:`InFlightImage`.
    """

    canonical_digest: str
    attempt: int
    taskID: int | None
    sent_at: float
    submitted_at: float
    succeeded_at: float | None
    failed_at: float | None


class Watched(NamedTuple):
    """An image in flight as the trigger's arguments hold it: a list in this order.

    :ivar called_back: a callback came, so that no other is waited for.
    """

    taskID: int | None
    attempt: int
    called_back: bool


@dataclass(slots=True)
class InFlightImage:
    """An image in flight. Moments are Unix seconds.

    :ivar number: its number in the inventory.
    :ivar key: a digest of its name.
    :ivar canonical_digest: a digest of its source URL without what signs it.
    :ivar attempt: 0, or 1 for the second submission of an image that failed.
    :ivar taskID: None while it is not known whether the submission arrived.
    :ivar sent_at: by our clock.
    :ivar submitted_at: by the service's clock, as far as it is known.
    :ivar calling: the submission is about to be sent, or its answer has not come.
    :ivar deliveries: the callbacks received.
    :ivar problem: why it is unknown whether the submission arrived.
    :ivar poll_at: when its progress is polled next; 0 before that is known.
    :ivar poll_pause: seconds between its last two polls.
    :ivar follow_ups: answers to polls, since the last new callback, that did not say how it ended.
    :ivar was_polled: this worker has polled its progress.
    :ivar digest: of its source's bytes, if the worker has asked the source.
    :ivar lacks_url_since: when it was first found without a URL.
    :ivar failed_at, succeeded_at, refused_at: when polls first reported failure, success, or an error for the taskID.
    """

    number: int
    key: str
    canonical_digest: str
    attempt: int
    taskID: int | None
    sent_at: float
    submitted_at: float
    calling: bool = False
    deliveries: tuple[Delivery, ...] = ()
    problem: str = ""
    poll_at: float = 0.0
    poll_pause: float = 0.0
    follow_ups: int = 0
    was_polled: bool = False
    failed_at: float | None = None
    succeeded_at: float | None = None
    refused_at: float | None = None
    lacks_url_since: float | None = None
    digest: SourceDigest | None = None

    def send(self, now: float, ahead: float) -> None:
        """Note that the submission is sent now.

        :param ahead: seconds by which the service's clock is ahead of ours.
        """
        self.sent_at, self.submitted_at = now, now + ahead

    def accept(self, task: OfflineTask) -> None:
        """Note that the service accepted the submission."""
        self.taskID, self.submitted_at, self.calling = task.taskID, task.submitted_at.timestamp(), False

    def doubt(self, problem: str) -> None:
        """Note that the submission may have arrived, so the image is looked for."""
        self.calling, self.problem = False, problem

    def search_from(self, now: float) -> None:
        """Look for an image of which it is unknown whether its submission arrived, from now on."""
        if self.taskID is None:
            self.sent_at = now

    def deliver(self, delivery: Delivery, now: float) -> None:
        """Take a callback; a new one brings the next poll forward."""
        if delivery not in self.deliveries:
            self.deliveries += (delivery,)
            self.poll_at, self.follow_ups = now, 0

    def poll_soon(self, at: float) -> None:
        """Poll its progress at that moment, if not before."""
        self.poll_at = min(self.poll_at, at)

    def poll_again(self, at: float) -> None:
        """Poll its progress at that moment."""
        self.poll_at = at

    def follow_up(self, now: float, pauses: tuple[float, ...]) -> None:
        """Poll soon again if a callback came.

        :param pauses: seconds, the last one first; then the usual ones follow.
        """
        if self.deliveries and self.follow_ups < len(pauses):
            self.poll_at = now + pauses[-1 - self.follow_ups]
        self.follow_ups += 1

    def schedule_poll(self, now: float, silent: tuple[float, float]) -> None:
        """Poll after a pause that doubles from time to time, within these bounds in seconds."""
        first, longest = silent
        self.poll_pause = min(self.poll_pause * 2, longest) if self.poll_pause else first
        self.poll_at = now + self.poll_pause * random.uniform(0.5, 1.5)

    def report_succeeded(self, now: float) -> None:
        """Note that a poll reports success."""
        self.succeeded_at = now

    def report_without_url(self, now: float) -> None:
        """Note that the image was found, but without a URL."""
        self.lacks_url_since = self.lacks_url_since or now

    def report_running(self, failed_at: float | None, refused_at: float | None) -> None:
        """Note that a poll has not decided yet, and when polls first reported failure or an error."""
        self.failed_at, self.refused_at = failed_at, refused_at

    def dump(self) -> StoredImage:
        """Return the stored form."""
        return StoredImage(
            self.canonical_digest,
            self.attempt,
            self.taskID,
            self.sent_at,
            self.submitted_at,
            self.succeeded_at,
            self.failed_at,
        )


class InFlight:
    """The images in flight, by their numbers in the inventory.

    :param ended_called_back: the number of submissions that were called back and are no longer in flight.
    :ivar seed: makes the callback ids of this sync.
    :ivar began_at: when the first image was submitted, by the service's clock in Unix seconds.
    :ivar ahead: seconds by which the service's clock is ahead of ours.
    :ivar alone: the images, ended or not, that are submitted while nothing else is in flight.
    """

    def __init__(self, seed: str, began_at: float | None = None, ended_called_back: int = 0) -> None:
        self.seed = seed
        self.began_at = began_at
        self._ended_called_back = ended_called_back
        self._silent: set[str] = set()  # the callback ids without a delivery, as of the last reading
        self.ahead = 0.0
        self.alone: set[int] = set()
        self._images: dict[int, InFlightImage] = {}
        self._by_md5 = defaultdict[str, list[InFlightImage]](list)

    def __len__(self) -> int:
        return len(self._images)

    def __contains__(self, number: int) -> bool:
        return number in self._images

    def __iter__(self) -> Iterator[InFlightImage]:
        """Those whose submission was answered, or is in doubt."""
        return iter([image for image in self._images.values() if not image.calling])

    def get(self, number: int) -> InFlightImage | None:
        """Return one whose submission was answered, or is in doubt."""
        image = self._images.get(number)
        return None if image is None or image.calling else image

    def only(self) -> InFlightImage | None:
        """Return the image in flight if there is just one, and its submission was answered."""
        return next(iter(self), None) if len(self._images) == 1 else None

    def add_digest(self, image: InFlightImage, digest: SourceDigest) -> None:
        """Note the digest of an image's source, in place of an earlier one."""
        image.digest = digest
        self._by_md5[digest.md5].append(image)

    def with_content(self, stored: Image) -> list[int]:
        """Return the numbers of the images whose source has these bytes, whether or not they are still in flight."""
        same = self._by_md5.get(stored.etag, ()) if stored.etag else ()
        return [image.number for image in same if image.digest and has_content(stored, *image.digest)]

    def task_id(self, number: int) -> int | None:
        """Return the taskID of an image, if it is in flight and has one."""
        image = self._images.get(number)
        return image.taskID if image else None

    def oldest(self) -> datetime:
        """Return a moment by the service's clock before which no image in flight was submitted."""
        moment = min(
            (image.submitted_at for image in self._images.values()), default=time.time() + self.ahead
        )
        return datetime.fromtimestamp(moment, timezone.utc)

    def callback_id(self, image: InFlightImage) -> str:
        """Return the id of an image's callback."""
        return callback_id(self.seed, image.key, image.attempt)

    def add(self, image: InFlightImage) -> None:
        """Take an image that is about to be submitted."""
        self._images[image.number] = image

    def remove(self, number: int) -> None:
        """Let go of an image, if it is in flight."""
        image = self._images.pop(number, None)
        if image is not None and image.deliveries:
            self._ended_called_back += 1

    @property
    def called_back(self) -> int:
        """The number of submissions that were called back, each counted once however often it was."""
        return self._ended_called_back + sum(bool(image.deliveries) for image in self._images.values())

    def silent_at_end(self) -> set[str]:
        """Return the callback ids of images that ended, without a delivery, since the inbox was last read.

        A listing may show an image before its callback arrives.
        """
        return self._silent - set(map(self.callback_id, self._images.values()))

    def note_read(self, late: int) -> None:
        """Note that the inbox was read.

        :param late: the number of submissions that it shows to be called back, out of :meth:`silent_at_end`.
        """
        self._ended_called_back += late
        self._silent = {self.callback_id(image) for image in self if not image.deliveries}

    def accept(self, image: InFlightImage, task: OfflineTask, now: float) -> None:
        """Note that the service accepted a submission; its answer shows the service's clock."""
        image.accept(task)
        self.ahead = task.seen_at.timestamp() - now
        self.began_at = self.began_at or image.submitted_at

    def dump(self) -> dict[str, Any]:
        """Return the stored form: by what an image is, not by its number, which may change with the list."""
        return {
            "seed": self.seed,
            "began_at": self.began_at,
            "active": {image.key: list(image.dump()) for image in self._images.values()},
            # Those in flight are read from the inbox again.
            **({"called_back": self._ended_called_back} if self._ended_called_back else {}),
        }

    @classmethod
    def load(cls, stored: Mapping[str, Any], inventory: Inventory) -> InFlight:
        """Return what was in flight and is still on the list, with the same source URL."""
        in_flight = cls(stored["seed"], stored["began_at"], stored.get("called_back", 0))
        for key, values in stored["active"].items():
            image, number = StoredImage(*values), inventory.number(key)
            if number is not None and inventory.canonical_digest(number) == image.canonical_digest:
                in_flight.add(
                    InFlightImage(
                        number,
                        key,
                        image.canonical_digest,
                        image.attempt,
                        image.taskID,
                        image.sent_at,
                        image.submitted_at,
                        succeeded_at=image.succeeded_at,
                        failed_at=image.failed_at,
                    )
                )
        in_flight.note_read(0)
        return in_flight


def callback_id(seed: str, key: str, attempt: int) -> str:
    """Return the id of a callback, 32 hex digits, as worker and triggerer both compute it."""
    return hashlib.sha256(f"{seed} {key} {attempt}".encode()).hexdigest()[:32]
