"""Copy files from 123pan's cloud drive into the image host, and try once more what the service did not copy.

This DAG shows how to react to the failures of a copy. `copy` submits the files and directories of the parameter
`file_ids`, waits in the triggerer, and returns as `failures` the files that the service did not copy. `failed_ids`
takes their ids; if there are none, the run ends there. `again` submits them once more. If one of them fails again, so
does the task, and its error names the files.

The service passes over files of other formats than those of images, and does not report them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task
from airflow.sdk.exceptions import AirflowSkipException

from airflow_provider_123pan.operators.images import Pan123CopyFromDriveOperator


@dag(
    schedule=None,
    render_template_as_native_obj=True,  # file_ids is a list
    tags=["example", "123pan"],
    doc_md=__doc__,
    params={
        "file_ids": Param(
            ["14749954", "14749955"],
            type="array",
            items={"type": "string"},
            title="Ids of files and directories on the cloud drive",
        ),
    },
)
def example_pan123_copy_from_drive() -> None:
    """Copy the files of the parameter `file_ids`."""
    arguments: Any = {
        "directory": "from-drive",
        "deferrable": True,
        "timeout": timedelta(hours=6),
        "retries": 3,
    }
    copy = Pan123CopyFromDriveOperator(
        task_id="copy",
        file_ids="{{ params.file_ids }}",
        max_failures=20,  # as many as `failures` lists
        **arguments,
    )

    @task
    def failed_ids(failures: Any, params: Any = None) -> list[str]:
        """Return the ids of the files that were not copied; all ids if 123pan does not list every one of them."""
        if not failures:
            raise AirflowSkipException("123pan has copied all files")
        ids = [failure["file_id"] for failure in failures]
        return list(params["file_ids"]) if None in ids else ids

    copied: Any = copy.output
    again: Any = failed_ids(copied["failures"])
    Pan123CopyFromDriveOperator(task_id="again", file_ids=again, **arguments)


example_pan123_copy_from_drive()
