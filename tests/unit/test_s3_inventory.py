"""An S3 Inventory is read as a list."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.sync.manifest import read_manifest
from tests.lists import Loaded, load, parquet

MD5 = "9b2cf535f27731c974343645a3985328"


def s3_inventory(folder: Path, kind: str, schema: str, files: dict[str, bytes]) -> str:
    """Write an inventory, and return the path of its manifest."""
    base = folder / "inventories" / "photos" / "daily"
    (base / "data").mkdir(parents=True)
    (base / "2026-11-25T00-00Z").mkdir()
    for name, content in files.items():
        (base / "data" / name).write_bytes(content)
    manifest = base / "2026-11-25T00-00Z" / "manifest.json"
    keys = [{"key": f"inventories/photos/daily/data/{name}", "size": 1} for name in files]
    manifest.write_text(
        json.dumps({"sourceBucket": "photos", "fileFormat": kind, "fileSchema": schema, "files": keys})
    )
    return str(manifest)


SCHEMA = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, ETag, EncryptionStatus"


def test_an_s3_inventory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = (
        f'"photos","a%2Bb.png","v2","true","false","12","{MD5}","SSE-S3"\n'
        f'"photos","a%2Bb.png","v1","false","false","11","{MD5}","SSE-S3"\n'
        '"photos","gone.png","v3","true","true","","",""\n'
        '"photos","notes.txt","v4","true","false","5","","SSE-S3"\n'
    )
    second = (
        f'"photos","c.png","v5","true","false","13","{MD5}","SSE-KMS"\n'
        '"photos","raw","v6","true","false","1","",""\n'
    )
    files = {"1.csv.gz": gzip.compress(first.encode()), "2.csv.gz": gzip.compress(second.encode())}
    found = load(read_manifest(s3_inventory(tmp_path, "CSV", SCHEMA, files)))
    assert [(url, size, md5) for url, _, size, md5 in found.images] == [
        ("https://photos.s3.amazonaws.com/a%2Bb.png", 12, MD5),
        ("https://photos.s3.amazonaws.com/c.png", 13, None),
    ]
    (reason,) = found.reasons
    assert str(reason).startswith("2.csv.gz line 2: file_name: the URL shows no image extension")
    assert "are ignored" not in caplog.text


@pytest.mark.parametrize(
    "content",
    [
        "[1]",
        "{",
        '{"fileFormat": "CSV", "fileSchema": "Bucket, Key"}',
        '{"fileFormat": "CSV", "fileSchema": "Size, Key", "files": []}',
        '{"fileFormat": "CSV", "fileSchema": null, "files": []}',
        "[" * 100_000,
    ],
    ids=range(6),
)
def test_what_is_no_s3_inventory(content: str, load_file: Callable[..., Loaded], tmp_path: Path) -> None:
    with pytest.raises(Pan123InputError, match="is not the manifest of an S3 Inventory"):
        load_file("manifest.json", content)
    with pytest.raises(Pan123InputError, match="there is no file"):
        load(read_manifest(str(tmp_path / "none" / "manifest.json")))


def test_an_s3_inventory_names_no_file_outside_of_its_bucket(tmp_path: Path) -> None:
    path = s3_inventory(tmp_path, "CSV", SCHEMA, {"../../secret.csv": b"x"})
    with pytest.raises(Pan123InputError, match="which is not there"):
        load(read_manifest(path))


def test_an_s3_inventory_in_parquet_without_keys(tmp_path: Path) -> None:
    path = s3_inventory(tmp_path, "Parquet", "message", {"1.parquet": parquet([{"bucket": "photos"}])})
    with pytest.raises(Pan123InputError, match="has no columns bucket and key"):
        load(read_manifest(path))


def test_an_s3_inventory_in_parquet(tmp_path: Path) -> None:
    rows = [
        {"bucket": "photos", "key": "a+b %.png", "is_latest": True, "size": 12, "e_tag": MD5},
        {"bucket": "photos", "key": "old.png", "is_latest": False, "size": 12, "e_tag": MD5},
    ]
    path = s3_inventory(tmp_path, "Parquet", "message s3.inventory { … }", {"1.parquet": parquet(rows)})
    ((url, _, size, md5),) = load(read_manifest(path)).images
    assert (url, size, md5) == ("https://photos.s3.amazonaws.com/a%2Bb%20%25.png", 12, MD5)


@pytest.mark.parametrize(
    ("kind", "words"), [("ORC", "CSV and Parquet can be read"), ("CSV", "which is not there")]
)
def test_an_s3_inventory_that_cannot_be_read(tmp_path: Path, kind: str, words: str) -> None:
    path = s3_inventory(tmp_path, kind, SCHEMA, {"1.csv.gz": b""})
    (tmp_path / "inventories" / "photos" / "daily" / "data" / "1.csv.gz").unlink()
    with pytest.raises(Pan123InputError, match=words):
        load(read_manifest(path))
