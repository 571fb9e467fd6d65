"""Entries of a list whose images the worker converts: their names, who fetches them, and what counts as there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.source.formats import sniff
from airflow_provider_123pan.source.naming import Naming
from airflow_provider_123pan.sync.comparison import Comparison
from airflow_provider_123pan.sync.conversions import Conversion
from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.in_flight import InFlight
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.known_contents import KnownContents
from airflow_provider_123pan.sync.known_conversions import KnownConversions
from airflow_provider_123pan.sync.manifest import read_images
from airflow_provider_123pan.sync.options import Fetch
from airflow_provider_123pan.sync.timing import SyncTiming
from tests.support import image

SOURCE, OTHER, STORED, NEWER = ("0" * 32, "1" * 32, "2" * 32, "3" * 32)
NAMING = Naming("{stem}.{ext}", needs_format=False, targets={"avif": "webp", "heic": "jpeg", "tif": "webp"})
HOST = "https://example.com"


class MemoryVariables:
    """One Variable in memory."""

    def __init__(self) -> None:
        self.value: str | None = None

    def get(self, name: str) -> str | None:
        return self.value

    def set(self, name: str, value: str, description: str) -> None:
        self.value = value


def listed(*entries: Any, naming: Naming = NAMING) -> Inventory:
    made = Inventory(naming, Fetch.AUTO)
    made.load(read_images(entries))
    return made


NAMES: dict[str, tuple[Any, str, bool]] = {
    "URL": (f"{HOST}/cat.avif", "cat.webp", True),
    "capitals": (f"{HOST}/cat.AVIF?x=1", "cat.webp", True),
    "another spelling": (f"{HOST}/cat.heif", "cat.jpeg", True),
    "a format that 123pan takes": (f"{HOST}/cat.tiff", "cat.webp", True),
    "query": (f"{HOST}/cat?format=image/avif", "cat.webp", True),
    "name": ({"url": f"{HOST}/640", "file_name": "cat.avif"}, "cat.webp", True),
    "name and URL": ({"url": f"{HOST}/1.avif", "file_name": "cat.heic"}, "cat.jpeg", True),
    "name of another format": ({"url": f"{HOST}/1.avif", "file_name": "cat.v2.jpg"}, "cat.v2.webp", True),
    "path": ("file:///data/cat.avif", "cat.webp", True),
    "neither": (f"{HOST}/cat.png", "cat.png", False),
    "no format": (f"{HOST}/640", "640.", False),
}


@pytest.mark.parametrize(("entry", "name", "converted"), NAMES.values(), ids=NAMES)
def test_what_shows_a_format_to_convert_is_for_the_worker(entry: Any, name: str, converted: bool) -> None:
    made = listed(entry)
    assert (made.entry(0).file_name, made.entry(0).converted) == (name, converted)
    assert made.state(0) is (ImageState.WORKER if converted else ImageState.MISSING)


INVALID = {
    f"{HOST}/cat.avif": "url: 123pan takes no .avif; convert it to one of bmp, gif, jpeg, jpg, png, svg, tif, tiff, "
    "webp, or have a sync's worker do so: fetch='auto', convert={'avif': 'webp'}",
    f"{HOST}/cat.heif": "or have a sync's worker do so: fetch='auto', convert={'heic': 'webp'}",
    f"{HOST}/cat.jxl": "svg, tif, tiff, webp",
}


@pytest.mark.parametrize("url", INVALID)
def test_a_format_that_is_not_converted_is_invalid(url: str) -> None:
    made = listed(url, naming=Naming(targets={"png": "webp"}))
    assert made.state(0) is ImageState.FAILED
    reason = made.reason(0)
    assert reason is not None
    assert reason.endswith(INVALID[url])


def test_a_name_without_an_extension_stays_invalid() -> None:
    made = listed({"url": f"{HOST}/cat.avif", "file_name": "cat"})
    assert made.state(0) is ImageState.FAILED


def stored(name: str, etag: str = STORED, *, age: float = 0) -> Image:
    return image(name, etag=etag, size=7, age=age, file_id=f"{name} {etag}")


def compared(made: Inventory, *images: Image) -> list[str | None]:
    """The fileIDs that count as there, by number."""
    contents = KnownContents("account", "photos", MemoryVariables())
    comparison = Comparison(made, InFlight("seed"), contents, SyncTiming(), overwrite=False)
    for each in images:
        comparison.compare(each)
    found = {record.url: record.fileID for record in made.records()}
    return [found.get(made.entry(number).url) for number in range(len(made))]


def entry(name: str = "cat.avif", **stated: Any) -> dict[str, Any]:
    return {"url": f"{HOST}/{name}", **stated}


UNKNOWN: dict[str, tuple[dict[str, Any], str, bool]] = {
    "converted": (entry(md5=SOURCE, size=5), "cat.webp", True),
    "nothing stated": (entry(), "cat.webp", True),
    "misnamed": (entry("cat.jpg", md5=SOURCE), "cat.webp", True),
    "no format": (entry("cat", md5=SOURCE), "cat.webp", True),
    "numbered": (entry(size=5), "cat(1).webp", True),
    "not what it becomes": (entry("cat.png", md5=SOURCE), "cat.png", False),
    "unconverted": (entry("cat.tif", md5=SOURCE), "cat.tif", False),
    "the extension of a target": (entry("cat.webp", md5=SOURCE), "cat.webp", False),
}


@pytest.mark.parametrize(("given", "name", "is_there"), UNKNOWN.values(), ids=UNKNOWN)
def test_without_a_known_source_the_name_decides(given: dict[str, Any], name: str, is_there: bool) -> None:
    image = stored(name)
    assert compared(listed(given), image) == [image.fileID if is_there else None]


@pytest.mark.parametrize("reverse", [False, True])
def test_of_several_images_of_the_name_the_newest_counts(reverse: bool) -> None:
    old, new = stored("cat.webp", age=60), stored("cat(1).webp", NEWER, age=5)
    images = (new, old) if reverse else (old, new)
    assert compared(listed(entry(md5=SOURCE)), *images) == [new.fileID]


KNOWN: dict[str, tuple[dict[str, Any], str | None]] = {
    "MD5 and size": ({"md5": SOURCE, "size": 5}, "cat(1).webp"),
    "MD5": ({"md5": SOURCE}, "cat(1).webp"),
    "size": ({"size": 5}, "cat(1).webp"),
    "another MD5": ({"md5": OTHER}, None),
    "another size": ({"size": 6}, None),
}


@pytest.mark.parametrize("name", ["cat.avif", "cat.jpg", "cat.webp"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("stated", "there"), KNOWN.values(), ids=KNOWN)
def test_with_a_known_source_it_decides(
    stated: dict[str, Any], there: str | None, reverse: bool, name: str
) -> None:
    made = listed(entry(name, **stated))
    made.conversions.add(0, Conversion(SOURCE, 5, NEWER))
    images = [stored("cat.webp", age=0), stored("cat(1).webp", NEWER, age=60)]
    found = compared(made, *(reversed(images) if reverse else images))
    assert found == [f"{there} {NEWER}" if there else None]


def test_a_converted_image_is_known_under_any_name() -> None:
    made = listed(entry(md5=SOURCE), entry("dog.avif", md5=SOURCE))
    for number in range(2):
        made.conversions.add(number, Conversion(SOURCE, 5, STORED))
    assert compared(made, stored("dog.webp")) == [f"dog.webp {STORED}"] * 2


def test_only_what_the_list_states_is_kept_for_the_next_sync() -> None:
    variables = MemoryVariables()
    made = listed(entry(md5=SOURCE), entry("dog.avif"), entry("cow.avif", size=5))
    for number in range(3):
        made.conversions.add(number, Conversion(SOURCE, 5, STORED))
    KnownConversions("account", "photos", variables).save(made)
    again = listed(entry("cow.avif", size=5), entry(md5=SOURCE), entry("dog.avif", size=5))
    KnownConversions("account", "photos", variables).load(again)
    kept = Conversion(SOURCE, 5, STORED)
    assert [again.conversions.get(number) for number in range(3)] == [kept, kept, None]


@pytest.mark.parametrize("value", ["[]", '{"key": ["a", "b"]}', "{"])
def test_a_variable_of_a_wrong_shape_is_ignored(value: str) -> None:
    variables = MemoryVariables()
    variables.value = value
    made = listed(entry(md5=SOURCE))
    KnownConversions("account", "photos", variables).load(made)
    assert made.conversions.get(0) is None


@pytest.mark.parametrize("size", ["", "-1", "x", "9" * 30])
def test_a_size_that_is_no_number_is_ignored(size: str) -> None:
    variables = MemoryVariables()
    made = listed(entry(md5=SOURCE))
    variables.value = json.dumps({made.key(0): [SOURCE, size, STORED]})
    KnownConversions("account", "photos", variables).load(made)
    assert made.conversions.get(0) is None


HEADS = {
    b"\0\0\0\x1cftypavif": "avif",
    b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf": "avif",
    b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf": "heic",
    b"\0\0\0\x10ftypmif1\0\0\0\0avif": "heic",  # behind the end of the brands
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic": "heic",
}


@pytest.mark.parametrize(("head", "found"), HEADS.items())
def test_brands_distinguish_avif_from_heic(head: bytes, found: str) -> None:
    assert sniff(head + bytes(60)) == found
