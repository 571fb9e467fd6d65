"""The sensor that waits for one submission."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator, BaseSensorOperator, PokeReturnValue, conf
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferralTimeout,
)

from airflow_provider_123pan.download.submission import Submission
from airflow_provider_123pan.exceptions import (
    Pan123DownloadFailedError,
    Pan123Error,
    Pan123WaitTimeoutError,
)
from airflow_provider_123pan.links import Pan123ImageLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_123pan.download.timing import WaitTiming
    from airflow_provider_123pan.download.wait import Outcome
    from airflow_provider_123pan.download.wait_strategy import WorkerWait
    from airflow_provider_123pan.hooks.pan123 import Pan123Hook


class Pan123OfflineDownloadSensor(BaseSensorOperator):
    """Wait until 123pan has fetched an image, and return its new URL.

    Returns, and pushes each key as a separate XCom: ``taskID``, ``url``, ``fileID``, ``file_name``,
    ``directory_id``, ``download_url``, ``user_url`` (on the user's own domain), ``etag`` (MD5) and ``size``
    (bytes); None where the service does not say.

    A failed download fails the task without a retry, because another wait cannot help. Errors of the service are
    retried. In every mode, ``soft_fail`` skips the task on a timeout and on a failed download, and on nothing else.

    :param submission: what Pan123OfflineDownloadOperator returned, or a bare taskID. (templated)
    :param deferrable: wait in the triggerer.
    :param probe: the worker may probe the source for the reason of a failure that no callback explains.
    :param private_hosts: hosts to which a probe may connect although their addresses are not public.
    :param pan123_conn_id: the connection, of type ``pan123``. (templated)
    :param poke_interval: seconds between two polls. All other arguments are those of every sensor.
    """

    template_fields: Sequence[str] = ("submission", "pan123_conn_id")
    operator_extra_links = (Pan123ImageLink(),)
    #: None: the defaults, which a DAG file need not import.
    timing: ClassVar[WaitTiming | None] = None
    ui_color = "#c8f0e0"

    def __init__(
        self,
        *,
        submission: Any,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        probe: bool = True,
        private_hosts: Sequence[str] = (),
        pan123_conn_id: str = "pan123_default",
        poke_interval: timedelta | float = 10.0,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("multiple_outputs", True)
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.submission = submission
        self.deferrable = deferrable
        self.probe = probe
        self.private_hosts = private_hosts
        self.pan123_conn_id = pan123_conn_id

    def execute(self, context: Context) -> Any:
        """Check the arguments, then wait in the sensor's mode."""
        from airflow_provider_123pan.retries import failing_without_retry
        from airflow_provider_123pan.source.probe import Prober

        # Bad input is raised outside of the base sensor, which would skip it under soft_fail.
        with failing_without_retry():
            self._parsed = Submission.parse(self.submission)
            Prober.of(self.probe, self.private_hosts)  # wrong hosts fail before the wait
            self._deadline = self._started(context) + self.timeout
            self._wait_strategy = self._make_wait_strategy()  # a wrong connection fails before anything else
            if not self.deferrable:
                return super().execute(context)
            with self._never_failing():
                return self._execute_deferrable()

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """Check once."""
        last = time.time() + self.poke_interval >= self._deadline
        outcome = self._check_once(self._deadline, last=last)
        return False if outcome is None else PokeReturnValue(True, self._result(outcome))

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Resume after the wait in the triggerer."""
        from airflow_provider_123pan.download.events import from_event
        from airflow_provider_123pan.retries import failing_without_retry

        with failing_without_retry():
            try:
                return self._result(from_event(event, self._parsed.url))
            except Pan123WaitTimeoutError as error:
                raise self._timed_out(error.message) from None

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume without the base sensor's rule, which under soft_fail skips on every AirflowException."""
        with self._never_failing():
            try:
                return BaseOperator.resume_execution(self, next_method, next_kwargs, context)
            except TaskDeferralTimeout:
                raise self._timed_out("no trigger ended the wait before Airflow did") from None

    def _execute_deferrable(self) -> Any:
        from airflow_provider_123pan.download.events import DEFERRAL_GRACE_SECONDS, FIRST_CHECK_SECONDS
        from airflow_provider_123pan.triggers.offline_download import Pan123OfflineDownloadTrigger

        try:
            if (
                outcome := self._check_once(min(self._deadline, time.time() + FIRST_CHECK_SECONDS))
            ) is not None:
                return self._result(outcome)
        except Pan123Error as error:
            if not self.silent_fail:
                raise
            self.log.error("The wait continues: %s", error)
        self.log.info("Waiting in the triggerer for taskID %s", self._parsed.taskID)
        self.defer(
            trigger=Pan123OfflineDownloadTrigger(
                submission=self._parsed.xcom(),
                pan123_conn_id=self.pan123_conn_id,
                deadline=self._deadline,
                poke_interval=self.poke_interval,
                exponential_backoff=self.exponential_backoff,
                max_wait=self.max_wait.total_seconds() if self.max_wait else None,
                silent_fail=self.silent_fail,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout + DEFERRAL_GRACE_SECONDS),
        )

    @contextlib.contextmanager
    def _never_failing(self) -> Iterator[None]:
        """Apply ``never_fail`` to a deferred wait, as the base sensor does to its pokes."""
        try:
            yield
        except (
            AirflowSkipException,
            AirflowSensorTimeout,
        ):  # the base sensor does not skip on its timeout either
            raise
        except Exception as error:
            if not self.never_fail:
                raise
            raise AirflowSkipException("Skipping due to never_fail is set to True.") from error

    @cached_property
    def _parsed(self) -> Submission:
        return Submission.parse(self.submission)

    @cached_property
    def _deadline(self) -> float:
        return time.time() + self.timeout

    @cached_property
    def _hook(self) -> Pan123Hook:
        """One hook for all pokes: it knows the token and the rate."""
        from airflow_provider_123pan.hooks.pan123 import Pan123Hook

        return Pan123Hook(self.pan123_conn_id)

    @cached_property
    def _wait_strategy(self) -> WorkerWait:
        return self._make_wait_strategy()

    def _make_wait_strategy(self) -> WorkerWait:
        from airflow_provider_123pan.callbacks.client import inbox_endpoint
        from airflow_provider_123pan.download.timing import WaitTiming
        from airflow_provider_123pan.download.wait_strategy import WorkerWait

        return WorkerWait(
            inbox_endpoint(self._hook.settings), self._parsed.callback_id, self.timing or WaitTiming()
        )

    def _check_once(self, deadline: float, *, last: bool = False) -> Outcome | None:
        from airflow_provider_123pan.download.wait import check_once

        return self._hook.run(check_once(self._parsed, deadline, self._wait_strategy, last=last))

    def _result(self, outcome: Outcome) -> dict[str, Any]:
        from airflow_provider_123pan.download.failure import completed_reason
        from airflow_provider_123pan.source.probe import Prober

        if outcome.reason is None:
            self.log.info("%s", outcome)
            return outcome.xcom()
        what = f"{self._parsed.redacted_url} " if outcome.url else ""
        prober = Prober.of(self.probe, self.private_hosts)
        message = f"{what}(taskID {outcome.taskID}): {completed_reason(outcome.reason, outcome.url, prober)}"
        error = Pan123DownloadFailedError(message)
        raise (AirflowSkipException if self.soft_fail else AirflowFailException)(str(error))

    def _timed_out(self, message: str) -> Exception:
        error = Pan123WaitTimeoutError(f"{message} ({self.timeout:g} s)")
        return (AirflowSkipException if self.soft_fail else AirflowSensorTimeout)(str(error))

    def _started(self, context: Context) -> float:
        first = context["ti"].get_first_reschedule_date(context) if self.reschedule else None
        return first.timestamp() if first else time.time()
