"""Which headers the host of a source gets, and that nothing shows their values."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_123pan.exceptions import Pan123Error, Pan123SourceError
from airflow_provider_123pan.operators.migrate_pages import Pan123MigratePagesOperator
from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator
from airflow_provider_123pan.source.access import SourceAccess

SECRET = "cookie-0123456789"


@pytest.fixture
def masked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what Airflow was told to hide."""
    found: list[str] = []
    monkeypatch.setattr("airflow_provider_123pan.source.masking.mask_secret", found.append)
    return found


@pytest.fixture
def http(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Define the connection ``http``."""

    def define(**fields: Any) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_HTTP", json.dumps({"conn_type": "http", **fields}))

    return define


def test_headers_go_to_the_hosts_of_their_pattern() -> None:
    access = SourceAccess.of(
        {
            "*": {"Accept": "image/*"},
            "*.QPIC.cn": {"Referer": "https://mp.example/", "X-One": "1"},
            "a.qpic.cn": {"x-one": "2"},
            "*.图床.example": {"X-Two": "3"},
        },
        None,
        (),
    )
    everywhere = {"Accept": "image/*"}
    mp = {**everywhere, "Referer": "https://mp.example/"}
    assert access.headers("https://b.qpic.cn:8443/a.png") == {**mp, "X-One": "1"}
    assert access.headers("https://user@A.qpic.cn/a.png") == {**mp, "x-one": "2"}
    assert access.headers("https://qpic.cn.evil.example/a.png") == everywhere
    assert access.headers("https://a.qpic.cn@evil.example/") == everywhere
    assert access.headers("https://i.图床.example/") == {**everywhere, "X-Two": "3"}
    assert access.headers("https://i.xn--1xrz18l.example/") in ({**everywhere, "X-Two": "3"}, everywhere)
    assert access.headers("https://[::1/") == {}


CONNECTIONS = {
    "login": ({"login": "me", "password": "pä:ss"}, {"Authorization": "Basic bWU6cMOkOnNz"}),
    "login alone": ({"login": "me"}, {"Authorization": "Basic bWU6"}),
    "password alone": ({"password": SECRET}, {"Authorization": f"Bearer {SECRET}"}),
    "extra": (
        {"extra": {"X-Key": SECRET, "verify": False, "timeout": 3, "headers": {"X-More": "1"}}},
        {"X-Key": SECRET, "X-More": "1"},
    ),
}


@pytest.mark.parametrize(("fields", "headers"), CONNECTIONS.values(), ids=CONNECTIONS)
def test_a_connection_is_read_as_for_http_tasks(
    fields: dict[str, Any], headers: dict[str, str], http: Callable[..., None], masked: list[str]
) -> None:
    http(**fields)
    access = SourceAccess.of(None, {"wiki.example": "http"}, ())
    assert access.headers("http://wiki.example/a.png") == headers
    assert {*masked} == {*headers.values()}


def test_an_argument_goes_before_a_connection(http: Callable[..., None]) -> None:
    http(password=SECRET)
    access = SourceAccess.of({"*.example": {"authorization": "Mine"}}, {"wiki.example": "http"}, ())
    assert access.headers("https://wiki.example/") == {"authorization": "Mine"}


def test_credentials_for_https_are_sent_by_https_alone(http: Callable[..., None]) -> None:
    for fields in ({"schema": "https"}, {"host": "https://wiki.example"}):
        http(password=SECRET, **fields)
        access = SourceAccess.of(None, {"wiki.example": "http"}, ())
        assert access.headers("http://wiki.example/") == {}
        assert access.headers("https://wiki.example/") == {"Authorization": f"Bearer {SECRET}"}
        access = SourceAccess.of({"wiki.example": {"Referer": "x"}}, {"wiki.example": "http"}, ())
        assert access.headers("http://wiki.example/") == {"Referer": "x"}


def test_values_of_headers_are_hidden_before_and_after_rendering(masked: list[str]) -> None:
    with DAG("dag"):
        for operator, arguments in (
            (Pan123SyncImagesOperator, {"images": []}),
            (Pan123MigratePagesOperator, {"pages": "/p", "journal": "/j"}),
        ):
            masked.clear()
            headers = {"a.example": {"Cookie": "{{ params.cookie }}", "Referer": "https://a.example/"}}
            task = operator(task_id=operator.__name__, fetch_headers=headers, **arguments)
            task.render_template_fields({"params": {"cookie": SECRET}})
            assert task.fetch_headers == {"a.example": {"Cookie": SECRET, "Referer": "https://a.example/"}}
            assert SECRET in masked
            assert "https://a.example/" not in masked  # logs must show URLs that begin like this


def test_nothing_shows_the_values() -> None:
    access = SourceAccess.of({"a.example": {"Cookie": SECRET}}, None, ())
    assert SECRET not in f"{access} {access!r}"


def test_a_path_that_cannot_be_read_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    access = SourceAccess.of(None, None, ())
    with pytest.raises(
        Pan123SourceError, match="^source: file:///nowhere/a.png cannot be read: No such file"
    ):
        access.fetch("file:///nowhere/a.png")

    def refuse(source: object, formats: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr("airflow_provider_123pan.source.access.fetch_image", refuse)
    with pytest.raises(
        Pan123Error, match="^source: s3://bucket/a.png cannot be read: RuntimeError \\[pan123-source"
    ):
        access.fetch("s3://conn@bucket/a.png")
