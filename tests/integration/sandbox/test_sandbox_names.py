"""How the sandbox names stored images."""

from __future__ import annotations

import re
import unicodedata

import pytest

from tests.integration.sandbox.support import MOVE, Client


@pytest.mark.parametrize(
    ("naming", "wanted", "pattern"),
    [
        ("kept", "café.JPEG", r"café\.JPEG"),
        ("timestamped", "cat.a.jpg", r"cat\.a_20\d{12}\.jpg"),
        ("hashed", "cat.jpg", r"[0-9a-f]{32}\.jpg"),
        ("nfd", "café.jpg", r"cafe\u0301\.jpg"),
        ("jpg", "cat.jpeg", r"cat\.jpg"),
        ("jpg", "cat.TIFF", r"cat\.tif"),
        ("jpg", "cat.png", r"cat\.png"),
        ("cut", "c" * 80 + ".jpg", r"c{36}\.jpg"),
        ("cut", "cat.jpg", r"cat\.jpg"),
    ],
)
def test_an_image_is_named_by_the_rule(client: Client, naming: str, wanted: str, pattern: str) -> None:
    client.sandbox.configure(fetch=False, naming=naming)
    client.migrate("http://127.0.0.1/a.png", fileName=unicodedata.normalize("NFC", wanted))
    (image,) = client.sandbox.state()["files"]
    assert re.fullmatch(pattern, image["filename"])
    if naming == "hashed":
        assert image["filename"] == f"{image['etag']}.jpg"


@pytest.mark.parametrize("numbering", ["name(1)", "name (1)", "name_1", "name-1"])
def test_a_taken_name_gets_a_number(client: Client, numbering: str) -> None:
    client.sandbox.configure(fetch=False, numbering=numbering)
    shop, attic = client.directory("shop"), client.directory("attic")
    for number in range(2):
        client.migrate(f"http://127.0.0.1/{number}.png", fileName="a.b.png", businessDirID=shop)
    client.migrate("http://127.0.0.1/2.png", fileName="a.b.png", businessDirID=attic)
    expected = [f"{numbering.replace('name', 'a.b')}.png", "a.b.png"]
    assert [image["filename"] for image in client.files(shop)] == expected

    (moved,) = client.files(attic)
    assert client.post(MOVE, fileIDs=[moved["fileId"]], toParentFileID=shop)["code"] == 0
    assert client.files(shop)[0]["filename"] == f"{numbering.replace('name', 'a.b').replace('1', '2')}.png"


def test_the_name_of_an_overwritten_image_follows_the_rule(client: Client) -> None:
    client.sandbox.configure(fetch=False, naming="jpg")
    client.migrate("http://127.0.0.1/a.png", fileName="first.jpeg")
    client.migrate("http://127.0.0.1/a.png", fileName="second.jpeg")
    assert [image["filename"] for image in client.sandbox.state()["files"]] == ["second.jpg"]
