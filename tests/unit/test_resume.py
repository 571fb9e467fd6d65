"""``DAG.test()`` of Airflow 3.3.2 resumes a deferred task with the event alone: the error names the cause."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_123pan.download.events import to_event
from airflow_provider_123pan.download.wait import Outcome
from airflow_provider_123pan.operators.copy_from_drive import Pan123CopyFromDriveOperator
from airflow_provider_123pan.operators.offline_download import Pan123OfflineDownloadOperator

URL = "https://example.com/cat.jpg"
DOWNLOAD = Pan123OfflineDownloadOperator(task_id="move", url=URL, wait_for_completion=True)
COPY = Pan123CopyFromDriveOperator(task_id="copy", file_ids=["1000"], directory="copies")


@pytest.mark.parametrize(
    ("task", "event"),
    [(DOWNLOAD, to_event(Outcome(403316, URL))), (COPY, {"status": "copied"})],
    ids=["download", "copy"],
)
def test_a_task_that_lost_what_it_deferred_with_names_the_cause_and_the_fix(task: Any, event: Any) -> None:
    with pytest.raises(AirflowFailException) as raised:
        task.resume_execution("execute_complete", {"event": event}, {})
    message = str(raised.value)
    assert "without the arguments that it deferred with" in message
    assert '"airflow dags test" and DAG.test() in Airflow 3.3.2' in message
    assert "pass deferrable=False" in message
    assert message.endswith("[pan123-resume]")
