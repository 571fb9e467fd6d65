"""Deployments to check, good and broken."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from airflow.cli.cli_parser import get_parser

from airflow_provider_123pan.sandbox import Sandbox


@pytest.fixture
def check(
    sandbox: Sandbox,
    receiver: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., tuple[int, str]]:
    """Return a function that runs ``airflow pan123 check`` and returns its exit code and its output.

    The terminal is wide, so that each result is one line. Names replace what
    differs from run to run, and the words of urllib3.
    """
    monkeypatch.setenv("COLUMNS", "1000")
    monkeypatch.setenv("AIRFLOW__PAN123__INBOX_URL", receiver)
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")  # the command sets it; this restores it

    def run(*arguments: str) -> tuple[int, str]:
        given = get_parser().parse_args(["pan123", "check", *arguments])
        code: Any = 0
        try:
            given.func(given)
        except SystemExit as end:
            code = end.code
        output = capsys.readouterr().out
        output = output.replace(sandbox.base_url, "http://sandbox").replace(receiver, "http://receiver")
        output = re.sub(
            r"(?:HTTPConnection|Failed to establish).*Connection refused[\"')]*",
            "<connection refused>",
            output,
        )
        return code, re.sub(r"x-traceID [\w-]+", "x-traceID <trace ID>", output)

    return run


@pytest.fixture
def late_gateway(sandbox: Sandbox) -> Iterator[str]:
    """Return the URL of a gateway in front of the sandbox whose clock is ten minutes behind."""

    class Gateway(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            names = ("Authorization", "Platform", "Content-Type")
            headers = {name: self.headers[name] for name in names if name in self.headers}
            with urllib.request.urlopen(
                urllib.request.Request(sandbox.base_url + self.path, body, headers)
            ) as answer:
                content = answer.read()
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate(time.time() - 600, usegmt=True)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
