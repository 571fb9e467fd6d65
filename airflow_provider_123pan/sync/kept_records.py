"""Records that one sync keeps for the next, in an Airflow Variable for each account and target directory."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from typing import Any

from airflow_provider_123pan.account.variables import Variables, read_json

log = logging.getLogger(__name__)

MAX_RECORDS = 10_000  # in one Variable; the oldest are forgotten

Record = list[str]


class KeptRecords:
    """Records of images by their keys, each a list of strings.

    :param kind: begins the Variable's name.
    :param account: of 123pan.
    :param target: the directory of the images, as people know it.
    :param length: of each record.
    """

    def __init__(
        self, kind: str, account: str, target: str, variables: Variables, *, length: int, description: str
    ) -> None:
        place = hashlib.sha256(f"{account} {target}".encode()).hexdigest()
        self._name = f"{kind}__{place[:16]}"
        self._variables = variables
        self._length = length
        self._description = description

    def read(self) -> dict[str, Record]:
        """Return all records; none if the Variable cannot be read."""
        return self._stored() or {}

    def add(self, found: Mapping[str, Record], loss: str) -> None:
        """Add records to the Variable, or log what follows if it cannot be written.

        :param loss: such as ``will be submitted again``.
        """
        if not found:
            return
        if (before := self._stored()) is None:
            log.warning("%d images %s", len(found), loss)
            return
        known = {key: value for key, value in before.items() if key not in found} | {**found}
        known = dict([*known.items()][-MAX_RECORDS:])
        if known == before:
            return
        try:
            self._variables.set(self._name, json.dumps(known), self._description)
        except Exception as error:  # Airflow's Variables raise errors of many kinds
            log.warning("%d images %s: %s", len(found), loss, type(error).__name__)

    def _stored(self) -> dict[str, Record] | None:
        """Return what the Variable has; None if it cannot be read."""
        return read_json(
            self._variables, self._name, dict, lambda known: all(map(self._is_record, known.values()))
        )

    def _is_record(self, value: Any) -> bool:
        return (
            isinstance(value, list)
            and len(value) == self._length
            and all(isinstance(each, str) for each in value)
        )
