"""A sync counts the submissions that were called back, through deferrals and retries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_123pan.callbacks.client import InboxEndpoint
from airflow_provider_123pan.callbacks.delivery import Delivery
from airflow_provider_123pan.exceptions import InboxUnreachableError
from airflow_provider_123pan.sync import delivery_reader
from airflow_provider_123pan.sync.delivery_reader import DeliveryReader
from airflow_provider_123pan.sync.in_flight import InFlight, InFlightImage
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.journal import STORE_KEY, Journal
from airflow_provider_123pan.sync.manifest import read_images
from airflow_provider_123pan.sync.monitor import Monitor
from airflow_provider_123pan.sync.timing import SyncTiming

IMAGES = 3
ENDPOINT = InboxEndpoint("http://inbox", "pan123_default", (b"key",))


class Scene:
    """Three images in flight, an inbox, and a clock."""

    def __init__(self) -> None:
        self.inventory = Inventory()
        self.inventory.load(read_images([f"https://x.example/{number}.jpg" for number in range(IMAGES)]))
        self.in_flight = InFlight("seed")
        self.deliveries: list[Delivery] = []
        self.lookups: list[Collection[str]] = []
        self.reachable = True
        self.now = 0.0
        for number in range(IMAGES):
            self.in_flight.add(self.image(number))
        self.begin()

    def image(self, number: int) -> InFlightImage:
        """Return an image in flight."""
        digest = self.inventory.canonical_digest(number)
        return InFlightImage(number, self.inventory.key(number), digest, 0, number, 1e9, 1e9)

    def begin(self, in_flight: InFlight | None = None) -> None:
        """Let a worker begin, with a reader of its own."""
        self.in_flight = in_flight or self.in_flight
        self.reader = DeliveryReader(self.in_flight, ENDPOINT, SyncTiming(), lambda: self.now)

    def call_back(self, *numbers: int, body: bytes = b"{}") -> None:
        """Let the service call back images; the same body is the same delivery."""
        for number in numbers:
            callback_id = self.in_flight.callback_id(self.image(number))
            self.deliveries.append(Delivery.parse(callback_id, body, "application/json", ""))

    def look_up(self, _: InboxEndpoint, callback_ids: Collection[str]) -> list[Delivery]:
        """Answer as the inbox does."""
        if not self.reachable:
            raise InboxUnreachableError("http://inbox: refused")
        self.lookups.append(callback_ids)
        return [delivery for delivery in self.deliveries if delivery.callback_id in callback_ids]

    def read(self) -> int:
        """Read the inbox, and return how many submissions were called back."""
        self.reader.read()
        return self.in_flight.called_back


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A scene whose inbox the readers ask."""
    made = Scene()
    monkeypatch.setattr(delivery_reader, "look_up", made.look_up)
    return made


def test_a_repeated_callback_counts_once(scene: Scene) -> None:
    scene.call_back(0, 0, 1)
    scene.call_back(0, body=b'{"other": 1}')
    assert scene.read() == 2
    scene.in_flight.remove(0)
    assert scene.read() == 2


def test_a_callback_that_comes_after_the_image_appeared_counts(scene: Scene) -> None:
    assert scene.read() == 0
    scene.in_flight.remove(1)
    scene.call_back(1, 1)
    assert scene.read() == 1
    assert scene.read() == 1


def test_an_image_that_has_ended_is_looked_up_only_once_more(scene: Scene) -> None:
    scene.read()
    for number in range(IMAGES):
        scene.in_flight.remove(number)
    scene.read()
    scene.read()
    assert [len(ids) for ids in scene.lookups] == [IMAGES, IMAGES]


def test_callbacks_of_others_do_not_count(scene: Scene) -> None:
    other = InFlight("another seed")
    delivery = Delivery.parse(other.callback_id(scene.image(0)), b"{}", "application/json", "")
    scene.deliveries.append(delivery)
    assert scene.read() == 0


def test_an_inbox_out_of_reach_leaves_the_count_as_it_was(scene: Scene) -> None:
    scene.call_back(0)
    scene.read()
    scene.in_flight.remove(0)
    scene.reachable = False
    assert scene.read() == 1
    scene.call_back(1)
    scene.reachable, scene.now = True, 1e9
    assert scene.read() == 2


def of_checkpoint(scene: Scene) -> Any:
    return json.loads(json.dumps(scene.in_flight.dump()))


def of_journal(scene: Scene) -> Any:
    stored: dict[str, Any] = {}
    store = SimpleNamespace(set=stored.__setitem__, get=stored.get)
    journal = Journal(store, hashlib.sha256(b"account photos").hexdigest())
    journal.save(scene.in_flight)
    stored[STORE_KEY] = json.loads(json.dumps(stored[STORE_KEY]))
    return journal.load()


@pytest.mark.parametrize("stored", [of_checkpoint, of_journal], ids=["deferral", "retry"])
def test_the_count_survives(scene: Scene, stored: Callable[[Scene], Any]) -> None:
    scene.call_back(0, 1)
    scene.read()
    scene.in_flight.remove(0)
    scene.begin(InFlight.load(stored(scene), scene.inventory))
    assert scene.in_flight.called_back == 1  # the other one is still in flight
    scene.call_back(2)
    scene.in_flight.remove(2)  # the next worker finds it in the directory before it reads the inbox
    assert scene.read() == 3


def test_without_callbacks_nothing_is_stored(scene: Scene) -> None:
    scene.read()
    assert "called_back" not in scene.in_flight.dump()


def test_a_worker_follows_a_callback_up_for_some_seconds(scene: Scene) -> None:
    hook: Any = None  # nothing is sent
    monitor = Monitor(
        hook,
        scene.inventory,
        scene.in_flight,
        lambda _: [],
        ENDPOINT,
        None,
        overwrite=False,
        deadline=1e10,
        prober=None,
        timing=SyncTiming(),
        clock=lambda: scene.now,
    )
    assert not monitor.has_new_deliveries()
    scene.call_back(1)
    assert monitor.has_new_deliveries()
    called_back = scene.in_flight.get(1)
    assert called_back
    pauses, waited = SyncTiming().wait.after_delivery, []
    while monitor.has_new_deliveries():
        called_back.follow_up(scene.now, pauses)  # progress reports none yet
        waited.append(called_back.poll_at - scene.now)
    assert waited == [1.0, 2.0, 4.0, 8.0, 8.0]
    scene.call_back(1, body=b'{"status": 1}')
    assert monitor.has_new_deliveries()


def test_a_callback_that_an_unreachable_inbox_hides_is_counted_later(scene: Scene) -> None:
    scene.read()
    scene.in_flight.remove(0)
    scene.reachable = False
    scene.read()
    scene.reachable = True
    scene.call_back(0)
    scene.now += SyncTiming().inbox_retry
    assert scene.read() == 1
