"""Count the logins of real processes that share an account through the Variables of a real Airflow.

    python -m tests.benchmarks.tokens

Each scenario has its own sandbox and therefore its own account. All share one API server (SQLite). The exit code is 1
if a bound is exceeded.
"""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import requests

from airflow_provider_123pan.exceptions import Pan123LoginLimitError
from airflow_provider_123pan.sandbox import Sandbox
from dev.cluster import Cluster
from dev.waiting import wait_for
from tests.benchmarks.report import Arguments, Figure, Table, finish, progress
from tests.benchmarks.servers import api_server
from tests.benchmarks.tokens_worker import STEPS, Common, WorkerOptions, work

TIMEOUT_SECONDS = 240.0
FOREIGN_LOGIN_SECONDS = 2.0  # between the logins of the fourth program

# The processes share only the imports.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload([work.__module__])


class Airflow:
    """An API server without the other components, which is all that Variables need."""

    def __init__(self, cluster: Cluster) -> None:
        """Use the API server of this cluster."""
        self.execution_api = f"{cluster.url}/execution/"
        self._secret = cluster.env["AIRFLOW__API_AUTH__JWT_SECRET"]

    def identity(self) -> str:
        """Return the token of a new task instance, signed as the executor signs it."""
        from airflow.api_fastapi.auth.tokens import JWTGenerator

        generator = JWTGenerator(
            secret_key=self._secret, audience="urn:airflow.apache.org:task", issuer=None, valid_for=3600
        )
        return generator.generate({"sub": str(uuid.uuid4())})


class Fleet:
    """The processes of one scenario."""

    def __init__(self, airflow: Airflow, connections: list[dict[str, Any]], **options: Any) -> None:
        """Start a process for each connection.

        :param options: further fields of each `WorkerOptions`.
        """
        count = len(connections)
        self.common = Common(
            processes.Barrier(count + 1), processes.Event(), processes.Lock(), processes.RawArray("i", count)
        )
        self._members = []
        for number, connection in enumerate(connections):
            worker = WorkerOptions(number, connection, airflow.execution_api, airflow.identity(), **options)
            receiver, sender = processes.Pipe(duplex=False)
            process = processes.Process(target=work, args=(worker, self.common, sender), daemon=True)
            process.start()
            sender.close()  # so that the end of the process closes the pipe
            self._members.append((process, receiver))

    def start(self) -> None:
        """Let all processes begin at the same time."""
        self.common.barrier.wait(TIMEOUT_SECONDS)

    def wait_for_calls(self, more_than: list[int] | None = None) -> None:
        """Wait until each living process has made more calls than given, by default none."""
        before = more_than or [0] * len(self._members)

        def all_called() -> bool:
            return all(
                now > earlier or not process.is_alive()
                for now, earlier, (process, _) in zip(self.common.calls, before, self._members, strict=True)
            )

        wait_for(all_called, what="a call of each process", timeout=TIMEOUT_SECONDS)

    def end(self) -> tuple[list[float], list[Exception], int]:
        """Stop the processes, and return their results."""
        self.common.stop.set()
        return self.results()

    def results(self) -> tuple[list[float], list[Exception], int]:
        """Return the seconds to each first token, the errors, and the number of killed processes."""
        seconds: list[float] = []
        errors: list[Exception] = []
        killed = 0
        for process, receiver in self._members:
            try:
                result = receiver.recv() if receiver.poll(TIMEOUT_SECONDS) else TimeoutError("no result")
            except EOFError:
                killed += 1
            else:
                errors.append(result) if isinstance(result, Exception) else seconds.append(result)
            process.join(10)
        return seconds, errors, killed


def connection(sandbox: Sandbox, **fields: Any) -> dict[str, Any]:
    """Return the fields of a connection to the sandbox."""
    return {
        "conn_id": "pan123_default",
        "conn_type": "pan123",
        "host": sandbox.base_url,
        "login": sandbox.client_id,
        "password": sandbox.client_secret,
    } | fields


def logins(sandbox: Sandbox) -> int:
    """Return how often any client logged in."""
    return int(sandbox.state(limit=0)["counts"]["logins"])


ACCOUNTS = {"first": "first-secret-0123456789", "second": "second-secret-0123456789"}


class Finding(NamedTuple):
    """The result of a scenario.

    :ivar logins: of this package.
    :ivar allowed: how many there may be.
    :ivar failures: processes that failed, unless that was expected.
    :ivar seconds: until the last process had a token, or had made another call.
    """

    scenario: str
    logins: int
    allowed: int
    failures: int
    seconds: float

    @property
    def is_kept(self) -> bool:
        """Whether the bound was kept."""
        return self.logins <= self.allowed and not self.failures


