"""The access token that all workers and triggerers of a deployment share.

At most three tokens of a client ID are valid at a time (official), and a fourth login revokes the oldest (observed):
parallel tasks that all logged in would revoke tokens that are in use. The token is therefore stored in an Airflow
Variable, and only one process at a time logs in.

The lock around a login needs nothing but Variables, which offer no compare-and-set (Fischer's timed mutual
exclusion). A process writes a unique lock record, waits until the writes of all prompt competitors have arrived, and
logs in only if the Variable still holds its record. A process that took long between reading and writing waits
longer, until a login that it may have overlooked is over. With slow networks, pauses and crashes this leads to one
login, or to two if the process that logs in crashes.
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

from airflow_provider_123pan.account.login_lock import LoginLock
from airflow_provider_123pan.account.variables import Variables
from airflow_provider_123pan.exceptions import (
    Pan123AnswerError,
    Pan123LoginLimitError,
    Pan123RateLimitError,
    Pan123RedirectError,
    Pan123TokenError,
)
from airflow_provider_123pan.service.flow import Blocking, Flow, Sleep
from airflow_provider_123pan.service.models import AccessToken
from airflow_provider_123pan.service.protocol import Call, Send, login, read
from airflow_provider_123pan.service.timing import REDIRECT_PAUSES

log = logging.getLogger(__name__)

# No token is used longer, whatever its expiry says; 90 days are the longest life observed.
MAX_LIFE = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class LoginTiming:
    """The durations of a login and of the lock around it, in seconds.

    :ivar settle_seconds: how long a process waits between writing its lock record and reading it back.
    :ivar late_seconds: if more time passes between reading the lock and writing it, a competitor may already have
        begun to log in.
    :ivar settle_late_seconds: how long the process waits in that case: the longest duration of a login.
    :ivar lock_stale_seconds: a lock that does not change for this long belongs to a process that crashed.
    :ivar poll_seconds: shortest and longest pause between two reads of a lock that another process holds.
    :ivar max_logins: how many logins of one account are allowed within ``login_period_seconds``.
    :ivar login_period_seconds: the period in which logins are counted.
    :ivar retry_seconds: minimum pauses after logins that were refused for their rate. The login has a rate limit of
        its own (official).
    :ivar expiry_margin_seconds: how long before its expiry a token is replaced; at most a tenth of its lifetime.
    """

    settle_seconds: float = 3.0
    late_seconds: float = 3.0
    settle_late_seconds: float = 30.0
    lock_stale_seconds: float = 60.0
    poll_seconds: tuple[float, float] = (0.5, 1.5)
    max_logins: int = 3
    login_period_seconds: float = 600.0
    retry_seconds: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)
    expiry_margin_seconds: float = 60.0


class SharedToken:
    """The access token of an account, taken from an Airflow Variable or from a login whose token is stored there.

    :param account: hex of a SHA-256 over base URL and client ID.
    :param mask: called with every token, so that logs hide it.
    :param clock: monotonic seconds.
    :param now: Unix seconds.
    :param uniform: returns a random number between its two arguments.
    """

    def __init__(
        self,
        account: str,
        client_id: str,
        client_secret: str,
        variables: Variables,
        mask: Callable[[str], None],
        *,
        timing: LoginTiming = LoginTiming(),
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._account = account
        self._login: Call[AccessToken] = login(client_id, client_secret)
        self._variables = variables
        self._mask = mask
        self._timing = timing
        self._clock, self._now, self._uniform = clock, now, uniform
        self._token_name = variable_of(account)
        self._lock_name = f"pan123_login__{account[:16]}"
        self._current: AccessToken | None = None
        # The logins of this process, because its lock record may be unwritable or overwritten.
        self._logins: list[float] = []

    @property
    def logged_in(self) -> bool:
        """True if this object logged in."""
        return bool(self._logins)

    def cached(self, refused: str | None) -> str | None:
        """Return the token that this process used last, unless it is ``refused`` or expired."""
        token = self._current
        return token.value if token and _usable(token, refused) else None

    def obtain(self, refused: str | None) -> Flow[str]:
        """Return a token other than ``refused``: the stored one, or a new one.

        :raises Pan123LoginLimitError: if the account has used up its logins.
        """
        timing = self._timing
        seen, since = "", self._clock()
        while True:
            if token := (yield from self._stored(refused)):
                return token.value
            started = self._clock()
            lock: LoginLock = yield from self._read_lock()
            if lock.holder != seen:
                seen, since = lock.holder, self._clock()
            if lock.locked and self._clock() - since < timing.lock_stale_seconds:
                yield Sleep(self._uniform(*timing.poll_seconds))
                continue
            claim = self._claim(lock)
            yield from self._write_lock(claim)
            late = self._clock() - started > timing.late_seconds
            settled = self._clock() + (timing.settle_late_seconds if late else timing.settle_seconds)
            while self._clock() < settled and not (yield from self._stored(refused)):
                yield Sleep(timing.settle_seconds)
            found: LoginLock = yield from self._read_lock()
            if found == claim:
                return (yield from self._renew(claim, refused))
            if found == lock:
                log.warning(
                    "Variable %s cannot be written. This process will use a token of its own", self._lock_name
                )
                return (yield from self._log_in()).value

    def _claim(self, lock: LoginLock) -> LoginLock:
        """Return a new record that claims the lock."""
        timing, now = self._timing, self._now()
        recent = {
            when for when in (*lock.logins, *self._logins) if abs(now - when) < timing.login_period_seconds
        }
        if len(recent) >= timing.max_logins:
            raise Pan123LoginLimitError(
                f"{len(recent)} logins within {timing.login_period_seconds / 60:.0f} minutes, which is the "
                "provider's limit, "
                + (
                    "and the service refuses the token again. Either more than three programs use this client ID, "
                    "and each login revokes the oldest token: give Airflow a client ID of its own, or let the other "
                    "programs share one token. Or the service allows each token only a number of uses (a quota): "
                    "make fewer calls, for example with requests_per_second in the connection"
                    if lock.answered
                    else "and the last one got no answer; check the network and the connection's host, proxy and verify"
                ),
                call="login",
            )
        return LoginLock(uuid.uuid4().hex, True, tuple(sorted(recent)), lock.answered)

    def _renew(self, claim: LoginLock, refused: str | None) -> Flow[str]:
        """Log in, unless another process stored a token in the meantime, and release the lock."""
        answered = claim.answered
        try:
            token = yield from self._stored(refused)
            if token is None:
                token = yield from self._log_in_or_share(refused)
                answered = True
        except Exception as error:
            # The service may have made this login although no token arrived here.
            if getattr(error, "ambiguous", False) or isinstance(error, Pan123AnswerError):
                self._logins.append(self._now())
                answered = False
            yield from self._release(claim, answered)
            raise
        yield from self._release(claim, answered)
        return token.value

    def _release(self, claim: LoginLock, answered: bool) -> Flow[None]:
        if (yield from self._read_lock()) == claim:
            logins = sorted({*claim.logins, *self._logins})
            yield from self._write_lock(LoginLock(claim.holder, False, tuple(logins), answered))

    def _log_in_or_share(self, refused: str | None) -> Flow[AccessToken]:
        """Log in and store the token, or return one that was stored while the service refused the login.

        A login that is refused for the number of tokens means that others log in: one of them may be of this account.
        """
        try:
            token = yield from self._log_in()
        except Pan123TokenError:
            if (stored := (yield from self._stored(refused))) is None:
                raise
            return stored
        yield from self._store(token)
        return token

    def _log_in(self) -> Flow[AccessToken]:
        pauses, redirect_pauses = iter(self._timing.retry_seconds), iter(REDIRECT_PAUSES)
        while True:
            answer = yield Send(self._login)
            try:
                token = read(self._login, answer)
                break
            except Pan123RateLimitError:
                if (pause := next(pauses, None)) is None:
                    raise
            except Pan123RedirectError:
                if (pause := next(redirect_pauses, None)) is None:
                    raise
            yield Sleep(pause * self._uniform(1, 2))
        self._logins.append(self._now())
        token = _with_local_expiry(token, answer.date, self._timing.expiry_margin_seconds)
        yield from self._adopt(token)
        return token

    def _adopt(self, token: AccessToken) -> Flow[None]:
        """Use this token from now on, and hide it in logs."""
        if token != self._current:
            yield Blocking(lambda: self._mask(token.value))
            self._current = token

    def _stored(self, refused: str | None) -> Flow[AccessToken | None]:
        """Adopt and return the stored token; None if there is no usable one for this account."""
        text: str | None = yield Blocking(lambda: self._variables.get(self._token_name))
        try:
            record: Any = json.loads(text or "{}")
            if record["account"] != self._account:
                return None
            token = AccessToken.parse(record)
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        if not _usable(token, refused):
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
                "Variable %s returned a different value than the one just written (is a secrets backend shadowing "
                "it?). This process will use a token of its own",
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


def variable_of(account: str) -> str:
    """Return the name of the Variable that holds an account's token."""
    return f"pan123_access_token__{account[:16]}"


def stored_expiry(account: str, variables: Variables) -> tuple[bool, datetime | None]:
    """Return whether a token of an account is stored, and when it expires, if that is known."""
    try:
        record: Any = json.loads(variables.get(variable_of(account)) or "{}")
        if record["account"] != account:
            return False, None
        return True, AccessToken.parse(record).expires_at
    except (ValueError, TypeError, KeyError, RecursionError):
        return False, None


def _with_local_expiry(token: AccessToken, issued_at: datetime, margin_seconds: float) -> AccessToken:
    """Convert a token's expiry to this host's clock, and move it a little earlier.

    A token that had already expired when it was issued is used until the service refuses it: the samples of the
    official page show such dates.

    :param issued_at: when the service issued the token, by the service's clock.
    """
    if token.expires_at is None:
        return token
    life = min(token.expires_at - issued_at, MAX_LIFE)
    if life <= timedelta(0):
        return replace(token, expires_at=None)
    margin = min(timedelta(seconds=margin_seconds), life / 10)
    return replace(token, expires_at=datetime.now(timezone.utc) + life - margin)


def _usable(token: AccessToken, refused: str | None) -> bool:
    if token.value == refused:
        return False
    return token.expires_at is None or token.expires_at > datetime.now(timezone.utc)
