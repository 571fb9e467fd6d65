"""Collects what is wrong with a list, for one error or for the log."""

from __future__ import annotations

import logging

from airflow_provider_123pan.exceptions import Pan123InputError

log = logging.getLogger(__name__)

# Invalid entries in an error message and in the log, and the longest description of one.
_MAX_SHOWN, _MAX_LOGGED, _MAX_LENGTH = 50, 1000, 400


class ListReport:
    """What is wrong with the entries of a list, in a bounded amount of memory."""

    def __init__(self) -> None:
        self._place = ""
        self._invalid: list[str] = []
        self._count = 0
        self._warnings: dict[str, tuple[str, int]] = {}  # the first place, and the number of entries

    def begin_entry(self, place: str) -> None:
        """Note where the current entry is."""
        self._place = place

    def reject(self, message: str) -> None:
        """Note that the current entry is invalid."""
        self._count += 1
        if self._count <= _MAX_LOGGED:
            self._invalid.append(f"{self._place}: {message}"[:_MAX_LENGTH])

    def warn(self, message: str) -> None:
        """Note that the current entry was repaired; each message must be one of a few."""
        first, count = self._warnings.get(message, (self._place, 0))
        self._warnings[message] = (first, count + 1)

    def finish(self, *, refuse_invalid: bool) -> None:
        """Log what was noted: each invalid entry, and each kind of repair once.

        :raises Pan123InputError: there are invalid entries, and they are to be refused.
        """
        for message, (first, count) in self._warnings.items():
            log.warning("%s (%d entries, the first is %s)", message, count, first)
        for description in self._invalid:
            log.log(logging.ERROR if refuse_invalid else logging.WARNING, "Invalid entry: %s", description)
        if not self._count:
            return
        if not refuse_invalid:
            log.warning(
                "%d entries are invalid; they count as failed, and the others are migrated", self._count
            )
            return
        shown = self._invalid[:_MAX_SHOWN]
        if self._count > len(shown):
            shown.append(f"… and {self._count - len(shown)} more; the log names the first {_MAX_LOGGED}")
        raise Pan123InputError(
            "\n".join([f"{self._count} entries are invalid, nothing was submitted:", *shown])
        )
