"""Where a watch keeps its cursor: in the state store of its asset, or in a Variable."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

from asgiref.sync import sync_to_async

from airflow_provider_123pan.account.variables import AirflowVariables

if TYPE_CHECKING:
    from airflow.sdk.execution_time.context import AssetStateStoreAccessors

T = TypeVar("T")


def cursor_name(pan123_conn_id: str, directory_id: str | None, directory: str | None) -> str:
    """Return the name under which a cursor is kept; it depends on what is watched only."""
    watched = json.dumps([pan123_conn_id, directory_id, directory])
    return f"pan123_arrivals__{sha256(watched.encode()).hexdigest()[:16]}"


class CursorStore:
    """Keeps the cursor of one watch.

    The state store of the watched asset is used if there is one: not in Airflow 3.2, and not if several assets watch
    with equal arguments, for which Airflow runs one trigger. Then a Variable is used.

    :param assets: the state stores of the watched assets, or None.
    :param name: what :func:`cursor_name` returned.
    """

    def __init__(self, assets: AssetStateStoreAccessors | None, name: str) -> None:
        self._assets = assets
        self._name = name
        self._variables = AirflowVariables()

    async def load(self) -> Any:
        """Return the stored cursor, or None."""
        if self._assets is not None:
            try:
                return await self._assets.aget(self._name)
            except ValueError:  # several assets
                self._assets = None
        stored = await _in_thread(partial(self._variables.get, self._name))
        try:
            return stored and json.loads(stored)
        except ValueError:
            return stored

    async def save(self, cursor: dict[str, Any]) -> None:
        """Replace the cursor, after :meth:`load`."""
        if self._assets is not None:
            await self._assets.aset(self._name, cursor)
            return
        description = "Which images a watch for new images of 123pan has reported."
        await _in_thread(partial(self._variables.set, self._name, json.dumps(cursor), description))


async def _in_thread(function: Callable[[], T]) -> T:
    return await sync_to_async(function, thread_sensitive=False)()
