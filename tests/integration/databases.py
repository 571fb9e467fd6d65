"""Temporary servers of PostgreSQL and MariaDB, if their programs and drivers are installed."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dev.servers import Unavailable, program
from dev.waiting import wait_for


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """Start a server that listens only on a socket in a temporary folder, and return its URL for SQLAlchemy.

    :raises Unavailable: a program or the driver is missing.
    """
    if importlib.util.find_spec("psycopg2") is None:
        raise Unavailable("psycopg2 is not installed")
    as_postgres = []
    if os.getuid() == 0:  # the server refuses to run as root
        as_postgres = ["runuser", "-u", "postgres", "--"]
    initdb, pg_ctl = program("initdb"), program("pg_ctl")
    with tempfile.TemporaryDirectory(prefix="pan123-pg-", ignore_cleanup_errors=True) as folder:
        if as_postgres:
            shutil.chown(folder, "postgres", "postgres")
        data, log = f"{folder}/data", f"{folder}/log"

        def run(*command: str) -> None:
            done = subprocess.run([*as_postgres, *command], cwd=folder, capture_output=True, text=True)
            if done.returncode:
                raise Unavailable(f"{Path(command[0]).name}: {done.stderr.strip() or done.stdout.strip()}")

        run(initdb, "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8")
        options = f"-k {folder} -c listen_addresses='' -c max_connections=60"
        run(pg_ctl, "-D", data, "-l", log, "-o", options, "-w", "start")
        try:
            yield f"postgresql+psycopg2://postgres@/postgres?host={folder}"
        finally:
            run(pg_ctl, "-D", data, "-m", "immediate", "stop")


@contextlib.contextmanager
def mariadb() -> Iterator[str]:
    """Start a server that listens only on a socket in a temporary folder, and return the path of the socket.

    Every user may do everything. It has the database ``wordpress``, with the character set utf8mb4.

    :raises Unavailable: the program or the driver is missing.
    """
    if importlib.util.find_spec("pymysql") is None:
        raise Unavailable("PyMySQL is not installed")
    import pymysql

    mariadbd = program("mariadbd")
    as_root = ["--user=root"] if os.getuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="pan123-maria-", ignore_cleanup_errors=True) as folder:
        data, socket, log = (Path(folder, name) for name in ("data", "socket", "log"))
        data.mkdir()
        place = [f"--datadir={data}", f"--socket={socket}", f"--log-error={log}"]
        options = ["--character-set-server=utf8mb4", "--skip-networking", "--skip-grant-tables"]
        server = subprocess.Popen([mariadbd, "--no-defaults", *as_root, *place, *options])

        def connection() -> Any:
            if server.poll() is not None:
                raise Unavailable(f"mariadbd: {log.read_text()[-1000:]}")
            return pymysql.connect(unix_socket=str(socket)) if socket.exists() else None

        try:
            made = wait_for(connection, what="MariaDB", timeout=60)
            with contextlib.closing(made), made.cursor() as cursor:
                cursor.execute("CREATE DATABASE wordpress")
            yield str(socket)
        finally:
            server.kill()
            server.wait()
