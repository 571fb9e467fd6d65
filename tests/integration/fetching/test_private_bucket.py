"""A private bucket: an S3 that wants credentials, opened by Airflow's object storage with a connection."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from airflow_provider_123pan.operators.images import Pan123UploadImagesOperator
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sources import from_bucket
from airflow_provider_123pan.sync.results import read_results
from tests.integration.fetching.worker import MAX_GROWTH, Worker
from tests.integration.uploads.support import md5, picture
from tests.support import counts, run, submitted, sync

BUCKET = "private"
PHOTOS = f"s3://my_s3@{BUCKET}/photos"
ALLOWED = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
BODIES = {
    f"{PHOTOS}/cat.png": picture("red"),
    f"{PHOTOS}/2026/猫 1#%.png": picture("green"),
    f"{PHOTOS}/2026/11/bird.png": picture("blue"),
}

pytestmark = [pytest.mark.s3, pytest.mark.usefixtures("connect", "s3")]


class S3(NamedTuple):
    """A running S3.

    :ivar client: may do everything.
    """

    url: str
    key_id: str
    secret: str
    client: Any


@pytest.fixture(scope="module")
def _running_s3() -> Iterator[S3]:
    import boto3
    from moto import settings
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        try:
            url = "http://{}:{}".format(*server.get_host_and_port())
            unchecked = {"endpoint_url": url, "aws_access_key_id": "1", "aws_secret_access_key": "1"}
            iam = boto3.client("iam", region_name="us-east-1", **unchecked)
            iam.create_user(UserName="airflow")
            policy = json.dumps({"Version": "2012-10-17", "Statement": [ALLOWED]})
            iam.put_user_policy(UserName="airflow", PolicyName="s3", PolicyDocument=policy)
            key = iam.create_access_key(UserName="airflow")["AccessKey"]
            patch.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)  # from now on
            keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
            client = boto3.client("s3", region_name="us-east-1", endpoint_url=url, **keys)
            client.create_bucket(Bucket=BUCKET)
            yield S3(url, key["AccessKeyId"], key["SecretAccessKey"], client)
        finally:
            server.stop()


def connect_s3(monkeypatch: pytest.MonkeyPatch, s3: S3, conn_id: str, secret: str) -> None:
    content = {
        "conn_type": "aws",
        "login": s3.key_id,
        "password": secret,
        "extra": {"endpoint_url": s3.url, "region_name": "us-east-1"},
    }
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(content))


@pytest.fixture
def s3(_running_s3: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """Return an S3 with the images of ``BODIES``, and define the connection ``my_s3`` to it."""
    monkeypatch.setattr("airflow.sdk.io.store._STORE_CACHE", {})
    connect_s3(monkeypatch, _running_s3, "my_s3", _running_s3.secret)
    for url, body in {**BODIES, f"{PHOTOS}/notes.txt": b"no image"}.items():
        _running_s3.client.put_object(Bucket=BUCKET, Key=url.split("/", 3)[3], Body=body)
    return _running_s3


def etags(results: str) -> dict[str, str | None]:
    return {record.url: record.etag for record in read_results(results)}


def test_the_bucket_wants_credentials(
    s3: S3, sandbox: Sandbox, context: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert requests.get(f"{s3.url}/{BUCKET}/photos/cat.png", timeout=30).status_code == 403
    connect_s3(monkeypatch, s3, "wrong_s3", "another-secret")
    image = f"s3://wrong_s3@{BUCKET}/photos/cat.png"
    result = sync(context, images=[image], max_failures=1)
    assert counts(result) == (0, 0, 1)
    reason = result["failures"][0]["reason"]
    assert reason == f"source: s3://{BUCKET}/photos/cat.png cannot be read: PermissionError"
    assert sandbox.state()["files"] == []


@pytest.mark.parametrize("fetch", ["service", "auto", "worker"])
def test_images_of_a_list_arrive(
    fetch: str, sandbox: Sandbox, context: dict[str, Any], tmp_path: Path
) -> None:
    results = str(tmp_path / "results.jsonl")
    given = {"images": [*BODIES], "results": results, "fetch": fetch}
    assert counts(sync(context, **given)) == (0, 3, 0)
    assert etags(results) == {url: md5(body) for url, body in BODIES.items()}
    assert {record.fetched_by for record in read_results(results)} == {"worker"}
    assert not submitted(sandbox)
    assert counts(sync(context, **given)) == (3, 0, 0)


def test_a_list_of_the_bucket_arrives(sandbox: Sandbox, context: dict[str, Any]) -> None:
    manifest = from_bucket(PHOTOS, None, f"s3://my_s3@{BUCKET}/lists/images.jsonl")
    results = f"s3://my_s3@{BUCKET}/lists/results.jsonl"
    assert counts(sync(context, manifest=manifest, results=results)) == (0, 3, 0)
    assert etags(results) == {url: md5(body) for url, body in BODIES.items()}


@pytest.mark.parametrize(
    ("source", "urls"),
    [
        (PHOTOS, [*BODIES]),
        (f"{PHOTOS}/2026/**/*.png", [url for url in BODIES if "/2026/" in url]),
        ([*BODIES][:1], [*BODIES][:1]),
    ],
    ids=["folder", "pattern", "list"],
)
def test_a_bucket_is_uploaded(
    source: Any, urls: list[str], sandbox: Sandbox, context: dict[str, Any], tmp_path: Path
) -> None:
    results = str(tmp_path / "results.jsonl")
    given = {"source": source, "directory": "photos", "results": results, "timeout": 60}
    task = Pan123UploadImagesOperator(task_id="upload", **given)
    assert counts(run(task, context)) == (0, len(urls), 0)
    assert etags(results) == {url: md5(BODIES[url]) for url in urls}
    assert Counter(file["etag"] for file in sandbox.state()["files"]) == Counter(
        md5(BODIES[url]) for url in urls
    )
    assert counts(run(task, context)) == (len(urls), 0, 0)


def test_an_image_of_100_mib_takes_less_than_64_mib(s3: S3, sandbox: Sandbox, tmp_path: Path) -> None:
    large = picture("blue", "JPEG").ljust(100 * 2**20, b"\0")
    s3.client.put_object(Bucket=BUCKET, Key="large/large.jpg", Body=large)
    results = str(tmp_path / "results.jsonl")
    worker = Worker(
        tmp_path / "memory",
        Pan123UploadImagesOperator,
        source=f"s3://my_s3@{BUCKET}/large",
        directory="photos",
        results=results,
    )
    growth = worker.end().growth
    assert [*etags(results).values()] == [md5(large)]
    assert 0 < growth < MAX_GROWTH, f"{growth / 2**20:.1f} MiB"
