"""The signed URL that the service calls back, and the token that allows a client to read the inbox.

Both contain the connection id and are signed with a key made from that connection's secret, each under its own salt, so
that neither works as the other. The connection id is readable without the key (:func:`claimed_connection_id`), which is
how the receiver finds the key. Any client that knows a callback URL can deliver to it until it expires, so it must not
appear in logs or XComs.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from itsdangerous import BadSignature, TimestampSigner

from airflow_provider_123pan.exceptions import Pan123InputError

PATH = "/pan123/callbacks/"
MAX_LENGTH = 511  # of a callback URL: the service documents no limit, so stay below a usual one (assumed)
MIN_SECRET_LENGTH = 16
READ_SECONDS = 600  # for which a read token is valid
CLOCK_SKEW = 300  # seconds by which the signer's clock may be ahead of the receiver's

_LABEL = b"airflow-provider-123pan callbacks"
_CALLBACK_SALT = b"airflow-provider-123pan callback v1"
_READ_SALT = b"airflow-provider-123pan read v1"
_CONN_ID_LENGTH = 250  # Airflow's limit
# The last digit of a signature carries only 4 bits: without this restriction, four spellings would be valid.
_SIGNED = r"\.[\w-]{6}\.[\w-]{42}[AEIMQUYcgkosw048]"
_CALLBACK_TOKEN = re.compile(r"[\w-]{2,}\.([0-9a-f]{32})" + _SIGNED, re.ASCII)
_READ_TOKEN = re.compile(r"[\w-]{2,}" + _SIGNED, re.ASCII)
# With or without a callback_id, and with one even if the signature is cut. A match begins only where a word does:
# otherwise, the time for a long word would grow with its square.
_TOKEN_LIKE = re.compile(
    r"(?<![\w-])[\w-]+\.(?:[0-9a-f]{32}\.[\w-]{6}(?:\.[\w-]*)?|[\w-]{6}\.[\w-]{40,})",
    re.ASCII | re.IGNORECASE,
)


def secret_keys(client_secret: str, callback_secret: str | Sequence[str] | None) -> tuple[bytes, ...]:
    """Return the signing keys of a connection, newest first.

    :param client_secret: used if there is no ``callback_secret``.
    :param callback_secret: one secret or several, newest first: the first one signs, all of them are accepted.
    :raises Pan123InputError: a secret is empty or too short, or is not a string.
    """
    if isinstance(callback_secret, str) and callback_secret.lstrip().startswith("["):
        callback_secret = _parse_list(callback_secret)
    given: list[Any]
    given = list(callback_secret) if isinstance(callback_secret, (list, tuple)) else [callback_secret]
    source = "callback_secret:"
    if not any(given):
        given, source = [client_secret], "callback_secret: is empty, and the client secret used in its place"
    if not all(isinstance(secret, str) for secret in given):
        raise Pan123InputError(f"{source} must be a string or a list of strings")
    if any(len(secret.strip()) < MIN_SECRET_LENGTH for secret in given):
        raise Pan123InputError(
            f"{source} must have at least {MIN_SECRET_LENGTH} characters; set callback_secret to one that you "
            'generate with "openssl rand -hex 32"'
        )
    return tuple(hmac.digest(secret.strip().encode(), _LABEL, "sha256") for secret in given)


def _parse_list(text: str) -> list[str]:
    """Parse a list from the connection's form, which stores it as a string of JSON."""
    try:
        found: list[str] = json.loads(text)
    except (ValueError, RecursionError):
        raise Pan123InputError(
            'callback_secret: begins with "[" like a list, but is not valid JSON; write a list as ["newer", "older"]'
        ) from None
    return found


def new_callback_id() -> str:
    """Return 32 random hex digits, drawn before the submission and not derived from the task's coordinates."""
    return secrets.token_hex(16)


