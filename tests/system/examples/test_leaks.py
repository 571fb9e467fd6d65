"""Secrets leave no trace, and the signature of a source URL is only where SECURITY.md says that URLs are kept."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from airflow_provider_123pan.sandbox import Sandbox
from dev.cluster import Cluster
from dev.example_run import ExampleRun
from dev.waiting import wait_for
from tests.system.canaries import (
    CALLBACK_SECRET,
    CLIENT_SECRET,
    SIGNATURE,
    MetricsSink,
    column_of,
    files_with,
    log_lines_with,
    places_of,
    signed,
    stored_tokens,
)

# Airflow logs what a Python task returns and prints, and a row of its audit log that a locked SQLite does not take.
WRITTEN_BY_AIRFLOW = ("Returned value was: ", "task.stdout", "'post_variable'")
# Source URLs as they were given: in the parameters of a run, what tasks return, templates, and what a callback claims.
KEPT = {
    ("dag_run", "conf"),
    ("log", "extra"),
    ("xcom", "return_value"),
    ("xcom", "url"),
    ("task_state_store", "pan123_submission"),
    ("pan123_inbox_v1", "content"),
    *(("rendered_task_instance_fields", name) for name in ("url", "images", "submission", "op_args")),
}


@pytest.fixture(scope="module")
def secrets(airflow: Cluster, sandbox: Sandbox, own_token: str, all_examples: list[ExampleRun]) -> list[str]:
    """Return the secrets of the example DAGs' connections, their tokens and their callback URLs."""
    callback_urls = [task["callBackUrl"] for task in sandbox.state()["tasks"] if task["callBackUrl"]]
    assert callback_urls
    tokens = [own_token, *stored_tokens(airflow)]
    assert len(tokens) >= 2
    return [CLIENT_SECRET, CALLBACK_SECRET, *tokens, *(url.rpartition("/")[2] for url in callback_urls)]


def test_the_search_finds_a_planted_canary(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "attempt=1.log").write_text("first\nsecond canary-1\n")
    with closing(sqlite3.connect(tmp_path / "airflow.db")) as database:
        database.executescript(
            """
            CREATE TABLE xcom (key TEXT, value BLOB);
            INSERT INTO xcom VALUES ('url', CAST('"https://example.com/?a=canary-2"' AS BLOB));
            CREATE TABLE rendered_task_instance_fields (rendered_fields TEXT);
            INSERT INTO rendered_task_instance_fields VALUES ('{"url": "canary-2", "file_name": null}');
            CREATE TABLE "dag_run" (conf TEXT);
            INSERT INTO dag_run VALUES ('{"url": "canary-2"}');
            """
        )
    assert log_lines_with(tmp_path, "canary-1") == ["second canary-1"]
    assert files_with(tmp_path, ["canary-1"]) == [tmp_path / "logs" / "attempt=1.log"]
    assert files_with(tmp_path, ["canary-0", "canary-2"]) == [tmp_path / "airflow.db"]
    assert places_of(tmp_path, "canary-2") == {
        ("xcom", "url"),
        ("rendered_task_instance_fields", "url"),
        ("dag_run", "conf"),
    }


def test_no_secret_is_in_a_log_or_in_clear_text_in_the_database(airflow: Cluster, secrets: list[str]) -> None:
    assert "/pan123/callbacks/***" in airflow.log.read_text()  # as the access log writes a delivery
    assert files_with(airflow.home, secrets) == []


def test_no_log_has_the_signature_of_a_source_url(airflow: Cluster, all_examples: list[ExampleRun]) -> None:
    lines = log_lines_with(airflow.home, SIGNATURE)
    assert lines, "the logs of Python tasks have it"
    assert [line for line in lines if not any(words in line for words in WRITTEN_BY_AIRFLOW)] == []


def test_the_database_has_signatures_only_where_urls_are_kept(
    airflow: Cluster, all_examples: list[ExampleRun]
) -> None:
    places = places_of(airflow.home, SIGNATURE)
    assert {("xcom", "return_value"), ("rendered_task_instance_fields", "url")} <= places
    assert places <= KEPT


def test_no_metric_has_a_secret_or_a_signature(metrics: MetricsSink, secrets: list[str]) -> None:
    lines = metrics.lines()
    assert any(b"pan123.deliveries.stored" in line for line in lines)
    canaries = [canary.encode() for canary in (*secrets, SIGNATURE)]
    assert [line for line in lines if any(canary in line for canary in canaries)] == []


def test_the_row_of_a_trigger_holds_no_secret(airflow: Cluster, callback_sandbox: Sandbox) -> None:
    dag_id, url = "pan123_callbacks", signed("https://callbacks.example.com/leaks.png")
    callback_sandbox.configure(hold="/leaks")
    run_id = airflow.api.trigger(dag_id, {"urls": [url]})
    wait_for(
        lambda: airflow.api.states(dag_id, run_id).get(("migrate.wait", 0)) == "deferred",
        what="the deferral of the wait",
        timeout=180,
    )
    (row,) = [row for row in column_of(airflow, "trigger", "kwargs") if "/leaks.png" in row]
    (task,) = [task for task in callback_sandbox.state()["tasks"] if task["url"] == url]
    own_secrets = [
        callback_sandbox.client_secret,
        task["callBackUrl"].rpartition("/")[2],
        *stored_tokens(airflow),
    ]
    assert [secret for secret in own_secrets if secret in row] == []
    callback_sandbox.configure(hold="")
    assert airflow.api.wait_for_run(dag_id, run_id) == "success"
