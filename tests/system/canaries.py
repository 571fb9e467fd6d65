"""Secrets that are easy to search for, and where; calls of the sandbox; and a receiver of metrics."""

from __future__ import annotations

import json
import secrets
import socket
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import requests
from cryptography.fernet import Fernet

from airflow_provider_123pan.sandbox import Sandbox
from dev.cluster import Cluster

#: The client secret of the sandbox's first account.
CLIENT_SECRET = f"canary-client-secret-{secrets.token_hex(8)}"
#: The ``callback_secret`` of the connection `pan123_own_token`.
CALLBACK_SECRET = f"canary-callback-secret-{secrets.token_hex(8)}"
#: What signs the source URLs of the example DAGs.
SIGNATURE = f"canary{secrets.token_hex(29)}"


def signed(url: str) -> str:
    """Return a URL with a query that signs it, as S3 does."""
    return f"{url}?X-Amz-Signature={SIGNATURE}"


def source_name(url: str) -> str:
    """Return the name of the file that a source URL names."""
    return PurePosixPath(urlsplit(url).path).name


def log_in(sandbox: Sandbox, client_id: str, client_secret: str) -> str:
    """Return a new access token."""
    answer = requests.post(
        f"{sandbox.base_url}/api/v1/access_token",
        json={"clientID": client_id, "clientSecret": client_secret},
        headers={"Platform": "open_platform"},
        timeout=10,
    )
    return str(answer.json()["data"]["accessToken"])


def make_directory(sandbox: Sandbox, name: str) -> str:
    """Make a directory in the root of the sandbox's first account, and return its id."""
    token = log_in(sandbox, sandbox.client_id, sandbox.client_secret)
    answer = requests.post(
        f"{sandbox.base_url}/upload/v1/oss/file/mkdir",
        json={"name": [name], "parentID": "", "type": 1},
        headers={"Platform": "open_platform", "Authorization": f"Bearer {token}"},
        timeout=10,
    )
    return str(answer.json()["data"]["list"][0]["dirID"])


# --- the search -----------------------------------------------------------------------------------------


def files_with(folder: Path, canaries: Iterable[str]) -> list[Path]:
    """Return the files below a folder that hold one of the canaries, as they are on the disk."""
    sought = [canary.encode() for canary in canaries]
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if any(canary in path.read_bytes() for canary in sought)]


def log_lines_with(folder: Path, canary: str) -> list[str]:
    """Return the lines of all logs below a folder that hold a canary."""
    logs = [path for path in folder.rglob("*.log") if path.is_file()]
    return [line for log in logs for line in log.read_text(errors="replace").splitlines() if canary in line]


def places_of(airflow_home: Path, canary: str) -> set[tuple[str, str]]:
    """Return where Airflow's database holds a canary: the table, and the column, the key or the rendered field."""
    found = set()
    for table, row in rows_of(airflow_home):
        for column, value in row.items():
            if canary not in (
                text := value.decode(errors="replace") if isinstance(value, bytes) else str(value)
            ):
                continue
            if table == "rendered_task_instance_fields" and column == "rendered_fields":
                fields = json.loads(text).items()
                found |= {(table, name) for name, field in fields if canary in json.dumps(field)}
            else:
                found.add((table, str(row.get("key") or column)))
    return found


def rows_of(airflow_home: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows of all tables of Airflow's database, each with its table."""
    with closing(sqlite3.connect(f"file:{airflow_home}/airflow.db?mode=ro", uri=True)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            rows = database.execute(f'SELECT * FROM "{table}"')
            names = [column[0] for column in rows.description]
            yield from ((table, dict(zip(names, row, strict=True))) for row in rows)


def column_of(airflow: Cluster, table: str, column: str) -> list[str]:
    """Return the content of a column, decrypted where Airflow encrypted it: all versions encrypt Variables."""
    return [decrypted(airflow, str(row[column])) for name, row in rows_of(airflow.home) if name == table]


def decrypted(airflow: Cluster, value: str) -> str:
    """Return a value as it was before Airflow encrypted it, or as it is if Airflow did not."""
    fernet = Fernet(airflow.env["AIRFLOW__CORE__FERNET_KEY"])
    return fernet.decrypt(value).decode() if value.startswith("gAAAA") else value


def stored_tokens(airflow: Cluster) -> list[str]:
    """Return the access tokens in Variables."""
    variables = [json.loads(value) for value in column_of(airflow, "variable", "val")]
    return [value["accessToken"] for value in variables if "accessToken" in value]


# --- metrics --------------------------------------------------------------------------------------------


class MetricsSink:
    """Receives StatsD's datagrams on a free port of 127.0.0.1.

    :ivar env: the environment variables that make Airflow send its metrics here.
    """

    def __init__(self) -> None:
        """Bind the port; entering the context starts to receive."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._receive)
        self._datagrams: list[bytes] = []
        self.env = {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(self._socket.getsockname()[1]),
        }

    def __enter__(self) -> MetricsSink:
        """Start to receive."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End with an empty datagram."""
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def lines(self) -> list[bytes]:
        """Return the metrics received until now."""
        return b"\n".join(self._datagrams[:]).splitlines()

    def _receive(self) -> None:
        while datagram := self._socket.recv(65_536):
            self._datagrams.append(datagram)
