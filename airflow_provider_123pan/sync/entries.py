"""An image that shall be there: its address, and the name by which it is known again tomorrow."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from airflow_provider_123pan.download.submission import EXTENSIONS, check_file_name, check_url
from airflow_provider_123pan.exceptions import Pan123InputError

#: Query parameters that sign an address, and so differ from night to night though the image is the same: S3 and what
#: speaks like it, Google, Alibaba, Volcengine, Huawei, Tencent, CDNs. Not those that choose the image, such as
#: ``x-oss-process``. Lower case; ``*`` stands for anything. ``[pan123] signature_parameters`` replaces the list.
SIGNATURE_PARAMETERS = (
    "x-amz-*",
    "x-goog-*",
    *(
        f"x-{store}-{name}"
        for store in ("oss", "tos", "obs")
        for name in ("signature*", "credential", "algorithm")
    ),
    *(
        f"x-{store}-{name}"
        for store in ("oss", "tos", "obs")
        for name in ("date", "expires", "*token", "*headers")
    ),
    "x-cos-security-token",
    "q-sign-*",
    "q-ak",
    "q-key-time",
    "q-header-list",
    "q-url-param-list",
    "q-signature",
    "awsaccesskeyid",
    "googleaccessid",
    "ossaccesskeyid",
    "accesskeyid",
    "signature",
    "expires",
    "key-pair-id",
    "policy",
    "security-token",
    "sig",
    "token",
    "auth_key",
)
#: Azure's go with ``sig``; without it, they may say something else.
AZURE = frozenset(
    {"se", "sp", "spr", "sr", "st", "sv", "ske", "skoid", "sks", "skt", "sktid", "skv", "sip", "ses"}
)
#: Query parameters that say the image's format where the path does not (``wx_fmt=png``, ``format=image/webp``).
FORMAT_PARAMETERS = ("wx_fmt", "format", "fmt", "fm", "ext")

DIGEST = 12  # letters of base 32: 60 bits keep a million images of one name apart
_LONGEST_STEM = 80
_NUMBERED = re.compile(r"\(\d+\)$")
_ODD = frozenset('\\/:*?"<>|')


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image that shall be there.

    :ivar size: bytes, where the list says it; :ivar md5: lower-case hex, likewise.
    """

    url: str
    file_name: str
    size: int | None = None
    md5: str | None = None

    @property
    def stem(self) -> str:
        """The name without its extension, by which images are compared: the service may change the extension."""
        return stem_of(self.file_name)

    @classmethod
    def of(cls, row: Any, signature_parameters: Sequence[str] = SIGNATURE_PARAMETERS) -> Wanted:
        """From a list's entry: ``url`` and at will ``file_name``, ``size``, ``md5``; an error names the field."""
        url = row.get("url")
        url = check_url(url.strip() if isinstance(url, str) else url)
        name = row.get("file_name")
        name = check_file_name(name.strip() if isinstance(name, str) else name)
        if not all(map(_is_text, (url, name or ""))):
            raise Pan123InputError("url, file_name: half a surrogate pair is no letter")
        return cls(
            url,
            name or _derived_name(url, signature_parameters),
            _size(row.get("size")),
            _md5(row.get("md5")),
        )


def stem_of(file_name: str) -> str:
    return file_name.rpartition(".")[0] or file_name


def unnumbered(stem: str) -> str:
    """Without the number that the service adds where a name is taken (``a(1).jpg``)."""
    return _NUMBERED.sub("", stem)


def digest(text: str) -> str:
    hashed = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return base64.b32encode(hashed[:10])[:DIGEST].decode().lower()


def identity(url: str, signature_parameters: Sequence[str] = SIGNATURE_PARAMETERS) -> str:
    """An address without what signs it and without its fragment: equal for the same image, tonight and tomorrow."""
    parts = urlsplit(url)
    pairs = [(unquote(pair.partition("=")[0]).lower(), pair) for pair in parts.query.split("&") if pair]
    azure = AZURE if "sig" in signature_parameters and any(name == "sig" for name, _ in pairs) else ()
    kept = [
        pair
        for name, pair in pairs
        if name not in azure and not any(fnmatchcase(name, pattern) for pattern in signature_parameters)
    ]
    return urlunsplit(parts._replace(query="&".join(kept), fragment=""))


def shown(url: str, signature_parameters: Sequence[str] = SIGNATURE_PARAMETERS) -> str:
    """An address for logs: nobody can use what it does not tell."""
    parts = urlsplit(identity(url, signature_parameters))
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def conceal(text: str, url: str, signature_parameters: Sequence[str] = SIGNATURE_PARAMETERS) -> str:
    """A text without what an address has that nobody shall see, though somebody quotes it."""
    parts = urlsplit(url)
    text = text.replace(url, shown(url, signature_parameters))
    for secret in (parts.query, parts.netloc.rpartition("@")[0]):
        text = text.replace(secret, "***") if secret else text
    return text


def _derived_name(url: str, signature_parameters: Sequence[str]) -> str:
    """The address's last part and a digest of the whole: unique, and the same tomorrow."""
    parts = urlsplit(url)
    last = unquote(parts.path).rstrip("/").rpartition("/")[2]
    stem, _, extension = last.rpartition(".")
    if not (stem and extension.lower() in EXTENSIONS):
        stem, extension = last, _told_format(parts.query)
    plain = "".join("_" if each in _ODD or not each.isprintable() else each for each in stem[:_LONGEST_STEM])
    stem = plain.strip(" .") or "image"
    return f"{stem}-{digest(identity(url, signature_parameters))}.{extension}"


def _is_text(value: str) -> bool:
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)


def _told_format(query: str) -> str:
    told = {name.lower(): value for name, value in parse_qsl(query)}
    for name in FORMAT_PARAMETERS:
        if (extension := told.get(name, "").lower().rpartition("/")[2]) in EXTENSIONS:
            return extension
    raise Pan123InputError("file_name: the address shows no image extension; give a name that has one")


def _size(value: Any) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and len(value) < 20 and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise Pan123InputError(f"size: {value!r:.50} is not a number of bytes")
    return value


def _md5(value: Any) -> str | None:
    """Lower-case hex, from hex or from base 64 (as Google's Storage Transfer Service has it)."""
    if value is None or value == "":
        return None
    text = value.strip() if isinstance(value, str) else ""
    if re.fullmatch("[0-9a-fA-F]{32}", text):
        return text.lower()
    if re.fullmatch(r"[0-9A-Za-z+/]{22}==", text):
        return base64.b64decode(text).hex()
    raise Pan123InputError(f"md5: {value!r} is neither 32 hex digits nor 24 letters of base 64")
