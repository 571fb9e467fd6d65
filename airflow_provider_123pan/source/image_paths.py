"""Images in Airflow's object storage: in a folder, or by a pattern of paths."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.source.formats import spellings_of
from airflow_provider_123pan.source.paths import path_of
from airflow_provider_123pan.source.rules import EXTENSIONS

_ENDS = tuple(f".{extension}" for extension in sorted(EXTENSIONS))
_MAGIC = re.compile(r"[*?\[]")


def absolute(path: str) -> str:
    """Return a path with its scheme; one without a scheme is local."""
    return path if "://" in path else f"file://{os.path.abspath(path)}"


def find_images(field: str, place: str, formats: Iterable[str] = ()) -> Iterator[tuple[str, int]]:
    """Yield name and size of the images in a folder and those below it, whose names end as those of images do.

    :param place: a path that Airflow's object storage opens.
    :param formats: of which images count besides those that 123pan takes.
    :returns: names are paths below the folder; sizes are in bytes.
    :raises Pan123InputError: there is no such folder.
    """
    folder = path_of(field, place)
    # With the sizes, so that no further calls are needed.
    found = folder.fs.find(folder.path, detail=True)
    if not found and not folder.is_dir():
        raise Pan123InputError(f"{field}: there is no bucket or folder {place!r}")
    yield from _images(folder.path, found, formats)


def find_paths(field: str, place: str, formats: Iterable[str] = ()) -> Iterator[tuple[str, int]]:
    """Yield path and size of the images in a folder and those below it, of a pattern, or of one file.

    :param place: a path, or a pattern with ``*``, ``**``, ``?`` and ``[…]``.
    :param formats: of which images count besides those that 123pan takes.
    :returns: paths with their schemes; sizes are in bytes.
    :raises Pan123InputError: there is no such folder or file.
    """
    whole = absolute(place)
    exact = path_of(field, whole)
    if exact.is_file():
        yield whole, exact.stat().st_size
    elif exact.is_dir() or not (magic := _MAGIC.search(whole)):
        for name, size in find_images(field, place, formats):
            yield f"{whole.rstrip('/')}/{name}", size
    else:
        root = whole[: whole.rindex("/", 0, magic.start())]
        folder = path_of(field, root)
        found = folder.fs.glob(f"{folder.path.rstrip('/')}{whole[len(root) :]}", detail=True)
        for name, size in _images(folder.path, found, formats):
            yield f"{root}/{name}", size


def _images(
    folder: str, found: dict[str, dict[str, object]], formats: Iterable[str]
) -> Iterator[tuple[str, int]]:
    ends = (*_ENDS, *(f".{spelling}" for each in formats for spelling in spellings_of(each)))
    for path, details in found.items():
        size = details["size"]
        if path.lower().endswith(ends) and details["type"] == "file" and isinstance(size, int):
            yield path.removeprefix(folder).lstrip("/"), size
