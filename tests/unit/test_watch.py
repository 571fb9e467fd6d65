"""A watch whose listings lack URLs, and whose records fail: nothing is lost, and no image holds up another one."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import pytest

from airflow_provider_123pan import exceptions
from airflow_provider_123pan.arrivals import watch
from airflow_provider_123pan.arrivals.watch import ArrivalTiming, Watch
from airflow_provider_123pan.service.models import Image, Listing
from airflow_provider_123pan.service.protocol import Call
from tests.support import image

OF_ONE_IMAGE = [
    exceptions.Pan123UnavailableError("HTTP 404 from the gateway"),
    exceptions.Pan123VerifyingError("20103"),
]
OF_ALL_CALLS = [exceptions.Pan123RateLimitError("429"), exceptions.Pan123TokenError("401")]


class DoneError(Exception):
    """The directory was listed as often as the test wants."""


class Directory:
    """A directory that is watched, as the client and the store of a watch.

    :ivar listed: the images in each listing.
    :ivar details: what ``get_image`` answers, by fileID and number of the listing.
    :ivar since: from when each listing was to show images.
    :ivar asked: the fileIDs of the records that were requested, for each listing.
    :ivar client, queue, settings: as the watch uses them.
    """

    def __init__(
        self, listed: list[Image], details: dict[str, Callable[[int], Image | Exception]], listings: int = 3
    ) -> None:
        self.listed, self.details, self._listings = listed, details, listings
        self.since: list[int] = []
        self.asked: list[list[str]] = []
        self.client = self.queue = self.settings = self
        self.callback_base_url = None

    async def enqueue(self, at: float) -> None:
        """Queue for no time."""

    async def call(self, call: Call[Any]) -> Image | Listing:
        if call.name == "get_image":
            assert call.params
            self.asked[-1].append(call.params["fileID"])
            found = self.details[call.params["fileID"]](len(self.asked))
            if isinstance(found, Exception):
                raise found
            return found
        if len(self.asked) == self._listings:
            raise DoneError
        assert call.body
        self.asked.append([])
        self.since.append(call.body["startTime"])
        return Listing(tuple(self.listed), (), None)

    async def load(self) -> Any:
        return None

    async def save(self, cursor: dict[str, Any]) -> None:
        """Keep nothing."""


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Watch a directory until it was listed often enough, and return the fileIDs of the events."""

    async def run(directory: Directory, **durations: float) -> list[str]:
        @asynccontextmanager
        async def shared(conn_id: str) -> AsyncIterator[Directory]:
            yield directory

        monkeypatch.setattr(watch, "shared_client", shared)
        given: dict[str, Any] = {"stored_within": 0.0, "max_age": 0.0, "retry": (0.0, 0.0)} | durations
        watching = Watch("c", "dir", (), 0.001, directory, ArrivalTiming(**given))  # type: ignore[arg-type]
        found: list[str] = []
        with suppress(DoneError):
            async with aclosing(watching.images()) as images:
                async for each in images:
                    found.append(each.fileID)  # noqa: PERF401 - the last one is followed by an error
        return found

    return run


def unfinished(file_id: str, **more: Any) -> Image:
    return image(f"{file_id}.jpg", file_id=file_id, download_url=None, **more)


@pytest.mark.parametrize("error", OF_ONE_IMAGE)
async def test_an_image_that_shows_no_record_holds_up_no_other_one(
    reported: Callable[..., Any], error: Exception
) -> None:
    listed = [unfinished("stuck"), unfinished("b"), image(file_id="old")]
    details = {"stuck": lambda _: error, "b": lambda _: image(file_id="b")}
    directory = Directory(listed, details, listings=5)
    assert sorted(await reported(directory)) == ["b", "old"]
    assert all("stuck" in asked for asked in directory.asked)


@pytest.mark.parametrize("error", [*OF_ONE_IMAGE, *OF_ALL_CALLS])
async def test_it_is_reported_once_it_shows_one_however_long_that_takes(
    reported: Callable[..., Any], error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins = itertools.count(1_000_000, 1000)
    monkeypatch.setattr(watch, "next_since", lambda timing: next(begins))
    details = {"stuck": lambda number: error if number < 4 else image(file_id="stuck")}
    directory = Directory([unfinished("stuck")], details, listings=6)
    assert await reported(directory, patience=0.0) == ["stuck"]
    assert directory.since[:4] == [1_000_000] * 4
    assert directory.since[4] > 1_000_000


@pytest.mark.parametrize("error", OF_ALL_CALLS)
async def test_after_a_refusal_the_check_requests_no_record_and_the_next_one_comes_later(
    reported: Callable[..., Any], error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def pause(self: Watch, cursor: object, least: float = 0.0) -> None:
        pauses.append(least)

    monkeypatch.setattr(Watch, "_pause", pause)
    listed = [unfinished("a"), unfinished("b"), image(file_id="old")]
    details = {name: lambda number: error if number < 4 else image(file_id="x") for name in ("a", "b")}
    directory = Directory(listed, details, listings=5)
    assert (await reported(directory, retry=(10.0, 25.0)))[0] == "old"
    assert directory.asked[:3] == [["a"]] * 3
    assert pauses[:4] == [10.0, 20.0, 25.0, 0.0]


async def test_an_image_whose_listing_lacks_its_etag_is_reported_once(reported: Callable[..., Any]) -> None:
    directory = Directory([unfinished("a", etag=None)], {"a": lambda _: image(file_id="a")}, listings=5)
    assert await reported(directory) == ["a"]


@pytest.mark.parametrize("status", [2, 104])
async def test_an_image_that_review_rejected_is_no_event(reported: Callable[..., Any], status: int) -> None:
    detail = image(file_id="a", status=status)
    found = await reported(Directory([unfinished("a", status=0)], {"a": lambda _: detail}))
    assert found == (["a"] if status == 2 else [])


async def test_an_image_that_is_held_back_is_listed_by_the_next_triggerer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The triggerer dies after it kept the cursor, and before it reports the image."""
    begins = itertools.count(1_000_000, 1000)
    monkeypatch.setattr(watch, "next_since", lambda timing: next(begins))
    kept: list[dict[str, Any]] = []
    directory = Directory([image(file_id=name) for name in "ab"], {}, listings=3)

    async def save(cursor: dict[str, Any]) -> None:
        kept.append(cursor)

    @asynccontextmanager
    async def shared(conn_id: str) -> AsyncIterator[Directory]:
        yield directory

    monkeypatch.setattr(watch, "shared_client", shared)
    monkeypatch.setattr(directory, "save", save)
    timing = ArrivalTiming(stored_within=0.0, max_age=0.0, retry=(0.0, 0.0))
    watching = Watch("c", "dir", (), 0.001, directory, timing)  # type: ignore[arg-type]
    reported = []
    async with aclosing(watching.images()) as images:
        async for each in images:
            if len(kept) > 1:  # the first one is kept before any listing
                break
            reported.append(each.fileID)
    assert reported == ["a"]
    assert kept[-1]["since"] == 1_000_000