def make_callback_url(base_url: str, conn_id: str, callback_id: str, keys: Sequence[bytes]) -> str:
    """Return the URL that the service is to call about one submission.

    :param base_url: the URL at which the service reaches the receiver (the connection's ``callback_base_url``).
    :param callback_id: 32 hex digits; see :func:`new_callback_id`.
    :param keys: the connection's keys; see :func:`secret_keys`.
    :raises Pan123InputError: the URL would be too long, or the connection id is not valid.
    """
    token = _sign(f"{_encoded(conn_id)}.{callback_id}", keys, _CALLBACK_SALT)
    address = f"{base_url.rstrip('/')}{PATH}{token}"
    if len(address) > MAX_LENGTH:
        raise Pan123InputError(
            f"callback_base_url: with the connection id, the callback URL has {len(address)} characters, and at most "
            f"{MAX_LENGTH} are possible; shorten one of the two"
        )
    return address


def verify_callback_token(token: str, keys: Sequence[bytes], max_age: float) -> str | None:
    """Return the callback_id of a token, or None if its signature is invalid or older than ``max_age`` seconds."""
    shape = _CALLBACK_TOKEN.fullmatch(token)
    return shape[1] if shape and _valid(token, keys, _CALLBACK_SALT, max_age) else None


def make_read_token(conn_id: str, keys: Sequence[bytes]) -> str:
    """Return a token that allows its holder to read the deliveries of one connection for 10 minutes."""
    return _sign(_encoded(conn_id), keys, _READ_SALT)


def verify_read_token(token: str, keys: Sequence[bytes]) -> bool:
    """Return whether a token allows its holder to read the deliveries of the connection that it names."""
    return bool(_READ_TOKEN.fullmatch(token)) and _valid(token, keys, _READ_SALT, READ_SECONDS)


def claimed_connection_id(token: str) -> str | None:
    """Return the connection id in a token of either kind, or None; unverified, it serves only to find the key."""
    if len(token) > MAX_LENGTH or not (_CALLBACK_TOKEN.fullmatch(token) or _READ_TOKEN.fullmatch(token)):
        return None
    name = token.partition(".")[0]
    try:
        conn_id = base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return conn_id if _is_connection_id(conn_id) else None


def mask_tokens(text: str) -> str:
    """Return a path or a query for logs: ``***`` for whatever may be a token."""
    before, path, _ = text.partition(PATH)
    masked = _TOKEN_LIKE.sub("***", before)
    return f"{masked}{path}***" if path else masked


def callback_address(
    base_url: str,
    conn_id: str,
    callback_id: str,
    *,
    client_secret: str,
    callback_secret: str | Sequence[str] | None = None,
) -> str:
    """Return a valid callback URL, so that a user's test can POST a delivery to it as the service would.

    The arguments are fields of the connection, and the ``callback_id`` of the submission::

        address = callback_address(base_url, "pan123_default", submission["callback_id"], client_secret="…")
        requests.post(address, json={"url": url, "status": 0, "failReason": "", "fileID": 100})
    """
    return make_callback_url(base_url, conn_id, callback_id, secret_keys(client_secret, callback_secret))


def _encoded(conn_id: str) -> str:
    if not _is_connection_id(conn_id):
        raise Pan123InputError(
            f"connection id {conn_id!r}: must have 1 to {_CONN_ID_LENGTH} printable characters, without a space at "
            "either end; rename the connection"
        )
    return base64.urlsafe_b64encode(conn_id.encode()).rstrip(b"=").decode()


def _is_connection_id(text: str) -> bool:
    # MySQL ignores trailing spaces when it compares.
    return 0 < len(text) <= _CONN_ID_LENGTH and text.isprintable() and text == text.strip()


@lru_cache(maxsize=64)
def _signer(keys: tuple[bytes, ...], salt: bytes) -> TimestampSigner:
    # itsdangerous expects the newest key last, and would derive each key again for every token.
    derived = [hmac.digest(key, salt, "sha256") for key in reversed(keys)]
    return TimestampSigner(derived, key_derivation="none", digest_method=hashlib.sha256)


def _sign(value: str, keys: Sequence[bytes], salt: bytes) -> str:
    return _signer(tuple(keys), salt).sign(value).decode()


def _valid(token: str, keys: Sequence[bytes], salt: bytes, max_age: float) -> bool:
    try:
        _, signed_at = _signer(tuple(keys), salt).unsign(token, return_timestamp=True)
    except BadSignature:
        return False
    return -CLOCK_SKEW <= time.time() - signed_at.timestamp() <= max_age
