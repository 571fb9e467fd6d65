"""Reads lists that are tables, as other tools write them: with or without a header, and with any delimiter."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, repeat
from typing import Any

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.sync.raw_entries import TOO_LONG, Columns, RawEntry, is_long
from airflow_provider_123pan.sync.s3_objects import names_objects, object_reader

TSV_HEADER = "TsvHttpData-1.0"
_DELIMITERS = "\t,;|"  # a URL may contain all but the first
_SAMPLE = 20  # lines from which the columns of a file without a header are found
_BUCKET = re.compile("[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_NO_HEADER = (
    "manifest: line 1 must be the header url[,file_name][,size][,md5], each once; without a header, a file has "
    "URLs, or URLs and names"
)
_UNCLOSED = "it has a quotation mark that is not closed"


def read_table(lines: Iterator[str]) -> Iterator[RawEntry]:
    """Read a table with a header; or one of URLs, of URLs and names, or of objects in an S3 Inventory.

    :raises Pan123InputError: it is none of these.
    """
    blank, first = skip_lines(lines, lambda line: not line.strip())
    if first is None:
        return
    if first.strip() == TSV_HEADER:
        yield from read_tsv(lines, blank + 2)
        return
    sample = [first, *islice(lines, _SAMPLE)]
    filled = [line for line in sample if line.strip() and not is_long(line)]
    delimiter = _header_delimiter(filled[0]) if filled else None
    has_header = delimiter is not None
    header, delimiter = (_cells(filled[0], delimiter), delimiter) if delimiter else _columns_of(filled)
    all_lines = chain(repeat("\n", blank), sample, lines)
    yield from read_rows(all_lines, header, delimiter, skip_first=has_header)


def skip_lines(lines: Iterator[str], is_skipped: Callable[[str], bool]) -> tuple[int, str | None]:
    """Return the number of lines that are skipped, and the first one that is not."""
    skipped = 0
    for line in lines:
        if not is_skipped(line):
            return skipped, line
        skipped += 1
    return skipped, None


def is_header(line: str) -> bool:
    """Return whether a line names several columns of a table, of which one has the URLs."""
    delimiter = None if is_long(line) else _header_delimiter(line)
    return delimiter is not None and len(_cells(line, delimiter)) > 1


def read_rows(
    lines: Iterable[str],
    header: Sequence[str],
    delimiter: str,
    *,
    skip_first: bool = False,
    columns: Columns | None = None,
) -> Iterator[RawEntry]:
    """Read the rows of a table. One with a quotation mark that is not closed ends with its line.

    :param header: the names of the columns.
    :param skip_first: the first row is the header.
    :param columns: warns of unknown ones.
    """
    values_of, width = _column_reader(header, columns or Columns()), len(header)
    source = _Source(lines)
    table = csv.reader(source, delimiter=delimiter, strict=True)
    while True:
        source.begin_row()
        wrong = None
        try:
            cells = next(table)
        except StopIteration:
            return
        except csv.Error:
            cells = _cells(source.row[0], delimiter)
            wrong = source.end_row(_UNCLOSED)
        if skip_first and any(map(str.strip, cells)):
            skip_first = False
            continue
        if source.has_long and not wrong:
            wrong = source.end_row(TOO_LONG) or TOO_LONG
        elif not any(map(str.strip, cells)):
            continue
        elif len(cells) > width and not any(map(str.strip, cells[width:])):
            del cells[width:]  # a spreadsheet fills all rows up to the longest one
        values: Mapping[str, Any] | None = {}
        if len(cells) == width:
            values = values_of(cells)
        elif not wrong:
            wrong = source.end_row(_UNCLOSED) or f"it has {len(cells)} fields, the header {width}"
        if values is not None:
            yield RawEntry(f"line {source.number}", values, wrong)


def read_tsv(lines: Iterable[str], first: int) -> Iterator[RawEntry]:
    """Read URL, and optionally size and base64 MD5, below the line TSV_HEADER.

    :param first: the number of the first of these lines.
    """
    for number, line in enumerate(lines, first):
        if is_long(line):
            yield RawEntry(f"line {number}", {"url": line}, TOO_LONG)
            continue
        cells = line.rstrip("\r\n").split("\t")
        if len(cells) > 3:
            wrong = f"it has {len(cells)} fields: URL, size and MD5 are three"
            yield RawEntry(f"line {number}", {"url": cells[0]}, wrong)
        elif line.strip():
            yield RawEntry(f"line {number}", dict(zip(("url", "size", "md5"), cells, strict=False)))


class _Source:
    """The lines for a CSV reader.

    :ivar number: of the first line of the current row.
    :ivar row: the lines of the current row.
    :ivar has_long: one of them is too long; it is passed on as an empty one.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._again: deque[str] = deque()
        self.number = 1
        self.row: list[str] = []
        self.has_long = False

    def __iter__(self) -> _Source:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.row.append(line)
        if is_long(line):
            self.has_long = True
            return "\n"
        return line.replace("\0", "\x01") if "\0" in line else line  # Python 3.10 refuses NUL

    def begin_row(self) -> None:
        """Begin a row with the next line."""
        self.number += len(self.row)
        self.row = []
        self.has_long = False

    def end_row(self, wrong: str) -> str | None:
        """End a row with its first line, and return what is wrong with it; None if it has no other lines."""
        if len(self.row) < 2:
            return None
        self._again.extendleft(reversed(self.row[1:]))
        del self.row[1:]
        return wrong


