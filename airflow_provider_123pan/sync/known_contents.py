"""What is known about images that are stored under other names, from one sync to the next.

The service keeps one file of several images with the same bytes, and may name a file as it likes. The next sync would
recognise such an image neither by its name nor by an MD5 of the list, and submit it again every night. So the MD5 that
was proven is kept in an Airflow Variable, one for each account and target directory.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Mapping
from itertools import islice
from typing import Any

from airflow_provider_123pan.account.account import account_variables
from airflow_provider_123pan.account.variables import Variables, read_json
from airflow_provider_123pan.sync.inventory import Inventory

log = logging.getLogger(__name__)

_NOTHING: Mapping[str, str] = {}

MAX_IMAGES = 10_000  # in one Variable; the oldest are forgotten
MAX_RECENT = 500  # in a checkpoint


class KnownContents:
    """The MD5s of images that are not stored under their names.

    :param target: the directory of the images, as people know it.
    :param recent: the MD5s of the last images that ended in earlier workers, by key: one of them may share its file
        with an image that ends later.
    """

    def __init__(
        self, account: str, target: str, variables: Variables, recent: Mapping[str, str] = _NOTHING
    ) -> None:
        place = hashlib.sha256(f"{account} {target}".encode()).hexdigest()
        self._name = f"pan123_contents__{place[:16]}"
        self._variables = variables
        self._recent = {**recent}
        self._numbers = defaultdict[str, list[int]](list)  # of the images of the list, by MD5

    @classmethod
    def of(cls, account: str, target: str, recent: Mapping[str, str] = _NOTHING) -> KnownContents:
        """Return what is known about a directory of an account."""
        return cls(account, target, account_variables(), recent)

    def load(self, inventory: Inventory) -> None:
        """Read the Variable, as far as it concerns the images of a list."""
        for key, (canonical_digest, md5) in (self._read() or {}).items():
            number = inventory.number(key)
            if number is not None and inventory.canonical_digest(number) == canonical_digest:
                self._numbers[md5].append(number)

    def with_md5(self, etag: str | None) -> list[int]:
        """Return the numbers of the images that had this content when they were last migrated."""
        return self._numbers.get(etag, []) if etag else []

    def save(self, inventory: Inventory) -> None:
        """Add what this sync has found out; the next sync asks the service again for what cannot be written."""
        numbers = dict(islice(inventory.under_other_names(), MAX_IMAGES))
        shared = {*numbers.values()}
        for key, md5 in self._recent.items():
            if md5 in shared and (number := inventory.number(key)) is not None:
                numbers[number] = md5
        found = {
            inventory.key(number): [inventory.canonical_digest(number), md5]
            for number, md5 in numbers.items()
        }
        if not found:
            return
        if (before := self._read()) is None:
            log.warning("%d images under other names will be submitted again", len(found))
            return
        known = {key: value for key, value in before.items() if key not in found} | found
        known = dict([*known.items()][-MAX_IMAGES:])
        if known == before:
            return
        try:
            self._variables.set(
                self._name,
                json.dumps(known),
                "123pan: images that are stored under other names; made by the provider",
            )
        except Exception as error:  # Airflow's Variables raise errors of many kinds
            log.warning(
                "%d images under other names will be submitted again: %s", len(found), type(error).__name__
            )

    def recent(self, inventory: Inventory) -> dict[str, str]:
        """Return what the next worker is to be given."""
        ended = {inventory.key(number): md5 for number, md5 in inventory.migrated(MAX_RECENT)}
        return dict([*(self._recent | ended).items()][-MAX_RECENT:])

    def _read(self) -> dict[str, list[str]] | None:
        """Return what the Variable has; None if it cannot be read."""
        return read_json(
            self._variables, self._name, dict, lambda known: all(map(_is_content, known.values()))
        )


def _is_content(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(each, str) for each in value)
