"""What a sync leaves for its next worker or try: a journal of any shape is continued with, ignored, or an error."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_123pan.sync.checkpoint import Checkpoint
from airflow_provider_123pan.sync.in_flight import InFlight
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.journal import Journal
from airflow_provider_123pan.sync.manifest import read_images
from tests.fuzz.properties import run_properties, value_or_error
from tests.fuzz.values import any_json, changed, numbers, scalars, texts

EXAMPLES = 5000

TARGET = "a" * 64
inventory = Inventory()
inventory.load(read_images([f"https://example.com/{name}.jpg" for name in "ab"]))
KEYS = [inventory.key(number) for number in range(len(inventory))]
DIGESTS = [inventory.canonical_digest(number) for number in range(len(inventory))]

IMAGE = [DIGESTS[0], 0, 403316, 1.7e9, 1.7e9, None, None]
JOURNAL = {
    "target": TARGET,
    "seed": "f" * 32,
    "began_at": 1.7e9,
    "called_back": 3,
    "active": {KEYS[0]: IMAGE},
}

images = st.lists(scalars, max_size=9) | st.builds(
    lambda place, value: [*IMAGE[:place], value, *IMAGE[place + 1 :]], st.integers(0, 6), scalars
)
actives = st.dictionaries(st.sampled_from(KEYS) | texts, images | any_json, max_size=3)
journals = changed(JOURNAL) | actives.map(lambda active: {**JOURNAL, "active": active}) | any_json


class Store:
    """A ``task_state_store`` with one record."""

    def __init__(self, record: Any) -> None:
        """Hold this record under every key."""
        self._record = record

    def get(self, key: str) -> Any:
        """Return the record."""
        return self._record


def continued(record: Any) -> InFlight | None:
    """Return what a retry continues with."""
    stored = Journal(Store(record), TARGET).load()
    if stored is None:
        return None
    in_flight = InFlight.load(stored, inventory)
    in_flight.oldest()
    for image in in_flight:
        in_flight.callback_id(image)
    assert {*in_flight.dump()["active"]} <= {*KEYS}
    json.dumps(in_flight.dump())
    return in_flight


@given(journals)
@example(JOURNAL)
@example([JOURNAL])
@example({**JOURNAL, "active": {KEYS[0]: None}})
@example({**JOURNAL, "active": {KEYS[0]: 7}})
@example({**JOURNAL, "active": {KEYS[0]: []}})
@example({**JOURNAL, "active": {KEYS[0]: [*IMAGE, None]}})
@example({**JOURNAL, "active": {KEYS[0]: [DIGESTS[0], 0, 7, "early", {}, None, None]}})
@example({**JOURNAL, "active": {KEYS[0]: [DIGESTS[0], 0, 7, 1.0, 1e300, None, None]}})
@example({**JOURNAL, "began_at": "early"})
@example({**JOURNAL, "called_back": "many"})
def a_journal_is_continued_or_ignored(record: Any) -> None:
    value_or_error(lambda: continued(record), InFlight | None)


checkpoints = st.builds(
    Checkpoint,
    inventory=st.dictionaries(texts, texts, max_size=3),
    in_flight=actives.map(lambda active: {"seed": "s", "began_at": None, "active": active}),
    directory_id=st.none() | texts,
    alone=st.lists(texts, max_size=3),
    cap=st.integers(),
    failing_since=st.none() | st.floats(allow_nan=False),
    parts=st.integers(),
    failures=st.lists(
        st.dictionaries(texts, scalars.filter(lambda value: value == value), max_size=3), max_size=3
    ),
    deadline=st.floats(allow_nan=False) | numbers.filter(lambda value: value == value),
)


@given(checkpoints)
def a_checkpoint_is_read_as_it_was_written(checkpoint: Checkpoint) -> None:
    stored = json.dumps(checkpoint.dump())
    assert json.dumps(Checkpoint.load(json.loads(stored)).dump()) == stored


def fuzz(examples: int, seed: int) -> str:
    """Check the properties."""
    return run_properties(
        (a_journal_is_continued_or_ignored, a_checkpoint_is_read_as_it_was_written), examples, seed
    )
