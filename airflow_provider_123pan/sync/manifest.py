"""Reads the list of images as a stream: from the DAG, or from a file that Airflow's object storage can open."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.source.quoting import quoted

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

KEYS = ("url", "file_name", "size", "md5")
TSV_HEADER = "TsvHttpData-1.0"
#: Characters in a line of a file; the longest URL has 8 KiB.
MAX_LINE_LENGTH = 65_536
_TOO_LONG = f"it has more than {MAX_LINE_LENGTH} characters"


class RawEntry(NamedTuple):
    """One entry of a list, not yet checked.

    :ivar place: where it is, for messages: ``line 7`` or ``images[6]``.
    :ivar values: its fields.
    :ivar wrong: what is wrong with its form, in which case there are no values.
    """

    place: str
    values: Mapping[str, Any]
    wrong: str | None = None


def read_images(images: Any) -> Iterator[RawEntry]:
    """Read the operator's ``images``: URLs, or dicts with ``url`` and the other keys."""
    if isinstance(images, (str, bytes, Mapping)) or not isinstance(images, Iterable):
        raise Pan123InputError(
            f"images: got a {type(images).__name__}, not a list of URLs or dicts; a template that gives a list "
            "needs render_template_as_native_obj=True, or pass the output of a task itself"
        )
    for number, image in enumerate(images):
        place = f"images[{number}]"
        yield RawEntry(place, {"url": image}) if isinstance(image, str) else _of_mapping(place, image)


def read_manifest(path: str) -> Iterator[RawEntry]:
    """Read a file: ``.txt``, ``.csv``, ``.jsonl``, or ``.tsv`` as for Google's Storage Transfer Service.

    :raises Pan123InputError: it is none of these, it cannot be opened, or its header is wrong.
    """
    read = _FORMATS.get(path.rpartition(".")[2].lower())
    if read is None:
        raise Pan123InputError(f"manifest: {path!r} is none of {', '.join(f'.{name}' for name in _FORMATS)}")
    try:
        file = path_of("manifest", path).open("r", encoding="utf-8-sig", newline="")  # type: ignore[no-untyped-call]
    except FileNotFoundError:
        raise Pan123InputError(f"manifest: there is no file {path!r}") from None
    with file as lines:
        try:
            yield from read(_lines(lines))
        except (UnicodeDecodeError, csv.Error) as error:
            raise Pan123InputError(f"manifest: {path!r} cannot be read: {error}") from None


def path_of(field: str, path: str) -> ObjectStoragePath:
    """Return the path that an operator's argument names.

    :raises Pan123InputError: no installed provider can open it.
    """
    from airflow.sdk import ObjectStoragePath

    place = ObjectStoragePath(path)
    try:
        log.debug("%s: opened with %s", field, type(place.fs).__name__)
    except (ValueError, ImportError) as error:
        scheme = path.partition("://")[0]
        raise Pan123InputError(
            f"{field}: {scheme}:// cannot be opened; install the Airflow provider of this storage ({error})"
        ) from None
    return place


def _lines(file: Any) -> Iterator[str]:
    """Yield the lines of a text file; of one that is too long only the beginning, which :func:`_is_long` recognizes."""
    read, most = file.readline, MAX_LINE_LENGTH + 2  # with its end, which may have two characters
    line = read(most)
    while line:
        yield line
        following = read(most)
        while len(line) == most and (line[-1] not in "\r\n" or (line[-1] == "\r" and following == "\n")):
            line, following = following, read(most)
        line = following


def _is_long(line: str) -> bool:
    return len(line) > MAX_LINE_LENGTH and len(line.rstrip("\r\n")) > MAX_LINE_LENGTH


def _of_mapping(place: str, value: Any) -> RawEntry:
    if not isinstance(value, Mapping):
        return RawEntry(place, {}, f"got a {type(value).__name__}, neither a URL nor a dict with url")
    if unknown := [*islice((quoted(key) for key in value if key not in KEYS), 5)]:
        return RawEntry(place, {}, f"{', '.join(unknown)}: unknown; there are {', '.join(KEYS)}")
    return RawEntry(place, value)


def _txt(lines: Iterable[str]) -> Iterator[RawEntry]:
    """Read one URL per line; skip empty lines and those that begin with ``#``."""
    for number, line in enumerate(lines, 1):
        if _is_long(line):
            yield RawEntry(f"line {number}", {}, _TOO_LONG)
        elif (text := line.strip()) and not text.startswith("#"):
            yield RawEntry(f"line {number}", {"url": text})


def _csv(lines: Iterable[str]) -> Iterator[RawEntry]:
    table = csv.reader(_short(lines))
    header = [name.strip() for name in next(table, [])]
    if "url" not in header or set(header) - set(KEYS) or len(set(header)) < len(header):
        raise Pan123InputError(
            "manifest: line 1 must be the header url[,file_name][,size][,md5], with no other names and each once"
        )
    for cells in table:
        if not any(cell.strip() for cell in cells):
            continue
        place = f"line {table.line_num}"
        if len(cells) == len(header):
            yield RawEntry(place, dict(zip(header, cells, strict=True)))
        else:
            yield RawEntry(place, {}, f"it has {len(cells)} fields, the header {len(header)}")


def _short(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines; a long one makes it unknown where its row ends."""
    for number, line in enumerate(lines, 1):
        if _is_long(line):
            raise Pan123InputError(f"manifest: line {number}: {_TOO_LONG}")
        yield line


def _jsonl(lines: Iterable[str]) -> Iterator[RawEntry]:
    for number, line in enumerate(lines, 1):
        if _is_long(line):
            yield RawEntry(f"line {number}", {}, _TOO_LONG)
        elif line.strip():
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield RawEntry(f"line {number}", {}, f"not JSON: {error}")
            else:
                yield _of_mapping(f"line {number}", value)


def _tsv(lines: Iterable[str]) -> Iterator[RawEntry]:
    """Read URL, and optionally size and base64 MD5, under the line ``TsvHttpData-1.0``."""
    rows = enumerate(lines, 1)
    _, first = next(rows, (1, ""))
    if first.strip() != TSV_HEADER:
        raise Pan123InputError(f"manifest: line 1 must be {TSV_HEADER}")
    for number, line in rows:
        if _is_long(line):
            yield RawEntry(f"line {number}", {}, _TOO_LONG)
            continue
        cells = line.rstrip("\r\n").split("\t")
        if len(cells) > 3:
            yield RawEntry(
                f"line {number}", {}, f"it has {len(cells)} fields: address, size and MD5 are three"
            )
        elif line.strip():
            yield RawEntry(f"line {number}", dict(zip(("url", "size", "md5"), cells, strict=False)))


_FORMATS: dict[str, Callable[[Iterable[str]], Iterator[RawEntry]]] = {
    "txt": _txt,
    "csv": _csv,
    "jsonl": _jsonl,
    "tsv": _tsv,
}
