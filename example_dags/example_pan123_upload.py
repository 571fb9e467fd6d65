"""Upload the images of a folder every night, archive what has left the folder, and delete what is no longer needed.

This file has two DAGs. `example_pan123_upload` keeps a directory of 123pan like a folder. `upload` uploads the images
that the directory `photos` does not hold yet, or holds with another size. `removed` finds the images in the directory
that the folder no longer has, and `archive` moves them to the directory `photos-archive`, where they keep their URLs.
An empty folder, such as one that is not mounted, fails `upload`, and then nothing is archived.

`example_pan123_delete` deletes the images that a results file lists, wherever they are by now. `approve` waits for a
person, who answers in Airflow's UI under Required Actions: their URLs stop working, and nothing brings them back.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import ObjectStoragePath, Param, dag, task

from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from airflow_provider_123pan.operators.images import (
    Pan123DeleteImagesOperator,
    Pan123MoveImagesOperator,
    Pan123UploadImagesOperator,
)


def read_results(path: str) -> list[dict[str, Any]]:
    """Return the records of a results file."""
    lines = ObjectStoragePath(path).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@dag(
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    tags=["example", "123pan"],
    doc_md=__doc__,
    params={
        "source": Param("s3://my-bucket/photos", type="string", title="Folder with the images"),
        "results": Param("s3://my-bucket/results", type="string", title="Folder for results"),
    },
)
def example_pan123_upload() -> None:
    """Upload the images of the folder that are not stored yet, and archive those that it no longer has."""
    upload = Pan123UploadImagesOperator(
        task_id="upload",
        source="{{ params.source }}",
        directory="photos",
        results="{{ params.results }}/{{ dag_run.run_after | ds }}.jsonl",
        timeout=timedelta(hours=12),
        retries=3,
    )

    @task(retries=3)
    def removed(uploaded: Any) -> list[str]:
        """Return the ids of the images in the directory that are not in the folder."""
        records = read_results(uploaded["results"])
        file_ids = {record["fileID"] for record in records}
        failed = {record["file_name"] for record in records if record["status"] == "failed"}
        images = Pan123Hook().list_images(uploaded["directory_id"])
        return [
            image.fileID for image in images if image.fileID not in file_ids and image.file_name not in failed
        ]

    file_ids: Any = removed(upload.output)
    Pan123MoveImagesOperator(task_id="archive", file_ids=file_ids, to_directory="photos-archive", retries=3)


@dag(
    schedule=None,
    tags=["example", "123pan"],
    doc_md=__doc__,
    params={
        "results": Param("s3://my-bucket/results/2026-01-01.jsonl", type="string", title="Results file"),
    },
)
def example_pan123_delete() -> None:
    """Delete the images that the results file lists, once a person has approved it."""

    @task(retries=3)
    def count(**context: Any) -> int:
        """Return the number of images that would be deleted."""
        records = read_results(context["params"]["results"])
        return len({record["fileID"] for record in records if record["status"] != "failed"})

    approve = ApprovalOperator(
        task_id="approve",
        subject="Delete {{ ti.xcom_pull('count') }} images from 123pan?",
        body="They are listed in `{{ params.results }}`. Their URLs will stop working.",
        response_timeout=timedelta(days=7),
    )
    delete = Pan123DeleteImagesOperator(task_id="delete", results="{{ params.results }}", retries=3)

    count() >> approve >> delete


example_pan123_upload()
example_pan123_delete()
