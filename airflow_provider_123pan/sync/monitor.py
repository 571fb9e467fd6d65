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

from airflow_provider_123pan.callbacks.client import RemoteInbox
from airflow_provider_123pan.callbacks.delivery import DeliveryStatus
from airflow_provider_123pan.download.lookup import LOOK, detailed
from airflow_provider_123pan.download.submit import SEARCH
from airflow_provider_123pan.download.wait import (
    ASKED_AGAIN_AFTER,
    KNOWN_AFTER,
    NO_REASON,
    REASON_WITHIN,
    SETTLED_AFTER,
    VISIBLE_WITHIN,
    told_reasons,
)
from airflow_provider_123pan.exceptions import Pan123AnswerError, Pan123Error, Pan123ServiceError
from airflow_provider_123pan.service.models import Image, TaskStatus
from airflow_provider_123pan.service.protocol import PAGE, PATIENCE, get_image
from airflow_provider_123pan.sync.delivery_reader import Told
from airflow_provider_123pan.sync.directory import survey
from airflow_provider_123pan.sync.in_flight import SKEW, Active, Flight
from airflow_provider_123pan.sync.inventory import Ledger, State, difference
from airflow_provider_123pan.sync.progress_poller import Questions

if TYPE_CHECKING:
    from airflow_provider_123pan.hooks.pan123 import Pan123Hook

log = logging.getLogger(__name__)

MARGIN = timedelta(minutes=2)  # an image may show up so much after its date
LONGEST = 60.0  # seconds between two listings of everything, unless they take long themselves
AGAIN_AFTER = 30.0  # seconds after which an image that does not show is submitted again, alone
LOST = 3  # submissions of an image that may not arrive before it counts as failed
ALIKE = (
    "123pan fetched it, but there is no image of its name: another address may have the same bytes, of which the "
    "service keeps one file; give its md5 in the list"
)


