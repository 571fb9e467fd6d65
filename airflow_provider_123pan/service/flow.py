"""Flows: what happens in which order, written once for the blocking and the async side.

A flow is a generator that yields steps and is sent their results (httpx does its authentication so). A shell, the
blocking or the async client, performs the steps; :func:`drive` and :func:`adrive` are the two loops. Besides the
steps here there are a call's (``Send``, ``Ask``), in :mod:`airflow_provider_123pan.service.protocol`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sleep:
    """Step: wait this many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Slot:
    """Step: queue for the throttle's next slot and wait for it."""


@dataclass(frozen=True, slots=True)
class NeedToken:
    """Step: give an access token, another one than the refused."""

    refused: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Blocking(Generic[T]):
    """Step: call this function, which blocks; the async shell does so in a thread."""

    function: Callable[[], T]


@dataclass(frozen=True, slots=True)
class Await(Generic[T]):
    """Step: await what this gives; for the async shell only."""

    function: Callable[[], Awaitable[T]]


Flow = Generator[Any, Any, T]


class TokenSource(Protocol):
    """Where a client's access tokens come from."""

    @property
    def logged_in(self) -> bool:
        """Whether a login was made here; else nothing is known of the secret."""

    def cached(self, refused: str | None) -> str | None:
        """A token at hand that is not the refused one."""

    def obtain(self, refused: str | None) -> Flow[str]:
        """The flow to a token that is not the refused one; a shell runs one at a time."""


def within(flow: Flow[T], around: Callable[[Any], Flow[Any]]) -> Flow[T]:
    """A flow of which each step is taken by another flow."""
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
    """Run a flow to its end: perform each step, send in its result or throw in its error."""
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
    """The same as :func:`drive`, awaiting each step."""
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
