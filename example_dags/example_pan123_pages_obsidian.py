"""Migrate the images of a folder of Obsidian notes every day.

This DAG shows a migration that recurs. `migrate` finds the images that notes and canvases show from other hosts,
migrates them, and puts the new URLs into the notes. The next run reads the notes again and finds only what was added
since; without new images it submits nothing and writes to no note. A note that is edited at that time is left for the
next run.

Each day has a journal of its own. `airflow pan123 undo JOURNAL` restores the notes of that day, except those that were
edited since. The folders may be on any storage that Airflow's object storage supports, and all workers must have
access to them.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow.sdk import Param, dag

from airflow_provider_123pan.operators.migrate_pages import Pan123MigratePagesOperator


@dag(
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    tags=["example", "123pan"],
    doc_md=__doc__,
    params={
        "notes": Param("s3://my-bucket/notes", type="string", title="Folder with the notes"),
        "journals": Param("s3://my-bucket/journals", type="string", title="Folder for the journals"),
    },
)
def example_pan123_pages_obsidian() -> None:
    """Migrate the images of the notes in `notes`."""
    Pan123MigratePagesOperator(
        task_id="migrate",
        pages="{{ params.notes }}",
        include=["*.md", "*.canvas"],
        directory="notes",
        journal="{{ params.journals }}/{{ dag_run.run_after | ds }}",
        max_failures="100%",  # an image that is gone stays in its note, and each run tries it again
        deferrable=True,
        timeout=timedelta(hours=12),
        retries=3,
    )


example_pan123_pages_obsidian()
