"""The one access token that all workers and triggerers of a deployment share.

At most three tokens of a client ID are alive, and a fourth login knocks off the oldest, so parallel tasks that
each log in kill each other's. The token therefore lives in an Airflow Variable, and a login happens only under
a mutual exclusion that needs nothing but Variables, which have no compare-and-set: write a unique mark, wait
until every prompt other's write has arrived, and go on only if the mark is still one's own; whoever was not
prompt waits until a login that it may have missed is over. It holds with slow networks, pauses and crashes: one
login, two after a crash of the process that logs in.
"""

from __future__ import annotations

import json
import logging
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_provider_123pan.account.variables import Variables
from airflow_provider_123pan.exceptions import (
    Pan123AccessTokenError,
    Pan123AnswerError,
    Pan123LoginLimitError,
    Pan123RateLimitError,
)
from airflow_provider_123pan.service.flow import Blocking, Flow, Sleep
from airflow_provider_123pan.service.models import AccessToken
from airflow_provider_123pan.service.protocol import Call, Send, login, read

log = logging.getLogger(__name__)

SETTLE = 3.0  # seconds a mark rests before it counts
LATE = SETTLE  # seconds from read to write after which another's mark may already have counted …
SETTLE_LATE = 30.0  # … and this is how long a login, which it then began, may take with all around it
LOCK_STALE_SECONDS = 60.0  # seconds without a change after which a holder is taken for dead
POLL = (0.5, 1.5)  # seconds between two looks of those that wait
LOGINS = 3
LOGINS_PERIOD = 600.0  # seconds
LOGIN_PAUSES = (1.0, 2.0, 4.0, 8.0)  # seconds, at least: the login has a rate limit of its own
EXPIRY_MARGIN = timedelta(minutes=1)  # or a tenth of the token's life, if that is less


@dataclass(frozen=True)
class LoginLock:
    """Who logs in, when logins of this account happened (Unix seconds), and whether the last one was answered.

    Every mark that is written is unlike all before, so what reads back as it was has not been written.
    """

    holder: str = ""
    locked: bool = False
    logins: tuple[float, ...] = ()
    answered: bool = True

    @classmethod
    def parse(cls, text: str | None) -> LoginLock:
        try:
            record = json.loads(text or "{}")
            return cls(
                str(record.get("holder", "")),
                bool(record.get("held", False)),
                tuple(map(float, record.get("logins", ()))),
                bool(record.get("answered", True)),
            )
        except (ValueError, TypeError, AttributeError, OverflowError):
            return cls()  # somebody else's text: as if it were absent

    def dump(self) -> str:
        return json.dumps(
            {
                "holder": self.holder,
                "held": self.locked,
                "logins": self.logins,
                "answered": self.answered,
            }
        )


