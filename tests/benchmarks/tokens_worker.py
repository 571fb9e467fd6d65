"""One process of the token benchmark: the provider's client, with Airflow's Variables over the execution API."""

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

# The SDK's client tells each process's first call and each retry.
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))

#: Where the process that logs in may be killed, in this order.
STEPS = [
    "after reading",
    "after writing the mark",
    "while the mark settles",
    "after the re-read",
    "after the login was answered",
    "after storing",
    "before freeing the mark",
]
SETTLING = 1.5  # seconds after the mark was written


@dataclass(frozen=True)
class Job:
    """What a process is told.

    :ivar connection: the fields of its Airflow connection.
    :ivar patient: a refused token does not end it; a task's retry would go on as well.
    :ivar dies: the step at which the first process that comes there is killed.
    """

    number: int
    connection: dict[str, Any]
    execution_api: str
    identity: str
    patient: bool = False
    dies: str | None = None


@dataclass(frozen=True)
class Common:
    """What the processes of a scenario have in common."""

    barrier: Barrier
    stop: Event
    dying: Lock  # whoever gets it dies
    calls: MutableSequence[int]  # that succeeded, by process


class ExecutionAPIVariables:
    """Airflow's Variables as a task's supervisor reaches them."""

    def __init__(self, base_url: str, identity: str) -> None:
        self._client = Client(base_url=base_url, token=identity)

    def get(self, name: str) -> str | None:
        found = self._client.variables.get(name)
        if isinstance(found, ErrorResponse):
            assert found.error == ErrorType.VARIABLE_NOT_FOUND, found
            return None
        value: str | None = found.value
        return value

    def set(self, name: str, value: str, description: str) -> None:
        self._client.variables.set(name, value, description)


class MortalVariables:
    """The same; it knows from what is read and written how far the process is."""

    def __init__(self, inner: ExecutionAPIVariables, reached: Callable[[str], None]) -> None:
        self._inner, self._reached = inner, reached
        self._mark: str | None = None  # what this process wrote
        self._stored = False

    def get(self, name: str) -> str | None:
        value = self._inner.get(name)
        if "login" in name:
            if self._stored:
                self._reached("before freeing the mark")
            self._reached("after the re-read" if self._mark and value == self._mark else "after reading")
        return value

    def set(self, name: str, value: str, description: str) -> None:
        self._inner.set(name, value, description)
        if "login" not in name:
            self._stored = True
            self._reached("after storing")
        elif not self._stored:
            self._mark = value
            self._reached("after writing the mark")
            threading.Timer(SETTLING, self._settling, [name, value]).start()

    def _settling(self, name: str, value: str) -> None:
        if self._inner.get(name) == value:  # nobody else's came later: this process is going to log in
            self._reached("while the mark settles")


def work(job: Job, common: Common, told: Pipe) -> None:
    """Make calls until the scenario stops; tell the seconds to the first token, or the error."""

    def reached(step: str) -> None:
        if step == job.dies and common.dying.acquire(block=False):
            os.kill(os.getpid(), signal.SIGKILL)

    def answered(response: Any, *_: Any, **__: Any) -> None:
        if response.url.endswith("/access_token"):
            reached("after the login was answered")

    settings = ConnectionSettings.of(Connection(**job.connection))
    variables = MortalVariables(ExecutionAPIVariables(job.execution_api, job.identity), reached)
    tokens = SharedToken(
        settings.account, settings.client_id, settings.client_secret, variables, lambda token: None
    )
    with Pan123Client(settings.endpoint, tokens, Throttle(ceiling=1.0)) as client:
        client.session.hooks["response"].append(answered)
        common.barrier.wait()
        start = time.monotonic()
        try:
            client.token()
            seconds = time.monotonic() - start
            while not common.stop.is_set():
                try:
                    client.call(list_directory())
                    common.calls[job.number] += 1
                except Pan123TokenError:
                    if not job.patient:
                        raise
                common.stop.wait(0.2)
        except Exception as error:
            told.send(error)
        else:
            told.send(seconds)
