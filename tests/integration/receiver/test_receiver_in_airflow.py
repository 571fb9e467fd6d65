"""The receiver in Airflow's API server, and as a separate command."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
import structlog
from fastapi import FastAPI

from airflow_provider_123pan.callbacks.address import make_callback_url, make_read_token, new_callback_id
from airflow_provider_123pan.plugin import Pan123Plugin
from airflow_provider_123pan.receiver.app import create_app
from airflow_provider_123pan.receiver.database import create_inbox_engine
from tests.integration.receiver.support import DAY_SECONDS, KEYS, SAMPLE, SECRET, Keys, ReceiverServer, until


@contextmanager
def access_log(uri: str, *, plugin: bool) -> Iterator[tuple[ReceiverServer, list[Any]]]:
    """Run an API server that logs its requests, with the receiver and perhaps the plugin's middlewares."""
    from airflow.api_fastapi.common.http_access_log import HttpAccessLogMiddleware

    engine = create_inbox_engine(uri)
    inner = create_app(lambda: engine, Keys(), 30 * DAY_SECONDS)
    outer = FastAPI(lifespan=inner.router.lifespan_context)
    outer.mount("/pan123", inner)
    for middleware in Pan123Plugin().fastapi_root_middlewares if plugin else ():
        outer.add_middleware(middleware["middleware"])
    outer.add_middleware(HttpAccessLogMiddleware)

    @outer.get("/{path:path}")
    def page(path: str) -> str:
        if "broken" in path:
            raise ValueError
        return "Airflow's page"

    try:
        with structlog.testing.capture_logs() as logs, ReceiverServer(outer, Keys(), engine) as server:
            yield server, logs
    finally:
        engine.dispose()


def test_the_access_log_of_the_api_server_does_not_contain_the_token(uri: str) -> None:
    with access_log(uri, plugin=False) as (server, logs):
        good = server.callback_url()
        assert server.client.post(good, json=SAMPLE).status_code == 200
        for url in (good + "/", good + "/x", good[:-1]):
            assert server.client.post(url, content=b"").status_code == 404
            assert server.client.get(url).status_code == 404
        assert server.client.get("/pan123/health").status_code == 200
    paths = [entry["path"] for entry in logs if entry["event"] == "request finished"]
    assert set(paths) == {"/pan123/callbacks/***", "/pan123/health"}
    assert good.rpartition("/")[2] not in str(logs)


@pytest.mark.parametrize(
    ("path", "logged", "query"),
    [
        ("//pan123/callbacks/{}", "//pan123/callbacks/***", ""),
        ("/airflow/pan123/callbacks/{}", "/airflow/pan123/callbacks/***", ""),
        ("/callbacks/{}", "/callbacks/***", ""),
        ("/{}", "/***", ""),
        ("/broken/{}", "/broken/***", ""),
        ("/pan123/callback/{}/x", "/pan123/callback/***/x", ""),
        ("/pan123/{}", "/pan123/***", ""),
        ("/pan123/callbacks?{}", "/pan123/callbacks", "***"),
        ("/pan123/callbacks/?token={}&a=1", "/pan123/callbacks/***", "token=***&a=1"),
        ("/?{}", "/", "***"),
        ("/?path=%2Fpan123%2Fcallbacks%2F{}", "/", "path=/pan123/callbacks%***"),
        ("/dags/a.b.the_name_of_a_task/grid?run=a.b", "/dags/a.b.the_name_of_a_task/grid", "run=a.b"),
    ],
)
def test_the_access_log_shows_no_token_that_missed_the_receiver(
    sqlite: str, path: str, logged: str, query: str
) -> None:
    with access_log(sqlite, plugin=True) as (server, logs):
        token = server.callback_url().rpartition("/")[2]
        for url in (path.format(token), path.format(token[:-1])):
            httpx.get(server.base_url + url, trust_env=False)
    entries = [entry for entry in logs if entry["event"] == "request finished"]
    assert {entry["path"] for entry in entries} == {logged}
    assert {unquote(entry["query"]).rstrip("=") for entry in entries} == {query}
    for part in token.split(".")[1:]:
        assert part[:-1] not in str(entries)


def test_the_plugin_imports_little_until_the_api_server_reads_its_app() -> None:
    code = (
        "import sys, airflow.plugins_manager\n"
        "heavy = {'fastapi', 'sqlalchemy', 'uvicorn', 'itsdangerous', 'jinja2'} - set(sys.modules)\n"
        "from airflow_provider_123pan.plugin import Pan123PagePlugin, Pan123Plugin\n"
        "page, plugin = Pan123PagePlugin(), Pan123Plugin()\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "(mount,) = plugin.fastapi_apps\n"
        "from fastapi import FastAPI\n"
        "assert isinstance(mount['app'], FastAPI)\n"
        "assert mount['url_prefix'] == '/pan123'\n"
        "assert plugin.fastapi_apps[0]['app'] is mount['app']\n"
        "(middleware,) = plugin.fastapi_root_middlewares\n"
        "assert middleware.keys() == {'name', 'middleware'}\n"
        "(mount,) = page.fastapi_apps\n"
        "assert isinstance(mount['app'], FastAPI)\n"
        "assert mount['url_prefix'] == '/pan123-ui'\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_standalone_receiver_needs_no_metadata_database(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    content = {"conn_type": "pan123", "login": "id", "password": SECRET}
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/nowhere/airflow.db",
        "AIRFLOW__PAN123__INBOX_URI": f"sqlite:///{tmp_path}/inbox.db",
        "AIRFLOW_CONN_PAN123_DEFAULT": json.dumps(content),
        "AIRFLOW_CONN_ANOTHER": json.dumps(content | {"conn_type": "http"}),
    }
    command = [sys.executable, "-m", "airflow", "pan123"]
    created = subprocess.run(
        [*command, "create-tables"], env=environment, capture_output=True, text=True, timeout=120
    )
    assert created.returncode == 0, created.stderr
    assert (tmp_path / "inbox.db").exists()
    log = tmp_path / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [*command, "receiver", "--port", str(port)],
            env=environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    base = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=base, trust_env=False) as client:

            def healthy() -> bool:
                try:
                    return bool(client.get("/pan123/health").json() == {"inbox": "ready", "connections": 1})
                except httpx.HTTPError:
                    return False

            until(healthy, 60, log.read_text)
            callback_id = new_callback_id()
            good = make_callback_url(base, "pan123_default", callback_id, KEYS)
            assert client.post(good, json=SAMPLE).status_code == 200
            assert (
                client.post(make_callback_url(base, "another", callback_id, KEYS), json=SAMPLE).status_code
                == 404
            )
            token = make_read_token("pan123_default", KEYS)
            found = client.post(
                "/pan123/inbox/lookup",
                json={"callback_ids": [callback_id]},
                headers={"Authorization": f"Bearer {token}"},
            )
            assert len(found.json()["deliveries"]) == 1
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
    written = log.read_text()
    assert SECRET not in written
    assert good.rpartition("/")[2] not in written
    assert token not in written
    assert not (tmp_path / "nowhere").exists()
