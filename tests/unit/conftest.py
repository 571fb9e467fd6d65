"""What unit tests read and write: lists, sources of images, and a disk that fails."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_123pan.sync import atomic_file
from airflow_provider_123pan.sync.manifest import read_manifest
from tests.lists import Loaded, load
from tests.sources import Source, serve


class Killed(BaseException):
    """What a killed process does no more."""


class Disk:
    """The disk under everything that the provider writes: a process can be killed at each of its steps.

    :ivar steps: the steps since the process began.
    :ivar replaced: how often each file was replaced.
    """

    def __init__(
        self, write: Callable[..., None], replace: Callable[..., Any], unlink: Callable[..., None]
    ) -> None:
        self._write, self._replace, self._unlink = write, replace, unlink
        self._last: int | None = None
        self._lock = threading.Lock()  # several threads write
        self.steps = 0
        self.replaced: Counter[str] = Counter()

    @contextmanager
    def killing_after(self, steps: int) -> Iterator[None]:
        """Kill the process after some steps, if it comes so far; then nothing is cleaned up either."""
        self.steps, self._last = 0, steps
        try:
            yield
        except Killed:
            pass
        finally:
            self._last = None

    def _step(self) -> None:
        with self._lock:
            if self._last is not None and self.steps >= self._last:
                raise Killed
            self.steps += 1

    def write(self, file: Path, blocks: Iterable[str | bytes]) -> None:
        content = [*blocks]
        self._step()
        self._write(file, content[: len(content) // 2] or [content[0][: len(content[0]) // 2]])
        self._step()
        self._write(file, content)
        self._step()

    def replace(self, file: Path, target: Path) -> None:
        self._step()
        self._replace(file, target)
        with self._lock:
            self.replaced[str(target)] += 1
        self._step()

    def unlink(self, file: Path, missing_ok: bool = False) -> None:
        if self._last is not None and self.steps >= self._last:
            raise Killed
        self._unlink(file, missing_ok)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk(atomic_file._write, Path.replace, Path.unlink)
    monkeypatch.setattr(atomic_file, "_write", made.write)
    monkeypatch.setattr(Path, "replace", lambda file, target: made.replace(file, target))
    monkeypatch.setattr(Path, "unlink", lambda file, missing_ok=False: made.unlink(file, missing_ok))
    return made


@pytest.fixture
def load_file(tmp_path: Path) -> Callable[..., Loaded]:
    def load_content(name: str, content: str | bytes, encoding: str | None = None) -> Loaded:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load(read_manifest(str(path), encoding))

    return load_content


@pytest.fixture
def source() -> Iterator[Source]:
    with serve() as running:
        yield running
