"""The links beside a task lead to what its XComs name, and hold no credentials."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_123pan.links import PagesReportLink, Pan123ImageLink, Pan123ResultsLink
from airflow_provider_123pan.operators.images import Pan123CheckImagesOperator, Pan123UploadImagesOperator
from airflow_provider_123pan.operators.migrate_pages import Pan123MigratePagesOperator
from airflow_provider_123pan.operators.offline_download import Pan123OfflineDownloadOperator
from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator
from airflow_provider_123pan.sensors.offline_download import Pan123OfflineDownloadSensor

SIGNED = "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a&X-Amz-Date=b&X-Amz-Signature=" + "0" * 64


@pytest.fixture
def xcoms(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The XComs of the task."""
    values: dict[str, Any] = {}
    monkeypatch.setattr(
        "airflow.sdk.execution_time.xcom.XCom.get_value", lambda *, key, ti_key: values.get(key)
    )
    return values


def link(kind: Any) -> str:
    found: str = kind().get_link(None, ti_key=None)
    return found


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("https://x.example/a.html", "https://x.example/a.html"),
        ("HTTP://x.example/a?v=12345&w=6", "HTTP://x.example/a?v=12345&w=6"),
        (
            "gs://bucket/a b/r.jsonl",
            "https://console.cloud.google.com/storage/browser/_details/bucket/a%20b/r.jsonl",
        ),
        ("gs://conn@bucket/r", "https://console.cloud.google.com/storage/browser/_details/bucket/r"),
        *((value, "") for value in (None, "", 7, "s3://b/a.html", "/data/a.html", "file:///a.html")),
        *(
            (value, "")
            for value in ("javascript:alert(1)", "data:text/html,x", "//x.example/a", "http://[", "gs:///a")
        ),
        ("https://user:secret@x.example/a.html", ""),
        (f"https://x.example/a.html{SIGNED}", ""),
        ("https://x.example/a.png?auth_key=1800000000-0-0-0123456789abcdef0123456789abcdef", ""),
    ],
)
def test_only_urls_without_credentials_are_linked(xcoms: dict[str, Any], value: Any, expected: str) -> None:
    xcoms.update(report=value, results=value, user_url=value)
    assert {link(kind) for kind in (PagesReportLink, Pan123ResultsLink, Pan123ImageLink)} == {expected}


def test_the_image_on_the_users_domain_is_preferred(xcoms: dict[str, Any]) -> None:
    xcoms["download_url"] = "https://vip.example/a.png"
    assert link(Pan123ImageLink) == "https://vip.example/a.png"
    xcoms["user_url"] = "https://mine.example/a.png"
    assert link(Pan123ImageLink) == "https://mine.example/a.png"


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (Pan123OfflineDownloadOperator, {"Image"}),
        (Pan123OfflineDownloadSensor, {"Image"}),
        (Pan123SyncImagesOperator, {"Results"}),
        (Pan123UploadImagesOperator, {"Results"}),
        (Pan123MigratePagesOperator, {"Results", "Report"}),
        (Pan123CheckImagesOperator, {"Report"}),
    ],
)
def test_each_task_has_the_links_of_what_it_returns(kind: Any, names: set[str]) -> None:
    assert {found.name for found in kind.operator_extra_links} == names


def test_airflow_knows_every_link() -> None:
    from airflow.providers_manager import ProvidersManager

    assert {
        f"{kind.__module__}.{kind.__qualname__}"
        for kind in (PagesReportLink, Pan123ImageLink, Pan123ResultsLink)
    } <= {*ProvidersManager().extra_links_class_names}  # type: ignore[no-untyped-call]
