"""How often real processes log in that share an account through the Variables of a real Airflow.

    python -m tests.benchmarks.tokens

Each scenario has a sandbox of its own, so an account of its own. All share one API server (SQLite). Ends with 1 if a
bound is broken.
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
from tests.benchmarks.tokens_worker import STEPS, Common, Job, work

PATIENCE = 240.0  # seconds
FOREIGN_EVERY = 2.0  # seconds between two log-ins of the fourth program

# Processes of their own, each; only the imports are done once for all of them.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload([work.__module__])


class Airflow:
    """An API server alone: all that Variables need."""

    def __init__(self, cluster: Cluster) -> None:
        self.execution_api = f"{cluster.url}/execution/"
        self._secret = cluster.env["AIRFLOW__API_AUTH__JWT_SECRET"]

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Airflow]:
        with tempfile.TemporaryDirectory(prefix="pan123-tokens-") as home, ExitStack() as stack:
            cluster = Cluster(home=Path(home))
            cluster.cli("db", "migrate")
            stack.push(cluster)
            cluster.start("api-server")
            cluster.wait_until_healthy("api-server")
            yield cls(cluster)

    def identity(self) -> str:
        """A task instance's, signed as the executor does."""
        from airflow.api_fastapi.auth.tokens import JWTGenerator

        generator = JWTGenerator(
            secret_key=self._secret, audience="urn:airflow.apache.org:task", issuer=None, valid_for=3600
        )
        return generator.generate({"sub": str(uuid.uuid4())})


class Fleet:
    """The processes of one scenario."""

    def __init__(self, airflow: Airflow, connections: list[dict[str, Any]], **told: Any) -> None:
        count = len(connections)
        self.common = Common(
            processes.Barrier(count + 1), processes.Event(), processes.Lock(), processes.RawArray("i", count)
        )
        self._members = []
        for number, connection in enumerate(connections):
            job = Job(number, connection, airflow.execution_api, airflow.identity(), **told)
            listens, tells = processes.Pipe(duplex=False)
            process = processes.Process(target=work, args=(job, self.common, tells), daemon=True)
            process.start()
            tells.close()  # so that its end is noticed
            self._members.append((process, listens))

    def start(self) -> None:
        self.common.barrier.wait(PATIENCE)

    def all_made_calls(self, more_than: list[int] | None = None) -> None:
        """Until each that lives has made a call, or some beyond what it had made."""
        before = more_than or [0] * len(self._members)

        def look() -> bool:
            return all(
                done > had or not process.is_alive()
                for done, had, (process, _) in zip(self.common.calls, before, self._members, strict=True)
            )

        wait_for(look, what="a call of each process", timeout=PATIENCE)

    def end(self) -> tuple[list[float], list[Exception], int]:
        """Seconds to the first token, errors, and how many were killed."""
        self.common.stop.set()
        return self.results()

    def results(self) -> tuple[list[float], list[Exception], int]:
        seconds: list[float] = []
        errors: list[Exception] = []
        killed = 0
        for process, listens in self._members:
            try:
                said = listens.recv() if listens.poll(PATIENCE) else TimeoutError("said nothing")
            except EOFError:
                killed += 1
            else:
                errors.append(said) if isinstance(said, Exception) else seconds.append(said)
            process.join(10)
        return seconds, errors, killed


def connection(sandbox: Sandbox, **fields: Any) -> dict[str, Any]:
    return {
        "conn_id": "pan123_default",
        "conn_type": "pan123",
        "host": sandbox.base_url,
        "login": sandbox.client_id,
        "password": sandbox.client_secret,
    } | fields


def logins(sandbox: Sandbox) -> int:
    return int(sandbox.state(limit=0)["counts"]["logins"])


ACCOUNTS = {"first": "first-secret-0123456789", "second": "second-secret-0123456789"}


class Said(NamedTuple):
    kept: bool  # the bound
    line: str


