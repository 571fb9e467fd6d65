"""Check every night whether migrated images are still served, and migrate again what is gone.

This DAG shows how to look after images once they are on 123pan. `check` reads the results file that your sync writes,
lists the directory, loads each image once, and writes a report. `again` takes the report's list as its manifest: images
that are gone are submitted, and those with another problem are there and stay. A night without failures gives it an
empty list. At the end a mail has the numbers; it needs an Airflow connection `smtp_default`, and any other notifier
works the same way.

An image that was migrated again has a new URL, which `again` writes to its own results file: put it into your pages.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import Param, dag

from airflow_provider_123pan.operators.images import Pan123CheckImagesOperator
from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator

SUMMARY = """
{% set found = ti.xcom_pull("check") %}
<p>{{ found["healthy"] }} of {{ found["images"] }} images are healthy. Gone: {{ found["gone"] }}, rejected by review:
{{ found["rejected"] }}, traffic exceeded: {{ found["traffic_exceeded"] }}, other problems: {{ found["wrong_type"] +
found["wrong_content"] + found["slow"] + found["unreachable"] }}.</p>
<p>Migrated again: {{ ti.xcom_pull("again", key="migrated") }}. The report is {{ found["report"] }}.</p>
"""


@dag(
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    tags=["example", "123pan"],
    doc_md=__doc__,
    params={
        "results": Param(
            "s3://my-bucket/results.jsonl",
            type="string",
            title="Results file of the sync whose images are checked",
        ),
        "directory": Param("photos", type="string", title="Directory of that sync"),
        "reports": Param("s3://my-bucket/reports", type="string", title="Folder for reports"),
        "mail_to": Param("images@example.com", type="string", title="Who gets the summary"),
    },
)
def example_pan123_check() -> None:
    """Check the images of a results file, migrate what is gone, and send a summary."""
    summary = SmtpNotifier(
        to="{{ params.mail_to }}",
        subject="{{ ti.xcom_pull('check', key='failed') }} images on 123pan have a problem",
        html_content=SUMMARY,
    )
    check = Pan123CheckImagesOperator(
        task_id="check",
        results="{{ params.results }}",
        directory="{{ params.directory }}",
        report="{{ params.reports }}/{{ dag_run.run_after | ds }}.html",
        max_failures="100%",  # the mail reports failures, and the next task repairs what it can
        retries=3,
    )
    checked: Any = check.output
    Pan123SyncImagesOperator(
        task_id="again",
        manifest=checked["list"],
        allow_empty=True,
        directory="{{ params.directory }}",
        results="{{ params.reports }}/{{ dag_run.run_after | ds }}-again.jsonl",
        verify="address",
        max_failures="5%",
        deferrable=True,
        timeout=timedelta(hours=12),
        retries=3,
        on_success_callback=summary,
        on_failure_callback=summary,
    )


example_pan123_check()
