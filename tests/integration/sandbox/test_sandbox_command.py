"""The sandbox's routes for tests, its page and its command."""

from __future__ import annotations

import html
import re
import signal
import subprocess
import sys
from typing import Any

import pytest
import requests

from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sandbox.__main__ import parser
from airflow_provider_123pan.sandbox.answers import FAULTS, ScriptedAnswer
from airflow_provider_123pan.sandbox.options import Options
from tests.integration.sandbox.support import HOUR_SECONDS, PROGRESS, Client, Peer


def test_invalid_options_are_named_and_change_nothing(sandbox: Sandbox) -> None:
    invalid: dict[str, Any] = {
        "bogus": 1,
        "delay": [],
        "latency": "3,1",
        "fail": "(",
        "port": 80,
        "callback": "loud",
    }
    for option, value in invalid.items():
        answer = requests.put(
            f"{sandbox.base_url}/sandbox/settings", json={option: value, "rate": 5}, timeout=60
        )
        assert answer.status_code == 422
        assert option in answer.json()["detail"][0]["loc"]
    with pytest.raises(ValueError, match="bogus"):
        sandbox.configure(bogus=1)
    with pytest.raises(ValueError, match="bogus"):
        Sandbox(bogus=1)
    assert sandbox.configure()["rate"] is None


def test_a_reset_restores_all_but_task_ids(client: Client, peer: Peer) -> None:
    client.sandbox.configure(fetch=False, delay=HOUR_SECONDS)
    first = client.submit("http://127.0.0.1/a.png")
    client.sandbox.reset()
    state = client.sandbox.state()
    assert state["tasks"] == []
    assert state["files"] == []
    assert state["counts"]["requests"] == {}
    assert client.get(PROGRESS, taskID=first)["code"] == 401
    client.log_in()
    second = client.submit(f"{peer.url}/red.png")
    assert second > first
    assert client.wait(second) == 2


def test_the_page_escapes_what_it_shows(client: Client) -> None:
    client.sandbox.configure(fetch=False, fail="bad", fail_reason="<b>bad</b>")
    client.migrate("http://127.0.0.1/<i>.png", fileName="<script>alert(1)</script>.png")
    client.wait(client.submit("http://127.0.0.1/bad.png"))
    page = client.send("GET", "/")
    assert page.status_code == 200
    assert "403" in page.text
    for markup in ("<script", "<i>", "<b>bad"):
        assert markup not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;.png" in page.text


def test_the_page_describes_all_options(sandbox: Sandbox) -> None:
    sandbox.configure(answers=[{"path": "detail$", "fault": "verifying"}])
    page = html.unescape(requests.get(sandbox.base_url, timeout=60).text)
    for name, field in Options.model_fields.items():
        if name not in ("host", "port"):
            assert f"<dt>{name}</dt>" in page
            assert field.description
            assert field.description in page
    assert "Loopback only" in page
    assert '"fault": "verifying"' in page


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_command_runs_until_a_signal_stops_it(stop: signal.Signals) -> None:
    command = [
        sys.executable,
        "-m",
        "airflow_provider_123pan.sandbox",
        "--port",
        "0",
        "--accounts",
        "me:my-secret",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            url = next(word for word in line.split() if word.startswith("http://"))
            assert "me" in line
            assert "my-secret" in line
            assert requests.get(f"{url}/sandbox/health", timeout=60).json() == {"status": "ok"}
            process.send_signal(stop)
            assert process.wait(60) == 0
        finally:
            process.kill()


def test_the_command_names_an_invalid_option() -> None:
    command = [sys.executable, "-m", "airflow_provider_123pan.sandbox", "--delay", "3,1"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert "--delay" in run.stderr


def test_the_help_names_all_options_and_the_keys_of_scripted_answers() -> None:
    text = parser().format_help()
    for name in Options.model_fields:
        assert re.search(rf"\n  --{name.replace('_', '-')}[ ,]", text)
    for name in ScriptedAnswer.model_fields:
        assert f"\n  {name}: " in text
    for fault in FAULTS:
        assert fault in text


def test_the_sandbox_loads_little_when_imported_and_never_airflow() -> None:
    code = (
        "import sys, airflow_provider_123pan.sandbox as s\n"
        "heavy = {'fastapi', 'uvicorn', 'PIL', 'pydantic', 'httpx', 'airflow'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "with s.Sandbox():\n"
        "    pass\n"
        "assert 'airflow' not in sys.modules"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    "code",
    [
        "from airflow_provider_123pan.sandbox import Sandbox; Sandbox().start()",
        "import runpy; runpy.run_module('airflow_provider_123pan.sandbox', run_name='__main__')",
    ],
    ids=["class", "command"],
)
def test_without_the_extra_the_sandbox_says_how_to_install_it(code: str) -> None:
    command = [sys.executable, "-c", f"import sys; sys.modules['PIL'] = None; {code}"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode != 0
    assert 'pip install "airflow-provider-123pan[sandbox]"' in run.stderr
