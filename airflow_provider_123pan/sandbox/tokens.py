"""Logins: at most `token_cap` tokens of one clientID are alive, and a new one knocks the oldest off."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from typing import Any

from airflow_provider_123pan.sandbox.envelope import TOKEN, Refusal

KNOCKED_OFF = "tokens number has exceeded the limit"
EXPIRED = "token is expired"
INVALID = "access_token is invalid"

_REMEMBERED_DEAD = 1000


@dataclass(frozen=True)
class Token:
    text: str
    client_id: str
    expires_at: int  # Unix seconds


class Tokens:
    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._alive: dict[str, Token] = {}
        self._dead: dict[str, str] = {}  # text → why it is refused

    def issue(self, client_id: str, user_id: int, cap: int, life: float) -> Token:
        """A new token: an HS256 JWT whose claims are `id` and `exp` (and `jti`, to be unlike all others)."""
        now = time.time()
        mine = [token for token in self._alive.values() if token.client_id == client_id]
        for token in mine:
            if token.expires_at <= now:
                self._bury(token, EXPIRED)
        mine = [token for token in mine if token.text in self._alive]
        for token in mine[: max(0, len(mine) + 1 - cap)]:
            self._bury(token, KNOCKED_OFF)
        expires_at = int(now + life)
        text = self._jwt({"id": user_id, "exp": expires_at, "jti": secrets.token_hex(8)})
        token = self._alive[text] = Token(text, client_id, expires_at)
        return token

    def client_of(self, authorization: str) -> str:
        """Whose token an `Authorization` header holds; refuses with code 401."""
        scheme, _, text = authorization.partition(" ")
        token = self._alive.get(text)
        if token is None or scheme != "Bearer":
            raise Refusal(self._dead.get(text, INVALID), TOKEN)
        if token.expires_at <= time.time():
            self._bury(token, EXPIRED)
            raise Refusal(EXPIRED, TOKEN)
        return token.client_id

    def kill_all(self) -> int:
        """Let every living token expire now."""
        tokens = list(self._alive.values())
        for token in tokens:
            self._bury(token, EXPIRED)
        return len(tokens)

    def alive(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        now = time.time()
        for token in self._alive.values():
            counts[token.client_id] = counts.get(token.client_id, 0) + (token.expires_at > now)
        return counts

    def _bury(self, token: Token, message: str) -> None:
        del self._alive[token.text]
        self._dead[token.text] = message
        if len(self._dead) > _REMEMBERED_DEAD:
            del self._dead[next(iter(self._dead))]

    def _jwt(self, claims: dict[str, Any]) -> str:
        parts = (json.dumps(part, separators=(",", ":")) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
        signed = ".".join(_base64url(part.encode()) for part in parts)
        signature = hmac.new(self._key, signed.encode(), hashlib.sha256).digest()
        return f"{signed}.{_base64url(signature)}"


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
