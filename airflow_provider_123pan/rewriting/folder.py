"""Finds the pages in a folder, wherever Airflow's object storage reaches, and reads them in their encodings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from charset_normalizer import from_bytes

from airflow_provider_123pan.exceptions import Pan123DocumentError, Pan123InputError
from airflow_provider_123pan.source.declared_encoding import (
    HEAD_BYTES,
    byte_order_mark,
    page_encoding,
    unmarked_utf16,
)

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

#: The ends of the names of pages, in lower case.
PAGE_SUFFIXES = frozenset(
    {
        *(".md", ".markdown", ".mdown", ".mkd", ".mdx", ".rst", ".adoc", ".asciidoc", ".org", ".txt"),
        *(".htm", ".html", ".xhtml", ".css", ".json", ".toml", ".xml", ".yaml", ".yml"),
    }
)
#: A page is read as a whole.
MAX_PAGE_BYTES = 100 * 2**20

_HIGH = bytes(range(0x80, 0x100))
# So many bytes beyond ASCII are not valid UTF-8 by accident.
_CERTAINLY_UTF8 = 16


class Page(NamedTuple):
    """A page as its file has it.

    :ivar text: without the byte order mark, and with the file's line ends.
    :ivar encoding: as Python calls it.
    :ivar mark: the byte order mark, if there is one.
    """

    text: str
    encoding: str
    mark: bytes = b""

    def encode(self, text: str) -> bytes:
        """Return the bytes of the page with another text; with its own, those that were read.

        :raises UnicodeEncodeError: the page's encoding lacks a character.
        """
        return self.mark + text.encode(self.encoding)


def find_pages(folder: ObjectStoragePath) -> Iterator[ObjectStoragePath]:
    """Yield the pages in a folder and in those below it, sorted by name; if it is a file, that one.

    Hidden files and folders, such as ``.git``, are left out, and links to folders are not followed.

    :raises Pan123InputError: there is neither a file nor a folder.
    """
    if folder.is_file():
        yield folder
        return
    if not folder.is_dir():
        raise Pan123InputError(f"pages: there is no file or folder {str(folder)!r}")
    root: str | None = None
    for place, folders, files in folder.fs.walk(folder.path, topdown=True, on_error="raise"):
        root = place if root is None else root
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        within = place[len(root) :].strip("/")
        for name in sorted(files):
            if not name.startswith(".") and PurePosixPath(name).suffix.lower() in PAGE_SUFFIXES:
                yield folder / within / name if within else folder / name


def read_page(path: ObjectStoragePath) -> Page | None:
    """Return a page; None for a binary file.

    :raises Pan123DocumentError: it cannot be read; the message names it.
    """
    try:
        with path.open("rb") as file:  # type: ignore[no-untyped-call]
            data = file.read(MAX_PAGE_BYTES + 1)
    except OSError as error:
        raise Pan123DocumentError(f"{path} cannot be read: {error.strerror or error}") from None
    if len(data) > MAX_PAGE_BYTES:
        raise Pan123DocumentError(f"{path} has more than {MAX_PAGE_BYTES // 2**20} MiB")
    try:
        return decode_page(data, path.suffix)
    except UnicodeError as error:
        raise Pan123DocumentError(f"{path} cannot be read: {error}") from None


def decode_page(data: bytes, suffix: str) -> Page | None:
    """Return the text of a page in the encoding that it shows, declares, or most likely has; None for binary data.

    :param suffix: the end of its name, such as ``.html``.
    :raises UnicodeError: no encoding fits.
    """
    mark, encoding = byte_order_mark(data) or (b"", None)
    body, head = data[len(mark) :], data[:HEAD_BYTES]
    if encoding is None and b"\0" in body and (encoding := unmarked_utf16(head)) is None:
        return None
    for candidate in [encoding] if encoding else _likely_encodings(body, suffix):
        try:
            text = body.decode(candidate)
            if text.encode(candidate) == body:
                return None if "\0" in text else Page(text, candidate, mark)
        except UnicodeError:
            continue
    if encoding and not mark:  # the NULs are not those of UTF-16
        return None
    raise UnicodeError(
        f"it is not {encoding}" if encoding else "its encoding is not known; convert it to UTF-8"
    )


def _likely_encodings(data: bytes, suffix: str) -> Iterator[str]:
    declared = page_encoding(data[:HEAD_BYTES], suffix)
    if declared and len(data) - len(data.translate(None, _HIGH)) < _CERTAINLY_UTF8:
        yield declared
    yield "utf-8"
    if declared:
        yield declared
    if guessed := from_bytes(data).best():
        yield guessed.encoding
