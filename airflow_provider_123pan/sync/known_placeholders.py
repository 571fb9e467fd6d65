"""The placeholders that were proven, from one sync to the next: the MD5s that hosts sent instead of images."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import Any

from airflow_provider_123pan.account.account import account_variables
from airflow_provider_123pan.account.variables import Variables

log = logging.getLogger(__name__)

MAX_PLACEHOLDERS = 200  # in the Variable; the oldest are forgotten


class KnownPlaceholders:
    """The MD5s of an account's proven placeholders, in an Airflow Variable.

    Without it, a few new images with a placeholder would count as good ones once all others have been replaced.
    """

    def __init__(self, account: str, variables: Variables) -> None:
        self._name = f"pan123_placeholders__{hashlib.sha256(account.encode()).hexdigest()[:16]}"
        self._variables = variables

    @classmethod
    def of(cls, account: str) -> KnownPlaceholders:
        """Return the placeholders of an account."""
        return cls(account, account_variables())

    def load(self) -> list[str]:
        """Return the MD5s, the oldest first; none if the Variable cannot be read."""
        try:
            known: Any = json.loads(self._variables.get(self._name) or "[]")
        except Exception as error:  # Airflow's Variables raise errors of many kinds
            log.warning(
                "The Variable %s cannot be read, and is ignored: %s", self._name, type(error).__name__
            )
            return []
        if not isinstance(known, list) or not all(isinstance(md5, str) for md5 in known):
            log.warning("The Variable %s has a wrong shape, and is ignored", self._name)
            return []
        return known

    def add(self, md5: str) -> None:
        """Remember a placeholder."""
        known = [other for other in self.load() if other != md5]
        try:
            self._variables.set(
                self._name,
                json.dumps([*known, md5][-MAX_PLACEHOLDERS:]),
                "123pan: placeholders that hosts sent instead of images; made by the provider",
            )
        except Exception as error:
            log.warning("The placeholder %s will not be recognized again: %s", md5, type(error).__name__)
