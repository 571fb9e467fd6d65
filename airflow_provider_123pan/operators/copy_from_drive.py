"""The operator that copies files from 123pan's cloud drive."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator, conf

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.operators.offline_download import seconds

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_123pan.hooks.pan123 import Pan123Hook
    from airflow_provider_123pan.sync.drive_copies import DriveCopy


class Pan123CopyFromDriveOperator(BaseOperator):
    """Have the service copy files and directories of the cloud drive into the image host, and wait for it.

    The service takes up to 1,000 images with each of its tasks, looks 15 directories deep, and passes over files of
    other formats without a word. An image whose name is taken gets another one. A retry continues with what an earlier
    try submitted (Airflow 3.3; on 3.2 it copies again); a cleared task copies again.

    Returns, and pushes each key as a separate XCom: ``files`` (the number of ids), ``failed``, ``failures``, the first
    20 (``file_id``, ``file_name``, ``reason``), ``task_ids`` (one for each 100 ids) and ``directory_id``.

    :param file_ids: ids of files and directories of the cloud drive. (templated)
    :param directory_id: the id of the directory to which they are copied; or
    :param directory: its path, such as ``photos/2026``; missing directories are made. (both templated)
    :param max_failures: the task fails if more files fail: a number, or a share such as ``"5%"``. Airflow does not
        retry it then. (templated)
    :param deferrable: wait in the triggerer.
    :param poke_interval: seconds between two polls.
    :param timeout: the longest wait of each try in seconds.
    :param pan123_conn_id: the connection, of type ``pan123``. (templated)
    """

    template_fields: Sequence[str] = (
        "file_ids",
        "directory_id",
        "directory",
        "max_failures",
        "pan123_conn_id",
    )
    ui_color = "#e2f0f5"

    def __init__(
        self,
        *,
        file_ids: Any,
        directory_id: str | None = None,
        directory: str | None = None,
        max_failures: int | str = 0,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: timedelta | float = 10.0,
        timeout: timedelta | float = 24 * 60 * 60.0,
        pan123_conn_id: str = "pan123_default",
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("multiple_outputs", True)
        super().__init__(**kwargs)
        self.file_ids = file_ids
        self.directory_id = directory_id
        self.directory = directory
        self.max_failures = max_failures
        self.deferrable = deferrable
        self.poke_interval = seconds("poke_interval", poke_interval)
        self.timeout = seconds("timeout", timeout)
        self.pan123_conn_id = pan123_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Submit the files, and wait for the copies."""
        from airflow_provider_123pan.exceptions import Pan123WaitTimeoutError
        from airflow_provider_123pan.hooks.pan123 import Pan123Hook
        from airflow_provider_123pan.retries import failing_without_retry
        from airflow_provider_123pan.sync.drive_copies import wait_for_copies

        with failing_without_retry():
            hook = Pan123Hook(self.pan123_conn_id)
            with closing(hook.client):
                copy = self._submit(hook, context)
                deadline = time.time() + self.timeout
                until = 0.0 if self.deferrable else deadline
                if hook.run(wait_for_copies(copy.task_ids, until, self.poke_interval)):
                    return self._conclude(hook, copy, context)
            if not self.deferrable:
                raise Pan123WaitTimeoutError("the copy has not ended within the timeout")
            self._defer(copy, deadline)

    def execute_complete(
        self, context: Context, event: Any = None, submitted: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Resume after the wait in the triggerer."""
        from airflow_provider_123pan.download.events import from_event, require_kept
        from airflow_provider_123pan.hooks.pan123 import Pan123Hook
        from airflow_provider_123pan.retries import failing_without_retry
        from airflow_provider_123pan.sync.drive_copies import DriveCopy

        with failing_without_retry():
            kept = require_kept(submitted)
            if not isinstance(event, Mapping) or event.get("status") != "copied":
                from_event(event)
                raise AssertionError(f"no event of a copy: {event!r:.200}")
            copy = DriveCopy.load(kept, self.file_ids)
            hook = Pan123Hook(self.pan123_conn_id)
            with closing(hook.client):
                return self._conclude(hook, copy, context)

    def _submit(self, hook: Pan123Hook, context: Context) -> DriveCopy:
        from airflow_provider_123pan.sync.directory import check_directory
        from airflow_provider_123pan.sync.drive_copies import DriveCopy
        from airflow_provider_123pan.sync.options import allowance

        allowance(self.max_failures)
        directory_id, names = check_directory(self.directory_id, self.directory)
        if directory_id is None and not names:
            raise Pan123InputError("directory: give directory or directory_id, to which the files are copied")
        return DriveCopy.submit_once(hook, self.file_ids, directory_id, names, context)

    def _defer(self, copy: DriveCopy, deadline: float) -> NoReturn:
        from airflow_provider_123pan.download.events import DEFERRAL_GRACE_SECONDS
        from airflow_provider_123pan.triggers.copy_from_drive import Pan123CopyFromDriveTrigger

        self.log.info("Waiting in the triggerer for the copies to end")
        self.defer(
            trigger=Pan123CopyFromDriveTrigger(
                task_ids=[*copy.task_ids],
                pan123_conn_id=self.pan123_conn_id,
                deadline=deadline,
                poke_interval=self.poke_interval,
            ),
            method_name="execute_complete",
            kwargs={"submitted": copy.dump()},
            timeout=timedelta(seconds=self.timeout + DEFERRAL_GRACE_SECONDS),
        )

    def _conclude(self, hook: Pan123Hook, copy: DriveCopy, context: Context) -> dict[str, Any]:
        """Return what was found at the end, unless too many files have failed."""
        from airflow_provider_123pan.exceptions import Pan123ImagesError
        from airflow_provider_123pan.sync.options import allowance

        found = copy.conclude(hook)
        if found["failed"] <= allowance(self.max_failures)(found["files"]):
            return found
        for key, value in found.items():
            context["ti"].xcom_push(key, value)
        first = "; ".join(
            f"{failure['file_name'] or failure['file_id'] or 'a file'}: {failure['reason']}"
            for failure in found["failures"][:3]
        )
        raise Pan123ImagesError(
            f"{found['failed']} files were not copied, max_failures is {self.max_failures}: {first}"
            f"{' …' if found['failed'] > 3 else ''}"
        )