def _column_reader(
    header: Sequence[str], columns: Columns
) -> Callable[[Sequence[str]], Mapping[str, Any] | None]:
    """Return the function from a row's cells to the values of an entry; None for a row that is no entry."""
    names = [name.strip() for name in header]
    if "url" not in Columns(warns=False).keys(names):
        return object_reader(names, columns, encoded=True)
    places = [(key, names.index(name)) for key, name in columns.keys(names).items()]
    return lambda cells: {key: cells[place] for key, place in places}


def _header_delimiter(line: str) -> str | None:
    """Return the delimiter with which a line is a header of most columns, or None.

    :raises Pan123InputError: it names a column twice.
    """
    found: tuple[int, str] | None = None
    for delimiter in _DELIMITERS:
        names = [name.strip() for name in _cells(line, delimiter)]
        if any("://" in name for name in names):
            continue
        if "url" in Columns(warns=False).keys(names) or names_objects(names):
            if len({*names}) < len(names):
                raise Pan123InputError(_NO_HEADER)
            if found is None or len(names) > found[0]:
                found = len(names), delimiter
    return found[1] if found else None


def _columns_of(sample: Sequence[str]) -> tuple[list[str], str]:
    """Return the columns of a table without a header, and their delimiter; most lines must fit, and the first one.

    :raises Pan123InputError: they are unknown.
    """
    for header, delimiters in ((["url", "file_name"], _DELIMITERS), (["url"], ",")):
        for delimiter in delimiters:
            fitting = [_fits(_cells(line, delimiter), header) for line in sample]
            if fitting and fitting[0] and 2 * sum(fitting) >= len(fitting):
                return header, delimiter
    rows = [_cells(line, ",") for line in sample]
    bucket, width = (rows[0][0], len(rows[0])) if rows else ("", 0)
    if (
        width > 1
        and _BUCKET.fullmatch(bucket)
        and all(len(row) == width and row[0] == bucket for row in rows)
    ):
        return ["bucket", "key", *(f"column {number}" for number in range(3, width + 1))], ","
    raise Pan123InputError(_NO_HEADER)


def _fits(cells: Sequence[str], header: Sequence[str]) -> bool:
    """Return whether cells are a URL, or a URL and a name."""
    return len(cells) == len(header) and "://" in cells[0] and all("://" not in cell for cell in cells[1:])


def _cells(line: str, delimiter: str) -> list[str]:
    """Return the cells of a single line; what follows a closed quotation mark is taken as it is."""
    return next(csv.reader([line.replace("\0", "\x01")], delimiter=delimiter), [])