class Watch:
    """Looks after what is in flight, for one worker.

    :param directory_id: None as long as the service's own directory does not exist.
    :param inbox: None without callbacks.
    :param overwrite: the names were there before: only progress says that an image is new.
    """

    def __init__(
        self,
        hook: Pan123Hook,
        ledger: Ledger,
        flight: Flight,
        directory_id: Callable[[], str | None],
        inbox: RemoteInbox | None,
        overwrite: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._hook = hook
        self._ledger = ledger
        self._flight = flight
        self._directory_id = directory_id
        self._told = Told(flight, inbox, clock)
        self._overwrite = overwrite
        self._questions = Questions(hook, clock)
        self._clock = clock
        self._failing_since: float | None = None  # listings
        self._listed_until: datetime | None = None  # by the service's clock
        self._new = 0  # images that the last listing of what is new had
        self._full_pause, self._full_at, self._full_since = SETTLED_AFTER, 0.0, 0.0
        self._lost: Counter[int] = Counter()  # by image: submissions that did not arrive
        #: Numbers of images that are submitted again while nothing else is in flight.
        self.alone: set[int] = set()

    @property
    def since(self) -> datetime:
        """What is older was seen by a listing, or shows up in none."""
        oldest = self._flight.since
        return oldest if self._listed_until is None else max(oldest, self._listed_until - MARGIN)

    def close(self) -> None:
        self._questions.close()

    @property
    def pages(self) -> int:
        """What a listing of what is new costs in calls."""
        return 1 + self._new // PAGE

    def look(self) -> int:
        """Look once; how many have ended."""
        before = len(self._flight.active)
        self._told.hear()
        if len(self._flight.active) >= self.pages or self._shows_soon():
            self._list()
        elif not self._told.expected:  # so few are cheaper to ask about, one by one
            for each in self._flight:
                each.ask_at = self._clock()
        self._ask()
        self._look_everywhere()
        for active in self._flight:
            self._give_up(active)
        self._hook.keep_rate()
        return before - len(self._flight.active)

    # -- what listings show --

    def _shows_soon(self) -> bool:
        return any(each.told or each.succeeded_at or each.taskID is None for each in self._flight)

    def _list(self) -> None:
        new: list[Image] = []
        began = datetime.fromtimestamp(self._clock() + self._flight.ahead, timezone.utc)
        if self._survey(new.append, self.since):
            self._listed_until = began
        self._new = len(new)
        for image in new:
            for number in self._ledger.matches(image):
                active = self._flight.get(number)
                if active and (not self._overwrite or (active.succeeded_at and _is_newer(image, active))):
                    self._found(active, image)
            named = self._ledger.named(image)
            if named is not None and (active := self._flight.get(named)):  # it is not what the list says
                if not active.succeeded_at:
                    active.ask_at = min(active.ask_at, self._clock())
                elif reason := difference(self._ledger.wanted(named), image):
                    self._failed(active, reason)
        # Submitted alone, and a single file changed: that is the one whose bytes were the same.
        lonely = next(iter(self._flight.active.values())) if len(self._flight.active) == 1 else None
        if lonely and lonely.number in self.alone and lonely.succeeded_at:
            changed = {image.fileID: image for image in new}
            if len(changed) == 1 and self._is_ours(new[0]):
                self._found(lonely, new[0])

    def _is_ours(self, image: Image) -> bool:
        """Whether it is an image of the list that has ended: somebody else's has nothing to do with ours."""
        number = self._ledger.named(image)
        return number is not None and self._ledger.states[number] in (State.PRESENT, State.MIGRATED)

    def _look_everywhere(self) -> None:
        """For those that succeeded and are not new: an overwritten file may keep its date, or its name."""
        now = self._clock()
        invisible = [
            each for each in self._flight if each.succeeded_at and now - each.succeeded_at > SETTLED_AFTER
        ]
        if not invisible or now < self._full_at:
            return
        named_otherwise = {each.number: image for each in invisible if (image := self._called_back(each))}
        newest: dict[int, Image] = {}
        differing: dict[int, Image] = {}

        def see(image: Image) -> None:
            for number in self._ledger.matches(image):
                if (active := self._flight.get(number)) and active.succeeded_at:
                    newest[number] = max(newest.get(number, image), image, key=_date)
            if (named := self._ledger.named(image)) is not None:
                differing[named] = image

        if not any(each.number in self._flight.active for each in invisible) or self._survey(see, None):
            self._full_since = now
            for number, image in newest.items():
                self._found(self._flight.active[number], image)
        for active in invisible:
            if active.number not in self._flight.active:
                continue
            if image := named_otherwise.get(active.number):
                self._found(active, image)
            elif image := differing.get(active.number):
                self._failed(active, difference(self._ledger.wanted(active.number), image) or ALIKE)
        found = any(each.number not in self._flight.active for each in invisible)
        self._full_pause = SETTLED_AFTER if found else min(self._full_pause * 2, LONGEST)
        self._full_pause = max(self._full_pause, 4 * (self._clock() - now))
        self._full_at = self._clock() + self._full_pause

    def _called_back(self, active: Active) -> Image | None:
        """The file that was called back: taken if it has the right name, given if it has another image's."""
        for fileID in {each.fileID for each in active.told if each.fileID}:
            try:
                image = self._hook.client.call(get_image(fileID), LOOK)
            except Pan123Error as error:
                log.info("File %s, which was called back, is not there: %s", fileID, error)
                continue
            named = self._ledger.named(image) if image.directory_id == self._directory_id() else None
            if named == active.number:
                self._found(active, image)
            elif named is not None:
                return image
        return None

    def _survey(self, see: Callable[[Image], object], since: datetime | None) -> bool:
        """List the directory; False if that did not work and is tried again."""
        try:
            if (directory_id := self._directory_id()) is not None:
                self._hook.client.run(survey(directory_id, see, since))
        except Pan123Error as error:
            self._failing_since = self._failing_since or self._clock()
            if not error.retryable or self._clock() - self._failing_since > PATIENCE:
                raise
            log.warning("The directory is listed again later: %s", error)
            return False
        self._failing_since = None
        return True

    def _found(self, active: Active, image: Image) -> None:
        if image.rejected:
            self._failed(active, f"rejected by review (status {image.status})", again=False)
            return
        del self._flight.active[active.number]
        self.alone.discard(active.number)
        try:
            image = self._hook.client.run(detailed(image))
        except Pan123Error as error:
            log.warning("%s has no address yet: %s", self._ledger.shown(active.number), error)
        reason = difference(self._ledger.wanted(active.number), image)
        self._ledger.note(
            active.number,
            State.FAILED if reason else State.MIGRATED,
            image,
            taskID=active.taskID,
            reason=reason,
        )

    # -- what progress says --

    def _ask(self) -> None:
        for active, answer in self._questions.ask(self._flight):
            if active.number in self._flight.active:
                self._judge(active, answer)

    def _judge(self, active: Active, answer: TaskStatus | Pan123Error) -> None:
        now = self._clock()
        match answer:
            case TaskStatus.FAILED:
                active.failed_at = active.failed_at or now
                reasons = told_reasons(active.told)
                if reasons or not self._told.expected or now - active.failed_at > REASON_WITHIN:
                    self._failed(active, reasons[-1] if reasons else NO_REASON)
                else:
                    active.ask_at = now + 1
            case TaskStatus.SUCCEEDED:
                active.succeeded_at = now
            case Pan123ServiceError() | Pan123AnswerError():
                if now - active.sent_at < KNOWN_AFTER:
                    active.ask_at = now + ASKED_AGAIN_AFTER
                elif active.unknown_at is None:
                    active.unknown_at, active.ask_at = now, now + ASKED_AGAIN_AFTER
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

    def _give_up(self, active: Active) -> None:
        """End what will not show any more."""
        now = self._clock()
        if active.taskID is None:
            if any(each.status is DeliveryStatus.FAILED for each in active.told):
                self._failed(active, active.told[-1].reason or NO_REASON)
            elif now - active.sent_at > SEARCH and not active.told:
                self._lost[active.number] += 1
                if self._lost[active.number] % LOST:
                    del self._flight.active[active.number]  # it did not arrive
                    self._ledger.states[active.number] = State.AGAIN if active.attempt else State.MISSING
                else:
                    self._failed(active, active.problem or NO_REASON)
            elif now - active.sent_at > VISIBLE_WITHIN:
                self._failed(active, ALIKE)
        elif (
            active.succeeded_at
            and now - active.succeeded_at > (VISIBLE_WITHIN if active.attempt else AGAIN_AFTER)
            and self._full_since > active.succeeded_at + SETTLED_AFTER
        ):
            self.alone.add(active.number)
            self._failed(active, ALIKE)

    def _failed(self, active: Active, reason: str, *, again: bool = True) -> None:
        reason = self._ledger.conceal(active.number, reason)
        del self._flight.active[active.number]
        state = State.AGAIN if again and not active.attempt else State.FAILED
        log.warning(
            "%s (taskID %s): %s%s",
            self._ledger.shown(active.number),
            active.taskID,
            reason,
            "; it will be submitted once more" if state is State.AGAIN else "",
        )
        self._ledger.note(active.number, state, taskID=active.taskID, reason=reason)


def _date(image: Image) -> float:
    return image.changed_at.timestamp() if image.changed_at else 0.0


def _is_newer(image: Image, active: Active) -> bool:
    """Whether an image is not from before its submission; one whose date was kept is found by a full listing."""
    return _date(image) >= active.submitted_at - SKEW.total_seconds()
