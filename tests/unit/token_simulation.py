"""A simulation of processes, Airflow's Variables and a login service in virtual time.

A process is a flow, as the provider's clients run them, but every step takes a random time, and a process may crash or
pause in the middle of a step. The same seed leads to the same history.
"""

from __future__ import annotations

import heapq
import itertools
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from functools import partial
from typing import Any

from airflow_provider_123pan.account.token import SharedToken
from airflow_provider_123pan.service.flow import Blocking, Flow, Sleep
from airflow_provider_123pan.service.protocol import Answer, Send

EPOCH = 1_800_000_000.0
ACCOUNT = "a" * 64
TOKENS_ALIVE = 3

TOKEN_NAME = f"pan123_access_token__{ACCOUNT[:16]}"
LOCK_NAME = f"pan123_login__{ACCOUNT[:16]}"

Latency = Callable[[random.Random], float]


def quick(dice: random.Random) -> float:
    """Return the latency of a healthy network, in seconds."""
    return dice.uniform(0.005, 0.05)


def slow(dice: random.Random) -> float:
    """Return a latency that is mostly well below a second and sometimes above ten seconds."""
    return min(dice.lognormvariate(-1.5, 1.5), 12.0)


class Service:
    """A service whose fourth login revokes the oldest token.

    :ivar alive: the valid tokens, oldest first.
    :ivar logins: number of tokens issued.
    :ivar answers: answers to the next logins, instead of a token.
    :ivar refusal: answer to all other logins, instead of a token.
    :ivar life: lifetime of new tokens; None: the answer has no expiry.
    :ivar ahead: difference of its clock to this host's.
    """

    def __init__(self) -> None:
        self.alive: list[str] = []
        self.logins = 0
        self.answers: list[Answer | Exception] = []
        self.refusal: Answer | Exception | None = None
        self.life: timedelta | None = timedelta(days=30)
        self.ahead = timedelta(0)

    def log_in(self) -> Answer:
        """Answer a login."""
        answer = self.answers.pop(0) if self.answers else self.refusal
        if isinstance(answer, Exception):
            raise answer
        return answer or self.issue()

    def revoke_all(self) -> None:
        """Revoke all tokens."""
        self.alive = []

    def issue(self) -> Answer:
        """Answer a login with a new token."""
        self.logins += 1
        token = f"secret-{self.logins}"
        self.alive = [*self.alive, token][-TOKENS_ALIVE:]
        now = datetime.now(timezone.utc) + self.ahead
        until = (now + self.life).isoformat() if self.life else None
        answer = envelope(0, data={"accessToken": token, "expiredAt": until})
        return Answer(200, {"Date": format_datetime(now, usegmt=True)}, answer.body)


def envelope(code: int, message: str = "", data: Any = None) -> Answer:
    """Return an answer with the service's JSON."""
    return Answer(200, {}, json.dumps({"code": code, "message": message, "data": data}).encode())


@dataclass
class Process:
    """A running flow.

    :ivar steps: types of the steps it took.
    :ivar dies_at: number of the step at which it crashes; with .5, the crash follows the step's effect.
    :ivar pause: number of a step, and the seconds that pass before the process continues after it.
    """

    flow: Flow[Any]
    steps: list[str] = field(default_factory=list)
    result: Any = None
    error: Exception | None = None
    ended: bool = False
    dies_at: float | None = None
    pause: tuple[int, float] = (-1, 0.0)


def one_token(processes: list[Process]) -> str:
    """Assert that all processes ended without an error, with the same token, and return it."""
    assert [process.error for process in processes if process.error] == []
    assert all(process.ended for process in processes)
    (token,) = {process.result for process in processes}
    return str(token)


