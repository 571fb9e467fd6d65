"""The canonical form of a source URL, and its redacted form for logs."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from urllib.parse import unquote, urlsplit, urlunsplit

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


def redact_url(url: str, signature_parameters: Sequence[str] = SIGNATURE_PARAMETERS) -> str:
    """Return a URL for logs, without signature parameters, fragment, user and password."""
    parts = urlsplit(canonical_url(url, signature_parameters))
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def redact_text(text: str, url: str, signature_parameters: Sequence[str] = SIGNATURE_PARAMETERS) -> str:
    """Redact a URL in a message that quotes it, wholly or in part.

    :param text: the message.
    :param url: the URL.
    """
    parts = urlsplit(url)
    text = text.replace(url, redact_url(url, signature_parameters))
    for secret in (parts.query, parts.netloc.rpartition("@")[0]):
        text = text.replace(secret, "***") if secret else text
    return text
