"""The receiver's keys: which requests cause look-ups, and which ids are remembered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_123pan.receiver.keyring import Keyring, KeyringTiming, Keys
from airflow_provider_123pan.receiver.writer import UnavailableError

SIGNED = b"the key that signed a request"
OTHER = b"another key"


class Source:
    """Connections of a backend that, as Airflow's environment backend, finds an id under any spelling."""

    def __init__(self, *listed: str, unlisted: tuple[str, ...] = ()) -> None:
        self.listed = listed
        self.known: dict[str, Keys] = dict.fromkeys((*listed, *unlisted), (SIGNED,))
        self.lookups: Counter[str] = Counter()
        self.broken = False

    def names(self) -> tuple[str, ...]:
        return self.listed

    def keys(self, conn_id: str) -> Keys:
        self.lookups[conn_id] += 1
        if self.broken:
            raise ConnectionError
        return self.known.get(conn_id.lower(), ())


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


MakeKeyring = Callable[[Source], Keyring]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(clock: Clock) -> Iterator[MakeKeyring]:
    with ThreadPoolExecutor(2) as threads:
        yield lambda source: Keyring(source, threads, KeyringTiming(), clock)


async def _send(keyring: Keyring, conn_id: str, key: bytes = SIGNED) -> int:
    """Return the status of the answer to a request that was signed with a key."""
    try:
        found = await keyring.verify(conn_id, lambda keys: True if key in keys else None)
    except UnavailableError:
        return 503
    return 200 if found else 404


def _spellings(name: str, count: int) -> list[str]:
    """Return the first spellings of a name in lower and upper case, without the name itself."""
    return [
        "".join(
            character.upper() if number >> position & 1 else character
            for position, character in enumerate(name)
        )
        for number in range(1, count + 1)
    ]


async def test_forged_requests_cause_three_lookups_per_second(make: MakeKeyring, clock: Clock) -> None:
    """Whether they name a connection, another spelling of it, or none."""
    source = Source("known")
    keyring = make(source)
    await keyring.refresh()
    source.lookups.clear()
    for second in range(10):
        clock.now = float(second)
        for number in range(100):
            await _send(keyring, f"made up {second} {number}", OTHER)
            await _send(keyring, "known", OTHER)
    assert 27 <= sum(source.lookups.values()) <= 30


async def test_another_spelling_of_a_listed_connection_is_not_a_connection(
    make: MakeKeyring, clock: Clock
) -> None:
    source = Source("pan123_default")
    keyring = make(source)
    await keyring.refresh()
    source.lookups.clear()
    for number, spelling in enumerate(_spellings("pan123_default", 3000)):
        clock.now = number / 2
        assert await _send(keyring, spelling, OTHER) == 404
    assert keyring.usable == 1
    assert len(keyring._entries) <= KeyringTiming().max_unknown_ids + 1
    assert await _send(keyring, "Pan123_default") == 200  # a DAG that spells it so, and therefore signs it so
    assert keyring.usable == 1


async def test_a_known_connection_pays_for_no_lookup(make: MakeKeyring, clock: Clock) -> None:
    """Neither a listed one nor one that was found by its first valid signature."""
    source = Source("listed", unlisted=("unlisted",))
    keyring = make(source)
    await keyring.refresh()
    assert keyring.usable == 1
    assert await _send(keyring, "unlisted") == 200
    assert keyring.usable == 2
    for minute in range(1, 10):
        clock.now = 60.0 * minute
        source.lookups.clear()
        for number in range(10):
            await _send(keyring, f"made up {minute} {number}", OTHER)
        for conn_id in ("listed", "unlisted", "listed", "unlisted"):
            assert await _send(keyring, conn_id) == 200
            assert source.lookups[conn_id] == 1


async def test_a_flood_at_the_start_never_rejects_a_genuine_request(make: MakeKeyring, clock: Clock) -> None:
    """250 made-up ids per second, and a connection that only a secrets backend knows."""
    source = Source(unlisted=("genuine",))
    keyring = make(source)
    await keyring.refresh()
    statuses: Counter[int] = Counter()
    for number in range(250 * 30):
        clock.now = number / 250
        await _send(keyring, f"made up {number}", OTHER)
        if number % 10 == 9:
            statuses[await _send(keyring, "genuine")] += 1
    assert statuses.keys() <= {200, 503}
    assert sum(source.lookups.values()) <= 3 * 31
    clock.now += 1
    assert await _send(keyring, "genuine") == 200
    assert len(keyring._entries) <= KeyringTiming().max_unknown_ids + 1


async def test_a_wrong_signature_and_an_unknown_id_get_the_same_answers(
    make: MakeKeyring, clock: Clock
) -> None:
    """Existing ids cause as many look-ups as made-up ones, and no more."""
    answers = []
    for conn_id in ("known", "made up"):
        clock.now = 0.0
        source = Source("known")
        keyring = make(source)
        await keyring.refresh()
        clock.now = 100.0  # when the keys are due
        source.lookups.clear()
        statuses = [await _send(keyring, conn_id, OTHER) for _ in range(2)]
        for number in range(2):
            await _send(keyring, f"flood {number}", OTHER)
        clock.now += 0.1
        statuses += [await _send(keyring, name, OTHER) for name in (conn_id, "one more")]
        answers.append((statuses, source.lookups[conn_id]))
    assert answers == [([404, 404, 404, 503], 1)] * 2


async def test_a_backend_that_cannot_be_read_is_no_proof_against_a_request(make: MakeKeyring) -> None:
    source = Source(unlisted=("genuine",))
    source.broken = True
    keyring = make(source)
    assert await _send(keyring, "genuine") == 503
    source.broken = False
    assert await _send(keyring, "genuine") == 200


async def test_a_removed_connection_is_unknown_within_a_minute(make: MakeKeyring, clock: Clock) -> None:
    source = Source("listed")
    keyring = make(source)
    await keyring.refresh()
    source.listed, source.known = (), {}
    assert await _send(keyring, "listed") == 200
    clock.now = 60.0
    assert await _send(keyring, "listed") == 404
    assert keyring.usable == 0
