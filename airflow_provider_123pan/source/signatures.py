"""Query parameters that sign a URL: they change every day although the image is the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple


class Signer(NamedTuple):
    """A service that signs URLs. All names are in lower case.

    :ivar required: the parameters that prove the signature; one of them alone may select an image.
    :ivar removed: patterns of all parameters of the signature; ``*`` matches any characters.
    :ivar proof: returns whether the values, by name, are those of a signature.
    """

    required: frozenset[str]
    removed: tuple[str, ...]
    proof: Callable[[dict[str, str]], bool] = lambda values: True


def _key_and_signature(*names: str, extra: Sequence[str] = ()) -> Signer:
    return Signer(frozenset(names), (*names, *extra))


def _version_4(store: str) -> Signer:
    names = ("signature*", "credential", "algorithm", "date", "expires", "*token", "*headers")
    return Signer(frozenset({f"x-{store}-signature"}), tuple(f"x-{store}-{name}" for name in names))


def _is_of_qiniu(values: dict[str, str]) -> bool:
    return values["e"].isdecimal() and ":" in values["token"]


# Hex, or base64 in any alphabet, percent-encoded or not. An empty value has been redacted.
_SIGNATURE = re.compile(r"[\w+/=%~ -]*", re.ASCII)

#: The known signers. Parameters that select an image, such as ``x-oss-process``, are missing on purpose.
SIGNERS = (
    # Amazon S3 and compatible stores
    Signer(frozenset({"x-amz-signature"}), ("x-amz-*",)),
    _key_and_signature("awsaccesskeyid", "signature", "expires", extra=["x-amz-security-token"]),
    # Google Cloud Storage
    Signer(frozenset({"x-goog-signature"}), ("x-goog-*",)),
    _key_and_signature("googleaccessid", "signature", "expires"),
    # Azure Blob Storage
    _key_and_signature(
        "sig",
        "sv",
        extra=["se", "sp", "spr", "sr", "st", "ske", "skoid", "sks", "skt", "sktid", "skv", "sip", "ses"],
    ),
    # Alibaba OSS, Tencent COS, Huawei OBS, Volcengine TOS
    _version_4("oss"),
    _key_and_signature("ossaccesskeyid", "signature", "expires", extra=["security-token"]),
    _key_and_signature(
        "q-sign-algorithm",
        "q-ak",
        "q-signature",
        extra=["q-sign-*", "q-key-time", "q-header-list", "q-url-param-list", "x-cos-security-token"],
    ),
    _version_4("obs"),
    _key_and_signature("accesskeyid", "signature", "expires", extra=["x-obs-security-token"]),
    _version_4("tos"),
    # Qiniu, Amazon CloudFront, and CDNs
    _key_and_signature("e", "token")._replace(proof=_is_of_qiniu),
    _key_and_signature("key-pair-id", "signature", "expires"),
    _key_and_signature("key-pair-id", "signature", "policy"),
    _key_and_signature("auth_key"),
)


def signature_names(pairs: Iterable[tuple[str, str]], more: Sequence[str] = ()) -> set[str]:
    """Return the names of the parameters that only sign a URL.

    :param pairs: names in lower case, and values.
    :param more: patterns of further parameters that do, in lower case; each of them alone.
    """
    values = dict(pairs)
    patterns = [*more]
    for signer in SIGNERS:
        if signer.required <= values.keys() and _may_sign(values, signer) and signer.proof(values):
            patterns += signer.removed
    return {name for name in values if any(fnmatchcase(name, pattern) for pattern in patterns)}


def _may_sign(values: dict[str, str], signer: Signer) -> bool:
    """Return whether the signatures are hex or base64, without an end such as ``.html`` or ``?w=2``."""
    return all(_SIGNATURE.fullmatch(values[name]) for name in signer.required if "sig" in name)


def configured_parameters() -> tuple[str, ...]:
    """Return the patterns in ``[pan123] signature_parameters``, in lower case."""
    from airflow.sdk import conf

    names = conf.get("pan123", "signature_parameters", fallback="").split(",")
    return tuple(name.strip().lower() for name in names if name.strip())
