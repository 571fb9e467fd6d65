"""Submits once, even if the worker is killed at any moment.

The service has no idempotency key, so the provider keeps a record in Airflow's ``task_state_store`` (3.3): before the
call, that it is about to be made; right after it, the taskID. A retry of the same task continues with that record. A
task that a user clears, or one with another request, submits again. Airflow 3.2 has no such store: there a retry after
a crash submits again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk.log import mask_secret

from airflow_provider_123pan.callbacks.address import new_callback_id
from airflow_provider_123pan.callbacks.client import CallbackSigner, inbox_endpoint
from airflow_provider_123pan.callbacks.delivery import DeliveryStatus
from airflow_provider_123pan.download.lookup import Stage
from airflow_provider_123pan.download.request import Request
from airflow_provider_123pan.download.search import ImageSearch
from airflow_provider_123pan.download.submission import Submission
from airflow_provider_123pan.download.timing import WaitTiming
from airflow_provider_123pan.download.wait_strategy import WaitStrategy, WorkerWait
from airflow_provider_123pan.exceptions import (
    Pan123Error,
    Pan123InvisibleError,
    Pan123NoDataError,
    Pan123RedirectError,
    Pan123ServiceError,
    Pan123WaitError,
    may_have_arrived,
)
from airflow_provider_123pan.service.flow import Flow, Sleep
from airflow_provider_123pan.service.models import OfflineTask, TaskStatus
from airflow_provider_123pan.source.probe import Prober, complete_name

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_123pan.hooks.pan123 import Pan123Hook

log = logging.getLogger(__name__)

STORE_KEY = "pan123_submission"


@dataclass(frozen=True, slots=True)
class SubmissionRecord:
    """A submission as the store holds it.

    :ivar digest: of the request.
    :ivar max_tries: of the task; it changes when a user clears the task.
    """

    digest: str
    max_tries: int
    submission: Submission

    def dump(self) -> dict[str, Any]:
        """Return the stored form."""
        return asdict(self)

    @classmethod
    def parse(cls, value: Any) -> SubmissionRecord | None:
        """Read the stored form; None if there is none."""
        try:
            return cls(value["digest"], value["max_tries"], Submission(**value["submission"]))
        except (KeyError, TypeError):
            return None  # absent, or not written by this provider


def submit_once(
    hook: Pan123Hook,
    request: Request,
    context: Context,
    use_callback: bool | None,
    timing: WaitTiming,
    prober: Prober | None = None,
) -> Submission:
    """Submit the request, or continue with the submission of an earlier try of this task.

    :param use_callback: None: if the connection has a ``callback_base_url``.
    :param prober: finds the format that the name lacks. The record's digest does not cover that format, so an earlier
        try is recognized whatever the source answers now.
    """
    signer = CallbackSigner.of(hook.settings, use_callback)
    store: Any = context.get("task_state_store")  # Airflow 3.3
    record = SubmissionRecord(
        digest=request.digest(hook.settings.account),
        max_tries=context["ti"].max_tries,
        submission=Submission(
            taskID=None, url=request.url, file_name=request.file_name, directory_id=request.directory_id
        ),
    )
    earlier = SubmissionRecord.parse(store.get(STORE_KEY)) if store is not None else None
    if (
        earlier is not None
        and (earlier.digest, earlier.max_tries) == (record.digest, record.max_tries)
        and (submission := _resume(hook, earlier.submission, timing)) is not None
    ):
        return submission
    submission = record.submission
    name = complete_name(request.file_name, request.url, prober)
    return _submit(
        hook, replace(record, submission=replace(submission, file_name=name)), store, signer, timing
    )


def forget_submission(context: Context) -> None:
    """Let the next try submit again, because this submission failed."""
    if (store := context.get("task_state_store")) is not None:
        store.delete(STORE_KEY)


@contextmanager
def forgetting_unconfirmed(context: Context, submission: Submission) -> Iterator[None]:
    """Let the next try submit again if a submission without a taskID has no image."""
    try:
        yield
    except (Pan123InvisibleError, Pan123WaitError) as error:
        # A wait that ended in the triggerer raises the second one, with the code of the first.
        if submission.taskID is None and error.help_code == Pan123InvisibleError.help_code:
            forget_submission(context)
        raise


def _submit(
    hook: Pan123Hook, record: SubmissionRecord, store: Any, signer: CallbackSigner | None, timing: WaitTiming
) -> Submission:
    submission = replace(
        record.submission,
        callback_id=new_callback_id() if signer else None,
        submitted_at=datetime.now(timezone.utc).isoformat(),
    )
    if store is not None:
        store.set(STORE_KEY, replace(record, submission=submission).dump())
    try:
        task = _create(hook, submission, signer, timing)
    except Pan123Error as error:
        # A retry looks only for a submission that may have arrived.
        if store is not None and not may_have_arrived(error):
            store.delete(STORE_KEY)
        raise
    if isinstance(task, Submission):
        return task
    submission = replace(submission, taskID=task.taskID, submitted_at=task.submitted_at.isoformat())
    if store is not None:
        store.set(STORE_KEY, replace(record, submission=submission).dump())
    log.info("Submitted %s as taskID %s", submission.redacted_url, submission.taskID)
    return submission


def _create(
    hook: Pan123Hook, submission: Submission, signer: CallbackSigner | None, timing: WaitTiming
) -> OfflineTask | Submission:
    """Create the offline task; return the submission instead if the answer was lost but its image is there."""
    try:
        return _call(hook, submission, signer)
    except Pan123Error as error:
        if not may_have_arrived(error):
            raise
        log.warning("Looking for %s: %s", submission.redacted_url, error)
    try:
        return _search(hook, submission, timing) or _call(hook, submission, signer)
    except Pan123RedirectError as error:
        error.retryable = False  # it has stayed during the search
        raise


def _call(hook: Pan123Hook, submission: Submission, signer: CallbackSigner | None) -> OfflineTask:
    assert submission.url is not None
    callback_url = signer.address(submission.callback_id) if signer and submission.callback_id else None
    if callback_url:
        mask_secret(callback_url.rpartition("/")[2])  # the service may quote it in later answers
    return hook.create_offline_download(
        submission.url, submission.file_name, submission.directory_id, callback_url
    )


def _resume(hook: Pan123Hook, submission: Submission, timing: WaitTiming) -> Submission | None:
    """Return an earlier try's submission, unless it failed or never arrived."""
    if submission.taskID is None:
        log.info("An earlier try may have submitted %s; looking for its image", submission.redacted_url)
        return _search(hook, submission, timing)
    try:
        if hook.get_offline_download(submission.taskID).status is TaskStatus.FAILED:
            log.info("taskID %s of an earlier try failed; submitting again", submission.taskID)
            return None
    except (Pan123ServiceError, Pan123NoDataError) as error:
        log.warning("taskID %s of an earlier try: %s", submission.taskID, submission.redact(str(error)))
    log.info("Continuing with taskID %s of an earlier try", submission.taskID)
    return submission


def _search(hook: Pan123Hook, submission: Submission, timing: WaitTiming) -> Submission | None:
    strategy = WorkerWait(inbox_endpoint(hook.settings), submission.callback_id, timing)
    return submission if hook.run(_has_arrived(submission, strategy)) else None


def _has_arrived(
    submission: Submission, strategy: WaitStrategy, clock: Callable[[], float] = time.monotonic
) -> Flow[bool]:
    """Find out whether a submission arrived: its image is there, or its callback came and reports success.

    An older image proves nothing, nor does a callback that is not understood: the download may have failed.
    """
    if submission.file_name is None and submission.callback_id is None:
        return False
    search = ImageSearch(submission, strategy.timing)
    until = clock() + strategy.timing.search
    while clock() < until:
        reported = {delivery.status for delivery in (yield from strategy.deliveries())}
        if reported & {DeliveryStatus.SUCCEEDED, DeliveryStatus.FAILED}:
            return DeliveryStatus.SUCCEEDED in reported
        try:
            if (yield from search.find((), Stage.FIRST)) is not None:
                return True
        except Pan123Error as error:
            if not (error.retryable or error.transient):
                raise
            log.warning("Will look again: %s", error)
        yield Sleep(strategy.timing.search_interval)
    return False
