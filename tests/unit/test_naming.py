"""Names that a sync derives: by a template, unique where it has a digest, and valid for the service."""

from __future__ import annotations

import pytest

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.source.naming import DEFAULT_TEMPLATE, Naming
from airflow_provider_123pan.sync.entries import ManifestEntry
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.manifest import read_images

URL = "https://Cdn.Example.com:8443/2026/11/%E5%9B%BE%3A1.JPG?w=1"


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{stem}.{ext}", "图_1.JPG"),
        ("{path}.{ext}", "2026_11_图_1.JPG"),
        ("{host}-{stem}.{ext}", "cdn.example.com-图_1.JPG"),
        ("{stem}{{x}}.{ext}", "图_1{x}.JPG"),
    ],
)
def test_a_template_names_an_image(template: str, name: str) -> None:
    assert ManifestEntry.of({"url": URL}, Naming(template)).file_name == name


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://a.com/?fm=gif", "image-image.gif"),
        ("https://a.com/x/640?wx_fmt=png", "x_640-640.png"),
        ("https://a.com/x/.png?fm=png", "x_.png-png.png"),
        (f"https://a.com/{'d/' * 300}1.png", f"{'d_' * 79}1-1.png"),
    ],
)
def test_a_path_is_part_of_a_name(url: str, name: str) -> None:
    assert ManifestEntry.of({"url": url}, Naming("{path}-{stem}.{ext}")).file_name == name


def test_the_default_is_the_last_part_and_a_digest() -> None:
    url = "https://a.com/p.png"
    assert Naming(DEFAULT_TEMPLATE).derive(url) == Naming().derive(url) == "p-eephzffc7k4y.png"
    assert Naming("2026-11-25 {digest}.{ext}").derive(url) == "2026-11-25 eephzffc7k4y.png"


def test_a_given_name_stays() -> None:
    entry = ManifestEntry.of({"url": URL, "file_name": "a.png"}, Naming("{digest}.{ext}"))
    assert entry.file_name == "a.png"


def test_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(Pan123InputError, match="^name: the name has 304 characters, at most 254"):
        ManifestEntry.of({"url": "https://a.com/1.png"}, Naming("x" * 299 + "{stem}.{ext}"))


def test_names_without_a_digest_may_clash() -> None:
    inventory = Inventory(Naming("{stem}.{ext}"))
    inventory.load(read_images(["https://a.com/1/a.png", "https://a.com/2/a.png"]))
    (record,) = inventory.records()
    inventory.close()
    assert record.url == "https://a.com/2/a.png"
    assert str(record.reason).startswith("images[1]: file_name: 'a.png' is taken by 'a.png' of images[0]")
