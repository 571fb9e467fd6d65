"""An entry of the list: the source URL of an image, and the name by which the next run recognises it."""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from airflow_provider_123pan.download.request import check_file_name, check_url
from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.source.quoting import quoted
from airflow_provider_123pan.sync.naming import Naming

_LONGEST_NAME = 254  # that the service takes (official)
_NUMBERED = re.compile(r"\(\d+\)$")
_SIZE = re.compile(r"(\d{1,19})(?:\.0+)?")
_MD5_HEX = re.compile("[0-9a-fA-F]{32}")
_MD5_BASE64 = re.compile("[0-9A-Za-z+/]{22}==")
_MULTIPART_ETAG = re.compile("[0-9a-fA-F]{32}-[0-9]{1,5}")
_AMPERSAND = re.compile("&(?:amp|#0*38|#x0*26);", re.IGNORECASE)
_BLANK = re.compile("[^\\S\x00-\x1f\x7f-\x9f]")
_AUTHORITY = re.compile("[^/?#]*//[^/?#]*")

ESCAPED_URL = "the URL is escaped for HTML; its &amp; is read as &"
MULTIPART_ETAG = "md5: the ETag of a multipart upload is not an MD5, and is ignored"


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """An image that the directory should hold.

    :ivar url: the source URL, as it is sent.
    :ivar file_name: its name in the image host.
    :ivar size: bytes, if the list gives them.
    :ivar md5: lower-case hex, if the list gives it.
    """

    url: str
    file_name: str
    size: int | None = None
    md5: str | None = None

    @property
    def stem(self) -> str:
        """The name without its extension, which the service may change; images are compared by it."""
        return stem_of(self.file_name)

    @classmethod
    def of(
        cls, row: Any, naming: Naming | None = None, warn: Callable[[str], object] = lambda _: None
    ) -> ManifestEntry:
        """Check an entry: ``url``, and optionally ``file_name``, ``size`` and ``md5``.

        :param naming: names it if it has no ``file_name``.
        :param warn: called with a sentence about what was repaired or ignored.
        :raises Pan123InputError: names the field.
        """
        url = row.get("url")
        url = check_url(_repaired(url.strip(), warn) if isinstance(url, str) else url)
        name = row.get("file_name")
        if name is not None and (not isinstance(name, str) or len(name) > _LONGEST_NAME or "://" in name):
            raise Pan123InputError(
                f"file_name: {quoted(name)} must be a plain name of at most {_LONGEST_NAME} characters"
            )
        name = check_file_name(name.strip() if name else None) or (naming or Naming()).derive(url)
        if len(name) > _LONGEST_NAME:
            raise Pan123InputError(
                f"name: the name has {len(name)} characters, at most {_LONGEST_NAME} are allowed"
            )
        return cls(url, name, _size(row.get("size")), _md5(row.get("md5"), warn))


def stem_of(file_name: str) -> str:
    """Return a name without its extension, in NFC: the service may return it in another form."""
    name = unicodedata.normalize("NFC", file_name)
    return name.rpartition(".")[0] or name


def unnumbered(stem: str) -> str:
    """Return a name without the number that the service adds to a name that is taken (``a(1).jpg``)."""
    return _NUMBERED.sub("", stem)


def _repaired(url: str, warn: Callable[[str], object]) -> str:
    """Return a URL as it must be sent: with blanks percent-encoded, and not escaped for HTML."""
    if "&" in url and (unescaped := _AMPERSAND.sub("&", url)) != url:
        warn(ESCAPED_URL)
        url = unescaped
    if _BLANK.search(url) and (authority := _AUTHORITY.match(url)):
        if re.search(r"\shttps?://", url):
            raise Pan123InputError("url: there are several; give each a line of its own")
        end = authority.end()
        return url[:end] + _BLANK.sub(lambda blank: quote(blank[0]), url[end:])
    return url


def _size(value: Any) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and len(value) < 40 and (number := _SIZE.fullmatch(value.strip())):
        value = int(number[1])
    elif isinstance(value, float) and value.is_integer():  # a table's column of numbers with gaps has floats
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise Pan123InputError(f"size: {quoted(value)} is not a number of bytes")
    return value


def _md5(value: Any, warn: Callable[[str], object]) -> str | None:
    """Return lower-case hex, from hex, from base64 (as in lists for Google's Storage Transfer Service), or an ETag."""
    if value is None or value == "":
        return None
    text = value.strip().strip('"') if isinstance(value, str) else ""
    if _MD5_HEX.fullmatch(text):
        return text.lower()
    if _MD5_BASE64.fullmatch(text):
        return base64.b64decode(text).hex()
    if _MULTIPART_ETAG.fullmatch(text):
        warn(MULTIPART_ETAG)
        return None
    raise Pan123InputError(f"md5: {quoted(value)} is neither 32 hex digits nor 24 characters of base64")
