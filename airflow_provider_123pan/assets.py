"""Asset URIs of directories: ``pan123://<connection>/<path or id>``, as Airflow checks and normalizes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, unquote

from airflow_provider_123pan.sync.directory import parse_path
from airflow_provider_123pan.sync.lineage import directory_uri, openlineage_dataset

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.sdk import Asset

FIELD = "asset URI of 123pan"


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Return a URI in the form that syncs use for their asset events.

    :param uri: without a fragment, and with a slash at the end only if it has no path.
    :raises ValueError: it is not the URI of a directory.
    """
    if not uri.netloc or "@" in uri.netloc or uri.query:
        raise _invalid(
            "write pan123://<connection ID>/<path or ID of a directory>, such as "
            "pan123://pan123_default/photos/2026, and nothing else"
        )
    if uri.path in ("", "/"):
        raise _invalid("the directory is missing, such as photos/2026 in pan123://pan123_default/photos/2026")
    names = [_decoded(name) for name in uri.path.removeprefix("/").split("/")]
    parse_path("/".join(names), FIELD)
    return uri._replace(
        netloc=quote(_decoded(uri.netloc), safe=""),
        path="/" + "/".join(quote(name, safe="") for name in names),
    )


def create_asset(*, conn_id: str, directory: str | None = None, extra: dict[str, Any] | None = None) -> Asset:
    """Return the asset of a directory.

    :param conn_id: the connection.
    :param directory: its path or id; None for the default directory.
    """
    from airflow.sdk import Asset

    return Asset(uri=directory_uri(conn_id, directory), extra=extra)


def convert_asset_to_openlineage(asset: Asset, lineage_context: Any) -> Dataset:
    """Return the OpenLineage dataset of an asset."""
    return openlineage_dataset(asset.uri)


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise _invalid("its percent-encoding is not UTF-8") from None


def _invalid(fix: str) -> ValueError:
    return ValueError(f"{FIELD}: {fix}")
