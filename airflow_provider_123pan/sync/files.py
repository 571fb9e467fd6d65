"""Opens the files that an operator's arguments name, wherever Airflow's object storage reaches."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.sync.raw_entries import lines_of

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

UTF_8 = "utf-8-sig"  # with or without a byte order mark


@contextmanager
def opened(path: ObjectStoragePath) -> Iterator[Any]:
    """Open a file as bytes, decompressed if its name ends with ``.gz``."""
    try:
        file = path.open("rb")  # type: ignore[no-untyped-call]
    except FileNotFoundError:
        raise Pan123InputError(f"manifest: there is no file {str(path)!r}") from None
    with file:
        if path.name.lower().endswith(".gz"):
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield unpacked
        else:
            yield file


@contextmanager
def text_lines(path: ObjectStoragePath, encoding: str | None) -> Iterator[Iterator[str]]:
    """Open a text file for its lines; errors of reading name it."""
    try:
        known = codecs.lookup(encoding or UTF_8).name
    except (LookupError, TypeError):
        raise Pan123InputError(f"encoding: Python knows none of the name {encoding!r}") from None
    try:
        with (
            opened(path) as file,
            io.TextIOWrapper(file, UTF_8 if known == "utf-8" else known, newline="") as text,
        ):
            yield lines_of(text)
    except UnicodeError as error:
        advice = "" if encoding else '; give its encoding, such as encoding="gb18030"'
        raise Pan123InputError(
            f"manifest: {str(path)!r} is not {encoding or 'UTF-8'} ({error}){advice}"
        ) from None
    except (csv.Error, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise Pan123InputError(f"manifest: {str(path)!r} cannot be read: {error}") from None
