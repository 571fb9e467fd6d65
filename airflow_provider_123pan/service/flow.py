"""Flows: sequences of steps, written once for the blocking and the async client.

A flow is a generator that yields steps and receives their results, like an authentication flow of httpx. One of the
clients performs the steps; :func:`drive` and :func:`adrive` are the two loops. The steps ``Send`` and ``MakeCall`` are
defined in :mod:`airflow_provider_123pan.service.protocol`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sleep:
    """Step: wait for this many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Slot:
    """Step: wait for the throttle's next slot."""


@dataclass(frozen=True, slots=True)
class NeedToken:
    """Step: return an access token other than ``refused``."""

    refused: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Blocking(Generic[T]):
    """Step: call a blocking function; the async client calls it in a thread."""

    function: Callable[[], T]


@dataclass(frozen=True, slots=True)
class Await(Generic[T]):
    """Step: await the result of ``function``; for the async client only."""

    function: Callable[[], Awaitable[T]]


Flow = Generator[Any, Any, T]


class TokenSource(Protocol):
    """Where a client's access tokens come from."""

    @property
    def logged_in(self) -> bool:
        """True if this source logged in, which proves that the client secret is right."""

    def cached(self, refused: str | None) -> str | None:
        """Return an available token other than ``refused``, or None. Does not block."""

    def obtain(self, refused: str | None) -> Flow[str]:
        """Return a token other than ``refused``; a client runs one of these flows at a time."""


def within(flow: Flow[T], around: Callable[[Any], Flow[Any]]) -> Flow[T]:
    """Run a flow, with each of its steps replaced by another flow.

    :param around: returns the flow that performs a step.
    """
    try:
        step = next(flow)
        while True:
            try:
                result = yield from around(step)
            except Exception as error:
                step = flow.throw(error)
            else:
                step = flow.send(result)
    except StopIteration as end:
        value: T = end.value
        return value


def drive(flow: Flow[T], perform: Callable[[Any], Any]) -> T:
    """Run a flow to its end: perform each step, then send its result or throw its error into the flow."""
    try:
        step = next(flow)
        while True:
            try:
                result = perform(step)
            except Exception as error:
                step = flow.throw(error)
            else:
                step = flow.send(result)
    except StopIteration as end:
        value: T = end.value
        return value


async def adrive(flow: Flow[T], perform: Callable[[Any], Awaitable[Any]]) -> T:
    """Run a flow to its end like :func:`drive`, but await each step."""
    try:
        step = next(flow)
        while True:
            try:
                result = await perform(step)
            except Exception as error:
                step = flow.throw(error)
            else:
                step = flow.send(result)
    except StopIteration as end:
        value: T = end.value
        return value
