"""An entry of the list: the source URL of an image, and the name by which the next run recognizes it."""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from airflow_provider_123pan.download.request import MAX_URL_LENGTH, check_url
from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.service.listing import comparable_name
from airflow_provider_123pan.source.naming import Naming, digest, folder_of
from airflow_provider_123pan.source.paths import is_path
from airflow_provider_123pan.source.quoting import quoted
from airflow_provider_123pan.source.rules import check_file_name, with_extension

_NUMBERED = re.compile(r"\(\d+\)$")
_SIZE = re.compile(r"(\d{1,19})(?:\.0+)?")
_MD5_HEX = re.compile("[0-9a-fA-F]{32}")
_MD5_BASE64 = re.compile("[0-9A-Za-z+/]{22}==")
_MULTIPART_ETAG = re.compile("[0-9a-fA-F]{32}-[0-9]{1,5}")
_AMPERSAND = re.compile("&(?:amp|#0*38|#x0*26);", re.IGNORECASE)
_BLANK = re.compile("[^\\S\x00-\x1f\x7f-\x9f]")
_AUTHORITY = re.compile("[^/?#]*//[^/?#]*")
_NO_SCHEME = re.compile("(?![A-Za-z][A-Za-z0-9+.-]+:).")

ESCAPED_URL = "the URL is escaped for HTML; its &amp; is read as &"
MULTIPART_ETAG = "md5: the ETag of a multipart upload is not an MD5, and is ignored"


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """An image that the directory should hold.

    :ivar url: the source URL, as it is sent, or a path of Airflow's object storage.
    :ivar file_name: its name in the image host.
    :ivar size: bytes, if the list gives them.
    :ivar md5: lower-case hex, if the list gives it.
    :ivar folder: the path of its directory below the target directory; empty for the target directory itself.
    :ivar converted: the worker converts it, by the format that its name or its URL shows; ``size`` and ``md5`` are
        those of the source.
    """

    url: str
    file_name: str
    size: int | None = None
    md5: str | None = None
    folder: str = ""
    converted: bool = False

    @property
    def stem(self) -> str:
        """The name without its extension, which the service may change; images are compared by it."""
        return stem_of(self.file_name)

    @property
    def key(self) -> str:
        """A digest of the folder and the stem, which identifies the image in its sync."""
        return image_key(self.stem, comparable_folder(self.folder))

    @classmethod
    def of(
        cls, row: Any, naming: Naming | None = None, warn: Callable[[str], object] = lambda _: None
    ) -> ManifestEntry:
        """Check an entry: ``url``, and optionally ``file_name``, ``size`` and ``md5``.

        :param naming: names it if it has no ``file_name``, and says whether images keep their directories.
        :param warn: called with a sentence about what was repaired or ignored.
        :raises Pan123InputError: names the field.
        """
        url = row.get("url")
        url = _source(url.strip(), warn) if isinstance(url, str) else check_url(url)
        naming = naming or Naming()
        target = naming.target_of(url, row.get("file_name"))
        folder, name = _given_name(row.get("file_name"), naming, target)
        if name is None:
            name = naming.derive(url)
        return cls(
            url,
            name,
            _size(row.get("size")),
            _md5(row.get("md5"), warn),
            folder if folder is not None else naming.folder(url),
            target is not None,
        )


def image_key(stem: str, folder: str = "") -> str:
    """Return what identifies an image in its sync.

    :param folder: as :func:`comparable_folder` returns it.
    """
    return digest(f"{folder}/{stem}" if folder else stem)


def comparable_folder(folder: str) -> str:
    """Return the path of a folder in the form in which the service compares names of directories."""
    return "/".join(map(comparable_name, folder.split("/"))) if folder else ""


def stem_of(file_name: str) -> str:
    """Return a name without its extension, in NFC: the service may return it in another form."""
    name = unicodedata.normalize("NFC", file_name)
    return name.rpartition(".")[0] or name


def unnumbered(stem: str) -> str:
    """Return a name without the number that the service adds to a name that is taken (``a(1).jpg``)."""
    return _NUMBERED.sub("", stem)


def _source(url: str, warn: Callable[[str], object]) -> str:
    """Return a source URL, checked and repaired, or a path that only the worker can read."""
    if len(url) <= MAX_URL_LENGTH and is_path(url):
        if not url.isprintable():
            raise Pan123InputError("url: the path contains control characters; rename the file")
        if url.lower().startswith("file://") and not url.lower().startswith("file:///"):
            raise Pan123InputError(
                "url: give the absolute path of a file, with three slashes: file:///data/cat.png"
            )
        return url
    if _NO_SCHEME.match(url):
        raise Pan123InputError(
            "url: the scheme '' is not http or https; for a file that the worker can read, write file:// before its "
            "absolute path"
        )
    return check_url(_repaired(url, warn))


def _given_name(value: Any, naming: Naming, target: str | None) -> tuple[str | None, str | None]:
    """Return the folder and the name that the list gives, each None if it gives none.

    :param target: the extension of what the image becomes; None: it is not converted.
    """
    if value is None or value == "":
        return None, None
    if not isinstance(value, str) or "://" in value:
        raise Pan123InputError(f"file_name: {quoted(value)} must be a name, such as cat.png")
    path, slash, name = value.strip().rpartition("/")
    if slash and not naming.keep_tree:
        raise Pan123InputError(
            f"file_name: {quoted(value)} has directories; pass keep_tree=True to make them"
        )
    name = with_extension(name, target) if target else name
    return folder_of(path.split("/")) if slash else None, check_file_name(name)


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
