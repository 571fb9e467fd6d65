"""``airflow pan123 …``; every ``airflow`` command imports this, so what it runs is imported when it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.cli.cli_config import (
    ActionCommand,
    Arg,
    CLICommand,
    GroupCommand,
    lazy_load_command,
)

if TYPE_CHECKING:
    from argparse import Namespace

    from sqlalchemy.engine import Engine

_HOST = Arg(("--host",), default="127.0.0.1", help="Address to listen on (default: 127.0.0.1)")  # type: ignore[no-untyped-call]
_PORT = Arg(("--port",), default=8123, type=int, help="Port to listen on (default: 8123)")  # type: ignore[no-untyped-call]


def get_pan123_cli_commands() -> list[CLICommand]:
    """The commands, for Airflow's provider manager."""
    return [
        GroupCommand(
            name="pan123",
            help="123pan: receive the service's callbacks",
            subcommands=[
                ActionCommand(
                    name="receiver",
                    help="Receive callbacks outside Airflow's API server",
                    description=(
                        "Receives callbacks at http://HOST:PORT/pan123/callbacks/. Deliveries go into the database of "
                        "AIRFLOW__PAN123__INBOX_URI; connections then come from the environment or a secrets backend, "
                        "and no metadata database is needed. Without it, both are the metadata database's. "
                        "Put a proxy that speaks HTTPS in front of it."
                    ),
                    func=lazy_load_command(f"{__name__}.receiver"),
                    args=(_HOST, _PORT),
                ),
                ActionCommand(
                    name="create-tables",
                    help="Create the inbox's tables, where the receiver itself may not",
                    func=lazy_load_command(f"{__name__}.create_tables"),
                    args=(),
                ),
            ],
        )
    ]


def receiver(args: Namespace) -> None:
    """Serve until SIGINT or SIGTERM."""
    import uvicorn

    from airflow_provider_123pan.receiver.airflow_backend import (
        ConnectionKeys,
        inbox_uri,
        retention_seconds,
    )
    from airflow_provider_123pan.receiver.app import create_app

    engine = _engine()
    app = create_app(
        lambda: engine,
        ConnectionKeys(metadata=inbox_uri() is None),
        retention_seconds(),
        mounted=False,
    )
    uvicorn.run(
        app,
        host=args.host,
        port=args.port,
        access_log=False,  # the paths are secrets
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=3,
    )


def create_tables(args: Namespace) -> None:
    """Create the tables and say where."""
    from airflow_provider_123pan.receiver.inbox import Inbox

    engine = _engine()
    Inbox(lambda: engine).create()
    print(f"The inbox is in {engine.url.render_as_string(hide_password=True)}")


def _engine() -> Engine:
    """The inbox's database; or the end, with the reason in a line."""
    from airflow_provider_123pan.exceptions import Pan123InputError
    from airflow_provider_123pan.receiver.airflow_backend import inbox_engine

    try:
        return inbox_engine()
    except Pan123InputError as error:
        raise SystemExit(error.message) from None
