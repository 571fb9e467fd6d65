"""Finds out which of the images in flight have ended, at the least cost in calls.

A listing of what is new shows a hundred successes in one call; progress is asked about what was called back but does
not show, and about what stays silent. Progress decides what failed; absence in a listing proves nothing.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from airflow_provider_123pan.callbacks.client import InboxEndpoint
from airflow_provider_123pan.callbacks.delivery import DeliveryStatus
from airflow_provider_123pan.download.lookup import with_urls
from airflow_provider_123pan.download.submit import SEARCH_SECONDS
from airflow_provider_123pan.download.wait import (
    NO_REASON,
    REASON_WAIT_SECONDS,
    SETTLING_SECONDS,
    UNKNOWN_GRACE_SECONDS,
    UNKNOWN_RECHECK_SECONDS,
    VISIBLE_WITHIN_SECONDS,
    failure_reasons,
)
from airflow_provider_123pan.exceptions import Pan123AnswerError, Pan123Error, Pan123ServiceError
from airflow_provider_123pan.service.listing import READ_RETRY_SECONDS, visit_images
from airflow_provider_123pan.service.models import Image, TaskStatus
from airflow_provider_123pan.service.protocol import PAGE, RETRY_FOR_SECONDS, get_image
from airflow_provider_123pan.sync.delivery_reader import DeliveryReader
from airflow_provider_123pan.sync.in_flight import SKEW, InFlight, InFlightImage
from airflow_provider_123pan.sync.inventory import ImageState, Inventory, difference
from airflow_provider_123pan.sync.progress_poller import ProgressPoller

if TYPE_CHECKING:
    from airflow_provider_123pan.hooks.pan123 import Pan123Hook

log = logging.getLogger(__name__)

MARGIN = timedelta(minutes=2)  # an image may show up so much after its date
MAX_SCAN_SECONDS = 60.0  # seconds between two listings of everything, unless they take long themselves
RESUBMIT_AFTER_SECONDS = 30.0  # seconds after which an image that does not show is submitted again, alone
MAX_LOST = 3  # submissions of an image that may not arrive before it counts as failed
SAME_CONTENT = (
    "123pan fetched it, but there is no image of its name: another address may have the same bytes, of which the "
    "service keeps one file; give its md5 in the list"
)


class Monitor:
    """Looks after what is in flight, for one worker.

    :param directory_id: None as long as the service's own directory does not exist.
    :param inbox: None without callbacks.
    :param overwrite: the names were there before: only progress says that an image is new.
    """

    def __init__(
        self,
        hook: Pan123Hook,
        inventory: Inventory,
        in_flight: InFlight,
        directory_id: Callable[[], str | None],
        inbox: InboxEndpoint | None,
        overwrite: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._hook = hook
        self._inventory = inventory
        self._in_flight = in_flight
        self._directory_id = directory_id
        self._named_by_delivery = DeliveryReader(in_flight, inbox, clock)
        self._overwrite = overwrite
        self._poller = ProgressPoller(hook, clock)
        self._clock = clock
        self._failing_since: float | None = None  # listings
        self._listed_until: datetime | None = None  # by the service's clock
        self._new = 0  # images that the last listing of what is new had
        self._scan_pause, self._scan_at, self._scanned_at = SETTLING_SECONDS, 0.0, 0.0
        self._lost: Counter[int] = Counter()  # by image: submissions that did not arrive
        #: Numbers of images that are submitted again while nothing else is in flight.
        self.alone: set[int] = set()

    @property
    def since(self) -> datetime:
        """What is older was seen by a listing, or shows up in none."""
        oldest = self._in_flight.since
        return oldest if self._listed_until is None else max(oldest, self._listed_until - MARGIN)

    def close(self) -> None:
        self._poller.close()

    @property
    def pages(self) -> int:
        """What a listing of what is new costs in calls."""
        return 1 + self._new // PAGE

    def check(self) -> int:
        """Look once; how many have ended."""
        before = len(self._in_flight.active)
        self._named_by_delivery.read()
        if len(self._in_flight.active) >= self.pages or self._shows_soon():
            self._list()
        elif not self._named_by_delivery.expected:  # so few are cheaper to ask about, one by one
            for each in self._in_flight:
                each.poll_at = self._clock()
        self._ask()
        self._look_everywhere()
        for active in self._in_flight:
            self._give_up(active)
        self._hook.keep_rate()
        return before - len(self._in_flight.active)

    # -- what listings show --

    def _shows_soon(self) -> bool:
        return any(each.deliveries or each.succeeded_at or each.taskID is None for each in self._in_flight)

    def _list(self) -> None:
        new: list[Image] = []
        began = datetime.fromtimestamp(self._clock() + self._in_flight.ahead, timezone.utc)
        if self._survey(new.append, self.since):
            self._listed_until = began
        self._new = len(new)
        for image in new:
            for number in self._inventory.matches(image):
                active = self._in_flight.get(number)
                if active and (not self._overwrite or (active.succeeded_at and _is_newer(image, active))):
                    self._found(active, image)
            entry_named = self._inventory.entry_named(image)
            if entry_named is not None and (
                active := self._in_flight.get(entry_named)
            ):  # it is not what the list says
                if not active.succeeded_at:
                    active.poll_at = min(active.poll_at, self._clock())
                elif reason := difference(self._inventory.entry(entry_named), image):
                    self._failed(active, reason)
        # Submitted alone, and a single file changed: that is the one whose bytes were the same.
        lonely = next(iter(self._in_flight.active.values())) if len(self._in_flight.active) == 1 else None
        if lonely and lonely.number in self.alone and lonely.succeeded_at:
            changed = {image.fileID: image for image in new}
            if len(changed) == 1 and self._is_ours(new[0]):
                self._found(lonely, new[0])

    def _is_ours(self, image: Image) -> bool:
        """Whether it is an image of the list that has ended: somebody else's has nothing to do with ours."""
        number = self._inventory.entry_named(image)
        return number is not None and self._inventory.states[number] in (
            ImageState.PRESENT,
            ImageState.MIGRATED,
        )

    def _look_everywhere(self) -> None:
        """For those that succeeded and are not new: an overwritten file may keep its date, or its name."""
        now = self._clock()
        invisible = [
            each
            for each in self._in_flight
            if each.succeeded_at and now - each.succeeded_at > SETTLING_SECONDS
        ]
        if not invisible or now < self._scan_at:
            return
        named_otherwise = {each.number: image for each in invisible if (image := self._called_back(each))}
        newest: dict[int, Image] = {}
        differing: dict[int, Image] = {}

        def on_image(image: Image) -> None:
            for number in self._inventory.matches(image):
                if (active := self._in_flight.get(number)) and active.succeeded_at:
                    newest[number] = max(newest.get(number, image), image, key=_date)
            if (entry_named := self._inventory.entry_named(image)) is not None:
                differing[entry_named] = image

        if not any(each.number in self._in_flight.active for each in invisible) or self._survey(
            on_image, None
        ):
            self._scanned_at = now
            for number, image in newest.items():
                self._found(self._in_flight.active[number], image)
        for active in invisible:
            if active.number not in self._in_flight.active:
                continue
            if image := named_otherwise.get(active.number):
                self._found(active, image)
            elif image := differing.get(active.number):
                self._failed(active, difference(self._inventory.entry(active.number), image) or SAME_CONTENT)
        found = any(each.number not in self._in_flight.active for each in invisible)
        self._scan_pause = SETTLING_SECONDS if found else min(self._scan_pause * 2, MAX_SCAN_SECONDS)
        self._scan_pause = max(self._scan_pause, 4 * (self._clock() - now))
        self._scan_at = self._clock() + self._scan_pause

    def _called_back(self, active: InFlightImage) -> Image | None:
        """The file that was called back: taken if it has the right name, given if it has another image's."""
        for fileID in {each.fileID for each in active.deliveries if each.fileID}:
            try:
                image = self._hook.client.call(get_image(fileID), READ_RETRY_SECONDS)
            except Pan123Error as error:
                log.info("File %s, which was called back, is not there: %s", fileID, error)
                continue
            entry_named = (
                self._inventory.entry_named(image) if image.directory_id == self._directory_id() else None
            )
            if entry_named == active.number:
                self._found(active, image)
            elif entry_named is not None:
                return image
        return None

    def _survey(self, on_image: Callable[[Image], object], since: datetime | None) -> bool:
        """List the directory; False if that did not work and is tried again."""
        try:
            if (directory_id := self._directory_id()) is not None:
                self._hook.client.run(visit_images(directory_id, on_image, since))
        except Pan123Error as error:
            self._failing_since = self._failing_since or self._clock()
            if not error.retryable or self._clock() - self._failing_since > RETRY_FOR_SECONDS:
                raise
            log.warning("The directory is listed again later: %s", error)
            return False
        self._failing_since = None
        return True

    def _found(self, active: InFlightImage, image: Image) -> None:
        if image.rejected:
            self._failed(active, f"rejected by review (status {image.status})", again=False)
            return
        del self._in_flight.active[active.number]
        self.alone.discard(active.number)
        try:
            image = self._hook.client.run(with_urls(image))
        except Pan123Error as error:
            log.warning("%s has no address yet: %s", self._inventory.redacted(active.number), error)
        reason = difference(self._inventory.entry(active.number), image)
        self._inventory.record(
            active.number,
            ImageState.FAILED if reason else ImageState.MIGRATED,
            image,
            taskID=active.taskID,
            reason=reason,
        )

    # -- what progress says --

    def _ask(self) -> None:
        for active, answer in self._poller.poll(self._in_flight):
            if active.number in self._in_flight.active:
                self._judge(active, answer)

    def _judge(self, active: InFlightImage, answer: TaskStatus | Pan123Error) -> None:
        now = self._clock()
        match answer:
            case TaskStatus.FAILED:
                active.failed_at = active.failed_at or now
                reasons = failure_reasons(active.deliveries)
                if (
                    reasons
                    or not self._named_by_delivery.expected
                    or now - active.failed_at > REASON_WAIT_SECONDS
                ):
                    self._failed(active, reasons[-1] if reasons else NO_REASON)
                else:
                    active.poll_at = now + 1
            case TaskStatus.SUCCEEDED:
                active.succeeded_at = now
            case Pan123ServiceError() | Pan123AnswerError():
                if now - active.sent_at < UNKNOWN_GRACE_SECONDS:
                    active.poll_at = now + UNKNOWN_RECHECK_SECONDS
                elif active.unknown_at is None:
                    active.unknown_at, active.poll_at = now, now + UNKNOWN_RECHECK_SECONDS
                else:
                    self._failed(
                        active, f"the service does not tell of its taskID (any more): {answer.message}"
                    )
            case Pan123Error() if not answer.transient:
                raise answer
            case Pan123Error():
                log.warning("Asked again later: %s", answer)
            case _:
                active.unknown_at = None

    def _give_up(self, active: InFlightImage) -> None:
        """End what will not show any more."""
        now = self._clock()
        if active.taskID is None:
            if any(each.status is DeliveryStatus.FAILED for each in active.deliveries):
                self._failed(active, active.deliveries[-1].reason or NO_REASON)
            elif now - active.sent_at > SEARCH_SECONDS and not active.deliveries:
                self._lost[active.number] += 1
                if self._lost[active.number] % MAX_LOST:
                    del self._in_flight.active[active.number]  # it did not arrive
                    self._inventory.states[active.number] = (
                        ImageState.AGAIN if active.attempt else ImageState.MISSING
                    )
                else:
                    self._failed(active, active.problem or NO_REASON)
            elif now - active.sent_at > VISIBLE_WITHIN_SECONDS:
                self._failed(active, SAME_CONTENT)
        elif (
            active.succeeded_at
            and now - active.succeeded_at
            > (VISIBLE_WITHIN_SECONDS if active.attempt else RESUBMIT_AFTER_SECONDS)
            and self._scanned_at > active.succeeded_at + SETTLING_SECONDS
        ):
            self.alone.add(active.number)
            self._failed(active, SAME_CONTENT)

    def _failed(self, active: InFlightImage, reason: str, *, again: bool = True) -> None:
        reason = self._inventory.redact(active.number, reason)
        del self._in_flight.active[active.number]
        state = ImageState.AGAIN if again and not active.attempt else ImageState.FAILED
        log.warning(
            "%s (taskID %s): %s%s",
            self._inventory.redacted(active.number),
            active.taskID,
            reason,
            "; it will be submitted once more" if state is ImageState.AGAIN else "",
        )
        self._inventory.record(active.number, state, taskID=active.taskID, reason=reason)


def _date(image: Image) -> float:
    return image.changed_at.timestamp() if image.changed_at else 0.0


def _is_newer(image: Image, active: InFlightImage) -> bool:
    """Whether an image is not from before its submission; one whose date was kept is found by a full listing."""
    return _date(image) >= active.submitted_at - SKEW.total_seconds()