def many_at_once(airflow: Airflow, count: int) -> list[Finding]:
    """Start many processes without a stored token; then revoke the token that they use."""
    with Sandbox(accounts=ACCOUNTS, latency=(0.03, 0.12)) as sandbox:
        fleet = Fleet(airflow, [connection(sandbox)] * count)
        fleet.start()
        fleet.wait_for_calls()
        first = logins(sandbox)
        sandbox.kill_tokens()
        start, before = time.monotonic(), list(fleet.common.calls)
        fleet.wait_for_calls(before)
        again = time.monotonic() - start
        seconds, errors, killed = fleet.end()
        more = logins(sandbox) - first
    bad = _failures(errors) + killed
    return [
        Finding(f"{count} processes start at once", first, 1, bad, max(seconds, default=0)),
        Finding(f"the token of {count} is revoked", more, 1, bad, again),
    ]


def crash(airflow: Airflow, count: int, step: str) -> list[Finding]:
    """Kill the first process that reaches a step of the login."""
    with Sandbox(accounts=ACCOUNTS, latency=(0.03, 0.12)) as sandbox:
        fleet = Fleet(airflow, [connection(sandbox)] * count, killed_at=step)
        fleet.start()
        fleet.wait_for_calls()
        seconds, errors, killed = fleet.end()
        bad = _failures(errors) + abs(killed - 1)
        what = f"one of {count} is killed {step}"
        return [Finding(what, logins(sandbox), 2, bad, max(seconds, default=0))]


def two_connections(airflow: Airflow, count: int) -> list[Finding]:
    """Use two connections of one account, and then one of another account."""
    with Sandbox(accounts=ACCOUNTS) as sandbox:
        one, two = connection(sandbox), connection(sandbox, conn_id="another", extra='{"timeout": 20}')
        other = connection(sandbox, login="second", password=ACCOUNTS["second"])
        findings = []
        for what, connections in (
            (f"{count} use two connections of one account", [one, two] * (count // 2)),
            ("the account of the connection changes", [other] * (count // 2)),
        ):
            before = logins(sandbox)
            fleet = Fleet(airflow, connections)
            fleet.start()
            fleet.wait_for_calls()
            seconds, errors, killed = fleet.end()
            more = logins(sandbox) - before
            findings.append(Finding(what, more, 1, _failures(errors) + killed, max(seconds, default=0)))
    return findings


def fourth_program(airflow: Airflow, count: int) -> list[Finding]:
    """Log in continually with another program, which revokes every token of the account."""
    with Sandbox(accounts=ACCOUNTS) as sandbox:
        fleet = Fleet(airflow, [connection(sandbox)] * count, retries=True)
        stop, foreign = threading.Event(), 0

        def log_in_repeatedly() -> None:
            nonlocal foreign
            body = {"clientID": sandbox.client_id, "clientSecret": sandbox.client_secret}
            while not stop.wait(FOREIGN_LOGIN_SECONDS):
                for _ in range(3):
                    requests.post(
                        f"{sandbox.base_url}/api/v1/access_token",
                        json=body,
                        headers={"Platform": "open_platform"},
                        timeout=10,
                    )
                    foreign += 1

        thread = threading.Thread(target=log_in_repeatedly)
        fleet.start()
        start = time.monotonic()
        thread.start()
        try:
            _, errors, _ = fleet.results()
        finally:
            stop.set()
            thread.join()
        ours = logins(sandbox) - foreign
    unnamed = count - sum(isinstance(error, Pan123LoginLimitError) for error in errors)
    what = f"another program revokes every token of {count}, which end with an error that says so"
    return [Finding(what, ours, 3, unnamed, time.monotonic() - start)]


def _failures(errors: list[Exception]) -> int:
    """Return the number of errors, and show them."""
    for error in errors:
        progress(f"{type(error).__name__}: {error}")
    return len(errors)


def main() -> int:
    """Run the benchmark, and return the exit code."""
    parser = Arguments(__doc__, rounds=1)
    parser.add_argument("--processes", type=int, default=32)
    parser.add_argument(
        "--crash-processes", type=int, default=8, help="processes in each scenario with a crash"
    )
    options = parser.parse_args()
    few = options.crash_processes
    found: dict[str, list[Finding]] = {}
    with api_server() as cluster:
        airflow = Airflow(cluster)
        scenarios: list[Callable[[], list[Finding]]] = [
            *(partial(crash, airflow, few, step) for step in STEPS),
            partial(two_connections, airflow, few),
            partial(fourth_program, airflow, few),
        ]
        for _ in range(options.rounds):
            with ThreadPoolExecutor(len(scenarios)) as threads:
                alone = many_at_once(airflow, options.processes)
                at_once = threads.map(lambda scenario: scenario(), scenarios)
            for finding in chain(alone, *at_once):
                found.setdefault(finding.scenario, []).append(finding)
    rows: list[list[str | Figure]] = [
        [
            name,
            Figure([finding.logins for finding in findings]),
            f"{findings[0].allowed}",
            Figure([finding.failures for finding in findings]),
            Figure([finding.seconds for finding in findings]),
        ]
        for name, findings in found.items()
    ]
    finish("tokens", Table("", ["Scenario", "logins", "at most", "failures", "seconds"], rows))
    return int(not all(finding.is_kept for findings in found.values() for finding in findings))


if __name__ == "__main__":
    sys.exit(main())
