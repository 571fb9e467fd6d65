"""What a sync remembers about images that are stored under other names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.sync import kept_records, known_contents
from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.known_contents import KnownContents
from airflow_provider_123pan.sync.raw_entries import RawEntry

MD5S = ["0" * 32, "1" * 32]


class MemoryVariables:
    """Variables in memory, which can be broken.

    :ivar writes: the number of writes.
    """

    def __init__(self, value: str | None = None) -> None:
        self.value = value
        self.writes = 0
        self.broken = False

    def get(self, name: str) -> str | None:
        if self.broken:
            raise RuntimeError("the database is away")
        return self.value

    def set(self, name: str, value: str, description: str) -> None:
        if self.broken:
            raise RuntimeError("the database is away")
        self.value = value
        self.writes += 1


def inventory(*urls: str, **more: Any) -> Inventory:
    """Return a list of images named a.png, b.png and so on."""
    made = Inventory()
    names = (f"{letter}.png" for letter in "abcd")
    made.load(RawEntry(url, {"url": url, "file_name": next(names)} | more) for url in urls)
    return made


def image(name: str, md5: str | None = MD5S[0], fileID: str = "1") -> Image:
    url = "https://vip.123pan.cn/1.png"
    return Image(fileID, name, "d", None, md5, 1, 2, None, url, None)


URLS = [f"https://example.com/{number}.png" for number in range(4)]


def known(variables: MemoryVariables, *urls: str, md5: str = MD5S[0]) -> list[int]:
    """Return the numbers of the images of a list that a new sync knows by an MD5."""
    contents = KnownContents("account", "photos", variables)
    contents.load(inventory(*urls))
    return sorted(contents.with_md5(md5))


def save(variables: MemoryVariables, names: dict[int, str], **more: Any) -> None:
    """End a sync that found each image, by number, in a file of its own with a name."""
    made = inventory(*URLS, **more)
    for number, name in names.items():
        made.record(number, ImageState.MIGRATED, image(name, fileID=str(number)))
    KnownContents("account", "photos", variables).save(made)


def test_an_image_under_another_name_is_known_to_the_next_sync() -> None:
    variables = MemoryVariables()
    save(variables, {0: "a.png", 1: "x.png", 2: "c(1).png", 3: "a.png"})
    assert known(variables, *URLS) == [1, 2, 3]
    assert known(variables, *URLS, md5=MD5S[1]) == []


def test_images_that_share_a_file_are_known_whatever_its_name_was() -> None:
    variables, made = MemoryVariables(), inventory(*URLS)
    for number, name in ((0, "a.png"), (1, "b.png")):  # each submission renamed the file
        made.record(number, ImageState.MIGRATED, image(name))
    made.record(2, ImageState.MIGRATED, image("c.png", MD5S[1], "2"))
    KnownContents("account", "photos", variables).save(made)
    assert known(variables, *URLS) == [0, 1]


def test_another_url_under_the_same_name_is_not_known() -> None:
    variables = MemoryVariables()
    save(variables, {1: "x.png"})
    assert known(variables, URLS[0], "https://example.com/other.png") == []


def test_what_the_list_states_or_nobody_knows_is_not_written() -> None:
    variables = MemoryVariables()
    save(variables, {1: "x.png"}, md5=MD5S[0])
    made = inventory(*URLS)
    made.record(0, ImageState.MIGRATED, image("x.png", None))
    made.record(1, ImageState.FAILED, image("x.png"))
    KnownContents("account", "photos", variables).save(made)
    assert variables.writes == 0


def test_what_is_known_already_is_not_written_again() -> None:
    variables = MemoryVariables()
    save(variables, {1: "x.png"})
    save(variables, {1: "x.png"})
    assert variables.writes == 1


def test_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_contents, "MAX_RECORDS", 2)
    monkeypatch.setattr(kept_records, "MAX_RECORDS", 2)
    variables = MemoryVariables()
    save(variables, {0: "x.png"})
    save(variables, {1: "x.png"})
    save(variables, {2: "x.png"})
    assert known(variables, *URLS) == [1, 2]


@pytest.mark.parametrize(
    "value", ["", "{", "[]", "null", '{"a": 1}', '{"a": ["b"]}', '{"a": ["b", 3]}', "[" * 100_000]
)
def test_a_variable_of_a_wrong_shape_is_replaced(value: str) -> None:
    variables = MemoryVariables(value)
    assert known(variables, *URLS) == []
    save(variables, {1: "x.png"})
    assert known(variables, *URLS) == [1]
    assert len(json.loads(variables.value or "")) == 1


def test_variables_that_fail_do_not_fail_the_sync(caplog: pytest.LogCaptureFixture) -> None:
    variables = MemoryVariables()
    variables.broken = True
    assert known(variables, *URLS) == []
    save(variables, {1: "x.png"})
    assert "1 images under other names will be submitted again" in caplog.text
    assert variables.value is None


def test_a_variable_that_cannot_be_read_keeps_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = MemoryVariables()
    save(variables, {0: "x.png"})
    with monkeypatch.context() as patch:
        patch.setattr(variables, "get", lambda name: 1 / 0)
        save(variables, {1: "x.png"})
    assert known(variables, *URLS) == [0]


def test_images_that_ended_in_an_earlier_worker_may_share_a_file() -> None:
    variables, first = MemoryVariables(), inventory(*URLS)
    first.record(0, ImageState.MIGRATED, image("a.png"))
    first.record(1, ImageState.MIGRATED, image("b.png", MD5S[1], "2"))
    first.record(2, ImageState.PRESENT, image("c.png", "2" * 32, "3"))
    recent = KnownContents("account", "photos", variables).recent(first)
    assert [*recent.values()] == MD5S
    second = inventory(*URLS)
    second.record(3, ImageState.MIGRATED, image("x.png"))
    KnownContents("account", "photos", variables, recent).save(second)
    assert known(variables, *URLS) == [0, 3]


def test_a_checkpoint_holds_the_last_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_contents, "MAX_RECENT", 2)
    made = inventory(*URLS)
    for number in range(4):
        made.record(number, ImageState.MIGRATED, image("x.png", str(number) * 32))
    contents = KnownContents("account", "photos", MemoryVariables(), {"gone": "4" * 32})
    assert [*contents.recent(made).values()] == ["2" * 32, "3" * 32]
