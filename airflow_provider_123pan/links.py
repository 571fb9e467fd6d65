"""The links that Airflow shows beside a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class PagesReportLink(BaseOperatorLink):
    """The report of a plan, a migration of pages or a check, where a browser can open it."""

    name = "Report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the report's URL, or an empty string if it is not http or https."""
        from airflow.sdk.execution_time.xcom import XCom

        report = XCom.get_value(key="report", ti_key=ti_key)
        return report if isinstance(report, str) and report.startswith(("http://", "https://")) else ""
