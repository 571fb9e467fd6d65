"""The links that Airflow shows beside a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qsl, quote, urlsplit

from airflow.sdk import BaseOperatorLink

from airflow_provider_123pan.source.signatures import configured_parameters, signature_names

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class _XComLink(BaseOperatorLink):
    """A link to what an XCom of the task names.

    :cvar keys: XCom keys; the first one that can be opened is linked.
    """

    keys: ClassVar[tuple[str, ...]]

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return a URL, or an empty string if there is none that a browser may open."""
        from airflow.sdk.execution_time.xcom import XCom

        values = (XCom.get_value(key=key, ti_key=ti_key) for key in self.keys)
        return next(filter(None, map(_browsable, values)), "")


class Pan123ImageLink(_XComLink):
    """The new image, on the user's own domain if it has one."""

    name = "Image"
    keys = ("user_url", "download_url")


class Pan123ResultsLink(_XComLink):
    """The results file of a sync."""

    name = "Results"
    keys = ("results",)


class PagesReportLink(_XComLink):
    """The report of a plan, a migration of pages or a check."""

    name = "Report"
    keys = ("report",)


def _browsable(value: object) -> str:
    """Return the URL at which a browser opens a file, without credentials; empty if there is none.

    Of object stores, only Google's has one page for all buckets: ``s3`` may be any store with that interface.
    """
    if not isinstance(value, str):
        return ""
    try:
        parts = urlsplit(value)
    except ValueError:
        return ""
    bucket = parts.netloc.rpartition("@")[2]  # without the connection, which may precede it
    if parts.scheme == "gs" and bucket:
        return f"https://console.cloud.google.com/storage/browser/_details/{bucket}{quote(parts.path)}"
    if parts.scheme not in ("http", "https") or bucket != parts.netloc:
        return ""
    pairs = [(name.lower(), given) for name, given in parse_qsl(parts.query, keep_blank_values=True)]
    return "" if signature_names(pairs, configured_parameters()) else value
