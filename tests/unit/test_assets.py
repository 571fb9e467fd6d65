"""Asset URIs of directories: what Airflow normalizes, and what it refuses."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_123pan.assets import convert_asset_to_openlineage, create_asset, sanitize_uri
from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.sync.directory import parse_path
from airflow_provider_123pan.sync.lineage import announce, directory_uri

DEFAULT = "pan123://pan123_default/%E6%9D%A5%E8%87%AA%3A%E7%A6%BB%E7%BA%BF%E4%B8%8B%E8%BD%BD"


@settings(max_examples=500)
@example(conn_id="a/b", directory="/ /photos\x85/2026\n")
@given(conn_id=st.text(min_size=1), directory=st.text(min_size=1))
def test_uris_of_syncs_do_not_change(conn_id: str, directory: str) -> None:
    try:
        parse_path(directory)
        uri = directory_uri(conn_id, directory)
    except (Pan123InputError, UnicodeEncodeError):
        return
    assert sanitize_uri(urlsplit(uri)).geturl() == uri


@pytest.mark.parametrize(
    ("uri", "normalized"),
    [
        ("pan123://pan123_default/photos/2026", "pan123://pan123_default/photos/2026"),
        ("PAN123://Images/Photos/", "pan123://Images/Photos"),
        ("pan123://pan123_default/来自:离线下载", DEFAULT),
        (DEFAULT, DEFAULT),
        ("pan123://c/a%2fb/%61 b", "pan123://c/a%2Fb/a%20b"),
        ("pan123://c/a%2", "pan123://c/a%252"),
        ("pan123://c/photos%0A", "pan123://c/photos%0A"),
        ("pan123://c/yk6baz03t0l000d7w33fbyq51l4izkne=", "pan123://c/yk6baz03t0l000d7w33fbyq51l4izkne%3D"),
    ],
)
def test_airflow_normalizes_uris(uri: str, normalized: str) -> None:
    assert Asset(uri).uri == normalized
    assert Asset(normalized).uri == normalized


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("pan123:///photos", "write pan123://<connection ID>/<path or ID of a directory>"),
        ("pan123://user@conn/photos", "write pan123://<connection ID>"),
        ("pan123://conn/photos?a=b", "write pan123://<connection ID>"),
        ("pan123://conn", "the directory is missing"),
        ("pan123://conn/", "the directory is missing"),
        ("pan123://conn/a//b", "'a//b' is not a path of names, such as photos/2026"),
        ("pan123://conn/a/../b", "'a/../b' is not a path of names, such as photos/2026"),
        ("pan123://conn/%ff", "its percent-encoding is not UTF-8"),
        ("pan123://conn/a%00b", "is not a path of names"),
    ],
)
def test_airflow_refuses_other_uris_and_says_what_to_write(uri: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"asset URI of 123pan: .*{message}"):
        Asset(uri)


def test_an_asset_made_from_its_parts_is_that_of_a_sync() -> None:
    assert create_asset(conn_id="pan123_default").uri == DEFAULT
    assert create_asset(conn_id="a/b", directory="photos/2026", extra={"a": 1}) == Asset(
        name="pan123://a%2Fb/photos/2026", uri="pan123://a%2Fb/photos/2026", extra={"a": 1}
    )


def test_the_event_of_an_alias_has_a_normalized_uri() -> None:
    alias, events = AssetAlias("directories"), OutletEventAccessors()
    context: Any = {"outlet_events": events}
    announce(context, alias, "pan123://pan123_default/来自:离线下载", {"total": 1})
    (event,) = events[alias].asset_alias_events
    assert (event.dest_asset_key.uri, event.extra) == (DEFAULT, {"total": 1})


def test_openlineage_sees_the_connection_and_the_directory() -> None:
    dataset = convert_asset_to_openlineage(Asset("pan123://c/photos/2026"), None)
    assert (dataset.namespace, dataset.name) == ("pan123://c", "photos/2026")
