"""Web pages of other sites can neither read the sandbox's page and routes for tests, nor use them."""

from __future__ import annotations

import pytest
import requests

from airflow_provider_123pan.sandbox import Sandbox
from tests.integration.sandbox.support import Client

ROUTES = [
    ("GET", "/"),
    ("GET", "/sandbox/health"),
    ("GET", "/sandbox/state"),
    ("GET", "/sandbox/settings"),
    ("PUT", "/sandbox/settings"),
    ("POST", "/sandbox/reset"),
    ("POST", "/sandbox/kill-tokens"),
    ("GET", "/sandbox/thumbnail/{file_id}"),
]


def send(sandbox: Sandbox, method: str, path: str, headers: dict[str, str]) -> requests.Response:
    body = {"rate": 5.0} if method == "PUT" else None
    headers = {name: value.format(port=sandbox.port) for name, value in headers.items()}
    return requests.request(method, sandbox.base_url + path, json=body, headers=headers, timeout=60)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1:{port}.evil.example"},
        {"Origin": "http://[evil"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example:{port}"},
        {"Host": "127.0.0.1.evil.example:{port}"},
        {"Host": "evil.example:{port}", "Origin": "http://evil.example:{port}"},
        {"Host": "[evil"},
    ],
    ids=str,
)
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_requests_of_other_sites_are_refused(
    client: Client, method: str, path: str, headers: dict[str, str]
) -> None:
    client.sandbox.configure(fetch=False)
    client.migrate("http://127.0.0.1/a.png")
    before = client.sandbox.state(), client.sandbox.configure()
    answer = send(
        client.sandbox, method, path.format(file_id=client.sandbox.state()["files"][0]["fileId"]), headers
    )
    assert answer.status_code == 403
    assert next(iter(headers)) in answer.json()["detail"]
    assert client.sandbox.client_secret not in answer.text
    assert (client.sandbox.state(), client.sandbox.configure()) == before


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"},
        {"Host": "localhost:{port}", "Origin": "http://localhost:{port}"},
        {"Host": "LOCALHOST.:{port}"},
        {"Host": "[::1]:{port}"},
        {"Sec-Fetch-Site": "none"},
    ],
    ids=str,
)
@pytest.mark.parametrize(("method", "path"), [*ROUTES[:4], ("PUT", "/sandbox/settings")])
def test_requests_of_its_own_page_and_of_programs_are_allowed(
    sandbox: Sandbox, method: str, path: str, headers: dict[str, str]
) -> None:
    assert send(sandbox, method, path, headers).status_code == 200


def test_a_sandbox_on_another_address_may_have_any_name() -> None:
    with Sandbox(host="0.0.0.0", fetch=False) as sandbox:
        named = {"Host": "sandbox.example:{port}"}
        assert send(sandbox, "GET", "/sandbox/state", named).status_code == 200
        own = {**named, "Origin": "http://sandbox.example:{port}"}
        assert send(sandbox, "POST", "/sandbox/reset", own).status_code == 200
        foreign = {**named, "Origin": "https://evil.example"}
        assert send(sandbox, "POST", "/sandbox/reset", foreign).status_code == 403


def test_images_can_be_shown_by_other_sites(client: Client) -> None:
    client.sandbox.configure(fetch=False)
    client.migrate("http://127.0.0.1/a.png")
    url = client.sandbox.state()["files"][0]["downloadURL"]
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://blog.example"}
    assert requests.get(url, headers=headers, timeout=60).status_code == 200
