"""How long a sync waits for what, and how often it tries."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from airflow_provider_123pan.download.timing import WaitTiming
from airflow_provider_123pan.service.timing import RETRY_FOR_SECONDS, TOO_MANY_TASKS_PAUSES


@dataclass(frozen=True, slots=True)
class SyncTiming:
    """The durations of a sync, in seconds unless a type says otherwise, and two numbers of attempts.

    :ivar wait: the durations that a sync shares with the wait for one image.
    :ivar idle_before_deferral: a worker that saw no image end for so long defers; a deferral costs about as much.
    :ivar last_look: a worker that defers no more looks for so long before the deadline.
    :ivar recheck: after so long a worker checks again what the triggerer cannot see.
    :ivar trigger_check: between two checks of the triggerer without callbacks: the first, and the longest.
    :ivar check: between two checks of a worker: the shortest, and the longest.
    :ivar silent: an image whose callback has not come is polled after so long: at first, and at most.
    :ivar poll_share: each check may use so many seconds' share of the request rate for polls.
    :ivar inbox_retry: an inbox that was unreachable is tried again after so long.
    :ivar skew: an image may be dated so much before the answer to its submission.
    :ivar late_listing: an image may appear in a listing so long after its date.
    :ivar max_scan: between two listings of everything, unless a listing takes long itself.
    :ivar resubmit_after: an image that does not appear is submitted again, alone, after so long.
    :ivar submit_retry: one submission is queued again for so long; then its image goes back into the list.
    :ivar retry_for: the service may fail for so long before the sync gives up.
    :ivar unavailable_pauses: before the next submission while the service is unavailable: the first pause, which
        doubles each time, and the longest.
    :ivar too_many_tasks_pauses: between two submissions while the account has too many offline tasks.
    :ivar explain: a worker may probe the sources of images that failed without a reason for so long.
    :ivar read_retry_pauses: between two attempts to read a directory while the service is unavailable.
    :ivar max_put_backs: submissions of one image that found no service, before it is asked whether that is there at
        all.
    :ivar max_lost: submissions of one image that did not arrive, before it counts as failed.
    """

    wait: WaitTiming = field(default_factory=WaitTiming)
    idle_before_deferral: float = 10.0
    last_look: float = 60.0
    recheck: float = 30.0
    trigger_check: tuple[float, float] = (10.0, 60.0)
    check: tuple[float, float] = (0.25, 10.0)
    silent: tuple[float, float] = (15.0, 300.0)
    poll_share: float = 5.0
    inbox_retry: float = 60.0
    skew: timedelta = timedelta(seconds=5)
    late_listing: timedelta = timedelta(minutes=2)
    max_scan: float = 60.0
    resubmit_after: float = 30.0
    submit_retry: float = 60.0
    retry_for: float = RETRY_FOR_SECONDS
    unavailable_pauses: tuple[float, float] = (1.0, 30.0)
    too_many_tasks_pauses: tuple[float, float, float] = TOO_MANY_TASKS_PAUSES
    explain: float = 60.0
    read_retry_pauses: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 30.0)
    max_put_backs: int = 5
    max_lost: int = 3
