"""What is in flight: submitted, and not known to have ended."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_provider_123pan.callbacks.delivery import Delivery
from airflow_provider_123pan.sync.inventory import Inventory

SKEW = timedelta(seconds=5)  # an image may be dated a little before the answer to its submission

Clock = Callable[[], float]


@dataclass(slots=True)
class InFlightImage:
    """An image in flight. Moments are Unix seconds.

    :ivar taskID: None while it is not known whether the submission arrived.
    :ivar calling: it is about to be submitted, or the answer to that is awaited.
    :ivar attempt: 0, or 1 for the second submission of one that failed.
    :ivar sent_at: by our clock; :ivar submitted_at: by the service's, as far as we know it.
    :ivar deliveries: the callbacks received.
    :ivar problem: why it is unknown whether the submission arrived.
    :ivar ask_at: when progress is asked next, and after what pause again.
    :ivar failed_at, succeeded_at, unknown_at: when progress first said so.
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
    pause: float = 0.0
    failed_at: float | None = None
    succeeded_at: float | None = None
    unknown_at: float | None = None


@dataclass(slots=True)
class InFlight:
    """All that is in flight, by number.

    :ivar seed: makes this batch's callback_ids.
    :ivar began_at: when the first image was submitted, by the service's clock.
    :ivar ahead: seconds by which the service's clock is before ours.
    """

    seed: str
    began_at: float | None = None
    active: dict[int, InFlightImage] = field(default_factory=dict)
    ahead: float = 0.0

    @property
    def since(self) -> datetime:
        """Nothing that is in flight is older."""
        oldest = min((each.submitted_at for each in self.active.values()), default=time.time() + self.ahead)
        return datetime.fromtimestamp(oldest, timezone.utc) - SKEW

    def __iter__(self) -> Iterator[InFlightImage]:
        """Those that are submitted."""
        return iter([each for each in self.active.values() if not each.calling])

    def get(self, number: int) -> InFlightImage | None:
        """One of those that are submitted."""
        active = self.active.get(number)
        return None if active is None or active.calling else active

    def callback_id(self, active: InFlightImage) -> str:
        return callback_id(self.seed, active.key, active.attempt)

    def dump(self) -> dict[str, Any]:
        """By what an image is, never by its place in the list, which may be another one by then."""
        return {
            "seed": self.seed,
            "began_at": self.began_at,
            "active": {
                each.key: [
                    each.canonical_digest,
                    each.attempt,
                    each.taskID,
                    each.sent_at,
                    each.submitted_at,
                    each.succeeded_at,
                    each.failed_at,
                ]
                for each in self.active.values()
            },
        }

    @classmethod
    def load(cls, dumped: Mapping[str, Any], inventory: Inventory) -> InFlight:
        """What was in flight and is still on the list, under the same address."""
        in_flight = cls(dumped["seed"], dumped["began_at"])
        for key, (
            canonical_digest,
            attempt,
            taskID,
            sent_at,
            submitted_at,
            succeeded_at,
            failed_at,
        ) in dumped["active"].items():
            number = inventory.number(key)
            if number is not None and inventory.canonical_digest(number) == canonical_digest:
                in_flight.active[number] = InFlightImage(
                    number,
                    key,
                    canonical_digest,
                    attempt,
                    taskID,
                    sent_at,
                    submitted_at,
                    succeeded_at=succeeded_at,
                    failed_at=failed_at,
                )
        return in_flight


def callback_id(seed: str, key: str, attempt: int) -> str:
    """32 hex digits that worker and triggerer both know."""
    return hashlib.sha256(f"{seed} {key} {attempt}".encode()).hexdigest()[:32]
