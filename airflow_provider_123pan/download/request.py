"""An operator's request, checked before anything is sent."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.source.quoting import quoted
from airflow_provider_123pan.source.rules import check_file_name

if TYPE_CHECKING:
    from airflow_provider_123pan.source.naming import Naming

MAX_URL_LENGTH = 8192
ROOTS = frozenset({"", "0", "/"})  # the root's id, and what is often taken for it


class Request(NamedTuple):
    """A request to fetch one image, checked before anything is sent."""

    url: str
    file_name: str
    directory_id: str | None

    @classmethod
    def of(cls, url: Any, file_name: Any, directory_id: Any, naming: Naming) -> Request:
        """Check an operator's arguments.

        :param naming: names the image if there is no ``file_name``.
        :raises Pan123InputError: names the field and the fix.
        """
        url, file_name, directory_id = (
            check_url(url),
            check_file_name(file_name),
            check_directory_id(directory_id),
        )
        return cls(url, file_name or naming.derive(url), directory_id)

    def digest(self, account: str) -> str:
        """Return a digest that is equal for equal requests of one account only."""
        parts = (account, self.url, self.file_name, self.directory_id)
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def check_url(url: Any) -> str:
    """Return a source URL, checked."""
    if isinstance(url, str) and len(url) > MAX_URL_LENGTH:
        raise Pan123InputError(f"url: it has {len(url)} characters; at most {MAX_URL_LENGTH} are allowed")
    if not isinstance(url, str) or not url.strip():
        raise Pan123InputError(f"url: got {kind_of(url)}; give the image's URL, with http:// or https://")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise Pan123InputError("url: it is not a URL: host or port cannot be read") from None
    if parts.scheme not in ("http", "https"):
        raise Pan123InputError(
            f"url: the scheme {quoted(parts.scheme)} is not http or https, and 123pan fetches from nowhere else; give "
            "the image's URL, with http:// or https://"
        )
    if not host or any(character.isspace() for character in url):
        raise Pan123InputError("url: it has no host or contains white space; percent-encode it")
    if not url.isprintable():  # among them what no database stores: NUL, and half a surrogate pair
        raise Pan123InputError("url: it contains control characters; percent-encode it")
    return url


def check_directory_id(directory_id: Any, field: str = "directory_id") -> str | None:
    """Return a directory's id, checked; None for the default directory."""
    if directory_id is None:
        return None
    if isinstance(directory_id, bool) or not isinstance(directory_id, (str, int)):
        raise Pan123InputError(f"{field}: got {kind_of(directory_id)}; give a directory's id, or None")
    if (text := str(directory_id).strip()) in ROOTS:
        raise Pan123InputError(
            f"{field}: {text!r} is the root, into which 123pan does not download; give a directory's id, "
            "or None for the directory 来自:离线下载"
        )
    if not text.isprintable():
        raise Pan123InputError(f"{field}: it contains control characters; copy the directory's id again")
    return text


def kind_of(value: Any) -> str:
    """Describe a wrong value for an error message, without the value itself."""
    return repr(value) if value is None or value == "" else f"a {type(value).__name__}"
