"""The accounts of the connections of type ``pan123``, and the inbox. Every call here blocks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from airflow.models import Connection
from sqlalchemy import func, select
from sqlalchemy.engine import Engine

from airflow_provider_123pan.account import rate, token
from airflow_provider_123pan.account.account import account_variables
from airflow_provider_123pan.account.connection import ConnectionSettings
from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.receiver.airflow_backend import ConnectionKeys
from airflow_provider_123pan.receiver.inbox import COUNTER, DELIVERIES
from airflow_provider_123pan.web.access import Viewer

log = logging.getLogger(__name__)

_IDS = 1000  # in one query


class Account(NamedTuple):
    """A connection, and what its tasks have found out.

    :ivar base_url: of the service; None if the connection is wrong.
    :ivar problem: what is wrong with the connection, or an empty string.
    :ivar rate: requests per second, as found; None if that is unknown, or not for this user.
    :ivar ceiling: the connection's ``requests_per_second``.
    :ivar token: ``own`` (the connection has one), ``shared``, ``none``, or ``hidden`` from this user.
    :ivar expires_at: when the shared token expires, if that is known.
    """

    conn_id: str
    base_url: str | None
    problem: str = ""
    rate: float | None = None
    ceiling: float | None = None
    token: str = "none"  # noqa: S105  # this says where it is
    expires_at: datetime | None = None
    callbacks: bool = False


class InboxHealth(NamedTuple):
    """The inbox.

    :ivar deliveries: the number of deliveries so far.
    :ivar age: of the newest, in seconds; None if there is none.
    """

    deliveries: int
    age: float | None


def accounts_for(viewer: Viewer) -> list[Account]:
    """Return the connections that the user may read; those of a secrets backend are missing, since it lists none."""
    readable = filter(viewer.may_read_connection, ConnectionKeys(metadata=True).names())
    return [_account(conn_id, viewer) for conn_id in readable]


def _account(conn_id: str, viewer: Viewer) -> Account:
    try:
        settings = ConnectionSettings.of(Connection.get_connection_from_secrets(conn_id))
    except Pan123InputError as error:
        return Account(conn_id, None, str(error))
    except Exception as error:
        log.warning("Connection %r could not be read: %s", conn_id, type(error).__name__)
        return Account(conn_id, None, type(error).__name__)
    variables = account_variables()
    found = Account(
        conn_id,
        settings.endpoint.base_url,
        ceiling=settings.requests_per_second,
        callbacks=settings.callback_base_url is not None,
    )
    if viewer.may_read_variable(rate.variable_of(settings.account)):
        found = found._replace(rate=rate.SharedRate(settings.account, variables).load())
    if settings.access_token:
        return found._replace(token="own")  # noqa: S106
    if not viewer.may_read_variable(token.variable_of(settings.account)):
        return found._replace(token="hidden")  # noqa: S106
    is_stored, expires_at = token.stored_expiry(settings.account, variables)
    return found._replace(token="shared" if is_stored else "none", expires_at=expires_at)


class InboxView:
    """Reads the tables of the inbox.

    :param connect: makes the engine; called once, by the first method that needs it.
    :param clock: returns Unix seconds.
    """

    def __init__(self, connect: Callable[[], Engine], clock: Callable[[], float] = time.time) -> None:
        self._connect = connect
        self._clock = clock
        self._engine: Engine | None = None

    def health(self) -> InboxHealth | None:
        """Return the state of the inbox, or None if it cannot be read."""
        newest = select(DELIVERIES.c.received_at).order_by(DELIVERIES.c.seq.desc()).limit(1)
        try:
            with self._opened().connect() as connection:
                deliveries = connection.scalar(select(COUNTER.c.last))
                received_at = connection.scalar(newest)
        except Exception as error:
            log.warning("The inbox could not be read: %s", type(error).__name__)
            return None
        if deliveries is None:
            return None
        return InboxHealth(deliveries, None if received_at is None else max(0, self._clock() - received_at))

    def count_called_back(self, callback_ids: Sequence[str]) -> int | None:
        """Return how many of these submissions have a delivery, or None if the inbox cannot be read."""
        distinct = func.count(DELIVERIES.c.callback_id.distinct())
        count = 0
        try:
            with self._opened().connect() as connection:
                for start in range(0, len(callback_ids), _IDS):
                    some = callback_ids[start : start + _IDS]
                    count += (
                        connection.scalar(select(distinct).where(DELIVERIES.c.callback_id.in_(some))) or 0
                    )
        except Exception as error:
            log.warning("The inbox could not be read: %s", type(error).__name__)
            return None
        return count

    def _opened(self) -> Engine:
        if self._engine is None:
            self._engine = self._connect()
        return self._engine
