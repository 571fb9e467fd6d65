"""What a sync reports to other systems: an asset event for its directory, and OpenLineage datasets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_123pan.service.listing import DEFAULT_DIRECTORY

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import AssetAlias, Context

MAX_HOSTS = 100


def directory_uri(pan123_conn_id: str, directory: str | None) -> str:
    """Return the asset URI of a directory: ``pan123://<connection>/<path or id>``, percent-encoded.

    :param directory: its path or id; None for the default directory.
    """
    path = (directory or DEFAULT_DIRECTORY).strip("/")
    return f"pan123://{quote(pan123_conn_id, safe='')}/{quote(path, safe='/')}"


def announce(context: Context, alias: AssetAlias, uri: str, counts: dict[str, Any]) -> None:
    """Add the asset event of the directory to the task's success, with the counts as its extra."""
    from airflow.sdk import Asset

    events: Any = context["outlet_events"]
    events[alias].add(Asset(uri), extra=counts)


def openlineage(hosts: Iterable[str], uri: str) -> OperatorLineage[Any, Any]:
    """Return the source hosts and the directory as OpenLineage datasets; needs the OpenLineage provider."""
    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.providers.openlineage.extractors import OperatorLineage

    return OperatorLineage(
        inputs=[Dataset(namespace=host, name="/") for host in hosts], outputs=[openlineage_dataset(uri)]
    )


def openlineage_dataset(uri: str) -> Dataset:
    """Return the OpenLineage dataset of a directory's asset URI."""
    from airflow.providers.common.compat.openlineage.facet import Dataset

    namespace, _, name = uri.removeprefix("pan123://").partition("/")
    return Dataset(namespace=f"pan123://{namespace}", name=name)
