"""A user creates a connection in the UI's form, and a DAG uses it."""

from __future__ import annotations

import json
from importlib.metadata import version

import pytest
import requests

from airflow_provider_123pan.sandbox import Sandbox
from dev.browser import ConnectionForm, chromium, logged_in
from dev.cluster import Cluster

CONN_ID = "pan123_from_the_form"
CALLBACK_SECRET = "a secret for callbacks only"


@pytest.fixture(scope="module")
def browser() -> str:
    """Return the path of Chromium; skip the tests that need it where there is none."""
    executable = chromium()
    if executable is None:
        pytest.skip(
            "no Chromium found: install the package chromium, or set CHROMIUM to the path of the browser"
        )
    return executable


@pytest.mark.timeout(300)
def test_the_form_saves_every_field_and_an_example_dag_uses_them(
    airflow: Cluster, sandbox: Sandbox, source: str, pictures: dict[str, bytes], browser: str
) -> None:
    with logged_in(airflow.url, executable=browser) as page:
        form = ConnectionForm(page, airflow.url, conn_id=CONN_ID, conn_type="123pan")
        labels = {
            "element_callback_base_url": "Callback base URL",
            "element_callback_secret": "Callback secret",
            "element_requests_per_second": "Requests per second",
            "element_timeout": "Timeout",
            "element_access_token": "Access token",
            "element_verify": "Verify certificates",
            "element_proxy": "Proxy",
        }
        assert {name: form.label_of(name) for name in labels} == labels
        form.field("element_callback_base_url").fill(airflow.url)
        form.field("element_callback_secret").fill(CALLBACK_SECRET)
        if not version("apache-airflow").startswith("3.2."):  # 3.2 shows passwords while they are typed
            assert form.field("element_callback_secret").get_attribute("type") == "password"
        form.field("element_requests_per_second").fill("7.5")
        form.field("element_timeout").fill("12")
        form.section("Standard Fields")
        assert form.label_of("host") == "Base URL"
        assert form.label_of("login") == "Client ID"
        assert form.label_of("password") == "Client secret"
        assert form.field("port").count() == form.field("schema").count() == 0
        form.field("host").fill(sandbox.base_url)
        form.field("login").fill(sandbox.client_id)
        form.field("password").fill(sandbox.client_secret)
        form.save()

    saved = airflow.api.connection(CONN_ID)
    assert saved is not None
    assert (saved["conn_type"], saved["host"], saved["login"]) == (
        "pan123",
        sandbox.base_url,
        sandbox.client_id,
    )
    extra = json.loads(saved["extra"])
    assert extra["callback_base_url"] == airflow.url
    assert CALLBACK_SECRET not in saved["extra"]
    assert (extra["requests_per_second"], extra["timeout"]) == (7.5, 12)

    dag_id = "example_pan123_offline_download"
    conf = {"url": f"{source}/aurora.png", "pan123_conn_id": CONN_ID}
    run_id = airflow.api.trigger(dag_id, conf)
    assert airflow.api.wait_for_run(dag_id, run_id) == "success", airflow.api.log(dag_id, run_id, "submit")
    new_url = airflow.api.xcom(dag_id, run_id, "show")
    assert requests.get(new_url, timeout=10).content == pictures["aurora.png"]
    # The receiver accepted the callback, so it uses the secret from the form.
    (task,) = (task for task in sandbox.state()["tasks"] if task["url"] == conf["url"])
    assert task["deliveries"] == ["HTTP 200"]
