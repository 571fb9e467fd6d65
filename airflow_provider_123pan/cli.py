"""The ``airflow pan123`` commands.

Every ``airflow`` command imports this module, so the functions import what they need when they run.
"""

from __future__ import annotations

import os
import shutil
import textwrap
from typing import TYPE_CHECKING

from airflow.cli.cli_config import (
    ARG_VERBOSE,
    ActionCommand,
    Arg,
    CLICommand,
    GroupCommand,
    lazy_load_command,
)
from airflow.utils.cli import suppress_logs_and_warning

if TYPE_CHECKING:
    from argparse import Namespace

    from sqlalchemy.engine import Engine

    from airflow_provider_123pan.checkup.checks import Result

_CONN_ID = Arg(  # type: ignore[no-untyped-call]
    ("conn_id",),
    nargs="?",
    default="pan123_default",
    help="ID of the connection to check (default: pan123_default)",
)
_HOST = Arg(("--host",), default="127.0.0.1", help="Address to listen on (default: 127.0.0.1)")  # type: ignore[no-untyped-call]
_PORT = Arg(("--port",), default=8123, type=int, help="Port to listen on (default: 8123)")  # type: ignore[no-untyped-call]

_JOURNAL = Arg(("journal",), help="Folder that the operator got as journal: a path, or a URL such as s3://…")  # type: ignore[no-untyped-call]


def get_pan123_cli_commands() -> list[CLICommand]:
    """Return the commands, for Airflow's provider manager."""
    return [
        GroupCommand(
            name="pan123",
            help="123pan: check a deployment, receive the service's callbacks, and undo a migration of pages",
            subcommands=[
                ActionCommand(
                    name="check",
                    help="Check the connection, the service and the path of callbacks from this machine",
                    description=(
                        "Prints one line per check: ok, or what to do. Makes at most one login, and none if the "
                        "deployment has a valid access token. Sends a test delivery to a callback URL that belongs to "
                        "no task. The exit code is 1 if a check failed."
                    ),
                    func=lazy_load_command(f"{__name__}.check"),
                    args=(_CONN_ID, ARG_VERBOSE),
                ),
                ActionCommand(
                    name="receiver",
                    help="Receive callbacks outside Airflow's API server",
                    description=(
                        "Receives callbacks at http://HOST:PORT/pan123/callbacks/. With AIRFLOW__PAN123__INBOX_URI, "
                        "deliveries are stored in that database, connections come from the environment or a secrets "
                        "backend, and no metadata database is needed. Without it, the metadata database provides both. "
                        "Run it behind a reverse proxy that terminates HTTPS."
                    ),
                    func=lazy_load_command(f"{__name__}.receiver"),
                    args=(_HOST, _PORT),
                ),
                ActionCommand(
                    name="create-tables",
                    help="Create the inbox's tables if the receiver's database user may not",
                    func=lazy_load_command(f"{__name__}.create_tables"),
                    args=(),
                ),
                ActionCommand(
                    name="undo",
                    help="Restore the pages that a migration has rewritten",
                    description=(
                        "Restores every page of a journal byte for byte. A page that was edited since is left and "
                        "named, and the exit code is 1. The command can be repeated. The images stay on 123pan."
                    ),
                    func=lazy_load_command(f"{__name__}.undo"),
                    args=(_JOURNAL, ARG_VERBOSE),
                ),
            ],
        )
    ]


@suppress_logs_and_warning
def check(args: Namespace) -> None:
    """Check a deployment, print one line per check, and exit with 1 if one failed."""
    from airflow_provider_123pan.checkup.checks import Status
    from airflow_provider_123pan.checkup.run import run_checks

    # Otherwise Airflow finds no connections in the metadata database; its own commands do the same.
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    failed = False
    for result in run_checks(args.conn_id):
        print(_line(result), flush=True)
        failed |= result.status is Status.FAILED
    if failed:
        raise SystemExit(1)


def _line(result: Result) -> str:
    """Return a result in columns, wrapped to the width of the terminal."""
    head = f"{result.name:14}{result.status.value + ':':10}"
    return textwrap.fill(
        result.text,
        width=shutil.get_terminal_size().columns,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )


def receiver(args: Namespace) -> None:
    """Run the receiver until SIGINT or SIGTERM."""
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
        access_log=False,  # the paths contain tokens
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=3,
    )


def create_tables(args: Namespace) -> None:
    """Create the inbox's tables, and print the URL of their database."""
    from airflow_provider_123pan.receiver.inbox import Inbox

    engine = _engine()
    Inbox(lambda: engine).create()
    print(f"The inbox is in {engine.url.render_as_string(hide_password=True)}")


@suppress_logs_and_warning
def undo(args: Namespace) -> None:
    """Restore the pages of a journal, name those that are left, and exit with 1 if there are any."""
    from airflow_provider_123pan.exceptions import Pan123InputError
    from airflow_provider_123pan.pages import undo as undo_pages

    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"  # for the connections of object stores
    try:
        done = undo_pages(args.journal)
    except Pan123InputError as error:
        raise SystemExit(str(error)) from None
    for page, reason in sorted(done.left.items()):
        print(f"left: {page}: {reason}")
    print(
        f"pages restored: {len(done.restored)}, already restored: {len(done.untouched)}, left: {len(done.left)}"
    )
    if done.left:
        raise SystemExit(1)


def _engine() -> Engine:
    """Return the inbox's engine, or exit with the reason in one line."""
    from airflow_provider_123pan.exceptions import Pan123InputError
    from airflow_provider_123pan.receiver.airflow_backend import inbox_engine

    try:
        return inbox_engine()
    except Pan123InputError as error:
        raise SystemExit(str(error)) from None
