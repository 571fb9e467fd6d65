"""An entry of the list: the source URL of an image, and the name by which the next run recognises it."""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from airflow_provider_123pan.download.request import EXTENSIONS, check_file_name, check_url
from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.source.quoting import quoted
from airflow_provider_123pan.source.urls import canonical_url

#: Query parameters that name the image's format if the path does not (``wx_fmt=png``, ``format=image/webp``).
FORMAT_PARAMETERS = ("wx_fmt", "format", "fmt", "fm", "ext")

DIGEST = 12  # characters of base32: 60 bits keep a million images of one name apart
_LONGEST_STEM = 80
_LONGEST_NAME = 254  # that the service takes (official)
_NUMBERED = re.compile(r"\(\d+\)$")
_ODD = frozenset('\\/:*?"<>|')


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """An image that the directory should hold.

    :ivar url: the source URL.
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
    def of(cls, row: Any, signature_parameters: Sequence[str] = ()) -> ManifestEntry:
        """Check an entry: ``url``, and optionally ``file_name``, ``size`` and ``md5``; an error names the field."""
        url = row.get("url")
        url = check_url(url.strip() if isinstance(url, str) else url)
        name = row.get("file_name")
        if name is not None and (not isinstance(name, str) or len(name) > _LONGEST_NAME or "://" in name):
            raise Pan123InputError(
                f"file_name: {quoted(name)} must be a plain name of at most {_LONGEST_NAME} characters"
            )
        name = check_file_name(name.strip() if name else None)
        return cls(
            url,
            name or _derived_name(url, signature_parameters),
            _size(row.get("size")),
            _md5(row.get("md5")),
        )


def stem_of(file_name: str) -> str:
    """Return a name without its extension, in NFC: the service may return it in another form."""
    name = unicodedata.normalize("NFC", file_name)
    return name.rpartition(".")[0] or name


def unnumbered(stem: str) -> str:
    """Return a name without the number that the service adds to a name that is taken (``a(1).jpg``)."""
    return _NUMBERED.sub("", stem)


def digest(text: str) -> str:
    """Return a digest of 12 characters that is safe in URLs and file names."""
    hashed = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return base64.b32encode(hashed[:10])[:DIGEST].decode().lower()


def _derived_name(url: str, signature_parameters: Sequence[str]) -> str:
    """Return the last part of a URL and a digest of the whole: unique, and the same in every run."""
    parts = urlsplit(url)
    last = unquote(parts.path).rstrip("/").rpartition("/")[2]
    stem, _, extension = last.rpartition(".")
    if not (stem and extension.lower() in EXTENSIONS):
        stem, extension = last, _told_format(parts.query)
    plain = "".join("_" if each in _ODD or not each.isprintable() else each for each in stem[:_LONGEST_STEM])
    stem = plain.strip(" .") or "image"
    return f"{stem}-{digest(canonical_url(url, signature_parameters))}.{extension}"


def _told_format(query: str) -> str:
    parameters = {name.lower(): value for name, value in parse_qsl(query)}
    for name in FORMAT_PARAMETERS:
        if (extension := parameters.get(name, "").lower().rpartition("/")[2]) in EXTENSIONS:
            return extension
    raise Pan123InputError("file_name: the URL shows no image extension; give a name that has one")


def _size(value: Any) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and len(value) < 20 and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise Pan123InputError(f"size: {quoted(value)} is not a number of bytes")
    return value


def _md5(value: Any) -> str | None:
    """Return lower-case hex, from hex or from base64 (as in lists for Google's Storage Transfer Service)."""
    if value is None or value == "":
        return None
    text = value.strip() if isinstance(value, str) else ""
    if re.fullmatch("[0-9a-fA-F]{32}", text):
        return text.lower()
    if re.fullmatch(r"[0-9A-Za-z+/]{22}==", text):
        return base64.b64decode(text).hex()
    raise Pan123InputError(f"md5: {quoted(value)} is neither 32 hex digits nor 24 characters of base64")
