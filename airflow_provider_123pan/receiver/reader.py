"""Reading the inbox: look-ups, and long polls, of which one look at the table serves all of a process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from airflow_provider_123pan.receiver import metrics
from airflow_provider_123pan.receiver.inbox import Inbox, Received
from airflow_provider_123pan.receiver.writer import UnavailableError

_Result = TypeVar("_Result")

MAX_OPEN_POLLS = 200
CHECK_SECONDS = 0.5  # seconds between two looks at what other processes have stored


class DeliveryPage(NamedTuple):
    """Deliveries of one connection, oldest first.

    :ivar last: where the next poll goes on: nothing of this connection will appear below it.
    """

    epoch: str
    last: int
    deliveries: list[Received]


@dataclass(eq=False, slots=True)
class _Poll:
    conn_id: str
    epoch: str
    after: int
    limit: int
    answer: asyncio.Future[DeliveryPage]


class Reader:
    """Reads the inbox for one process; reports its errors to ``failed`` and raises UnavailableError."""

    def __init__(self, inbox: Inbox, executor: Executor, failed: Callable[[Exception], None]) -> None:
        self._inbox = inbox
        self._executor = executor
        self._failed = failed
        self._open: set[_Poll] = set()
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look at once: something was stored."""
        if self._open:
            self._wake.set()

    async def lookup(self, conn_id: str, callback_ids: Sequence[str]) -> DeliveryPage:
        """All that a connection received for these submissions, up to ``last`` at least."""
        try:
            state = await self._call(self._inbox.state)
            return DeliveryPage(
                state.epoch, state.last, await self._call(self._inbox.lookup, conn_id, callback_ids)
            )
        except Exception as error:
            self._failed(error)
            raise UnavailableError from error

    async def poll(self, conn_id: str, epoch: str, after: int, limit: int, timeout: float) -> DeliveryPage:
        """What a connection received beyond ``after``, as soon as there is any; nothing after ``timeout`` seconds.

        At once and without deliveries where the cursor is not this table's: of another epoch, or beyond its end.

        :param epoch: of the page before; ``""``, which no table has, begins.
        :raises UnavailableError: too many polls are open, too.
        """
        if len(self._open) >= MAX_OPEN_POLLS:
            raise UnavailableError
        poll = _Poll(conn_id, epoch, after, limit, asyncio.get_running_loop().create_future())
        self._open.add(poll)  # before the first look, so that nothing falls between
        metrics.polls(len(self._open))
        try:
            await self._check_polls([poll])
            await asyncio.wait({poll.answer}, timeout=timeout)
            if poll.answer.cancelled():
                raise UnavailableError
            return poll.answer.result() if poll.answer.done() else DeliveryPage(epoch, poll.after, [])
        finally:
            self._open.discard(poll)
            poll.answer.cancel()
            metrics.polls(len(self._open))

    async def run(self) -> None:
        """Look for all of them whenever it is due, for ever."""
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), CHECK_SECONDS)
            self._wake.clear()
            with contextlib.suppress(UnavailableError):
                await self._check_polls([poll for poll in self._open if not poll.answer.done()])

    async def _check_polls(self, polls: Sequence[_Poll]) -> None:
        try:
            await self._check(polls)
        except Exception as error:
            self._failed(error)
            for poll in polls:
                poll.answer.cancel()
            raise UnavailableError from error

    async def _check(self, polls: Sequence[_Poll]) -> None:
        """Answer those for which there is something, and move the others' cursors on."""
        if not polls:
            return
        # First how far it goes, then what there is: what is committed in between is found in any case.
        state = await self._call(self._inbox.state)
        behind: dict[tuple[str, int], list[_Poll]] = {}
        for poll in polls:
            if poll.epoch != state.epoch or poll.after > state.last:
                _answer(poll, DeliveryPage(state.epoch, state.last, []))
            elif poll.after < state.last:
                behind.setdefault((poll.conn_id, poll.after), []).append(poll)
        for (conn_id, after), group in behind.items():
            limit = max(poll.limit for poll in group)
            received = await self._call(self._inbox.after, conn_id, after, limit)
            for poll in group:
                page = received[: poll.limit]
                if len(page) == poll.limit:
                    _answer(poll, DeliveryPage(state.epoch, page[-1].seq, page))
                elif page:
                    _answer(poll, DeliveryPage(state.epoch, max(state.last, page[-1].seq), page))
                else:
                    poll.after = max(poll.after, state.last)

    async def _call(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)


def _answer(poll: _Poll, page: DeliveryPage) -> None:
    if not poll.answer.done():
        poll.answer.set_result(page)
