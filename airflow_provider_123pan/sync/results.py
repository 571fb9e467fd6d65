"""The results file: one record per source URL, as JSON lines or CSV."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from itertools import chain, count, takewhile
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.source.paths import path_of
from airflow_provider_123pan.sync.atomic_file import discard_unfinished, write_file
from airflow_provider_123pan.sync.files import UTF_8
from airflow_provider_123pan.sync.result_record import ResultRecord

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath

#: A record with the number of its image on the list; None if a part of an earlier version lacks it.
NumberedRecord: TypeAlias = "tuple[int | None, ResultRecord]"


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
        return cls(path, owner_of(context), parts) if path else None

    def spill(self, records: Iterable[NumberedRecord]) -> None:
        """Write records to a part, for the next worker, each with the number of its image on the list."""
        if first := next(records := iter(records), None):
            lines = (
                json.dumps({"number": number, **record._asdict()}, ensure_ascii=False) + "\n"
                for number, record in chain([first], records)
            )
            write_file(self._part(self.parts), lines, self._owner)
            self.parts += 1

    def earlier(self) -> Iterator[NumberedRecord]:
        """Yield the records of all parts."""
        return chain.from_iterable(_read_numbered(self._part(number)) for number in range(self.parts))

    def write(self, records: Iterable[ResultRecord], *, recalled: bool = False) -> None:
        """Write the records of all parts, and these, to the results file; then remove the parts.

        :param recalled: those of the parts that have a file and a number are among ``records``.
        """
        earlier = (
            record
            for number, record in self.earlier()
            if not (recalled and record.fileID and number is not None)
        )
        lines = (_csv if self._path.endswith(".csv") else _jsonl)(chain(earlier, records))
        write_file(_place(self._path), lines, self._owner)
        self.discard()

    def whole(self) -> bool:
        """Return whether all parts are there: a local path may be on another worker's disk."""
        return all(self._part(number).exists() for number in range(self.parts))

    def spilled(self) -> Iterator[ResultRecord]:
        """Yield the records of all parts that are there, which another process may have written."""
        yield from chain.from_iterable(map(_read_jsonl, self._parts_there()))

    def discard(self) -> None:
        """Remove the parts, including those that a crash left behind."""
        there = list(self._parts_there())
        for part in reversed(there):
            part.unlink()
        for path in (_place(self._path), self._part(len(there))):
            discard_unfinished(path, self._owner)
        self.parts = 0

    def _parts_there(self) -> Iterator[ObjectStoragePath]:
        return takewhile(lambda part: part.exists(), map(self._part, count()))

    def _part(self, number: int) -> ObjectStoragePath:
        return _place(f"{self._path}.{self._owner}.part{number}")


def owner_of(context: Context) -> str:
    """Return a digest of a task in its DAG run, which all of its tries share."""
    ti: Any = context["ti"]
    return owner_of_task(ti.dag_id, ti.run_id, ti.task_id, ti.map_index)


def owner_of_task(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    """Return the digest of a task in its DAG run, by its coordinates."""
    return hashlib.sha256(f"{dag_id} {run_id} {task_id} {map_index}".encode()).hexdigest()[:12]


def read_results(path: str) -> Iterator[ResultRecord]:
    """Yield the records of a results file, JSON lines or CSV.

    :raises Pan123InputError: the file is cut, or a sync did not write it.
    """
    yield from (_read_csv if path.endswith(".csv") else _read_jsonl)(_place(path))


def _read_jsonl(path: ObjectStoragePath) -> Iterator[ResultRecord]:
    return (record for _, record in _read_numbered(path))


def _read_numbered(path: ObjectStoragePath) -> Iterator[NumberedRecord]:
    """Yield the records of JSON lines; only those of parts have numbers."""
    with path.open("r", encoding=UTF_8) as file:  # type: ignore[no-untyped-call]
        place = 0
        try:
            for place, line in enumerate(file, 1):  # noqa: B007
                fields = json.loads(line)
                number = fields.pop("number", None)
                record = ResultRecord(**fields)
                if not _has_right_types(record) or not _is_number(number, 0, 2**63):
                    raise ValueError("a field has a wrong type")
                yield number, record
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise _no_record(path, place) from None


def _read_csv(path: ObjectStoragePath) -> Iterator[ResultRecord]:
    with path.open("r", encoding=UTF_8, newline="") as file:  # type: ignore[no-untyped-call]
        table = csv.reader(_ended(file), strict=True)
        try:
            header = next(table, [])
            if not {*ResultRecord._fields} - {*ResultRecord._field_defaults} <= {*header}:
                raise ValueError("the header lacks a field")
            for row in filter(None, table):
                cells = dict(zip(header, row, strict=True))
                values: dict[str, Any] = {name: cells.get(name) or None for name in ResultRecord._fields}
                numbers = {name: int(cells[name]) for name in ("taskID", "size") if cells[name]}
                record = ResultRecord(**values | numbers | {"url": cells["url"]})
                if not _has_right_types(record):
                    raise ValueError("a number is out of range")
                yield record
        except (ValueError, csv.Error):
            raise _no_record(path, table.line_num) from None


def _ended(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines; a cut within the last field of a row shows only in that the row has no end of line."""
    for line in lines:
        if not line.endswith("\n"):
            raise ValueError("the last line has no end")
        yield line


def _has_right_types(record: ResultRecord) -> bool:
    """Return whether a record, whose values may be anything, has strings and numbers where they belong."""
    texts: list[object] = [*record[1:3], *record[4:8], record.reason, record.fetched_by]
    given = [record.url, *(text for text in texts if text is not None)]
    return (
        all(isinstance(text, str) and (text.isascii() or _is_unicode(text)) for text in given)
        and _is_number(record.taskID, -(2**63), 2**64)
        and _is_number(record.size, 0, 2**63)
    )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_number(value: object, least: int, end: int) -> bool:
    """Return whether a value is a whole number below ``end``, or missing."""
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and least <= value < end)


def _no_record(path: ObjectStoragePath, line: int) -> Pan123InputError:
    return Pan123InputError(
        f"results: line {line} of {str(path)!r} is not a whole record; the file is cut, or a sync did not write it"
    )


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
