"""What the worker does with images that it fails to fetch or to upload."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_123pan.exceptions import (
    Pan123CredentialsError,
    Pan123Error,
    Pan123InputError,
    Pan123ServiceError,
    Pan123SourceError,
    Pan123UnavailableError,
    Pan123UploadError,
)
from airflow_provider_123pan.service.image_file import ImageFile
from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.source.convert import Converter
from airflow_provider_123pan.source.naming import Naming
from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.manifest import read_images
from airflow_provider_123pan.sync.options import Fetch
from airflow_provider_123pan.sync.result_record import ResultRecord
from airflow_provider_123pan.sync.timing import SyncTiming
from airflow_provider_123pan.sync.worker_fetches import WorkerFetches
from dev.waiting import wait_for
from tests.support import image

PNG = b"\x89PNG\r\n\x1a\n" + bytes(60)
ETAG = "a" * 32
TIMING = SyncTiming(max_put_backs=3, retry_for=100.0)
TAKEN = Pan123ServiceError("该目录下文件名重复无法创建", code=1)
UNAVAILABLE = Pan123UnavailableError("HTTP 502 from the gateway")

Outcomes = list[Pan123Error | None]


class Upload:
    """A source and a service that fail as told, in this order, and then succeed.

    :ivar names: under which images were uploaded.
    """

    def __init__(self, entries: list[Any], *, overwrite: bool = False) -> None:
        self.now = 1000.0
        self.fetched: Outcomes = []
        self.uploaded: Outcomes = []
        self.names: list[str] = []
        self.inventory = Inventory(Naming("{stem}.{ext}", needs_format=False), Fetch.AUTO)
        self.inventory.load(read_images(entries))
        for number in range(len(entries)):
            self.inventory.record(number, ImageState.WORKER)
        options: Any = SimpleNamespace(
            fetching=SimpleNamespace(access=self, max_uploads=1, converter=Converter()),
            overwrite=overwrite,
            allow_equal=False,
        )
        hook: Any = self
        self.fetches = WorkerFetches(
            hook, self.inventory, options, lambda folder: "directory", TIMING, lambda: self.now
        )

    def fetch(self, url: str) -> ImageFile:
        self._end(self.fetched)
        return ImageFile(io.BytesIO(PNG), len(PNG), ETAG)

    def upload_image(self, source: ImageFile, file_name: str, directory_id: str) -> Image:
        self.names.append(file_name)
        self._end(self.uploaded)
        return image(file_name, etag=ETAG)

    @staticmethod
    def _end(outcomes: Outcomes) -> None:
        if outcomes and (error := outcomes.pop(0)):
            raise error

    def step(self, *, others_ended: bool = True) -> bool:
        """Let everything that has begun end."""
        self.fetches.fill(others_ended=others_ended)
        before = len(self.fetches)
        while len(self.fetches):
            wait_for(self.fetches.collect, what="an end", timeout=30, every=0.001)
        return before > 0

    def record(self) -> ResultRecord:
        (found,) = self.inventory.records()
        return found


@pytest.fixture
def uploading() -> Iterator[Callable[..., Upload]]:
    made: list[Upload] = []

    def make(entries: list[Any] | None = None, **options: Any) -> Upload:
        made.append(Upload(entries or ["https://example.com/a.png"], **options))
        return made[-1]

    yield make
    for each in made:
        each.fetches.close()


def test_an_image_is_tried_again_when_all_others_have_ended(uploading: Callable[..., Upload]) -> None:
    one = uploading()
    one.fetched = [Pan123SourceError("source answered 503")]
    assert one.step()
    assert not one.step(others_ended=False)
    assert (one.fetches.is_busy, one.fetches.is_uploading) == (True, False)
    assert one.step()
    assert (one.record().status, one.record().fetched_by) == ("migrated", "worker")
    assert not one.fetches.is_busy


@pytest.mark.parametrize(
    "error", [Pan123SourceError("source answered 404"), Pan123UploadError("other bytes")]
)
def test_a_second_failure_is_final(error: Pan123Error, uploading: Callable[..., Upload]) -> None:
    one = uploading()
    one.inventory.record(0, ImageState.WORKER, reason="the callback reports: 404")
    one.fetched = [error, error]
    assert one.step()
    assert one.step()
    assert one.record().reason == f"service: the callback reports: 404; worker: {error.message}"
    assert not one.fetches.is_busy


def test_what_no_retry_can_help_is_final_at_once(uploading: Callable[..., Upload]) -> None:
    one = uploading()
    one.fetched = [Pan123InputError("123pan takes no .avif")]
    assert one.step()
    assert (one.record().status, one.record().reason) == ("failed", "123pan takes no .avif")


@pytest.mark.parametrize(
    "error", [Pan123CredentialsError("wrong secret"), Pan123ServiceError("traffic", code=5113)]
)
def test_what_concerns_the_account_ends_the_sync(
    error: Pan123Error, uploading: Callable[..., Upload]
) -> None:
    one = uploading()
    one.uploaded = [error]
    with pytest.raises(type(error)):
        one.step()


def test_uploads_pause_while_the_service_is_unavailable(uploading: Callable[..., Upload]) -> None:
    one = uploading()
    one.uploaded = [UNAVAILABLE, UNAVAILABLE]
    assert one.step()
    assert not one.step()
    one.now += 1.1
    assert one.step()
    one.now += 2.1
    assert one.step()
    assert one.record().status == "migrated"


def test_an_image_that_always_finds_the_service_unavailable_fails(uploading: Callable[..., Upload]) -> None:
    one = uploading()
    one.uploaded = [UNAVAILABLE] * 6
    while one.fetches.is_busy:
        one.step()
        one.now += 10
    assert one.record().reason == UNAVAILABLE.message
    assert one.uploaded == []


def test_a_service_that_stays_unavailable_ends_the_sync(uploading: Callable[..., Upload]) -> None:
    one = uploading()
    one.uploaded = [UNAVAILABLE] * 2
    assert one.step()
    one.now += 101
    with pytest.raises(Pan123UnavailableError):
        one.step()


NUMBERED = {
    "MD5": ({"md5": ETAG}, False, ["a.png", "a(1).png", "a(2).png"]),
    "size": ({"size": len(PNG)}, False, ["a.png", "a(1).png", "a(2).png"]),
    "overwrite": ({}, True, ["a.png", "a(1).png", "a(2).png"]),
    "nothing that tells them apart": ({}, False, ["a.png"]),
}


@pytest.mark.parametrize(("stated", "overwrite", "names"), NUMBERED.values(), ids=NUMBERED)
def test_a_taken_name_gets_a_number_if_the_next_sync_can_tell_the_images_apart(
    stated: dict[str, Any], overwrite: bool, names: list[str], uploading: Callable[..., Upload]
) -> None:
    one = uploading([{"url": "https://example.com/a.png", **stated}], overwrite=overwrite)
    one.uploaded = [TAKEN, TAKEN]
    assert one.step()
    assert one.names == names
    assert one.record().status == ("migrated" if len(names) > 1 else "failed")


def test_a_name_without_a_format_gets_that_of_the_bytes(uploading: Callable[..., Upload]) -> None:
    one = uploading(["https://example.com/640"])
    assert one.step()
    assert one.names == ["640.png"]


def test_a_name_that_stays_taken_is_a_clear_reason(uploading: Callable[..., Upload]) -> None:
    one = uploading([{"url": "https://example.com/a.png", "md5": ETAG}])
    one.uploaded = [TAKEN] * 4
    assert one.step()
    assert one.record().reason == (
        "file_name: the directory has another image of the name 'a.png'; give another name, or delete that image"
    )