def many_at_once(airflow: Airflow, count: int) -> list[Said]:
    with Sandbox(accounts=ACCOUNTS, latency=(0.03, 0.12)) as sandbox:
        fleet = Fleet(airflow, [connection(sandbox)] * count)
        fleet.start()
        start = time.monotonic()
        fleet.all_made_calls()
        first, waited = logins(sandbox), time.monotonic() - start
        sandbox.kill_tokens()
        start, before = time.monotonic(), list(fleet.common.calls)
        fleet.all_made_calls(before)
        again = time.monotonic() - start
        seconds, errors, killed = fleet.end()
        more = logins(sandbox) - first
    bad = len(errors) + killed
    return [
        Said(
            first == 1 and not bad,
            f"(a) {count} at one barrier, nothing stored: {first} login, {bad} failures; the last had a token after "
            f"{max(seconds, default=0):.1f} s and all had made a call after {waited:.1f} s{_causes(errors)}",
        ),
        Said(
            more == 1 and not bad,
            f"(b) token killed while {count} run: {more} more login, {bad} failures; all went on after {again:.1f} s",
        ),
    ]


def crash(airflow: Airflow, count: int, step: str) -> Said:
    with Sandbox(accounts=ACCOUNTS, latency=(0.03, 0.12)) as sandbox:
        fleet = Fleet(airflow, [connection(sandbox)] * count, dies=step)
        fleet.start()
        fleet.all_made_calls()
        seconds, errors, killed = fleet.end()
        count_of_logins = logins(sandbox)
    return Said(
        count_of_logins <= 2 and not errors and killed == 1,
        f"(c) {count} at one barrier, {killed} killed {step}: {count_of_logins} logins, {len(errors)} failures; "
        f"the last had a token after {max(seconds, default=0):.1f} s{_causes(errors)}",
    )


def two_connections(airflow: Airflow, count: int) -> Said:
    with Sandbox(accounts=ACCOUNTS) as sandbox:
        one, two = connection(sandbox), connection(sandbox, conn_id="another", extra='{"timeout": 20}')
        fleet = Fleet(airflow, [one, two] * (count // 2))
        fleet.start()
        fleet.all_made_calls()
        _, errors, _ = fleet.end()
        shared = logins(sandbox)
        other = connection(sandbox, login="second", password=ACCOUNTS["second"])
        fleet = Fleet(airflow, [other] * (count // 2))
        fleet.start()
        fleet.all_made_calls()
        errors += fleet.end()[1]
        changed = logins(sandbox) - shared
    return Said(
        shared == changed == 1 and not errors,
        f"(d) {count} through two connections of one client ID: {shared} login; with a changed client ID: "
        f"{changed} more; {len(errors)} failures{_causes(errors)}",
    )


def fourth_program(airflow: Airflow, count: int) -> Said:
    with Sandbox(accounts=ACCOUNTS) as sandbox:
        fleet = Fleet(airflow, [connection(sandbox)] * count, patient=True)
        stop, foreign = threading.Event(), 0

        def log_in_for_ever() -> None:
            nonlocal foreign
            body = {"clientID": sandbox.client_id, "clientSecret": sandbox.client_secret}
            while not stop.wait(FOREIGN_EVERY):
                for _ in range(3):
                    requests.post(
                        f"{sandbox.base_url}/api/v1/access_token",
                        json=body,
                        headers={"Platform": "open_platform"},
                        timeout=10,
                    )
                    foreign += 1

        thread = threading.Thread(target=log_in_for_ever)
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
    return Said(
        named == count and ours <= 3,
        f"(e) a fourth program logs in for ever ({foreign} logins), {count} processes: {ours} logins of ours, "
        f"{named} got the named error, the last after {time.monotonic() - start:.1f} s: {errors[0] if errors else ''}",
    )


def _causes(errors: list[Exception]) -> str:
    return "".join(sorted({f"; {type(error).__name__}: {error}" for error in errors}))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=32)
    parser.add_argument(
        "--crash-processes", type=int, default=8, help="in each of the scenarios with a crash"
    )
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores", flush=True)
    broken = 0

    def tell(said: Said) -> None:
        nonlocal broken
        broken += not said.kept
        print("ok    " if said.kept else "BROKEN", said.line, flush=True)

    with Airflow.running() as airflow:
        for said in many_at_once(airflow, options.processes):
            tell(said)
        few = options.crash_processes
        scenarios: list[Callable[[], Said]] = [partial(crash, airflow, few, step) for step in STEPS]
        scenarios += [partial(two_connections, airflow, few), partial(fourth_program, airflow, few)]
        with ThreadPoolExecutor(len(scenarios)) as side_by_side:
            for said in side_by_side.map(lambda scenario: scenario(), scenarios):
                tell(said)
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
