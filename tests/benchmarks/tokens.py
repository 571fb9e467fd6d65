"""Count the logins of real processes that share an account through the Variables of a real Airflow.

    python -m tests.benchmarks.tokens

Each scenario has its own sandbox and therefore its own account. All share one API server (SQLite). The exit code is 1
if a bound is exceeded.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import requests

from airflow_provider_123pan.exceptions import Pan123LoginLimitError
from airflow_provider_123pan.sandbox import Sandbox
from dev.cluster import Cluster
from dev.waiting import wait_for
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

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Airflow]:
        """Run an API server on SQLite."""
        with tempfile.TemporaryDirectory(prefix="pan123-tokens-") as home, ExitStack() as stack:
            cluster = Cluster(home=Path(home))
            cluster.cli("db", "migrate")
            stack.push(cluster)
            cluster.start("api-server")
            cluster.wait_until_healthy("api-server")
            yield cls(cluster)

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
    """The result of a scenario: whether the bound was kept, and the figures as a line."""

    kept: bool
    line: str


def many_at_once(airflow: Airflow, count: int) -> list[Finding]:
    """Start many processes without a stored token; then revoke the token that they use."""
    with Sandbox(accounts=ACCOUNTS, latency=(0.03, 0.12)) as sandbox:
        fleet = Fleet(airflow, [connection(sandbox)] * count)
        fleet.start()
        start = time.monotonic()
        fleet.wait_for_calls()
        first, waited = logins(sandbox), time.monotonic() - start
        sandbox.kill_tokens()
        start, before = time.monotonic(), list(fleet.common.calls)
        fleet.wait_for_calls(before)
        again = time.monotonic() - start
        seconds, errors, killed = fleet.end()
        more = logins(sandbox) - first
    bad = len(errors) + killed
    return [
        Finding(
            first == 1 and not bad,
            f"(a) {count} start at once, no token stored: {first} login, {bad} failures; the last had a token after "
            f"{max(seconds, default=0):.1f} s and all had made a call after {waited:.1f} s{_causes(errors)}",
        ),
        Finding(
            more == 1 and not bad,
            f"(b) token revoked while {count} run: {more} more login, {bad} failures; all continued in {again:.1f} s",
        ),
    ]


def crash(airflow: Airflow, count: int, step: str) -> Finding:
    """Kill the first process that reaches a step of the login."""
    with Sandbox(accounts=ACCOUNTS, latency=(0.03, 0.12)) as sandbox:
        fleet = Fleet(airflow, [connection(sandbox)] * count, killed_at=step)
        fleet.start()
        fleet.wait_for_calls()
        seconds, errors, killed = fleet.end()
        count_of_logins = logins(sandbox)
    return Finding(
        count_of_logins <= 2 and not errors and killed == 1,
        f"(c) {count} start at once, {killed} killed {step}: {count_of_logins} logins, {len(errors)} failures; "
        f"the last had a token after {max(seconds, default=0):.1f} s{_causes(errors)}",
    )


def two_connections(airflow: Airflow, count: int) -> Finding:
    """Use two connections of one account, and then one of another account."""
    with Sandbox(accounts=ACCOUNTS) as sandbox:
        one, two = connection(sandbox), connection(sandbox, conn_id="another", extra='{"timeout": 20}')
        fleet = Fleet(airflow, [one, two] * (count // 2))
        fleet.start()
        fleet.wait_for_calls()
        _, errors, _ = fleet.end()
        shared = logins(sandbox)
        other = connection(sandbox, login="second", password=ACCOUNTS["second"])
        fleet = Fleet(airflow, [other] * (count // 2))
        fleet.start()
        fleet.wait_for_calls()
        errors += fleet.end()[1]
        changed = logins(sandbox) - shared
    return Finding(
        shared == changed == 1 and not errors,
        f"(d) {count} through two connections of one client ID: {shared} login; with a changed client ID: "
        f"{changed} more; {len(errors)} failures{_causes(errors)}",
    )


def fourth_program(airflow: Airflow, count: int) -> Finding:
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
    named = sum(isinstance(error, Pan123LoginLimitError) for error in errors)
    return Finding(
        named == count and ours <= 3,
        f"(e) a fourth program logs in repeatedly ({foreign} logins), {count} processes: {ours} logins of ours, "
        f"{named} limit errors, last after {time.monotonic() - start:.1f} s: {errors[0] if errors else ''}",
    )


def _causes(errors: list[Exception]) -> str:
    return "".join(sorted({f"; {type(error).__name__}: {error}" for error in errors}))


def main() -> int:
    """Run the benchmark, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=32)
    parser.add_argument(
        "--crash-processes", type=int, default=8, help="processes in each scenario with a crash"
    )
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores", flush=True)
    exceeded = 0

    def report(finding: Finding) -> None:
        nonlocal exceeded
        exceeded += not finding.kept
        print("ok      " if finding.kept else "EXCEEDED", finding.line, flush=True)

    with Airflow.running() as airflow:
        for finding in many_at_once(airflow, options.processes):
            report(finding)
        few = options.crash_processes
        scenarios: list[Callable[[], Finding]] = [partial(crash, airflow, few, step) for step in STEPS]
        scenarios += [partial(two_connections, airflow, few), partial(fourth_program, airflow, few)]
        with ThreadPoolExecutor(len(scenarios)) as threads:
            for finding in threads.map(lambda scenario: scenario(), scenarios):
                report(finding)
    return int(exceeded > 0)


if __name__ == "__main__":
    sys.exit(main())
