"""The results file: one record per image, as JSON lines or CSV."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from itertools import chain, count, islice, takewhile
from typing import TYPE_CHECKING, Any

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.sync.inventory import ResultRecord
from airflow_provider_123pan.sync.manifest import path_of

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath

_ROWS = 1000  # records per write


class Results:
    """The results file. A task that defers writes what it knows to a part beside it; the end collects the parts.

    :param path: ends with ``.jsonl`` or ``.csv``; Airflow's object storage opens it.
    :param owner: distinguishes the parts of two tasks that write to the same path.
    :param parts: the number of parts that earlier workers wrote.
    """

    def __init__(self, path: str, owner: str, parts: int = 0) -> None:
        if not path.endswith((".jsonl", ".csv")):
            raise Pan123InputError(f"results: {path!r} must end with .jsonl or .csv")
        _place(path)
        self._path = path
        self._owner = owner
        self.parts = parts

    @classmethod
    def of(cls, path: str | None, context: Context, parts: int = 0) -> Results | None:
        """Return the results file of a task, if it has one."""
        ti: Any = context["ti"]
        owner = hashlib.sha256(f"{ti.dag_id} {ti.run_id} {ti.task_id} {ti.map_index}".encode()).hexdigest()[
            :12
        ]
        return cls(path, owner, parts) if path else None

    def spill(self, records: Iterable[ResultRecord]) -> None:
        """Write records to a part, for the next worker."""
        if first := next(records := iter(records), None):
            self._write(self._part(self.parts), chain([first], records), as_csv=False)
            self.parts += 1

    def write(self, records: Iterable[ResultRecord]) -> None:
        """Write the records of all parts, and these, to the results file; then remove the parts."""
        earlier = chain.from_iterable(_read(self._part(number)) for number in range(self.parts))
        self._write(_place(self._path), chain(earlier, records), as_csv=self._path.endswith(".csv"))
        self.discard()

    def whole(self) -> bool:
        """Return whether all parts are there: a local path may be on another worker's disk."""
        return all(self._part(number).exists() for number in range(self.parts))

    def discard(self) -> None:
        """Remove the parts, including those that a crash left behind."""
        there = list(takewhile(lambda part: part.exists(), map(self._part, count())))
        for part in reversed(there):
            part.unlink()
        self.parts = 0

    def _part(self, number: int) -> ObjectStoragePath:
        return _place(f"{self._path}.{self._owner}.part{number}")

    @staticmethod
    def _write(path: ObjectStoragePath, records: Iterable[ResultRecord], *, as_csv: bool) -> None:
        if path.protocol in ("", "file"):  # object storage has no directories, and mkdir may make a bucket
            path.parent.mkdir(parents=True, exist_ok=True)
        lines = _csv(records) if as_csv else _jsonl(records)
        with path.open("w", encoding="utf-8", newline="") as file:  # type: ignore[no-untyped-call]
            while block := "".join(islice(lines, _ROWS)):
                file.write(block)


def read_results(path: str) -> Iterator[ResultRecord]:
    """Yield the records of a results file, JSON lines or CSV."""
    place = _place(path)
    if not path.endswith(".csv"):
        yield from _read(place)
        return
    with place.open("r", encoding="utf-8", newline="") as file:  # type: ignore[no-untyped-call]
        for row in csv.DictReader(file):
            values = {name: row[name] or None for name in ResultRecord._fields}
            yield ResultRecord(**values | {name: int(row[name]) for name in ("taskID", "size") if row[name]})  # type: ignore[arg-type]


def _read(path: ObjectStoragePath) -> Iterator[ResultRecord]:
    with path.open("r", encoding="utf-8") as file:  # type: ignore[no-untyped-call]
        for line in file:
            yield ResultRecord(**json.loads(line))


def _jsonl(records: Iterable[ResultRecord]) -> Iterator[str]:
    for record in records:
        yield json.dumps(record._asdict(), ensure_ascii=False) + "\n"


def _csv(records: Iterable[ResultRecord]) -> Iterator[str]:
    row = io.StringIO()
    writer = csv.writer(row, lineterminator="\n")
    for values in chain([ResultRecord._fields], records):
        writer.writerow(values)
        yield row.getvalue()
        row.seek(0)
        row.truncate()


def _place(path: str) -> ObjectStoragePath:
    return path_of("results", path)
