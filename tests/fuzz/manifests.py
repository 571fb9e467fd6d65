"""Manifests and lists of images: each is an inventory or an error that names what is wrong."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_123pan.source.naming import Naming
from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.manifest import read_images, read_manifest
from airflow_provider_123pan.sync.tables import TSV_HEADER
from tests.fuzz.properties import run_properties, value_or_error
from tests.fuzz.values import DEEP_JSON, LONG_NUMBER, any_json, changed, encoded, texts

EXAMPLES = 3000

IMAGE = {"url": "https://example.com/a.jpg", "file_name": "b.png", "size": 3, "md5": "0123456789abcdef" * 2}
CELLS = (
    "https://example.com/a.jpg",
    "http://[::1",
    "a.jpg",
    "3",
    "-1",
    "kAFQmDzST7DWlj99KOF/cg==",
    '"',
    "a\x00b",
    "https://example.com/b c/d.jpg",
    "x/../y.png",
    '"open',
    f'"{"0" * 32}-2"',
)

near_images = changed(IMAGE) | st.sampled_from(CELLS)
cells = st.sampled_from(CELLS) | texts
rows = st.lists(st.lists(cells, max_size=5), max_size=5)


def table(first: str, separator: str) -> st.SearchStrategy[str]:
    """Return texts of a table with this first line."""
    return rows.map(lambda rows: "\n".join([first, *(separator.join(row) for row in rows)]))


manifests = (
    st.tuples(st.just("txt"), st.lists(cells).map("\n".join))
    | st.tuples(st.just("csv"), table("url,file_name,size,md5", ",") | table("url", ","))
    | st.tuples(st.just("csv"), table("URL;Key;ETag", ";") | table("https://example.com/a.jpg,x/a.jpg", ","))
    | st.tuples(st.just("csv"), table("Bucket,Key,Size", ",") | table('"photos","a.jpg"', ","))
    | st.tuples(st.just("txt"), table("Url\tKey", "\t"))
    | st.tuples(st.just("tsv"), table(TSV_HEADER, "\t"))
    | st.tuples(st.just("jsonl"), st.lists((near_images | any_json).map(json.dumps) | texts).map("\n".join))
)
contents = manifests.map(lambda manifest: (manifest[0], encoded(manifest[1]))) | st.tuples(
    st.sampled_from(["txt", "csv", "tsv", "jsonl", "json", "csv.gz", "parquet", ""]), st.binary(max_size=100)
)


def loaded(source: Any) -> int:
    """Load a list, and return the number of names in it; the other entries have records."""
    inventory = Inventory(Naming(keep_tree=True))
    try:
        inventory.load(source)
        valid = [number for number in range(len(inventory)) if inventory.state(number) is ImageState.MISSING]
        keys = {inventory.entry(number).key for number in valid}
        assert len(keys) == len(valid)
        assert len([*inventory.records()]) == len(inventory) - len(valid)
        return len(keys)
    finally:
        inventory.close()


@given(contents)
@example(("jsonl", DEEP_JSON.encode()))
@example(("jsonl", b'{"url": "https://example.com/a.jpg", "size": %s}' % LONG_NUMBER.encode()))
@example(("jsonl", b'{"url": "https://example.com/a.jpg", "size": "%s"}' % LONG_NUMBER.encode()))
@example(("csv", b"url\n" + b'"' + b"a" * 200_000))
def a_manifest_is_an_inventory_or_an_error(manifest: tuple[str, bytes]) -> None:
    extension, content = manifest
    with tempfile.NamedTemporaryFile(suffix=f".{extension}") as file:
        Path(file.name).write_bytes(content)
        value_or_error(lambda: loaded(read_manifest(file.name)), int)


@given(st.lists(near_images | any_json, max_size=5) | any_json)
@example([IMAGE, {**IMAGE, "url": "https://example.com/\ud800.jpg"}])
@example([{**IMAGE, "size": 10**400}])
def a_list_is_an_inventory_or_an_error(images: Any) -> None:
    value_or_error(lambda: loaded(read_images(images)), int)


def fuzz(examples: int, seed: int) -> str:
    """Check the properties."""
    return run_properties(
        (a_manifest_is_an_inventory_or_an_error, a_list_is_an_inventory_or_an_error), examples, seed
    )