class SharedToken:
    """The access token of an account, from an Airflow Variable, or by a login that is stored there.

    :param account: hex of a SHA-256 over base URL and client ID.
    :param mask: called with every token seen, so that logs hide it.
    """

    def __init__(
        self,
        account: str,
        client_id: str,
        client_secret: str,
        variables: Variables,
        mask: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._account = account
        self._login: Call[AccessToken] = login(client_id, client_secret)
        self._variables = variables
        self._mask = mask
        self._clock = clock
        self._token_name = f"pan123_access_token__{account[:16]}"
        self._lock_name = f"pan123_login__{account[:16]}"
        self._current: AccessToken | None = None
        self._logins: list[float] = []  # this process's own; the mark may be unwritable or lost to another

    @property
    def logged_in(self) -> bool:
        return bool(self._logins)

    def cached(self, refused: str | None) -> str | None:
        """The token that this process used last, unless it is the refused one or expires."""
        token = self._current
        return token.value if token and _good(token, refused) else None

    def obtain(self, refused: str | None) -> Flow[str]:
        """A token that is not the refused one: the stored one, or a new one."""
        seen, since = "", self._clock()
        while True:
            if token := (yield from self._stored(refused)):
                return token.value
            started = self._clock()
            lock: LoginLock = yield from self._read_lock()
            if lock.holder != seen:
                seen, since = lock.holder, self._clock()
            if lock.locked and self._clock() - since < LOCK_STALE_SECONDS:
                yield Sleep(random.uniform(*POLL))
                continue
            mine = self._lock(lock)
            yield from self._write_lock(mine)
            late = self._clock() - started > LATE
            settled = self._clock() + (SETTLE_LATE if late else SETTLE)
            while self._clock() < settled and not (yield from self._stored(refused)):
                yield Sleep(SETTLE)
            found: LoginLock = yield from self._read_lock()
            if found == mine:
                return (yield from self._renew(mine, refused))
            if found == lock:
                log.warning(
                    "Variable %s cannot be written; this process will use a token of its own", self._lock_name
                )
                return (yield from self._log_in()).value

    def _lock(self, lock: LoginLock) -> LoginLock:
        now = time.time()
        recent = {when for when in (*lock.logins, *self._logins) if abs(now - when) < LOGINS_PERIOD}
        if len(recent) >= LOGINS:
            raise Pan123LoginLimitError(
                f"{len(recent)} logins within {LOGINS_PERIOD / 60:.0f} minutes, the most that the provider makes, "
                + (
                    "and the token is refused again: more than three programs use this client ID, and each login "
                    "ends the oldest token. Give Airflow a client ID of its own, or let the others share their token"
                    if lock.answered
                    else "and the last of them got no answer"
                ),
                call="login",
            )
        return LoginLock(uuid.uuid4().hex, True, tuple(sorted(recent)), lock.answered)

    def _renew(self, mine: LoginLock, refused: str | None) -> Flow[str]:
        """Log in, unless another did meanwhile; the mark is mine."""
        answered = mine.answered
        try:
            token = yield from self._stored(refused)
            if token is None:
                token = yield from self._log_in()
                answered = True
                yield from self._store(token)
        except Exception as error:
            if getattr(error, "ambiguous", False) or isinstance(
                error, Pan123AnswerError
            ):  # it may have been done
                self._logins.append(time.time())
                answered = False
            yield from self._release(mine, answered)
            raise
        yield from self._release(mine, answered)
        return token.value

    def _release(self, mine: LoginLock, answered: bool) -> Flow[None]:
        if (yield from self._read_lock()) == mine:
            logins = sorted({*mine.logins, *self._logins})
            yield from self._write_lock(LoginLock(mine.holder, False, tuple(logins), answered))

    def _log_in(self) -> Flow[AccessToken]:
        for pause in (*LOGIN_PAUSES, None):
            answer = yield Send(self._login)
            try:
                token = _by_our_clock(read(self._login, answer), answer.date)
                break
            except Pan123RateLimitError:
                if pause is None:
                    raise
            yield Sleep(pause * random.uniform(1, 2))
        self._logins.append(time.time())
        yield from self._adopt(token)
        return token

    def _adopt(self, token: AccessToken) -> Flow[None]:
        if token != self._current:
            yield Blocking(lambda: self._mask(token.value))
            self._current = token

    def _stored(self, refused: str | None) -> Flow[AccessToken | None]:
        text: str | None = yield Blocking(lambda: self._variables.get(self._token_name))
        try:
            record: Any = json.loads(text or "{}")
            if record["account"] != self._account:
                return None
            token = AccessToken.parse(record)
        except (ValueError, TypeError, KeyError):
            return None  # absent, or not our record
        if not _good(token, refused):
            return None
        yield from self._adopt(token)
        return token

    def _store(self, token: AccessToken) -> Flow[None]:
        record = json.dumps(
            {
                "account": self._account,
                "accessToken": token.value,
                "expiredAt": token.expires_at.isoformat() if token.expires_at else None,
            }
        )
        yield Blocking(
            lambda: self._variables.set(
                self._token_name, record, "123pan access token, shared by all tasks; made by the provider"
            )
        )
        if (yield Blocking(lambda: self._variables.get(self._token_name))) != record:
            log.warning(
                "Variable %s reads back another value than was written (a secrets backend shadows it?); "
                "this process will use a token of its own",
                self._token_name,
            )

    def _read_lock(self) -> Flow[LoginLock]:
        return LoginLock.parse((yield Blocking(lambda: self._variables.get(self._lock_name))))

    def _write_lock(self, lock: LoginLock) -> Flow[None]:
        yield Blocking(
            lambda: self._variables.set(
                self._lock_name, lock.dump(), "123pan: which process logs in; made by the provider"
            )
        )


def _by_our_clock(token: AccessToken, issued_at: datetime) -> AccessToken:
    """A token that ends a little early. One that was over when it was issued is taken for good until it is refused.

    :param issued_at: by the service's clock, as the token's expiry.
    """
    if token.expires_at is None:
        return token
    life = token.expires_at - issued_at
    if life <= timedelta(0):
        return replace(token, expires_at=None)
    return replace(token, expires_at=datetime.now(timezone.utc) + life - min(EXPIRY_MARGIN, life / 10))


def _good(token: AccessToken, refused: str | None) -> bool:
    if token.value == refused:
        return False
    return token.expires_at is None or token.expires_at > datetime.now(timezone.utc)


class FixedToken:
    """The connection's own ``access_token``, used as it is and never stored."""

    logged_in = False

    def __init__(self, token: str) -> None:
        self._token = token

    def cached(self, refused: str | None) -> str | None:
        return None if refused == self._token else self._token

    def obtain(self, refused: str | None) -> Flow[str]:
        yield from ()
        raise Pan123AccessTokenError(
            "the service refuses the connection's access_token; replace access_token, "
            "or empty it so that the provider logs in",
            code=401,
        )
