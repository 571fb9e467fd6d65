"""One sandbox: its settings and all of its parts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from airflow_provider_123pan.sandbox.callbacks import Callbacks
from airflow_provider_123pan.sandbox.envelope import Refusal
from airflow_provider_123pan.sandbox.faults import Faults
from airflow_provider_123pan.sandbox.fetcher import Fetcher
from airflow_provider_123pan.sandbox.limits import Limits
from airflow_provider_123pan.sandbox.options import Options
from airflow_provider_123pan.sandbox.store import Store
from airflow_provider_123pan.sandbox.tasks import OfflineTasks
from airflow_provider_123pan.sandbox.tokens import Token, Tokens

LOGIN_REFUSED = "clientID or clientSecret is wrong"


class Backend:
    """Lives in one event loop, so nothing in it needs a lock.

    `hang_up(client)` closes the connection of a peer, given as `(host, port)`, without an answer.
    """

    def __init__(self, options: Options, hang_up: Callable[[tuple[str, int]], None]) -> None:
        self.options = options.model_copy()
        self.hang_up = hang_up
        self._at_start = options
        self.fetcher = Fetcher(self.options)
        self.callbacks = Callbacks(self.options)
        self._fill(last_id=0)

    def _fill(self, last_id: int) -> None:
        self.store = Store()
        self.tokens = Tokens()
        self.limits = Limits()
        self.faults = Faults(self.options)
        self.callbacks.sent = 0
        self.tasks = OfflineTasks(self.options, self.store, self.fetcher, self.callbacks, last_id)
        self._ending = asyncio.Event()
        self.requests: Counter[str] = Counter()  # by path
        self.refusals: Counter[int] = Counter()  # by code
        self.logins = 0
        self.submissions = 0

    def configure(self, changes: dict[str, Any]) -> None:
        """Change some options; raise `pydantic.ValidationError` and change nothing if one is invalid."""
        self.options.take(self.options.changed(changes))
        self.faults.changed(set(changes))
        self.tasks.changed()

    def login(self, client_id: str, client_secret: str) -> Token:
        if self.options.accounts.get(client_id) != client_secret:
            raise Refusal(LOGIN_REFUSED)
        self.logins += 1
        user_id = self.store.tree(client_id).user_id
        return self.tokens.issue(client_id, user_id, self.options.token_cap, self.options.token_life)

    async def pause(self, seconds: float) -> None:
        """Sleep, but not beyond the end of this world: a hanging answer must not hold up a stop."""
        if seconds:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._ending.wait(), seconds)

    def end(self) -> None:
        """Wake whoever pauses."""
        self._ending.set()

    def reset(self) -> None:
        """As after the start, the settings too; only taskIDs go on growing."""
        self._stop()
        self.options.take(self._at_start)
        self._fill(self.tasks.last_id)

    async def close(self) -> None:
        self._stop()
        await self.fetcher.close()
        await self.callbacks.close()

    def _stop(self) -> None:
        self.end()
        self.tasks.clear()
        self.store.close()
