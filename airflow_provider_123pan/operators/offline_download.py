"""The operator that submits one image."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator, conf

from airflow_provider_123pan.download.request import Request
from airflow_provider_123pan.download.submission import Submission
from airflow_provider_123pan.links import Pan123ImageLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_123pan.download.timing import WaitTiming
    from airflow_provider_123pan.download.wait import Outcome


class Pan123OfflineDownloadOperator(BaseOperator):
    """Have 123pan fetch an image by itself (offline migration) into its image host.

    Returns, and pushes each key as a separate XCom: ``taskID`` (int; None only if an earlier try was recognized by
    its image), ``url``, ``file_name``, ``directory_id`` (as given), ``callback_id`` and ``submitted_at``
    (ISO 8601, UTC). Pass it to :class:`~airflow_provider_123pan.sensors.offline_download.\
Pan123OfflineDownloadSensor`. With ``wait_for_completion`` also the sensor's keys.

    A retry after a crash continues with what the crashed try submitted (Airflow 3.3; on 3.2 it submits again). A
    cleared task submits again.

    :param url: the image's http or https URL. (templated)
    :param file_name: its name in the image host, ending with png, gif, jpeg, tiff, webp, jpg, tif, svg or bmp; by
        default the last part of the URL and a digest of the URL, as in a sync, such as ``cat-k3v7w2m5q6ta.jpg``; the
        source is probed if the URL shows no format. (templated)
    :param directory_id: the target directory, not the root; by default the one named ``来自:离线下载``. (templated)
    :param use_callback: have 123pan call back, which wakes a deferred wait at once and says why a download failed; by
        default, if the connection has a ``callback_base_url``.
    :param wait_for_completion: wait for the end; a failed download fails the task, and its retry submits again.
    :param probe: the worker may probe the source: for the format if the URL shows none, and for the reason of a failure
        that no callback explains.
    :param private_hosts: hosts to which a probe may connect although their addresses are not public.
    :param deferrable: wait in the triggerer.
    :param poke_interval: seconds between two polls.
    :param timeout: the longest wait in seconds.
    :param pan123_conn_id: the connection, of type ``pan123``. (templated)
    """

    template_fields: Sequence[str] = ("url", "file_name", "directory_id", "pan123_conn_id")
    operator_extra_links = (Pan123ImageLink(),)
    #: None: the defaults, which a DAG file need not import.
    timing: ClassVar[WaitTiming | None] = None
    ui_color = "#d9ecff"

    def __init__(
        self,
        *,
        url: str,
        file_name: str | None = None,
        directory_id: str | None = None,
        use_callback: bool | None = None,
        wait_for_completion: bool = False,
        probe: bool = True,
        private_hosts: Sequence[str] = (),
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: timedelta | float = 10.0,
        timeout: timedelta | float = 24 * 60 * 60.0,
        pan123_conn_id: str = "pan123_default",
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("multiple_outputs", True)
        super().__init__(**kwargs)
        self.url = url
        self.file_name = file_name
        self.directory_id = directory_id
        self.use_callback = use_callback
        self.wait_for_completion = wait_for_completion
        self.probe = probe
        self.private_hosts = private_hosts
        self.deferrable = deferrable
        self.poke_interval = seconds("poke_interval", poke_interval)
        self.timeout = seconds("timeout", timeout)
        self.pan123_conn_id = pan123_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Submit the image, and wait for it if the operator does that."""
        from airflow_provider_123pan.download.submit import forgetting_unconfirmed, submit_once
        from airflow_provider_123pan.download.timing import WaitTiming
        from airflow_provider_123pan.hooks.pan123 import Pan123Hook
        from airflow_provider_123pan.retries import failing_without_retry
        from airflow_provider_123pan.source.naming import Naming
        from airflow_provider_123pan.source.probe import Prober
        from airflow_provider_123pan.source.signatures import configured_parameters

        with failing_without_retry():
            prober = Prober.of(self.probe, self.private_hosts)
            naming = Naming(signature_parameters=configured_parameters(), needs_format=prober is None)
            request = Request.of(self.url, self.file_name, self.directory_id, naming)
            hook = Pan123Hook(self.pan123_conn_id)
            timing = self.timing or WaitTiming()
            submission = submit_once(hook, request, context, self.use_callback, timing, prober)
            hook.keep_rate()
            if not self.wait_for_completion:
                return submission.xcom()
            for key, value in submission.xcom().items():
                context["ti"].xcom_push(key, value)  # the wait may fail
            with forgetting_unconfirmed(context, submission):
                outcome = self._wait(hook, submission)
            return self._result(context, submission, outcome)

    def execute_complete(
        self, context: Context, event: Any = None, submission: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Resume after the wait in the triggerer."""
        from airflow_provider_123pan.download.events import from_event, require_kept
        from airflow_provider_123pan.download.submit import forgetting_unconfirmed
        from airflow_provider_123pan.retries import failing_without_retry

        with failing_without_retry():
            parsed = Submission.parse(require_kept(submission))
            with forgetting_unconfirmed(context, parsed):
                outcome = from_event(event, parsed.url)
            return self._result(context, parsed, outcome)

    def _wait(self, hook: Any, submission: Submission) -> Outcome:
        from airflow_provider_123pan.callbacks.client import inbox_endpoint
        from airflow_provider_123pan.download.events import (
            DEFERRAL_GRACE_SECONDS,
            FIRST_CHECK_SECONDS,
            from_event,
            to_event,
        )
        from airflow_provider_123pan.download.timing import WaitTiming
        from airflow_provider_123pan.download.wait import check_once, poke_intervals, wait_for_outcome
        from airflow_provider_123pan.download.wait_strategy import WorkerWait

        deadline = time.time() + self.timeout
        strategy = WorkerWait(
            inbox_endpoint(hook.settings), submission.callback_id, self.timing or WaitTiming()
        )
        if not self.deferrable:
            end = hook.run(
                wait_for_outcome(
                    submission, deadline, poke_intervals(self.poke_interval, False, None), strategy
                )
            )
            return from_event(to_event(end), submission.url)
        first = min(deadline, time.time() + FIRST_CHECK_SECONDS)
        if (outcome := hook.run(check_once(submission, first, strategy))) is not None:
            return outcome  # type: ignore[no-any-return]
        from airflow_provider_123pan.triggers.offline_download import Pan123OfflineDownloadTrigger

        self.log.info("Waiting in the triggerer for taskID %s", submission.taskID)
        self.defer(
            trigger=Pan123OfflineDownloadTrigger(
                submission=submission.xcom(),
                pan123_conn_id=self.pan123_conn_id,
                deadline=deadline,
                poke_interval=self.poke_interval,
            ),
            method_name="execute_complete",
            kwargs={"submission": submission.xcom()},
            timeout=timedelta(seconds=self.timeout + DEFERRAL_GRACE_SECONDS),
        )

    def _result(self, context: Context, submission: Submission, outcome: Outcome) -> dict[str, Any]:
        from airflow_provider_123pan.download.failure import completed_reason
        from airflow_provider_123pan.download.submit import forget_submission
        from airflow_provider_123pan.exceptions import Pan123DownloadFailedError
        from airflow_provider_123pan.source.probe import Prober

        if outcome.reason is not None:
            forget_submission(context)
            prober = Prober.of(self.probe, self.private_hosts)
            reason = completed_reason(outcome.reason, submission.url, prober)
            raise Pan123DownloadFailedError(
                f"{submission.redacted_url} (taskID {submission.taskID}): {reason}"
            )
        self.log.info("%s", outcome)
        return submission.xcom() | outcome.xcom()


def seconds(name: str, value: Any) -> float:
    """Return an argument that is a timedelta or a number as seconds."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds < 0:
        raise ValueError(f"{name} must be a timedelta or seconds, not below 0; got {value!r}")
    return float(seconds)
