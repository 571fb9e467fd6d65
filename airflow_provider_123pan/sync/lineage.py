"""What a sync reports to other systems: an asset event for its directory, and OpenLineage datasets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import AssetAlias, Context

MAX_HOSTS = 100


def directory_uri(pan123_conn_id: str, directory: str) -> str:
    """Return the asset URI of a directory: ``pan123://<connection>/<path or id>``, percent-encoded."""
    return f"pan123://{quote(pan123_conn_id, safe='')}/{quote(directory.strip('/'), safe='/')}"


def announce(context: Context, alias: AssetAlias, uri: str, counts: dict[str, Any]) -> None:
    """Add the asset event of the directory to the task's success, with the counts as its extra."""
    from airflow.sdk import Asset

    events: Any = context["outlet_events"]
    events[alias].add(Asset(uri), extra=counts)


def openlineage(hosts: Iterable[str], uri: str) -> OperatorLineage[Any, Any]:
    """Return the source hosts and the directory as OpenLineage datasets; needs the OpenLineage provider."""
    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.providers.openlineage.extractors import OperatorLineage

    namespace, _, name = uri.removeprefix("pan123://").partition("/")
    return OperatorLineage(
        inputs=[Dataset(namespace=host, name="/") for host in hosts],
        outputs=[Dataset(namespace=f"pan123://{namespace}", name=name)],
    )
