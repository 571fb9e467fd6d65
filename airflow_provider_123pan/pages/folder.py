"""Finds and reads the pages of a folder, wherever Airflow's object storage reaches."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.source.paths import path_of
from airflow_provider_123pan.sync.atomic_file import is_local

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

#: The names of pages: Markdown, MDX, HTML, reStructuredText, AsciiDoc, Org, CSS, JSON, YAML, TOML, XML, and text.
PAGES = tuple(
    f"*.{extension}"
    for extension in (
        *("md", "markdown", "mdown", "mkd", "mdx", "html", "htm", "xhtml", "rst", "adoc", "asciidoc", "org"),
        *("css", "json", "yaml", "yml", "toml", "xml", "txt"),
    )
)
#: The bytes of the longest page; a longer file is an export that must be split.
MAX_PAGE_BYTES = 32 * 1024 * 1024


class Page(NamedTuple):
    """A file of a folder.

    :ivar name: its path below the folder, with ``/``.
    """

    name: str
    path: ObjectStoragePath


class UnreadablePageError(Exception):
    """A page that no later try can read as it is; the message says why."""


class PageFolder:
    """The pages of a folder, in the order of their names; or one page, if the path is that of a file.

    Hidden files and folders are left out, and symbolic links are not followed. A pattern with a slash matches the path
    below the folder, one without matches the name of a file at any depth. Case does not count.

    :param pages: the path of the folder or the file.
    :param include: patterns of the pages.
    :param exclude: patterns of files and folders that are left out.
    :param skipped: paths of files and folders that are left out, such as the journal.
    """

    def __init__(
        self,
        pages: str,
        include: Iterable[str] = PAGES,
        exclude: Iterable[str] = (),
        skipped: Iterable[str] = (),
    ) -> None:
        self._include = [pattern.lower() for pattern in include]
        self._exclude = [pattern.lower().rstrip("/") for pattern in exclude]
        self._skipped = {_location(path) for path in skipped}
        place = opened_folder("pages", pages)
        self._only: str | None = None
        try:
            kind = place.fs.info(place.path)["type"]
        except FileNotFoundError:
            raise Pan123InputError(f"pages: there is no folder or file {pages!r}") from None
        if kind == "directory":
            self.root = absolute(pages)
        else:
            folder, _, self._only = absolute(pages).rstrip("/").rpartition("/")
            self.root = folder or "/"
        self._place = opened_folder("pages", self.root)

    def __iter__(self) -> Iterator[Page]:
        if self._only is not None:
            yield page_at(self._place, self._only)
            return
        fs, top = self._place.fs, _plain(self._place.path)
        for folder, folders, files in fs.walk(top, detail=True):
            below = _plain(folder)[len(top) :].strip("/")
            for name in sorted(folders):  # the walk continues in the order of this dict
                info = folders.pop(name)
                if not self._is_left_out(f"{below}/{name}".lstrip("/"), info):
                    folders[name] = info
            for name in sorted(files):
                path = f"{below}/{name}".lstrip("/")
                info = files[name]
                if info["type"] == "file" and self._is_page(path) and not self._is_left_out(path, info):
                    yield page_at(self._place, path)

    def _is_page(self, path: str) -> bool:
        return any(_matches(path.lower(), pattern) for pattern in self._include)

    def _is_left_out(self, path: str, info: dict[str, Any]) -> bool:
        return (
            path.rpartition("/")[2].startswith(".")
            or bool(info.get("islink"))
            or (self._place.protocol or "file", _plain(info["name"])) in self._skipped
            or any(_matches(path.lower(), pattern) for pattern in self._exclude)
        )


def absolute(path: str) -> str:
    """Return a path that means the same in every process: a local one is absolute."""
    if "://" in path:
        return path
    return os.path.abspath(path.removeprefix("file:"))


def opened_folder(field: str, path: str) -> ObjectStoragePath:
    """Return a folder that an argument names, with the name of the argument in errors."""
    if not path.strip():
        raise Pan123InputError(f"{field}: give the path of a folder")
    return path_of(field, absolute(path))


def page_at(folder: ObjectStoragePath, name: str) -> Page:
    """Return the page of a name below a folder.

    :raises Pan123InputError: the name leads out of the folder.
    """
    if name.startswith("/") or ".." in name.split("/"):
        raise Pan123InputError(f"{name!r} is not the path of a page below {str(folder)!r}")
    return Page(name, folder / name)


def read_page(page: Page) -> bytes:
    """Return the bytes of a page.

    :raises UnreadablePageError: it is too long.
    :raises OSError: the storage fails.
    """
    with _opened(page.path) as file:
        data: bytes = file.read(MAX_PAGE_BYTES + 1)
    if len(data) > MAX_PAGE_BYTES:
        raise UnreadablePageError(
            f"it has more than {MAX_PAGE_BYTES // 1024**2} MiB; split it or leave it out with exclude"
        )
    return data


def _opened(path: ObjectStoragePath) -> Any:
    # Around a local file, the object storage takes several times as long as the disk.
    return Path(path.path).open("rb") if is_local(path) else path.open("rb")  # type: ignore[no-untyped-call]


def _matches(path: str, pattern: str) -> bool:
    return fnmatchcase(path if "/" in pattern else path.rpartition("/")[2], pattern)


def _location(path: str) -> tuple[str, str]:
    place = opened_folder("journal", path)
    return place.protocol or "file", _plain(place.path)


def _plain(path: str) -> str:
    return path.rstrip("/") or "/"
