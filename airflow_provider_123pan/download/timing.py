"""How long a wait for an image waits for what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class WaitTiming:
    """The durations of a wait, in seconds unless a type says otherwise.

    :ivar unknown_grace: an error for a taskID means "not yet" for so long after the submission.
    :ivar unknown_recheck: between the two errors that make a taskID unknown.
    :ivar visible_within: the image of a successful task may take so long to appear.
    :ivar visible_check: between two listings for an image that has not appeared: the first pause, and the longest.
    :ivar settling: after so long an image that was renamed or overwritten is taken.
    :ivar same_second: an image may be dated so much before its submission, because both are cut to seconds.
    :ivar clock_skew: the service's clock and ours may differ so much.
    :ivar after_delivery: between the polls after a delivery, the last one first: progress may lag behind.
    :ivar reason_wait: the delivery that says why a download failed may come so much after progress.
    :ivar last_poll: at the deadline a wait queues for its last poll for so long.
    :ivar fallback_poll: between two polls while callbacks are expected: the first, and the longest.
    :ivar min_to_event: from a trigger's start to its event at least. The worker's supervisor reports the deferral
        some seconds late, and the scheduler takes a task that was resumed before that for a failed one.
    :ivar search: a submission that may have arrived is looked for so long.
    :ivar search_interval: between two looks for it.
    """

    unknown_grace: float = 60.0
    unknown_recheck: float = 30.0
    visible_within: float = 300.0
    visible_check: tuple[float, float] = (1.0, 8.0)
    settling: float = 7.0
    same_second: timedelta = timedelta(seconds=2)
    clock_skew: timedelta = timedelta(minutes=2)
    after_delivery: tuple[float, ...] = (8.0, 4.0, 2.0, 1.0)
    reason_wait: float = 3.0
    last_poll: float = 5.0
    fallback_poll: tuple[float, float] = (30.0, 300.0)
    min_to_event: float = 5.0
    search: float = 60.0
    search_interval: float = 5.0
