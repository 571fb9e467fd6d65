"""A watch reports every finished image, also those that arrive while no triggerer runs."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from itertools import chain, repeat
from typing import Any

import pytest
import requests as http

from airflow_provider_123pan.arrivals import watch
from airflow_provider_123pan.arrivals.watch import ArrivalTiming
from airflow_provider_123pan.callbacks import follower
from airflow_provider_123pan.callbacks.client import CallbackSigner
from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.triggers.image_arrivals import Pan123ImageArrivalTrigger
from tests.integration.conftest import MemoryVariables
from tests.support import arrival


class AssetStores:
    """Airflow 3.3's state stores of the assets that a trigger serves.

    :ivar assets: the number of assets; the stores of several cannot be reached by key alone.
    """

    def __init__(self, assets: int = 1) -> None:
        self.assets = assets
        self.values: dict[str, str] = {}
        self.saves = asyncio.Condition()

    async def aget(self, key: str) -> Any:
        self._check()
        return json.loads(self.values[key]) if key in self.values else None

    async def aset(self, key: str, value: Any) -> None:
        self._check()
        async with self.saves:
            self.values[key] = json.dumps(value)
            self.saves.notify_all()

    async def until(self, condition: Callable[[Any], bool]) -> None:
        """Wait until a cursor fulfills a condition."""
        async with self.saves:
            saved = self.saves.wait_for(
                lambda: any(condition(json.loads(kept)) for kept in self.values.values())
            )
            await asyncio.wait_for(saved, 60)

    def _check(self) -> None:
        if self.assets != 1:
            raise ValueError(f"Task has {self.assets} concrete inlets and outlets")


class Watcher:
    """A trigger that runs until it is stopped, and its events."""

    def __init__(self, stores: AssetStores | None, **arguments: Any) -> None:
        trigger = Pan123ImageArrivalTrigger(**{"poke_interval": 0.05} | arguments)
        self._trigger = type(trigger)(**json.loads(json.dumps(trigger.serialize()[1])))
        if stores is not None:
            self._trigger.asset_state_store = stores  # type: ignore[assignment]
        self.payloads: list[dict[str, Any]] = []
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> Watcher:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        async with aclosing(self._trigger.run()) as events:
            async for event in events:
                async with self._changed:
                    self.payloads.append(event.payload)
                    self._changed.notify_all()

    async def until(self, condition: Callable[[set[str]], bool]) -> None:
        """Wait until the names of the images that were reported fulfill a condition."""
        async with self._changed:
            reached = self._changed.wait_for(lambda: condition(self.names))
            waiter = asyncio.ensure_future(reached)
            await asyncio.wait({waiter, self._task}, timeout=60, return_when=asyncio.FIRST_COMPLETED)
            if not waiter.done():
                waiter.cancel()
                self._task.result()
            await waiter

    @property
    def names(self) -> set[str]:
        return {payload["file_name"] for payload in self.payloads}


@pytest.fixture(autouse=True)
def timing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Change durations of the trigger."""

    def change(**durations: Any) -> None:
        given: dict[str, Any] = {"stored_within": 0.0, "max_age": 0.0, "after_delivery": (0.01, 0.1)}
        durations = given | {"retry": (0.05, 0.1)} | durations
        monkeypatch.setattr(Pan123ImageArrivalTrigger, "timing", ArrivalTiming(**durations))

    change()
    return change


@pytest.fixture
def signer(connect: Callable[..., None], receiver: str, monkeypatch: pytest.MonkeyPatch) -> CallbackSigner:
    """Open the receiver, and return what signs callback URLs."""
    connect(extra={"callback_base_url": receiver})
    monkeypatch.setenv("AIRFLOW__PAN123__INBOX_URL", receiver)
    signer = CallbackSigner.of(Pan123Hook().settings, True)
    assert signer is not None
    return signer


@pytest.fixture
def migrate(connect: Callable[..., None], sandbox: Sandbox) -> Iterator[Callable[..., set[str]]]:
    """Have 123pan fetch images, and return their names once it has ended."""
    sandbox.configure(delay=0)
    hook = Pan123Hook()
    with ThreadPoolExecutor(4) as threads:

        def start(*names: str, directory_id: str | None = None, callback_url: str | None = None) -> set[str]:
            def create(name: str) -> None:
                hook.create_offline_download(f"https://example.com/{name}", name, directory_id, callback_url)

            [*threads.map(create, names)]
            return {*names}

        yield start


def requests(sandbox: Sandbox, call: str) -> int:
    """Return how many requests of a call the sandbox received."""
    counts: dict[str, int] = sandbox.state(0)["counts"]["requests"]
    return sum(count for path, count in counts.items() if path.endswith(call))


