"""A list may name images in any storage that Airflow opens; such URLs are paths, and only the worker reads them."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.service.redaction import redact_url
from airflow_provider_123pan.source.naming import Naming
from airflow_provider_123pan.source.urls import canonical_url
from airflow_provider_123pan.sync.entries import ManifestEntry
from airflow_provider_123pan.sync.image_list import ImageList
from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.manifest import read_images
from airflow_provider_123pan.sync.options import Fetch

WEB, PATH = "https://example.com/a.png", "file:///data/b.png"

# The characters of a path mean themselves: none is decoded, repaired or cut off.
NAMED = {
    "file:///data/2026/cat.png": ("", "cat", "png"),
    "file:///data/100%25 &amp; a#b?c.PNG": ("", "100%25 &amp; a#b_c", "PNG"),
    "FILE:///data/no format": ("", "no format", ""),
    "memory://bucket/a b.jpeg": ("", "a b", "jpeg"),
    "memory://conn_id@bucket/x.webp": ("", "x", "webp"),
}


@pytest.mark.usefixtures("object_store")
@pytest.mark.parametrize("url", NAMED)
def test_a_path_is_an_entry_as_it_is(url: str) -> None:
    entry = ManifestEntry.of({"url": f" {url} "}, Naming())
    folder, stem, extension = NAMED[url]
    assert (entry.url, entry.folder) == (url, folder)
    assert entry.stem.startswith(f"{stem}-")
    assert entry.file_name.rpartition(".")[2] == extension
    assert canonical_url(url) == url


def test_a_path_keeps_its_directories() -> None:
    naming = Naming("{stem}.{ext}", keep_tree=True)
    entry = ManifestEntry.of({"url": "file:///data/2026%20/11/cat.png"}, naming)
    assert (entry.folder, entry.file_name) == ("data/2026%20/11", "cat.png")


def test_the_connection_of_a_path_is_not_shown() -> None:
    assert redact_url("s3://my_conn@bucket/a.png") == "s3://bucket/a.png"


WRONG = {
    "/data/cat.png": "url: the scheme '' is not http or https; for a file that the worker can read, write file://",
    "data/cat.png": "url: the scheme '' is not http or https; for a file",
    r"C:\data\cat.png": "url: the scheme '' is not http or https; for a file",
    "file://data/cat.png": "url: give the absolute path of a file, with three slashes",
    "file:///data/cat\0.png": "url: the path contains control characters",
    "nowhere://bucket/cat.png": "url: the scheme 'nowhere' is not http or https",
    "simplecache::http://10.0.0.1/cat.png": "url: the scheme 'simplecache' is not http or https",
    "file:///data/cat.heic": "url: 123pan takes no .heic",
}


@pytest.mark.parametrize(("url", "message"), WRONG.items(), ids=range(len(WRONG)))
def test_what_is_no_path_says_how_to_write_one(url: str, message: str) -> None:
    with pytest.raises(Pan123InputError) as caught:
        ManifestEntry.of({"url": url}, Naming())
    assert str(caught.value).startswith(message)


STATES = {
    Fetch.SERVICE: [ImageState.MISSING, ImageState.WORKER, ImageState.FAILED],
    Fetch.AUTO: [ImageState.MISSING, ImageState.WORKER, ImageState.FAILED],
    Fetch.WORKER: [ImageState.WORKER, ImageState.WORKER, ImageState.FAILED],
}


@pytest.mark.parametrize("fetch", Fetch)
def test_the_worker_fetches_paths_and_what_it_is_told_to(fetch: Fetch) -> None:
    inventory = Inventory(Naming(), fetch)
    inventory.load(read_images([WEB, PATH, "wrong"]))
    assert [inventory.state(number) for number in range(3)] == STATES[fetch]
    assert [inventory.is_missing(number) for number in range(3)] == [True, True, False]
    inventory.activate(0)
    inventory.put_back(0, 0)
    assert inventory.state(0) is STATES[fetch][0]


@pytest.mark.parametrize(
    ("fetch", "states"),
    [
        (Fetch.SERVICE, [ImageState.AGAIN, ImageState.FAILED]),
        (Fetch.AUTO, [ImageState.WORKER] * 2),
        (Fetch.WORKER, [ImageState.WORKER] * 2),
    ],
)
def test_the_worker_fetches_what_the_service_fails(fetch: Fetch, states: list[ImageState]) -> None:
    inventory = Inventory(Naming(), fetch)
    assert [inventory.state_after_failure(attempt) for attempt in (0, 1)] == states


def test_hosts_of_paths_are_storages(object_store: Any) -> None:
    images = ImageList()
    images.load(read_images([WEB, PATH, "memory://bucket/2026/c.png"]))
    assert images.hosts(10) == ["file://", "https://example.com", "memory://bucket"]
