"""A database of the inbox's own, beside Airflow's."""

from __future__ import annotations

from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import ArgumentError

from airflow_provider_123pan.exceptions import Pan123InputError

_SQLITE_TIMEOUT_SECONDS = 15.0  # seconds that a process waits for another one's commit


def create_inbox_engine(uri: str) -> Engine:
    """An engine for the database at ``uri``, SQLAlchemy's way to write it.

    :raises Pan123InputError: ``uri`` is not a database's address.
    """
    options: dict[str, Any] = {"hide_parameters": True}
    try:
        url = make_url(uri)
        if sqlite := url.get_backend_name() == "sqlite":
            options["connect_args"] = {"timeout": _SQLITE_TIMEOUT_SECONDS}
        else:
            options |= {"isolation_level": "READ COMMITTED", "pool_pre_ping": True, "pool_recycle": 1800}
        engine = create_engine(url, **options)
    except (ArgumentError, ImportError) as error:
        # Not the address itself, which holds a password.
        what = str(error) if isinstance(error, ImportError) else type(error).__name__
        raise Pan123InputError(f"[pan123] inbox_uri is not a usable database address ({what})") from None
    if sqlite:

        @event.listens_for(engine, "connect")
        def _let_readers_go_on(connection: Any, _: Any) -> None:
            connection.execute("PRAGMA journal_mode=WAL")

    return engine
