"""The engine for an inbox in a separate database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import ArgumentError

from airflow_provider_123pan.exceptions import Pan123InputError

_SQLITE_TIMEOUT_SECONDS = 15.0  # that a process waits for the commit of another one


def create_inbox_engine(uri: str) -> Engine:
    """Return an engine for a database.

    :param uri: a database URL in SQLAlchemy's form.
    :raises Pan123InputError: ``uri`` is not a usable database URL.
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
        # Without the URL itself, which contains a password.
        what = str(error) if isinstance(error, ImportError) else type(error).__name__
        raise Pan123InputError(
            f"[pan123] inbox_uri: not a usable database URL ({what}); write it as SQLAlchemy does, "
            "dialect+driver://user:password@host/database"
        ) from None
    if sqlite:

        @event.listens_for(engine, "connect")
        def _use_write_ahead_log(connection: Any, _: Any) -> None:
            connection.execute("PRAGMA journal_mode=WAL")  # readers do not wait for a writer

    return engine
