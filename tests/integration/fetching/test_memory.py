"""The largest image needs hardly any memory of the worker."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import requests

from airflow_provider_123pan.sandbox import Sandbox
from tests.integration.uploads.support import md5, picture
from tests.sources import image, serve

SIZE = 100 * 2**20
MAX_GROWTH = 64 * 2**20
UPLOAD = """
import json, re, sys
from pathlib import Path
from airflow_provider_123pan.account.token import FixedToken
from airflow_provider_123pan.service.client import Pan123Client
from airflow_provider_123pan.service.endpoint import Endpoint
from airflow_provider_123pan.service.throttle import Throttle
from airflow_provider_123pan.service.upload import upload
from airflow_provider_123pan.source.fetch import fetch_url

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

def send(path):
    with fetch_url(source + path, private_hosts=["127.0.0.1"]) as found:
        return client.run(upload(found, path[1:], ""))

base_url, token, source = sys.argv[1:]
with Pan123Client(Endpoint(base_url=base_url), FixedToken(token), Throttle(start=1000)) as client:
    send("/small.jpg")
    before = peak()
    stored = send("/large.jpg")
print(json.dumps({"growth": peak() - before, "size": stored.size, "etag": stored.etag}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the peak of one program")
def test_an_image_of_100_mib_takes_less_than_64_mib(sandbox: Sandbox) -> None:
    small = picture(kind="JPEG")
    large = picture("blue", "JPEG").ljust(SIZE, b"\0")
    token = sandbox_token(sandbox)
    with serve() as source:
        source.answers |= {"/small.jpg": image(body=small), "/large.jpg": image(body=large)}
        command = [sys.executable, "-c", UPLOAD, sandbox.base_url, token, source.url]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(run.stdout)
    assert (found["size"], found["etag"]) == (SIZE, md5(large))
    assert found["growth"] < MAX_GROWTH, f"{found['growth'] / 2**20:.1f} MiB"


def sandbox_token(sandbox: Sandbox) -> str:
    login = {"clientID": sandbox.client_id, "clientSecret": sandbox.client_secret}
    answer = requests.post(
        f"{sandbox.base_url}/api/v1/access_token",
        json=login,
        headers={"Platform": "open_platform"},
        timeout=60,
    )
    token: str = answer.json()["data"]["accessToken"]
    return token
