"""One running sandbox: its options and all of its parts."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from airflow_provider_123pan.sandbox.callbacks import Callbacks
from airflow_provider_123pan.sandbox.copies import Copies
from airflow_provider_123pan.sandbox.envelope import Refusal
from airflow_provider_123pan.sandbox.faults import Faults
from airflow_provider_123pan.sandbox.fetcher import Fetcher
from airflow_provider_123pan.sandbox.limits import Limits
from airflow_provider_123pan.sandbox.options import Options
from airflow_provider_123pan.sandbox.store import Store
from airflow_provider_123pan.sandbox.tasks import OfflineTasks
from airflow_provider_123pan.sandbox.tokens import Token, Tokens
from airflow_provider_123pan.sandbox.uploads import Uploads

LOGIN_REFUSED = "clientID or clientSecret is wrong"


class Backend:
    """The state of one sandbox; only its event loop uses it, so it needs no locks.

    :ivar options: The current options.
    :ivar requests: Number of requests per path.
    :ivar refusals: Number of refusals per code.
    :ivar logins: Number of successful logins.
    :ivar submissions: Number of offline tasks created.
    :ivar served: Number of requests for images.
    """

    def __init__(self, options: Options, hang_up: Callable[[tuple[str, int]], None]) -> None:
        """Create an empty sandbox.

        :param options: The options at the start; `reset()` restores them.
        :param hang_up: Closes the connection of a client, given as `(host, port)`, without an answer.
        """
        self.options = options.model_copy()
        self.hang_up = hang_up
        self._options_at_start = options
        self.fetcher = Fetcher(self.options)
        self.callbacks = Callbacks(self.options)
        self._empty(last_id=0)

    def _empty(self, last_id: int) -> None:
        self.store = Store()
        self.tokens = Tokens()
        self.limits = Limits()
        self.faults = Faults(self.options)
        self.callbacks.reset()
        self.tasks = OfflineTasks(self.options, self.store, self.fetcher, self.callbacks.announce, last_id)
        self.uploads = Uploads(self.options, self.store)
        self.copies = Copies(self.options, self.store)
        self._ending = asyncio.Event()
        self.requests: Counter[str] = Counter()
        self.refusals: Counter[int] = Counter()
        self.logins = 0
        self.submissions = self.served = 0

    def configure(self, changes: dict[str, Any]) -> None:
        """Change some options.

        :param changes: New values by the options' names.
        :raises pydantic.ValidationError: A value is invalid; no option is changed.
        """
        self.options.take(self.options.changed(changes))
        self.faults.options_changed(set(changes))
        self.tasks.options_changed()

    def login(self, client_id: str, client_secret: str) -> Token:
        """Return a new token of an account.

        :raises Refusal: The clientID is unknown, or the clientSecret is wrong.
        """
        if self.options.accounts.get(client_id) != client_secret:
            raise Refusal(LOGIN_REFUSED)
        self.logins += 1
        user_id = self.store.tree(client_id).user_id
        return self.tokens.issue(client_id, user_id, self.options.token_cap, self.options.token_life)

    def lose(self, pattern: re.Pattern[str]) -> int:
        """Delete the images whose name matches a pattern, as if the service had lost them; return their number."""
        lost = 0
        for tree in self.store.trees.values():
            for image in [image for image in tree.images.values() if pattern.search(image.name)]:
                tree.delete(image)
                lost += 1
        return lost

    async def pause(self, seconds: float) -> None:
        """Sleep until the time is over or the sandbox stops or resets: a delayed answer must not delay a stop."""
        if seconds:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._ending.wait(), seconds)

    def end(self) -> None:
        """End all pauses."""
        self._ending.set()

    def reset(self) -> None:
        """Restore the state after the start, including the options; only taskIDs keep growing."""
        self._stop()
        self.options.take(self._options_at_start)
        self._empty(self.tasks.last_id)

    async def close(self) -> None:
        """Stop everything that runs, and close all connections and files."""
        self._stop()
        await self.fetcher.close()
        await self.callbacks.close()

    def _stop(self) -> None:
        self.end()
        self.tasks.clear()
        self.copies.clear()
        self.uploads.close()
        self.store.close()
