"""Entries of a list as its file has them, not yet checked, and what all formats of files share."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from airflow_provider_123pan.download.request import MAX_URL_LENGTH
from airflow_provider_123pan.source.quoting import quoted

log = logging.getLogger(__name__)

KEYS = ("url", "file_name", "size", "md5")
#: Characters in a line of a file; the longest URL has 8 KiB.
MAX_LINE_LENGTH = 65_536
TOO_LONG = f"it has more than {MAX_LINE_LENGTH} characters"

# How other tools call the keys, in lower case and without separators: rclone, qshell, ossimport, S3 Inventory.
_ALIASES = {
    "url": "url",
    "filename": "file_name",
    "name": "file_name",
    "key": "file_name",
    "size": "size",
    "md5": "md5",
    "etag": "md5",
}
_MAX_NAME_LENGTH = 50
# What no database takes, and control characters.
_UNSTORABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_MAX_UNKNOWN_SHOWN = 5


class RawEntry(NamedTuple):
    """One entry of a list, not yet checked.

    :ivar place: where it is, for messages: ``line 7`` or ``images[6]``.
    :ivar values: its fields, by KEYS.
    :ivar wrong: what is wrong with its form.
    """

    place: str
    values: Mapping[str, Any]
    wrong: str | None = None

    def shown_url(self) -> str:
        """Return what stands for a URL in the record of an invalid entry."""
        url = self.values.get("url")
        if not isinstance(url, str):
            return ""
        return _UNSTORABLE.sub("\ufffd", url.strip()[:MAX_URL_LENGTH])


class Columns:
    """The names of a list's fields, in any case and as other tools call them.

    A name that is not known is ignored, with one warning for the list.

    :param warns: there is a warning.
    """

    def __init__(self, *, warns: bool = True) -> None:
        self._warned = not warns

    def keys(self, names: Iterable[Any]) -> dict[str, Any]:
        """Return which of the names stands for each key."""
        names = [*names]
        found: dict[str, Any] = {}
        if exact := [name for name in KEYS if name in names]:
            found = dict(zip(exact, exact, strict=True))
        for name in names:
            if (key := _ALIASES.get(plain_name(name))) is not None:
                found.setdefault(key, name)
        if len(found) < len(names) and not self._warned:
            self._warn([name for name in names if name not in found.values()])
        return found

    def _warn(self, unknown: list[Any]) -> None:
        self._warned = True
        shown = ", ".join(map(quoted, unknown[:_MAX_UNKNOWN_SHOWN]))
        more = " and others" if len(unknown) > _MAX_UNKNOWN_SHOWN else ""
        log.warning("The list's fields %s%s are ignored; known are %s", shown, more, ", ".join(KEYS))


def plain_name(name: Any) -> str:
    """Return the name of a field without separators and in lower case, as names are compared."""
    if not isinstance(name, str) or len(name) > _MAX_NAME_LENGTH:
        return ""
    return name.strip().lower().replace("_", "").replace("-", "").replace(" ", "")


def lines_of(file: Any) -> Iterator[str]:
    """Yield the lines of a text file; of one that is too long only the beginning, which :func:`is_long` recognizes."""
    read, most = file.readline, MAX_LINE_LENGTH + 2  # with its end, which may have two characters
    line = read(most)
    while line:
        yield line
        following = read(most)
        while len(line) == most and (line[-1] not in "\r\n" or (line[-1] == "\r" and following == "\n")):
            line, following = following, read(most)
        line = following


def is_long(line: str) -> bool:
    """Return whether a line is longer than MAX_LINE_LENGTH."""
    return len(line) > MAX_LINE_LENGTH and len(line.rstrip("\r\n")) > MAX_LINE_LENGTH
