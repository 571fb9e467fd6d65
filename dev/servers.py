"""The servers of a distributed Airflow, from Debian's packages: PostgreSQL, Redis, MariaDB and nginx.

Each runs as a user without privileges, in a folder of its own, and listens on 127.0.0.1 only.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from dev.services import Service, Services
from dev.waiting import wait_for

START_SECONDS = 60.0

REDIS = """bind 127.0.0.1
port {port}
dir {folder}
requirepass {password}
save ""
appendonly yes
"""

NGINX = """daemon off;
worker_processes 1;
pid {folder}/pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_connect_timeout 5s;
    upstream behind {{ {upstreams} }}
    server {{
        listen 127.0.0.1:{inside};
        client_max_body_size 0;
        location / {{
            proxy_buffering off;
            proxy_pass http://behind;
        }}
    }}
    {more}
}}
"""

CALLBACKS_ONLY = """server {{
        listen 127.0.0.1:{outside};
        client_header_timeout 10s;
        location /pan123/callbacks/ {{
            access_log off;
            error_log /dev/null emerg;
            client_max_body_size 16k;
            client_body_timeout 10s;
            proxy_pass http://behind;
        }}
        location / {{ return 404; }}
    }}"""


class Unavailable(Exception):
    """A server cannot be started; the message says why."""


def program(name: str) -> str:
    """Return the path of a server's program.

    :raises Unavailable: it is not installed.
    """
    places = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), "/usr/sbin"]
    found = shutil.which(name, path=os.pathsep.join([*map(str, places), os.environ.get("PATH", "")]))
    if not found:
        raise Unavailable(f"no {name}: is its server installed?")
    return found


class Account:
    """The user that a server runs as: that of Debian's package if this process is root, else that of this process."""

    def __init__(self, user: str) -> None:
        """Choose the user."""
        self._user = user if os.getuid() == 0 else None

    def command(self, *command: str | Path) -> list[str | Path]:
        """Return a command that runs as this user, without a process in between."""
        if self._user is None:
            return list(command)
        group = _primary_group(self._user)
        return ["setpriv", f"--reuid={self._user}", f"--regid={group}", "--clear-groups", "--", *command]

    def folder(self, path: Path, **files: str) -> Path:
        """Create a folder that only this user can read, with these files."""
        path.mkdir(mode=0o700)
        for name, text in files.items():
            (path / name).write_text(text)
        if self._user is not None:
            for made in (path, *path.iterdir()):
                shutil.chown(made, self._user)
        return path


def _primary_group(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_gid


def postgresql(services: Services, folder: Path, port: int) -> str:
    """Start PostgreSQL, and return `user:password@host:port/database`.

    It does not sync its files, which only an end of the whole machine would reveal.
    """
    account, password = Account("postgres"), secrets.token_urlsafe(24)
    account.folder(folder, password=password)
    user = ["-U", "airflow", "--auth=scram-sha-256", f"--pwfile={folder}/password"]
    encoding = ["-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
    _run(account.command(program("initdb"), "-D", folder / "data", *user, *encoding), folder)
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": str(folder),
        "max_connections": "200",
        "fsync": "off",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    service = services.add(
        "postgresql", account.command(program("postgres"), "-D", folder / "data", *options)
    )
    _wait_for_port(service, port)
    return f"airflow:{password}@127.0.0.1:{port}/postgres"


def redis(services: Services, folder: Path, port: int) -> str:
    """Start a Redis that keeps its data when it is killed, and return its URL."""
    account, password = Account("redis"), secrets.token_urlsafe(24)
    account.folder(folder, config=REDIS.format(port=port, folder=folder, password=password))
    service = services.add("redis", account.command(program("redis-server"), folder / "config"))
    _wait_for_port(service, port)
    return f"redis://:{password}@127.0.0.1:{port}/0"


def nginx(
    services: Services,
    folder: Path,
    *,
    inside: int,
    outside: int | None = None,
    upstreams: Sequence[int],
    name: str = "nginx",
) -> None:
    """Start nginx in front of servers.

    :param inside: the port that passes all requests on.
    :param outside: the port that passes callbacks only, as `docs/howto/callbacks.md` has it; None for no such port.
    :param upstreams: the ports of the servers.
    :param name: the name of the service.
    """
    account = Account("www-data")
    servers = " ".join(f"server 127.0.0.1:{port} max_fails=1 fail_timeout=2s;" for port in upstreams)
    more = CALLBACKS_ONLY.format(outside=outside) if outside else ""
    account.folder(folder, config=NGINX.format(folder=folder, upstreams=servers, inside=inside, more=more))
    service = services.add(name, account.command(program("nginx"), "-e", "stderr", "-c", folder / "config"))
    _wait_for_port(service, inside)


def mariadb(services: Services, folder: Path) -> str:
    """Start MariaDB with an empty database, and return its URL for SQLAlchemy; it listens on a socket only."""
    import pymysql

    account, path = Account("nobody"), folder / "socket"
    (account.folder(folder) / "data").mkdir()
    if os.getuid() == 0:
        shutil.chown(folder / "data", "nobody")
    options = [f"--datadir={folder}/data", f"--socket={path}", "--skip-networking", "--skip-grant-tables"]
    service = services.add("mariadb", account.command(program("mariadbd"), "--no-defaults", *options))

    def connection() -> Any:
        _check(service)
        return pymysql.connect(unix_socket=str(path)) if path.exists() else None

    with (
        closing(wait_for(connection, what="MariaDB", timeout=START_SECONDS)) as made,
        made.cursor() as cursor,
    ):
        cursor.execute("CREATE DATABASE pan123 CHARACTER SET utf8mb4")
    return f"mysql+pymysql://root@/pan123?unix_socket={path}&charset=utf8mb4"


def _run(command: Sequence[str | Path], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"{command}: {done.stderr.strip() or done.stdout.strip()}")


def _wait_for_port(service: Service, port: int) -> None:
    def listens() -> bool:
        _check(service)
        with closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_for(listens, what=f"{service.name} on port {port}", timeout=START_SECONDS)


def _check(service: Service) -> None:
    if service.starts > 5:
        raise Unavailable(f"{service.name} ends by itself:\n{service.tail()}")
