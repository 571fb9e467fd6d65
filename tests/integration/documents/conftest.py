"""The files and websites that the pages mention."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_123pan.sandbox.images import tiny
from airflow_provider_123pan.source.documents import Documents
from tests.integration.documents.support import example_result


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with all files that the pages mention the current directory, and answer for their websites."""
    bucket = tmp_path / "my-bucket"
    (bucket / "results").mkdir(parents=True)
    (bucket / "logo.png").write_bytes(tiny("logo").content)
    (bucket / "images.csv").write_text("url\nhttps://example.com/cat.jpg\nhttps://example.com/dog.png\n")
    record = example_result() | {"download_url": "https://vip.123pan.cn/1/cat.jpg"}
    (bucket / "results" / "2026-11-24.jsonl").write_text(json.dumps(record) + "\n")
    (bucket / "results" / "photos.jsonl").write_text("")
    (tmp_path / "reports").mkdir()
    failure = {"url": record["url"], "image_url": "https://vip.123pan.cn/1/gone.jpg"}
    (tmp_path / "reports" / "latest.jsonl").write_text(json.dumps(failure) + "\n")
    (tmp_path / "reports" / "again.jsonl").write_text(json.dumps(record) + "\n")
    (bucket / "site").mkdir()
    (bucket / "site" / "page.md").write_text("![A dog](https://example.com/dog.png)\n")
    (bucket / "journals" / "2026-11-26").mkdir(parents=True)
    (bucket / "photos").mkdir()
    (bucket / "photos" / "cat.jpg").write_bytes(tiny("cat").content)
    segment = "rewritten-20261126T010203.000004Z-0123456789ab.jsonl"
    (bucket / "journals" / "2026-11-26" / segment).write_text('{"version": 1, "pages": "/site"}\n')
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "page.md").write_text("![A cat](https://example.com/cat.jpg)\n")
    sitemap = b"<urlset><url><image:image><image:loc>https://example.com/cat.jpg</image:loc></image:image></url></urlset>"
    monkeypatch.setattr(Documents, "read", lambda self, url: iter([sitemap]))
    login = {"conn_type": "http", "login": "reader", "password": "wiki-password"}
    monkeypatch.setenv("AIRFLOW_CONN_WIKI_HTTP", json.dumps(login))
    monkeypatch.chdir(tmp_path)
    return tmp_path
