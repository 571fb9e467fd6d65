"""Airflow's configuration, database and connections, for the receiver. Every call here may block."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from airflow import settings
from airflow.configuration import conf, ensure_secrets_loaded
from airflow.secrets.metastore import MetastoreBackend
from sqlalchemy import select
from sqlalchemy.engine import Engine

from airflow_provider_123pan.account.connection import CONN_TYPE
from airflow_provider_123pan.callbacks.address import secret_keys
from airflow_provider_123pan.exceptions import LookupFailedError
from airflow_provider_123pan.receiver.database import create_inbox_engine

if TYPE_CHECKING:
    from airflow.secrets import BaseSecretsBackend

log = logging.getLogger(__name__)

_ENVIRONMENT = "AIRFLOW_CONN_"


def inbox_uri() -> str | None:
    """Return ``[pan123] inbox_uri``, or None for the metadata database."""
    return (conf.get("pan123", "inbox_uri", fallback="") or "").strip() or None


def retention_seconds() -> float:
    """Return for how many seconds a delivery is kept, and therefore a callback URL is valid."""
    return 86400.0 * max(1, conf.getint("pan123", "inbox_retention_days", fallback=30))


def inbox_engine() -> Engine:
    """Return the engine of the inbox's database.

    :raises Pan123InputError: ``inbox_uri`` is not a usable database URL.
    """
    if uri := inbox_uri():
        return create_inbox_engine(uri)
    engine = _metadata_engine()
    schema = conf.get("database", "sql_alchemy_schema", fallback="")
    return engine.execution_options(schema_translate_map={None: schema}) if schema else engine


def _metadata_engine() -> Engine:
    engine: Engine = settings.get_engine()  # type: ignore[no-untyped-call]
    return engine


class ConnectionKeys:
    """The signing keys of Airflow's connections.

    :param metadata: whether to read the metadata database too, which a standalone receiver may not have.
    """

    def __init__(self, metadata: bool) -> None:
        self._metadata = metadata

    def names(self) -> list[str]:
        """Return the ids of the connections that appear to have type pan123.

        Those of a secrets backend are missing, because it cannot list them.
        """
        names = {
            name.removeprefix(_ENVIRONMENT).lower()
            for name, value in os.environ.items()
            if name.startswith(_ENVIRONMENT) and CONN_TYPE in value
        }
        if self._metadata:
            from airflow.models import Connection

            with _metadata_engine().connect() as connection:
                names |= set(
                    connection.scalars(select(Connection.conn_id).where(Connection.conn_type == CONN_TYPE))
                )
        return sorted(names)

    def keys(self, conn_id: str) -> tuple[bytes, ...]:
        """Return the signing keys of a connection: none if it is unknown, of another type, or has no usable secret.

        :raises LookupFailedError: the connection was not found, and some backends could not be read.
        """
        failed = False
        for backend in self._backends():
            try:
                connection = backend.get_connection(conn_id=conn_id)
            except Exception as error:
                log.warning("%s could not be read: %s", type(backend).__name__, type(error).__name__)
                failed = True
                continue
            if connection:
                return _keys(connection)
        if failed:
            raise LookupFailedError
        return ()

    def _backends(self) -> list[BaseSecretsBackend]:
        return [
            backend
            for backend in ensure_secrets_loaded()
            if self._metadata or not isinstance(backend, MetastoreBackend)
        ]


def _keys(connection: Any) -> tuple[bytes, ...]:
    if connection.conn_type != CONN_TYPE:
        return ()
    extra = connection.extra_dejson
    try:
        return secret_keys(
            connection.password or "", extra.get("callback_secret") if isinstance(extra, dict) else None
        )
    except ValueError as error:
        log.warning(
            "Connection %r cannot receive callbacks until its secret is changed: %s",
            connection.conn_id,
            error,
        )
        return ()
