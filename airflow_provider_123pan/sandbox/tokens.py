"""Access tokens: each clientID has a limited number of valid tokens, and a new one revokes the oldest."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from airflow_provider_123pan.sandbox.envelope import TOKEN, Refusal

REVOKED = "tokens number has exceeded the limit"
EXPIRED = "token is expired"
INVALID = "access_token is invalid"

_MAX_REVOKED = 1000


@dataclass(frozen=True)
class Token:
    """An access token.

    :ivar text: What the `Authorization` header contains after `Bearer`.
    :ivar client_id: The clientID of its account.
    :ivar expires_at: When it expires, in Unix seconds.
    """

    text: str
    client_id: str
    expires_at: int


class Tokens:
    """All tokens that are valid, and the last ones that no longer are."""

    def __init__(self) -> None:
        """Start without tokens."""
        self._uses: Counter[str] = Counter()  # by text, of valid tokens
        self._key = secrets.token_bytes(32)
        self._valid: dict[str, Token] = {}
        self._invalid: dict[str, str] = {}  # text → reason for the refusal

    def issue(self, client_id: str, user_id: int, cap: int, life: float) -> Token:
        """Return a new token: an HS256 JWT with the claims `id`, `exp` and, to make it unique, `jti`.

        :param client_id: The clientID of the account.
        :param user_id: The account's number.
        :param cap: Maximum number of valid tokens of the account; the oldest ones are revoked.
        :param life: Seconds for which the token is valid.
        """
        now = time.time()
        own = [token for token in self._valid.values() if token.client_id == client_id]
        for token in own:
            if token.expires_at <= now:
                self._invalidate(token, EXPIRED)
        own = [token for token in own if token.text in self._valid]
        for token in own[: max(0, len(own) + 1 - cap)]:
            self._invalidate(token, REVOKED)
        expires_at = int(now + life)
        text = self._jwt({"id": user_id, "exp": expires_at, "jti": secrets.token_hex(8)})
        token = self._valid[text] = Token(text, client_id, expires_at)
        return token

    def use(self, authorization: str, max_uses: int | None) -> str:
        """Return the clientID of the token in an `Authorization` header, and count the call.

        :param max_uses: Number of calls for which a token is valid, or None; whether the service has such a quota is
            not certain (a shared token was observed to be refused while a new one worked).
        :raises Refusal: The token is not valid (code 401).
        """
        scheme, _, text = authorization.partition(" ")
        token = self._valid.get(text)
        if token is None or scheme != "Bearer":
            raise Refusal(self._invalid.get(text, INVALID), TOKEN)
        if token.expires_at <= time.time():
            self._invalidate(token, EXPIRED)
            raise Refusal(EXPIRED, TOKEN)
        if max_uses is not None and self._uses[text] >= max_uses:
            self._invalidate(token, REVOKED)
            raise Refusal(REVOKED, TOKEN)
        self._uses[text] += 1
        return token.client_id

    def expire_all(self) -> int:
        """Let all valid tokens expire now.

        :returns: The number of tokens.
        """
        tokens = list(self._valid.values())
        for token in tokens:
            self._invalidate(token, EXPIRED)
        return len(tokens)

    def count_valid(self) -> dict[str, int]:
        """Return the number of valid tokens per clientID."""
        counts: dict[str, int] = {}
        now = time.time()
        for token in self._valid.values():
            counts[token.client_id] = counts.get(token.client_id, 0) + (token.expires_at > now)
        return counts

    def _invalidate(self, token: Token, message: str) -> None:
        del self._valid[token.text]
        self._uses.pop(token.text, None)
        self._invalid[token.text] = message
        if len(self._invalid) > _MAX_REVOKED:
            del self._invalid[next(iter(self._invalid))]

    def _jwt(self, claims: dict[str, Any]) -> str:
        parts = (json.dumps(part, separators=(",", ":")) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
        signed = ".".join(_base64url(part.encode()) for part in parts)
        signature = hmac.new(self._key, signed.encode(), hashlib.sha256).digest()
        return f"{signed}.{_base64url(signature)}"


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
