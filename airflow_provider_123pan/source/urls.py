"""The canonical form of a source URL, and its redacted form for logs."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from html import escape
from urllib.parse import unquote, unquote_plus, urlsplit, urlunsplit

#: Query parameters that sign a URL, and therefore change although the image is the same: of S3 and compatible stores,
#: Google, Alibaba, Volcengine, Huawei, Tencent, and CDNs. Parameters that select an image, such as ``x-oss-process``,
#: are missing on purpose. In lower case; ``*`` stands for anything. ``[pan123] signature_parameters`` replaces them.
SIGNATURE_PARAMETERS = (
    "x-amz-*",
    "x-goog-*",
    *(
        f"x-{store}-{name}"
        for store in ("oss", "tos", "obs")
        for name in ("signature*", "credential", "algorithm", "date", "expires", "*token", "*headers")
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

#: Azure's parameters sign a URL only together with ``sig``; without it, they may have another meaning.
AZURE = frozenset(
    {"se", "sp", "spr", "sr", "st", "sv", "ske", "skoid", "sks", "skt", "sktid", "skv", "sip", "ses"}
)

_MAX_SHOWN_LENGTH = 4  # of a query value in logs


def canonical_url(url: str, signature_parameters: Sequence[str] = SIGNATURE_PARAMETERS) -> str:
    """Return a URL without signature parameters and fragment, so that URLs of the same image compare equal.

    :param signature_parameters: patterns of names, in lower case.
    """
    parts = urlsplit(url)
    pairs = [(unquote(pair.partition("=")[0]).lower(), pair) for pair in parts.query.split("&") if pair]
    azure = AZURE if "sig" in signature_parameters and any(name == "sig" for name, _ in pairs) else ()
    kept = [
        pair
        for name, pair in pairs
        if name not in azure and not any(fnmatchcase(name, pattern) for pattern in signature_parameters)
    ]
    return urlunsplit(parts._replace(query="&".join(kept), fragment=""))


def redact_url(url: str) -> str:
    """Return a URL for logs: no user and password, no fragment, and ``***`` for each query value that may be a secret.

    A value of up to four characters is shown: it is a version or a width, not a secret. What is not a URL is not shown.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return "***"
    pairs = [pair.partition("=") for pair in parts.query.split("&") if pair]
    shown = [f"{name}{equals}{'***' if _is_secret(value) else value}" for name, equals, value in pairs]
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=netloc, query="&".join(shown), fragment=""))


def redact_text(text: str, url: str) -> str:
    """Redact a URL in a message that quotes it, wholly or in part, as it is or escaped for HTML.

    :param text: the message; redact it before cutting it.
    """
    text = text.replace(url, redact_url(url)).replace(escape(url), escape(redact_url(url)))
    try:
        parts = urlsplit(url)
    except ValueError:  # it is not a URL, so it has no parts that could be quoted
        return text
    login = parts.netloc.rpartition("@")[0]
    values = {login, *login.split(":"), *(pair.partition("=")[2] for pair in parts.query.split("&"))}
    spellings = {spell(value) for value in values for spell in (str, unquote, unquote_plus, escape)}
    for secret in sorted(filter(_is_secret, spellings), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _is_secret(value: str) -> bool:
    return len(value) > _MAX_SHOWN_LENGTH
