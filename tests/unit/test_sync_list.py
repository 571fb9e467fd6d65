"""A list's entries: their names, what is the same, and every error at once with its line."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.service.redaction import redact_url
from airflow_provider_123pan.sync.entries import ManifestEntry, unnumbered
from airflow_provider_123pan.sync.image_list import difference
from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.manifest import read_images, read_manifest

MD5 = hashlib.md5(b"x").hexdigest()
MD5_64 = base64.b64encode(bytes.fromhex(MD5)).decode()


@pytest.fixture
def inventory() -> Iterator[Inventory]:
    made = Inventory()
    yield made
    made.close()


def stored(file_name: str, **fields: Any) -> Image:
    given: dict[str, Any] = {
        "fileID": "f",
        "directory_id": "d",
        "directory_name": "photos",
        "etag": None,
        "size": None,
        "status": 2,
        "changed_at": None,
        "download_url": None,
        "user_url": None,
    }
    return Image(file_name=file_name, **given | fields)


def name_of(url: str) -> str:
    return ManifestEntry.of({"url": url}).file_name


@pytest.mark.parametrize(
    ("url", "stem", "extension"),
    [
        ("https://a.com/x/photo.JPG", "photo-", ".JPG"),
        ("https://a.com/%E5%9B%BE.png?v=2", "图-", ".png"),
        ("https://mmbiz.qpic.cn/mmbiz_png/abc/640?wx_fmt=png", "640-", ".png"),
        ("https://a.com/img?format=image/webp", "img-", ".webp"),
        ("https://a.com/?FM=gif", "image-", ".gif"),
        ("https://a.com/a%2Fb%3A%22.png", "b__-", ".png"),
        (f"https://a.com/{'n' * 300}.png", "n" * 80 + "-", ".png"),
    ],
)
def test_a_name_is_the_last_part_and_a_digest(url: str, stem: str, extension: str) -> None:
    name = name_of(url)
    assert name.startswith(stem)
    assert name.endswith(extension)
    assert len(name) == len(stem) + 12 + len(extension)


def test_names_are_unique_and_the_same_tomorrow() -> None:
    tonight = name_of("https://a.com/p.png?X-Amz-Date=1&X-Amz-Signature=s&v=1#top")
    assert tonight == name_of("https://a.com/p.png?v=1&X-Amz-Date=2&x-amz-signature=t")
    assert tonight != name_of("https://a.com/p.png?v=2")
    assert name_of("https://a.com/1/p.png") != name_of("https://a.com/2/p.png")
    assert name_of("https://a.com/p.png") == "p-eephzffc7k4y.png"


def test_logs_show_no_secret() -> None:
    url = "https://me:pw@a.com/p.png?sig=0123456789&v=1#top"
    assert redact_url(url) == "https://a.com/p.png?sig=***&v=1"


@pytest.mark.parametrize(
    ("stem", "plain"), [("a(1)", "a"), ("a(12)", "a"), ("a(b)", "a(b)"), ("(1)a", "(1)a")]
)
def test_the_services_numbers(stem: str, plain: str) -> None:
    assert unnumbered(stem) == plain


@pytest.mark.parametrize("md5", [MD5, MD5.upper(), MD5_64])
def test_md5_in_hex_and_base_64(md5: str) -> None:
    assert ManifestEntry.of({"url": "https://a.com/p.png", "md5": md5, "size": " 12 "}).md5 == MD5


FILES = {
    "a.txt": "\ufeffhttps://a.com/1.png\n\n# a comment\n  https://a.com/2.png  \r\nhttps://a.com/1.png\n",
    "a.csv": f'file_name,url,size,md5\n,https://a.com/1.png,,\n"x,y.png",https://a.com/2.png,12,{MD5}\n',
    "a.jsonl": '{"url": "https://a.com/1.png"}\n\n{"url": "https://a.com/2.png", "size": 12, "md5": null}\n',
    "a.tsv": f"TsvHttpData-1.0\nhttps://a.com/1.png\nhttps://a.com/2.png\t12\t{MD5_64}\n",
}


@pytest.mark.parametrize("name", FILES)
def test_manifests(name: str, tmp_path: Path, inventory: Inventory) -> None:
    (tmp_path / name).write_text(FILES[name], encoding="utf-8")
    inventory.load(read_manifest(str(tmp_path / name)))
    assert [inventory.entry(number).url for number in range(len(inventory))] == [
        "https://a.com/1.png",
        "https://a.com/2.png",
    ]
    if name != "a.txt":
        assert inventory.entry(1).size == 12
    assert inventory.entry(1).md5 == (MD5 if name in ("a.csv", "a.tsv") else None)
    if name == "a.csv":
        assert inventory.entry(1).file_name == "x,y.png"


WRONG = {
    "a.txt": (
        "https://a.com/1.png\nftp://a.com/2.png\nhttps://a.com/3\n",
        ["line 2: url: ", "line 3: file_name: "],
    ),
    "a.csv": (
        "url,size\nhttps://a.com/1.png,x\nhttps://a.com/2.png\n,3\n",
        ["line 2: size: ", "line 3: it has 1 "],
    ),
    "a.jsonl": (
        "\n".join(
            [
                '{"url": "https://a.com/1.png", "size": "x"}',
                "[1]",
                '{"url"',
                '{"url": 3}',
                '{"url": "https://a.com/2.png", "file_name": "a.exe"}',
                '{"url": "https://a.com/2.png", "md5": "1"}',
            ]
        ),
        [
            "line 1: size: ",
            "line 2: got a list",
            "line 3: not JSON",
            "line 4: url",
            "line 5: file_name",
            "line 6: md5",
        ],
    ),
    "a.tsv": (
        "TsvHttpData-1.0\nhttps://a.com/1.png\t1\t2\t3\nhttps://a.com/1.png\t-1\n",
        ["line 2: it has 4 fields", "line 3: size"],
    ),
    "names.csv": (
        "url,file_name\nhttps://a.com/1.png,a.png\nhttps://a.com/2.png,a.jpg\n",
        ["line 3: file_name: 'a.jpg' is taken by 'a.png' of line 2"],
    ),
    "sizes.csv": (
        "url,size\nhttps://a.com/1.png,1\nhttps://a.com/1.png,2\n",
        ["line 3: size: it contradicts line 2"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_all_that_is_wrong_is_told_at_once(name: str, tmp_path: Path, inventory: Inventory) -> None:
    text, expected = WRONG[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(Pan123InputError) as error:
        inventory.load(read_manifest(str(tmp_path / name)), refuse_invalid=True)
    for words in expected:
        assert words in error.value.message
    assert error.value.message.count("\n") >= len(expected)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.xml", "", "is none of .txt, .csv"),
        ("missing.txt", None, "there is no file"),
        ("a.csv", "address\nhttps://a.com/1.png\n", "must be the header"),
        ("a.csv", "https://a.com/1.png,1.png,3\n", "must be the header"),
        ("a.csv", "url,url\n", "must be the header"),
        ("a.csv", "1.png\n2.png\n", "must be the header"),
        ("a.txt", b"\xff\xfe", "is not UTF-8"),
        ("a.txt.gz", b"https://a.com/1.png\n", "cannot be read"),
        ("manifest.json", b'{"images": []}', "is not the manifest of an S3 Inventory"),
        ("a.parquet", b"PAR1", "cannot be read"),
    ],
)
def test_a_manifest_that_is_none(name: str, text: Any, words: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(Pan123InputError, match=words) as error:
        list(read_manifest(str(path)))
    assert error.value.message.startswith("manifest: ")


@pytest.mark.parametrize("images", ["https://a.com/1.png", b"x", {"url": "https://a.com/1.png"}, 3, None])
def test_images_that_are_no_list(images: Any) -> None:
    with pytest.raises(Pan123InputError, match="^images: got a "):
        list(read_images(images))


def test_places_in_a_list(inventory: Inventory) -> None:
    with pytest.raises(Pan123InputError, match=r"images\[1\]: got a int.*\n.*images\[2\]: url"):
        inventory.load(read_images(["https://a.com/1.png", 3, {"file_name": "a.png"}]), refuse_invalid=True)


def test_a_thousand_errors_do_not_fill_the_screen(inventory: Inventory) -> None:
    with pytest.raises(Pan123InputError, match="1000 entries are invalid") as error:
        inventory.load(
            read_images([{"url": f"ftp://a.com/{number}.png"} for number in range(1000)]), refuse_invalid=True
        )
    assert "images[49]" in error.value.message
    assert "images[50]" not in error.value.message
    assert "and 950 more" in error.value.message
    assert len(error.value.message) < 10_000


def test_the_directorys_images_are_known_by_name_and_md5(inventory: Inventory) -> None:
    inventory.load(
        read_images(
            [
                {"url": "https://a.com/1.png", "file_name": "a.png"},
                {"url": "https://a.com/2.png", "file_name": "a(1).png"},
                {"url": "https://a.com/3.png", "file_name": "b.png", "md5": MD5, "size": 1},
                {"url": "https://a.com/4.png", "file_name": "d.png", "size": 1},
                {"url": "https://a.com/5.png", "file_name": "e.png", "md5": "e" * 32},
            ]
        )
    )
    assert inventory.matches(stored("a.jpg")) == [0]
    assert inventory.matches(stored("a(1).png")) == [1]
    assert inventory.matches(stored("a(2).png")) == []  # maybe another image's own name
    assert inventory.matches(stored("d(1).png", size=1)) == [3]
    assert inventory.matches(stored("d(1).png", size=2)) == []
    assert inventory.matches(stored("d(1).png")) == []
    assert inventory.matches(stored("e(1).png", etag="e" * 32, size=5)) == [4]
    assert inventory.matches(stored("e(1).png", etag="f" * 32, size=5)) == []
    assert inventory.matches(stored("c.png")) == []
    assert inventory.matches(stored("b.png", etag=MD5, size=1)) == [2]
    assert inventory.matches(stored("other.png", etag=MD5, size=1)) == [2]
    assert inventory.matches(stored("b.png", etag="0" * 32)) == []
    assert inventory.matches(stored("b.png", etag=MD5, size=2)) == []
    assert "the list says" in str(difference(inventory.entry(2), stored("b.png", etag=MD5, size=2)))


def test_what_travels_to_another_worker(inventory: Inventory) -> None:
    images = [f"https://a.com/{number}.png" for number in range(1000)]
    inventory.load(read_images(images))
    for number in range(500):
        inventory.record(number, ImageState.PRESENT)
    dumped = inventory.dump()
    assert sum(map(len, dumped.values())) < 200
    other = Inventory()
    other.load(read_images([f"{url}?auth_key=new" for url in images]))
    assert other.restore(dumped)
    assert (other.count(ImageState.PRESENT), other.first(ImageState.MISSING)) == (500, 500)
    assert list(other.records()) == []
    other.close()
    changed = Inventory()
    changed.load(read_images(images[1:]))
    assert not changed.restore(dumped)
    assert changed.count(ImageState.PRESENT) == 0
    changed.close()


@pytest.mark.parametrize(
    "entry",
    [
        {"url": "https://a.com/\ud800.png"},
        {"url": "https://a.com/1.png", "size": 10**30},
        {"url": "https://a.com/1.png", "size": "9" * 5000},
        {"url": "https://a.com/1.png", "file_name": "\ud800.png"},
    ],
)
def test_what_no_database_takes(entry: dict[str, Any], inventory: Inventory) -> None:
    with pytest.raises(Pan123InputError, match=r"images\[0\]: "):
        inventory.load(read_images([entry]), refuse_invalid=True)


def test_deep_json_has_its_line_number(tmp_path: Path, inventory: Inventory) -> None:
    (tmp_path / "a.jsonl").write_text("[" * 60_000 + "\n")
    with pytest.raises(Pan123InputError, match="line 1: not JSON"):
        inventory.load(read_manifest(str(tmp_path / "a.jsonl")), refuse_invalid=True)


def test_what_a_repetition_adds(inventory: Inventory) -> None:
    url = "https://a.com/1.png"
    inventory.load(read_images([url, {"url": url, "md5": MD5}, {"url": url, "size": 3}]))
    assert (len(inventory), inventory.entry(0).md5, inventory.entry(0).size) == (1, MD5, 3)
    assert inventory.matches(stored("x.png", etag=MD5)) == [0]


def test_large_numbers_of_the_service(inventory: Inventory) -> None:
    inventory.load(read_images(["https://a.com/1.png"]))
    inventory.record(0, ImageState.MIGRATED, stored("1.png", size=2**70), taskID=2**64 - 1)
    (record,) = inventory.records()
    assert (record.taskID, record.size) == (2**64 - 1, None)
