"""Reads the list of images as a stream: from the DAG, or from a file that Airflow's object storage can open."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, count, repeat
from typing import Any

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.source.image_paths import absolute, find_paths
from airflow_provider_123pan.source.paths import path_of
from airflow_provider_123pan.sync.files import opened, text_lines
from airflow_provider_123pan.sync.parquet import read_parquet
from airflow_provider_123pan.sync.raw_entries import KEYS, TOO_LONG, Columns, RawEntry, is_long
from airflow_provider_123pan.sync.s3_inventory import MANIFEST, read_s3_inventory
from airflow_provider_123pan.sync.tables import TSV_HEADER, is_header, read_table, skip_lines


def read_list(images: Any, manifest: Any, encoding: str | None) -> tuple[str, Iterator[RawEntry]]:
    """Return what an error calls the list that an operator's arguments give, and its entries.

    :raises Pan123InputError: there are two lists, or none.
    """
    if (images is None) == (manifest is None):
        raise Pan123InputError("images: give either images or manifest")
    if manifest is None:
        return "images: the list", read_images(images)
    return f"manifest: {str(manifest)!r}", read_manifest(str(manifest), encoding)


def read_paths(source: Any, formats: Iterable[str] = ()) -> tuple[str, Iterator[RawEntry]]:
    """Return what an error calls the images of a folder, a pattern, or a list of paths, and their entries.

    :param formats: of which images count besides those that 123pan takes.
    """
    if isinstance(source, (str, os.PathLike)):
        place = os.fspath(source)
        found = find_paths("source", place, formats)
        return f"source: {place!r}", (RawEntry(url, {"url": url, "size": size}) for url, size in found)
    if isinstance(source, (bytes, Mapping)) or not isinstance(source, Iterable):
        raise Pan123InputError(
            f"source: got a {type(source).__name__}; give a folder, a pattern, or a list of paths"
        )
    return "source: the list", map(_of_path, source, count())


def read_images(images: Any) -> Iterator[RawEntry]:
    """Read the operator's ``images``: URLs, or dicts with ``url`` and the other keys."""
    if isinstance(images, (str, bytes, Mapping)) or not isinstance(images, Iterable):
        raise Pan123InputError(
            f"images: got a {type(images).__name__}, not a list of URLs or dicts; a template that gives a list "
            "needs render_template_as_native_obj=True, or pass the output of a task itself"
        )
    columns = Columns()
    for number, image in enumerate(images):
        place = f"images[{number}]"
        yield (
            RawEntry(place, {"url": image}) if isinstance(image, str) else _of_mapping(place, image, columns)
        )


def read_manifest(path: str, encoding: str | None = None) -> Iterator[RawEntry]:
    """Read a file: ``.txt``, ``.csv``, ``.tsv`` or ``.jsonl``, also with ``.gz``, ``.parquet``, or an S3 Inventory.

    :param encoding: of a text file; None for UTF-8.
    :raises Pan123InputError: it is none of these, it cannot be opened, or it is not a list.
    """
    name = path.lower().removesuffix(".gz")
    place = path_of("manifest", path)
    read = _FORMATS.get(name.rpartition(".")[2])
    if place.name == MANIFEST:
        yield from read_s3_inventory(place)
    elif name.endswith(".parquet"):
        with opened(place) as file:
            yield from read_parquet(file, path)
    elif read is None:
        known = ", ".join(f".{name}" for name in (*_FORMATS, "parquet"))
        raise Pan123InputError(f"manifest: {path!r} is none of {known}, or {MANIFEST} of an S3 Inventory")
    else:
        with text_lines(place, encoding) as lines:
            yield from read(lines)


def _of_path(path: Any, number: int) -> RawEntry:
    place = f"source[{number}]"
    if not isinstance(path, (str, os.PathLike)):
        return RawEntry(place, {}, f"got a {type(path).__name__}, not a path")
    return RawEntry(place, {"url": absolute(os.fspath(path))})


def _of_mapping(place: str, value: Any, columns: Columns) -> RawEntry:
    if not isinstance(value, Mapping):
        return RawEntry(place, {}, f"got a {type(value).__name__}, neither a URL nor a dict with url")
    if value.keys() <= _KEYS:
        return RawEntry(place, value)
    return RawEntry(place, {key: value[name] for key, name in columns.keys(value).items()})


def _txt(lines: Iterator[str]) -> Iterator[RawEntry]:
    """Read one URL per line, perhaps with a tab and a name; skip empty lines and those that begin with ``#``.

    A file that begins with a header is a table.
    """
    skipped, first = skip_lines(lines, lambda line: not is_long(line) and _is_comment(line))
    if first is None:
        return
    if first.strip() == TSV_HEADER or is_header(first):
        yield from read_table(chain(repeat("\n", skipped), [first], lines))
        return
    for number, line in enumerate(chain([first], lines), skipped + 1):
        if is_long(line):
            yield RawEntry(f"line {number}", {"url": line}, TOO_LONG)
        elif not _is_comment(line):
            text = line.strip()
            url, tab, name = text.partition("\t")
            yield RawEntry(f"line {number}", {"url": url, "file_name": name} if tab else {"url": text})


def _is_comment(line: str) -> bool:
    text = line.strip()
    return not text or text.startswith("#")


def _jsonl(lines: Iterator[str]) -> Iterator[RawEntry]:
    columns = Columns()
    for number, line in enumerate(lines, 1):
        if is_long(line):
            yield RawEntry(f"line {number}", {}, TOO_LONG)
        elif line.strip():
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield RawEntry(f"line {number}", {}, f"not JSON: {error}")
            else:
                yield _of_mapping(f"line {number}", value, columns)


_KEYS = frozenset(KEYS)
_FORMATS: dict[str, Callable[[Iterator[str]], Iterator[RawEntry]]] = {
    "txt": _txt,
    "csv": read_table,
    "tsv": read_table,
    "jsonl": _jsonl,
}
