"""Look-ups and long polls: one periodic check of the table serves all long polls of a process."""

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


@dataclass(frozen=True, slots=True)
class ReaderTiming:
    """The durations of a reader in seconds, and its bounds.

    :ivar check: between two checks for deliveries that other processes have stored.
    :ivar max_open_polls: long polls per process; the reader rejects further ones.
    :ivar max_connection_polls: long polls per process and connection. Each triggerer needs one.
    """

    check: float = 0.5
    max_open_polls: int = 200
    max_connection_polls: int = 50


class DeliveryPage(NamedTuple):
    """Deliveries of one connection, oldest first.

    :ivar last: the cursor for the next poll; no delivery of this connection will appear at or below it.
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
    """Reads the inbox for one process.

    :param failed: called with each error of the inbox; the caller of the reader gets an UnavailableError.
    """

    def __init__(
        self,
        inbox: Inbox,
        executor: Executor,
        failed: Callable[[Exception], None],
        timing: ReaderTiming = ReaderTiming(),
    ) -> None:
        self._inbox = inbox
        self._executor = executor
        self._failed = failed
        self._timing = timing
        self._open: set[_Poll] = set()
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Check the open polls now, because a delivery was stored."""
        if self._open:
            self._wake.set()

    async def lookup(self, conn_id: str, callback_ids: Sequence[str]) -> DeliveryPage:
        """Return all deliveries to these submissions of a connection, at least up to ``last``.

        :raises UnavailableError: the inbox is unavailable.
        """
        try:
            state = await self._call(self._inbox.state)
            return DeliveryPage(
                state.epoch, state.last, await self._call(self._inbox.lookup, conn_id, callback_ids)
            )
        except Exception as error:
            self._failed(error)
            raise UnavailableError from error

    async def poll(self, conn_id: str, epoch: str, after: int, limit: int, timeout: float) -> DeliveryPage:
        """Return a connection's deliveries beyond ``after`` as soon as there are any, or none after the time-out.

        A cursor that does not belong to this table (another epoch, or beyond the end) gets an immediate answer without
        deliveries.

        :param timeout: seconds.
        :param epoch: the epoch of the previous page; ``""``, which no table has, for the first poll.
        :raises UnavailableError: the inbox is unavailable, or too many polls are open.
        """
        timing, same = self._timing, sum(other.conn_id == conn_id for other in self._open)
        if len(self._open) >= timing.max_open_polls or same >= timing.max_connection_polls:
            raise UnavailableError
        poll = _Poll(conn_id, epoch, after, limit, asyncio.get_running_loop().create_future())
        self._open.add(poll)  # before the first check, so that no delivery is missed in between
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
        """Check all open polls, periodically and after each wake-up, until cancelled."""
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._timing.check)
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
        """Answer the polls that have deliveries, and advance the cursors of the others."""
        if not polls:
            return
        # The state first, then the deliveries: what is committed in between is returned in any case.
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
