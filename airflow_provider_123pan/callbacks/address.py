"""The signed address that the service calls back, and the token that opens the inbox for reading.

Both name the connection and are signed with a key of that connection's secret, each under a salt of its own, so that
neither works as the other. The connection is readable without the key (:func:`peek`): that is how its key is found.
Whoever holds an address can deliver to it until it expires: it belongs into no log and no XCom.
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
MAX_LENGTH = 511  # of an address: the service documents no bound, so stay under a usual one
MIN_SECRET_LENGTH = 16
READ_SECONDS = 600  # a read token's life
CLOCK_SKEW = 300  # seconds by which the clock that signed may be ahead of the one that checks

_LABEL = b"airflow-provider-123pan callbacks"
_CALLBACK_SALT = b"airflow-provider-123pan callback v1"
_READ_SALT = b"airflow-provider-123pan read v1"
_CONN_ID_LENGTH = 250  # Airflow's own bound
# A signature's last digit carries 4 bits only: without the bound on it, four spellings of it would be valid.
_SIGNED = r"\.[\w-]{6}\.[\w-]{42}[AEIMQUYcgkosw048]"
_CALLBACK_TOKEN = re.compile(r"[\w-]{2,}\.([0-9a-f]{32})" + _SIGNED, re.ASCII)
_READ_TOKEN = re.compile(r"[\w-]{2,}" + _SIGNED, re.ASCII)


def secret_keys(client_secret: str, callback_secret: str | Sequence[str] | None) -> tuple[bytes, ...]:
    """The signing keys of a connection, newest first.

    :param client_secret: signs where there is no ``callback_secret``.
    :param callback_secret: one secret, or several, newest first: the first signs, each is accepted.
    :raises Pan123InputError: a secret is empty or too short to sign with.
    """
    if isinstance(callback_secret, str) and callback_secret.lstrip().startswith("["):
        callback_secret = _listed(callback_secret)
    given: list[Any]
    given = list(callback_secret) if isinstance(callback_secret, (list, tuple)) else [callback_secret]
    source = "callback_secret"
    if not any(given):
        given, source = [client_secret], "callback_secret is empty, and the client secret in its place"
    if not all(isinstance(each, str) for each in given):
        raise Pan123InputError(f"{source} must be a text or a list of texts")
    if any(len(each.strip()) < MIN_SECRET_LENGTH for each in given):
        raise Pan123InputError(
            f"{source} is shorter than {MIN_SECRET_LENGTH} characters: too short to sign with"
        )
    return tuple(hmac.digest(each.strip().encode(), _LABEL, "sha256") for each in given)


def _listed(text: str) -> list[str]:
    """A list as the connection's form gives it: JSON in a text."""
    try:
        found: list[str] = json.loads(text)
    except ValueError:
        raise Pan123InputError("callback_secret begins like a list, but is no JSON") from None
    return found


def new_callback_id() -> str:
    """32 random hex digits; drawn before the submission, and never derived from the task's coordinates."""
    return secrets.token_hex(16)


def make_callback_url(base_url: str, conn_id: str, callback_id: str, keys: Sequence[bytes]) -> str:
    """The address that the service is to call about one submission.

    :param base_url: where the service reaches the receiver, the connection's ``callback_base_url``.
    :param callback_id: of :func:`new_callback_id`.
    :param keys: of :func:`secret_keys`.
    :raises Pan123InputError: the address would be too long.
    """
    token = _sign(f"{_named(conn_id)}.{callback_id}", keys, _CALLBACK_SALT)
    address = f"{base_url.rstrip('/')}{PATH}{token}"
    if len(address) > MAX_LENGTH:
        raise Pan123InputError(
            f"callback_base_url and the connection's id make an address of {len(address)} characters; "
            f"{MAX_LENGTH} are possible"
        )
    return address


def verify_callback_token(token: str, keys: Sequence[bytes], max_age: float) -> str | None:
    """The callback_id of an address's token, or None if it is not ours, or older than ``max_age`` seconds."""
    shape = _CALLBACK_TOKEN.fullmatch(token)
    return shape[1] if shape and _valid(token, keys, _CALLBACK_SALT, max_age) else None


def make_read_token(conn_id: str, keys: Sequence[bytes]) -> str:
    """A token that reads the deliveries of one connection for 10 minutes."""
    return _sign(_named(conn_id), keys, _READ_SALT)


def verify_read_token(token: str, keys: Sequence[bytes]) -> bool:
    """Whether a token may read the deliveries of the connection that it names."""
    return bool(_READ_TOKEN.fullmatch(token)) and _valid(token, keys, _READ_SALT, READ_SECONDS)


def claimed_connection_id(token: str) -> str | None:
    """The connection id that a token of either kind claims: unverified, and only good for finding the key."""
    if len(token) > MAX_LENGTH or not (_CALLBACK_TOKEN.fullmatch(token) or _READ_TOKEN.fullmatch(token)):
        return None
    name = token.partition(".")[0]
    try:
        conn_id = base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return conn_id if _is_connection_id(conn_id) else None


def callback_address(
    base_url: str,
    conn_id: str,
    callback_id: str,
    *,
    client_secret: str,
    callback_secret: str | Sequence[str] | None = None,
) -> str:
    """A valid callback address, for tests of one's own: POST a delivery to it, as the service would.

    The arguments are the connection's fields, and the ``callback_id`` is the submission's::

        address = callback_address(base_url, "pan123_default", submission["callback_id"], client_secret="…")
        requests.post(address, json={"url": url, "status": 0, "failReason": "", "fileID": 100})
    """
    return make_callback_url(base_url, conn_id, callback_id, secret_keys(client_secret, callback_secret))


def _named(conn_id: str) -> str:
    if not _is_connection_id(conn_id):
        raise Pan123InputError(
            f"connection id {conn_id!r} must have 1 to {_CONN_ID_LENGTH} printable characters, "
            "no space at either end"
        )
    return base64.urlsafe_b64encode(conn_id.encode()).rstrip(b"=").decode()


def _is_connection_id(text: str) -> bool:
    # MySQL ignores spaces at the end.
    return 0 < len(text) <= _CONN_ID_LENGTH and text.isprintable() and text == text.strip()


@lru_cache(maxsize=64)
def _signer(keys: tuple[bytes, ...], salt: bytes) -> TimestampSigner:
    # itsdangerous wants the newest key last, and would derive each anew for every token.
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