async def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition, which may block."""

    async def poll() -> None:
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - the sandbox has no events
            await asyncio.sleep(0.01)

    await asyncio.wait_for(poll(), 60)


def numbered(count: int) -> list[str]:
    return [f"{number}.png" for number in range(count)]


async def test_each_finished_image_becomes_one_event(
    migrate: Callable[..., set[str]], sandbox: Sandbox
) -> None:
    async with Watcher(AssetStores()) as watcher:
        migrate("a.png")
        await watcher.until(lambda names: names == {"a.png"})
        migrate("b.png", "c.png")
        await watcher.until(lambda names: names == {"a.png", "b.png", "c.png"})
    assert len(watcher.payloads) == 3
    stored = {file["fileId"]: file for file in sandbox.state()["files"]}
    for payload in watcher.payloads:
        assert payload == arrival(stored[payload["fileID"]])


async def test_a_thousand_images_arrive_while_no_triggerer_runs(migrate: Callable[..., set[str]]) -> None:
    stores = AssetStores()
    before = migrate("first.png")
    async with Watcher(stores) as watcher:
        await watcher.until(before.__eq__)
        await stores.until(lambda cursor: len(cursor["seen"]) > 0)
    expected = migrate(*numbered(1000))
    async with Watcher(stores) as restarted:
        await restarted.until(expected.__le__)
        await stores.until(lambda cursor: len(b64decode(cursor["seen"])) == 1001 * 8)
    events = Counter(payload["file_name"] for payload in restarted.payloads)
    lost, repeated = expected - events.keys(), events.total() - len(events)
    assert (lost, repeated, events.total()) == (set(), 0, 1000)
    async with Watcher(stores) as again:
        migrate("last.png")
        await again.until({"last.png"}.__le__)
    assert again.names == {"last.png"}


async def test_the_last_of_several_images_waits_until_the_others_are_stored(
    migrate: Callable[..., set[str]], sandbox: Sandbox
) -> None:
    class SlowStores(AssetStores):
        """Stores that answer when the test allows it, as a busy supervisor does."""

        def __init__(self) -> None:
            super().__init__()
            self.answers = asyncio.Event()
            self.answers.set()

        async def aget(self, key: str) -> Any:
            await self.answers.wait()
            return await super().aget(key)

    stores = SlowStores()
    async with Watcher(stores) as watcher:
        await stores.until(lambda cursor: cursor["seen"] == "")
        stores.answers.clear()
        expected = migrate("a.png", "b.png", "c.png")
        await watcher.until(lambda names: len(names) == 2)
        stores.answers.set()
        await watcher.until(expected.__eq__)
    assert len(watcher.payloads) == 3


async def test_a_killed_triggerer_repeats_what_airflow_may_not_have_stored(
    migrate: Callable[..., set[str]], timing: Callable[..., None]
) -> None:
    timing(stored_within=1000.0)
    stores = AssetStores()
    expected = migrate("a.png")
    for _ in range(2):
        async with Watcher(stores) as watcher:
            await watcher.until(expected.__eq__)


@pytest.mark.parametrize("assets", [None, 2], ids=["airflow-3.2", "two-assets"])
async def test_without_a_store_of_one_asset_a_variable_keeps_the_cursor(
    migrate: Callable[..., set[str]],
    variables: MemoryVariables,
    monkeypatch: pytest.MonkeyPatch,
    assets: int | None,
) -> None:
    monkeypatch.setattr("airflow_provider_123pan.arrivals.cursor_store.AirflowVariables", lambda: variables)

    def stores() -> AssetStores | None:
        return None if assets is None else AssetStores(assets)

    def seen() -> bool:
        (cursor,) = [
            value for name, value in variables.values.items() if name.startswith("pan123_arrivals__")
        ]
        return bool(json.loads(cursor)["seen"])

    async with Watcher(stores()) as watcher:
        await watcher.until(migrate("a.png").__eq__)
        await until(seen)
    expected = migrate("b.png")
    async with Watcher(stores()) as restarted:
        await restarted.until(expected.__eq__)
    assert len(restarted.payloads) == 1


async def test_a_rejected_image_and_one_without_a_url_are_no_events(
    migrate: Callable[..., set[str]], sandbox: Sandbox
) -> None:
    sandbox.configure(review="bad", image_urls="nowhere")
    stores = AssetStores()
    migrate("bad.png", "later.png")
    async with Watcher(stores, directory=sandbox.state()["files"][0]["parentFilename"]) as watcher:
        lists = requests(sandbox, "list")
        await until(lambda: requests(sandbox, "list") > lists + 2)
        assert watcher.payloads == []
        sandbox.configure(image_urls="detail")
        await watcher.until({"later.png"}.__eq__)
    assert watcher.payloads[0]["download_url"]


async def test_listings_show_an_unfinished_image_however_long_it_takes(
    migrate: Callable[..., set[str]], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.configure(image_urls="nowhere")
    begin = watch.next_since(ArrivalTiming())
    starts = chain([begin], repeat(begin + 1_000_000))
    monkeypatch.setattr(watch, "next_since", lambda timing: next(starts))
    migrate("a.png")
    async with Watcher(AssetStores()) as watcher:
        lists = requests(sandbox, "list")
        await until(lambda: requests(sandbox, "list") > lists + 2)
        sandbox.configure(image_urls="everywhere")
        await watcher.until({"a.png"}.__eq__)


async def test_an_image_without_a_url_is_left_out_after_a_while(
    migrate: Callable[..., set[str]], sandbox: Sandbox, timing: Callable[..., None]
) -> None:
    timing(patience=0.0)
    sandbox.configure(image_urls="nowhere")
    migrate("never.png")
    async with Watcher(AssetStores()) as watcher:
        details = requests(sandbox, "detail")
        await until(lambda: requests(sandbox, "detail") == details + 2)
        lists = requests(sandbox, "list")
        await until(lambda: requests(sandbox, "list") > lists + 2)
        assert requests(sandbox, "detail") == details + 2
        sandbox.configure(image_urls="everywhere")
        await watcher.until(migrate("a.png").__eq__)


async def test_a_directory_that_does_not_exist_yet_is_waited_for(
    migrate: Callable[..., set[str]], sandbox: Sandbox
) -> None:
    async with Watcher(AssetStores(), directory="photos/2026") as watcher:
        await until(lambda: requests(sandbox, "list") > 2)
        hook = Pan123Hook()
        parent = hook.make_directory("photos")
        found = hook.make_directory("2026", parent.directory_id)
        migrate("other.png")
        expected = migrate("a.png", directory_id=found.directory_id)
        await watcher.until(expected.__eq__)
    assert {payload["directory_id"] for payload in watcher.payloads} == {found.directory_id}


async def test_a_callback_causes_a_listing(migrate: Callable[..., set[str]], signer: CallbackSigner) -> None:
    migrate("a.png")
    async with Watcher(AssetStores(), poke_interval=1000) as watcher:
        await watcher.until({"a.png"}.__eq__)
        (inbox,) = follower._followers[asyncio.get_running_loop()].values()
        await until(lambda: inbox._epoch is not None)
        migrate("b.png", callback_url=signer.address("b" * 32))
        await watcher.until({"a.png", "b.png"}.__eq__)


async def test_a_callback_alone_is_no_event(
    migrate: Callable[..., set[str]], signer: CallbackSigner, sandbox: Sandbox
) -> None:
    body = {"url": "https://example.com/lie.png", "fileId": "yk6baz03t0l000d7w3lie", "status": 0}
    expected = migrate("a.png")
    async with Watcher(AssetStores()) as watcher:
        await asyncio.to_thread(http.post, signer.address("c" * 32), json=body, timeout=10)
        await watcher.until(expected.__eq__)
        lists = requests(sandbox, "list")
        await until(lambda: requests(sandbox, "list") > lists + 2)
    assert watcher.names == expected


async def test_watches_of_one_directory_share_listings(
    migrate: Callable[..., set[str]], sandbox: Sandbox, timing: Callable[..., None]
) -> None:
    timing(max_age=1000.0, grid=10_000_000_000)
    expected = migrate("a.png")
    (directory_id,) = {file["parentFileId"] for file in sandbox.state()["files"]}
    lists = requests(sandbox, "list")
    async with (
        Watcher(AssetStores(), directory_id=directory_id, poke_interval=1000) as one,
        Watcher(AssetStores(), directory_id=directory_id, poke_interval=2000) as other,
    ):
        await one.until(expected.__eq__)
        await other.until(expected.__eq__)
    assert requests(sandbox, "list") == lists + 1


async def test_a_watch_outlives_errors_of_the_service(
    migrate: Callable[..., set[str]], sandbox: Sandbox, connect: Callable[..., None]
) -> None:
    connect(password="wrong")
    async with Watcher(AssetStores()) as watcher:
        await until(lambda: sandbox.state()["counts"]["refusals"])
        connect()
        await watcher.until(migrate("a.png").__eq__)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"directory": "a", "directory_id": "b"}, "directory: give either directory or directory_id"),
        ({"directory": "a//b"}, "directory: 'a//b' is not a path"),
        ({"poke_interval": 0}, "poke_interval: must be"),
        ({"poke_interval": float("nan")}, "poke_interval: must be"),
    ],
)
def test_wrong_arguments_fail_where_the_dag_is_parsed(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Pan123ImageArrivalTrigger(**arguments)
