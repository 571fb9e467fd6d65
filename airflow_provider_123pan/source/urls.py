"""Source URLs: their comparable form, and their redacted form for logs."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from urllib.parse import unquote, urlsplit, urlunsplit

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


def canonical_url(url: str, signature_parameters: Sequence[str] = SIGNATURE_PARAMETERS) -> str:
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


def redact_url(url: str, signature_parameters: Sequence[str] = SIGNATURE_PARAMETERS) -> str:
    """An address for logs: nobody can use what it does not tell."""
    parts = urlsplit(canonical_url(url, signature_parameters))
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def redact_text(text: str, url: str, signature_parameters: Sequence[str] = SIGNATURE_PARAMETERS) -> str:
    """A text without what an address has that nobody shall see, though somebody quotes it."""
    parts = urlsplit(url)
    text = text.replace(url, redact_url(url, signature_parameters))
    for secret in (parts.query, parts.netloc.rpartition("@")[0]):
        text = text.replace(secret, "***") if secret else text
    return text
