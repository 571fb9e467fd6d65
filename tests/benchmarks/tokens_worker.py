"""A process of the token benchmark: the provider's client, with Airflow's Variables over the execution API."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, MutableSequence
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from multiprocessing.synchronize import Barrier, Event, Lock
from typing import Any

import structlog
from airflow.sdk import Connection
from airflow.sdk.api.client import Client
from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from airflow_provider_123pan.account.connection import ConnectionSettings
from airflow_provider_123pan.account.token import SharedToken
from airflow_provider_123pan.exceptions import Pan123TokenError
from airflow_provider_123pan.service.client import Pan123Client
from airflow_provider_123pan.service.protocol import list_directory
from airflow_provider_123pan.service.throttle import Throttle

# The SDK's client logs the first call of each process and each retry.
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))

#: Steps of a login at which its process may be killed, in order.
STEPS = [
    "after reading",
    "after writing the mark",
    "while the mark settles",
    "after the re-read",
    "after the login was answered",
    "after storing",
    "before freeing the mark",
]
SETTLING_SECONDS = 1.5  # after the mark was written


@dataclass(frozen=True)
class WorkerOptions:
    """The options of a process.

    :ivar number: its index in `Common.calls`.
    :ivar connection: the fields of its Airflow connection.
    :ivar execution_api: base URL of Airflow's execution API.
    :ivar identity: the token of its task instance.
    :ivar retries: continue after a rejected token, as the retry of a task would.
    :ivar killed_at: the step at which the first process that reaches it is killed, or None.
    """

    number: int
    connection: dict[str, Any]
    execution_api: str
    identity: str
    retries: bool = False
    killed_at: str | None = None


@dataclass(frozen=True)
class Common:
    """What the processes of a scenario share.

    :ivar barrier: the start of all processes.
    :ivar stop: set when they are to end.
    :ivar kill_lock: the process that acquires it is killed.
    :ivar calls: the successful calls of each process.
    """

    barrier: Barrier
    stop: Event
    kill_lock: Lock
    calls: MutableSequence[int]


class ExecutionAPIVariables:
    """Airflow's Variables as the supervisor of a task reads and writes them."""

    def __init__(self, base_url: str, identity: str) -> None:
        """Use this execution API with the token of a task instance."""
        self._client = Client(base_url=base_url, token=identity)

    def get(self, name: str) -> str | None:
        """Return the value of a Variable, or None."""
        found = self._client.variables.get(name)
        if isinstance(found, ErrorResponse):
            assert found.error == ErrorType.VARIABLE_NOT_FOUND, found
            return None
        value: str | None = found.value
        return value

    def set(self, name: str, value: str, description: str) -> None:
        """Store a Variable."""
        self._client.variables.set(name, value, description)


class MortalVariables:
    """Variables that report the steps of a login, as reads and writes show them."""

    def __init__(self, inner: ExecutionAPIVariables, reached: Callable[[str], None]) -> None:
        """Call `reached` with each step."""
        self._inner, self._reached = inner, reached
        self._mark: str | None = None  # what this process wrote
        self._stored = False

    def get(self, name: str) -> str | None:
        """Return the value of a Variable, or None, and report the step."""
        value = self._inner.get(name)
        if "login" in name:
            if self._stored:
                self._reached("before freeing the mark")
            self._reached("after the re-read" if self._mark and value == self._mark else "after reading")
        return value

    def set(self, name: str, value: str, description: str) -> None:
        """Store a Variable, and report the step."""
        self._inner.set(name, value, description)
        if "login" not in name:
            self._stored = True
            self._reached("after storing")
        elif not self._stored:
            self._mark = value
            self._reached("after writing the mark")
            threading.Timer(SETTLING_SECONDS, self._settling, [name, value]).start()

    def _settling(self, name: str, value: str) -> None:
        if self._inner.get(name) == value:  # no other process has written since, so this one will log in
            self._reached("while the mark settles")


def work(options: WorkerOptions, common: Common, results: Pipe) -> None:
    """Make calls until the scenario stops, and send the seconds to the first token, or the error."""

    def reached(step: str) -> None:
        if step == options.killed_at and common.kill_lock.acquire(block=False):
            os.kill(os.getpid(), signal.SIGKILL)

    def answered(response: Any, *_: Any, **__: Any) -> None:
        if response.url.endswith("/access_token"):
            reached("after the login was answered")

    settings = ConnectionSettings.of(Connection(**options.connection))
    variables = MortalVariables(ExecutionAPIVariables(options.execution_api, options.identity), reached)
    tokens = SharedToken(
        settings.account, settings.client_id, settings.client_secret, variables, lambda token: None
    )
    with Pan123Client(settings.endpoint, tokens, Throttle(ceiling=1.0)) as client:
        client.session.hooks["response"].append(answered)
        common.barrier.wait()
        started = time.monotonic()
        try:
            client.token()
            seconds = time.monotonic() - started
            while not common.stop.is_set():
                try:
                    client.call(list_directory())
                    common.calls[options.number] += 1
                except Pan123TokenError:
                    if not options.retries:
                        raise
                common.stop.wait(0.2)
        except Exception as error:
            results.send(error)
        else:
            results.send(seconds)
