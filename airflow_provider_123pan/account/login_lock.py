"""The record of the lock around logins, as it is stored in a Variable."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class LoginLock:
    """The lock record of an account.

    A process never writes the same record twice, so a record that did not change was not written in the meantime.

    :ivar holder: a unique string for each write.
    :ivar locked: True while ``holder`` logs in.
    :ivar logins: times of the account's recent logins, in Unix seconds.
    :ivar answered: True if the service answered the last login.
    """

    holder: str = ""
    locked: bool = False
    logins: tuple[float, ...] = ()
    answered: bool = True

    @classmethod
    def parse(cls, text: str | None) -> LoginLock:
        """Read a Variable's value; anything but a lock record counts as an absent one."""
        try:
            record = json.loads(text or "{}")
            return cls(
                str(record.get("holder", "")),
                bool(record.get("held", False)),
                tuple(map(float, record.get("logins", ()))),
                bool(record.get("answered", True)),
            )
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            return cls()

    def dump(self) -> str:
        """Return the Variable's value."""
        return json.dumps(
            {
                "holder": self.holder,
                "held": self.locked,
                "logins": self.logins,
                "answered": self.answered,
            }
        )