class TokenSimulation:
    """A history of processes that share one account.

    :param seed: of all random times.
    :param latency: seconds of each way to Airflow's Variables, there and back.
    :param login: the same for the login service.
    """

    def __init__(self, seed: int, latency: Latency = quick, login: Latency = quick) -> None:
        self.dice = random.Random(seed)
        self.now = 0.0
        self.service = Service()
        self.variables: dict[str, str] = {}
        self.masked: set[str] = set()
        self.processes: list[Process] = []
        self._latency, self._login = latency, login
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    @property
    def lock(self) -> dict[str, Any]:
        """The stored lock record."""
        record: dict[str, Any] = json.loads(self.variables[LOCK_NAME])
        return record

    def get(self, name: str) -> str | None:
        """Return a Variable's value."""
        return self.variables.get(name)

    def set(self, name: str, value: str, description: str) -> None:
        """Overwrite a Variable."""
        self.variables[name] = value

    def source(self, account: str = ACCOUNT, variables: Any = None) -> SharedToken:
        """Return the token source of a new process."""
        zero = self.dice.uniform(0, 1e6)  # the monotonic clocks of two hosts are unrelated
        return SharedToken(
            account,
            "client",
            "password",
            variables or self,
            self.masked.add,
            clock=lambda: zero + self.now,
            now=lambda: EPOCH + self.now,
            uniform=self.dice.uniform,
        )

    def start(self, flow: Flow[Any]) -> Process:
        """Start a process."""
        process = Process(flow)
        self.processes.append(process)
        self.at(0, lambda: self._step(process, lambda: next(flow)))
        return process

    def workers(self, count: int, seconds: float = 0.0) -> list[Process]:
        """Start processes that use the token for some seconds."""
        return [self.start(self.work(self.source(), seconds)) for _ in range(count)]

    def work(self, source: SharedToken, seconds: float = 0.0) -> Flow[str]:
        """Use the token for some seconds, and obtain another one whenever the service refuses it."""
        token = source.cached(None) or (yield from source.obtain(None))
        end = self.now + seconds
        while self.now < end:
            yield Sleep(self.dice.uniform(0.5, 2))
            if token not in self.service.alive:
                token = source.cached(token) or (yield from source.obtain(token))
        return token

    def at(self, delay: float, action: Callable[[], None]) -> None:
        """Schedule an action, in seconds from now."""
        heapq.heappush(self._agenda, (self.now + delay, next(self._order), action))

    def run(self, seconds: float = 3600.0) -> TokenSimulation:
        """Let the seconds pass, or fewer if nothing is left to happen."""
        until = self.now + seconds
        while self._agenda and self._agenda[0][0] <= until:
            self.now, _, action = heapq.heappop(self._agenda)
            action()
        if self._agenda:
            self.now = until
        return self

    def _step(self, process: Process, resume: Callable[[], Any]) -> None:
        try:
            step = resume()
        except StopIteration as end:
            process.result, process.ended = end.value, True
            return
        except Exception as error:
            process.error, process.ended = error, True
            return
        number = len(process.steps)
        process.steps.append(type(step).__name__)
        if process.dies_at == number:
            return
        there, act = self._work(step)

        def carry_out() -> None:
            try:
                result = act()
            except Exception as error:
                answer = partial(process.flow.throw, error)
            else:
                answer = partial(process.flow.send, result)
            if process.dies_at == number + 0.5:
                return
            back = there() + (process.pause[1] if process.pause[0] == number else 0)
            self.at(back, lambda: self._step(process, answer))

        self.at(there(), carry_out)

    def _work(self, step: Any) -> tuple[Callable[[], float], Callable[[], Any]]:
        """Return what gives the seconds that a step takes each way, and the step's effect."""
        match step:
            case Sleep():
                return (lambda: step.seconds / 2), (lambda: None)
            case Send():
                return (lambda: self._login(self.dice)), self.service.log_in
            case Blocking() if "_mask" in step.function.__code__.co_names:
                return (lambda: 0.0), step.function  # masking needs no network
            case Blocking():
                return (lambda: self._latency(self.dice)), step.function
        raise TypeError(f"unexpected step: {step!r}")
