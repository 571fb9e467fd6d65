"""What a sync that has deferred needs to go on. Airflow stores it as an argument of ``execute_complete``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a sync between two workers; its keys are stored in Airflow's database.

    :ivar inventory: how far each image is, as :meth:`Inventory.dump` returns it.
    :ivar in_flight: the images in flight, and how many earlier ones were called back, as :meth:`InFlight.dump` returns
        them.
    :ivar directory_id: the target directory; None for the default one.
    :ivar alone: the keys of the images that are submitted again while nothing else is in flight.
    :ivar cap: the number of images in flight that the service was found to accept.
    :ivar failing_since: when the service began to fail, in Unix seconds; None if it does not.
    :ivar parts: the number of parts of the results file.
    :ivar failures: the first failures, for the XCom.
    :ivar deadline: Unix seconds.
    :ivar folders: the ids of the directories below the target directory, by path; not stored if there are none.
    :ivar contents: the MD5s of the last images that ended, by key; not stored if there are none.
    """

    inventory: dict[str, str]
    in_flight: dict[str, Any]
    directory_id: str | None
    alone: list[str]
    cap: int
    failing_since: float | None
    parts: int
    failures: list[dict[str, Any]]
    deadline: float
    folders: dict[str, str]
    contents: dict[str, str]

    def dump(self) -> dict[str, Any]:
        """Return the stored form."""
        return {
            "ledger": self.inventory,
            "flight": self.in_flight,
            "directory_id": self.directory_id,
            "alone": self.alone,
            "cap": self.cap,
            "failing_since": self.failing_since,
            "parts": self.parts,
            "failures": self.failures,
            "deadline": self.deadline,
            **({"folders": self.folders} if self.folders else {}),
            **({"contents": self.contents} if self.contents else {}),
        }

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> Checkpoint:
        """Read the stored form."""
        return cls(
            inventory=stored["ledger"],
            in_flight=stored["flight"],
            directory_id=stored["directory_id"],
            alone=stored["alone"],
            cap=stored["cap"],
            failing_since=stored["failing_since"],
            parts=stored["parts"],
            failures=stored["failures"],
            deadline=stored["deadline"],
            folders=stored.get("folders", {}),
            contents=stored.get("contents", {}),
        )


@dataclass(frozen=True, slots=True)
class Deferral:
    """The rest is waited for in the triggerer.

    :ivar checkpoint: what the next worker needs.
    :ivar trigger: the trigger's arguments.
    """

    checkpoint: Checkpoint
    trigger: dict[str, Any]
