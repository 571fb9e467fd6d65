"""Airflow's Variables without Airflow."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any


class Memory:
    """Airflow's Variables, or its ``task_state_store``, in memory."""

    def __init__(self, found_rate: float | None = None) -> None:
        """Start empty, apart from a rate."""
        self.values: dict[str, str] = {}
        self._rate = None if found_rate is None else json.dumps({"rate": found_rate, "process": "0123abcd"})

    def get(self, name: str) -> Any:
        """Return the value of a name, or None."""
        return self.values.get(name, self._rate if name.startswith("pan123_rate__") else None)

    def set(self, name: str, value: Any, description: str = "") -> None:
        """Store a value, as JSON if it is no string."""
        self.values[name] = value if isinstance(value, str) else json.dumps(value)

    def delete(self, name: str) -> None:
        """Delete a name, if it has a value."""
        self.values.pop(name, None)


class FileVariables:
    """Variables as files of a folder, which several processes can share."""

    def __init__(self, folder: Path) -> None:
        """Use this folder."""
        self._folder = folder

    def get(self, name: str) -> str | None:
        """Return the value of a Variable, or None."""
        path = self._folder / name
        return path.read_text(encoding="utf-8") if path.exists() else None

    def set(self, name: str, value: str, description: str) -> None:
        """Store a Variable atomically."""
        part = self._folder / f"{name}.{os.getpid()}.{threading.get_ident()}"
        part.write_text(value, encoding="utf-8")
        part.replace(self._folder / name)
