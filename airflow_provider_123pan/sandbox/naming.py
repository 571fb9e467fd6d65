"""Names of stored images and of their default directory: the service documents few rules, so options choose."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Container
from typing import Literal

from airflow_provider_123pan.sandbox.dates import beijing

Naming = Literal["kept", "timestamped", "hashed", "nfd", "jpg", "cut"]
Numbering = Literal["name(1)", "name (1)", "name_1", "name-1"]
DefaultDirectory = Literal["half-width", "full-width"]

# The documents spell it with a half-width colon, which their own rule for names forbids; a client of the cloud drive
# shows it with a full-width one.
DEFAULT_DIRECTORY_NAMES: dict[DefaultDirectory, str] = {
    "half-width": "来自:离线下载",
    "full-width": "来自：离线下载",
}
MAX_CUT_LENGTH = 40  # characters, with the extension

_SHORT_EXTENSIONS = {"jpeg": "jpg", "tiff": "tif"}


def stored_name(name: str, etag: str, now: float, naming: Naming) -> str:
    """Return the name that the service gives an image.

    :param name: The wanted name.
    :param etag: The image's MD5 in hexadecimal digits.
    :param now: The time in Unix seconds.
    :param naming: The rule; `kept` returns the wanted name.
    """
    stem, dot, extension = _split(name)
    if naming == "timestamped":
        return f"{stem}_{beijing(now):%Y%m%d%H%M%S}{dot}{extension}"
    if naming == "hashed":
        return f"{etag}{dot}{extension}"
    if naming == "nfd":
        return unicodedata.normalize("NFD", name)
    if naming == "jpg":
        return f"{stem}{dot}{_SHORT_EXTENSIONS.get(extension.lower(), extension)}"
    if naming == "cut":
        return f"{stem[: MAX_CUT_LENGTH - len(dot + extension)]}{dot}{extension}"
    return name


def free_name(name: str, taken: Container[str], numbering: Numbering) -> str:
    """Return the name itself if it is free, else the first free one with a number.

    :param name: The wanted name.
    :param taken: The names that are in use.
    :param numbering: How a number is added, before the extension.
    """
    if name not in taken:
        return name
    stem, dot, extension = _split(name)
    suffix = numbering.removeprefix("name")
    names = (f"{stem}{suffix.replace('1', str(count))}{dot}{extension}" for count in itertools.count(1))
    return next(name for name in names if name not in taken)


def _split(name: str) -> tuple[str, str, str]:
    """Return the stem, the dot and the extension; the last two are empty if the name has no dot."""
    stem, dot, extension = name.rpartition(".")
    return (stem, dot, extension) if dot else (name, "", "")
