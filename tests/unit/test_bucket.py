"""Manifests of buckets, with a folder as bucket."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.sources import from_bucket

URL = "https://cdn.example.com/images"


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    folder = tmp_path / "bucket"
    folder.mkdir()
    return folder


def entries(bucket: Path, base_url: str | None = URL) -> list[dict[str, object]]:
    manifest = from_bucket(f"file://{bucket}", base_url, f"file://{bucket.parent}/lists/images.jsonl")
    assert manifest == f"file://{bucket.parent}/lists/images.jsonl"
    text = (bucket.parent / "lists" / "images.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("base_url", [URL, f"{URL}/"])
def test_images_have_their_public_url_and_size(bucket: Path, base_url: str) -> None:
    (bucket / "2026").mkdir()
    for name, size in (("2026/猫 1#%.PNG", 3), ("a.webp", 0), ("notes.txt", 9), ("png", 9)):
        (bucket / name).write_bytes(bytes(size))
    assert sorted(entries(bucket, base_url), key=lambda entry: str(entry["url"])) == [
        {"url": f"{URL}/2026/%E7%8C%AB%201%23%25.PNG", "size": 3},
        {"url": f"{URL}/a.webp", "size": 0},
    ]


def test_images_that_are_not_public_have_their_paths(bucket: Path) -> None:
    (bucket / "2026").mkdir()
    (bucket / "2026" / "猫 1#%.PNG").write_bytes(bytes(3))
    assert entries(bucket, None) == [{"url": f"file://{bucket}/2026/猫 1#%.PNG", "size": 3}]
    from_bucket(str(bucket), None, f"file://{bucket.parent}/lists/plain.jsonl")
    assert "file://" in (bucket.parent / "lists" / "plain.jsonl").read_text()


def test_an_empty_bucket_is_an_empty_list(bucket: Path) -> None:
    assert entries(bucket) == []


def test_a_bucket_that_is_not_there_is_an_error_that_names_it(bucket: Path) -> None:
    with pytest.raises(Pan123InputError, match=r"bucket: there is no bucket or folder 'file://.*/nothing'"):
        from_bucket(f"file://{bucket}/nothing", URL, f"file://{bucket}/images.jsonl")
    assert [*bucket.iterdir()] == []


def test_the_public_url_must_be_http(bucket: Path) -> None:
    with pytest.raises(Pan123InputError, match="base_url: 's3.amazonaws.com/b' must begin with http"):
        from_bucket(f"file://{bucket}", "s3.amazonaws.com/b", f"file://{bucket}/images.jsonl")
