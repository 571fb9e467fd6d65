"""The placeholders that were proven, from one sync to the next: the MD5s that hosts sent instead of images."""

from __future__ import annotations

import hashlib
import json
import logging

from airflow_provider_123pan.account.account import account_variables
from airflow_provider_123pan.account.variables import Variables, read_json

log = logging.getLogger(__name__)

MAX_PLACEHOLDERS = 200  # in the Variable; the oldest are forgotten


class KnownPlaceholders:
    """The MD5s of an account's proven placeholders, in an Airflow Variable.

    Without it, a few new images with a placeholder would count as good ones once all others have been replaced.
    """

    def __init__(self, account: str, variables: Variables) -> None:
        self._name = f"pan123_placeholders__{hashlib.sha256(account.encode()).hexdigest()[:16]}"
        self._variables = variables
        self._proven: list[str] = []  # by this sync, which knows them even if the Variable cannot be written

    @classmethod
    def of(cls, account: str) -> KnownPlaceholders:
        """Return the placeholders of an account."""
        return cls(account, account_variables())

    def load(self) -> list[str]:
        """Return the MD5s, the oldest first; only those of this sync if the Variable cannot be read."""
        return self._with_proven(self._stored() or [])

    def add(self, md5: str) -> None:
        """Remember a placeholder; a Variable that cannot be read keeps what it has."""
        self._proven = [*(other for other in self._proven if other != md5), md5]
        if (stored := self._stored()) is None:
            return
        try:
            self._variables.set(
                self._name,
                json.dumps(self._with_proven(stored)[-MAX_PLACEHOLDERS:]),
                "123pan: placeholders that hosts sent instead of images; made by the provider",
            )
        except Exception as error:  # Airflow's Variables raise errors of many kinds
            log.warning("The placeholder %s will not be recognized again: %s", md5, type(error).__name__)

    def _with_proven(self, stored: list[str]) -> list[str]:
        return [*(md5 for md5 in stored if md5 not in self._proven), *self._proven]

    def _stored(self) -> list[str] | None:
        """Return what the Variable has; None if it cannot be read."""
        return read_json(
            self._variables, self._name, list, lambda known: all(isinstance(md5, str) for md5 in known)
        )
