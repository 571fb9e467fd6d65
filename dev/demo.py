"""Demonstrate how Airflow migrates generated pictures to a local 123pan.

First each picture has its own tasks. Then a sync migrates all of them, twice; the second run submits nothing.
`make demo` runs until Ctrl-C. `make demo ONCE=1` ends when the pictures have arrived; its exit code is 0 only if every
picture arrived with the same bytes. All processes that the demo starts end with it.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import statistics
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from dev import images
from dev.airflow_api import FINISHED
from dev.cluster import PASSWORD, USERNAME, Cluster
from dev.signals import Ended, end_on
from dev.supervised_process import SupervisedProcess
from dev.waiting import wait_for

DAG_ID = "example_pan123_many_images"
SYNC_DAG_ID = "example_pan123_sync_partitions"
CONN_ID = "pan123_default"
DONE = {"success", "failed", "upstream_failed", "skipped", "removed"}
DELAY_SECONDS = "25,35"  # that an offline task takes: enough for all waits to begin
WIDE = 230  # columns that a row of the table needs on one line


class DemoError(RuntimeError):
    """The demo cannot continue; the message gives the reason."""


class Demo:
    """The parts of the demo, in the order of its methods."""

    def __init__(self, console: Console, home: Path, stack: ExitStack) -> None:
        """Write to the console and below `home`; the stack ends what is started."""
        self.console, self.home, self.stack = console, home, stack
        self.http = stack.enter_context(closing(requests.Session()))
        self.http.trust_env = False  # all servers are on loopback

    def prepare(self) -> None:
        """Start the picture host, the sandbox and Airflow, and create the connection."""
        with self.console.status("Generating pictures") as status:
            self.source = self.stack.enter_context(images.serve(images.pictures()))
            self.urls = [f"{self.source}/{name}" for name in images.NAMES]
            self.console.print(f"✓ {len(self.urls)} pictures at {self.source}")
            status.update("Starting the sandbox")
            client_id, secret = self._start_sandbox()
            self.console.print(f"✓ the sandbox, a local 123pan, at {self.sandbox}")
            status.update("Starting Airflow, which takes about half a minute")
            self.airflow = self.stack.enter_context(Cluster(home=self.home / "airflow"))
            self.console.print(f"✓ Airflow at {self.airflow.url}")
            status.update("Creating the connection")
            self.airflow.api.set_connection(
                CONN_ID,
                conn_type="pan123",
                host=self.sandbox,
                login=client_id,
                password=secret,
                extra={"callback_base_url": self.airflow.url},
            )
            status.update("Waiting for the DAGs")
            self.airflow.wait_for_dag(DAG_ID, SYNC_DAG_ID)
            self.console.print(f"✓ connection {CONN_ID}, DAGs {DAG_ID} and {SYNC_DAG_ID}")

    def _start_sandbox(self) -> tuple[str, str]:
        """Start the sandbox, and return the client ID and the client secret."""
        command = [
            sys.executable,
            "-m",
            "airflow_provider_123pan.sandbox",
            "--port",
            "0",
            "--delay",
            DELAY_SECONDS,
        ]
        process_tree = self.stack.enter_context(SupervisedProcess(command, log=self.home / "sandbox.log"))

        def ready() -> re.Match[str] | None:
            if process_tree.returncode is not None:
                raise DemoError(f"the sandbox ended by itself:\n{process_tree.tail()}")
            return re.search(r"at (\S+) with client ID (\S+) and client secret (\S+)", process_tree.tail())

        self.sandbox, client_id, client_secret = wait_for(ready, what="the sandbox", timeout=60).groups()
        return client_id, client_secret

    def migrate(self) -> None:
        """Run the DAG, and show its progress."""
        self.run_id = self.airflow.api.trigger(DAG_ID, {"urls": self.urls})
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console) as progress:
            bars = {
                "migrate.submit": progress.add_task("submitted", total=len(self.urls)),
                "migrate.wait": progress.add_task("arrived", total=len(self.urls)),
            }

            def ended() -> bool:
                states = self.airflow.api.states(DAG_ID, self.run_id)
                for task_id, bar in bars.items():
                    done = [state for (name, _), state in states.items() if name == task_id and state in DONE]
                    progress.update(bar, completed=done.count("success"))
                return self.airflow.api.run_state(DAG_ID, self.run_id) in FINISHED

            wait_for(ended, what=f"the end of {DAG_ID}", timeout=900, every=1)

    def report(self) -> bool:
        """Print a table of the pictures, and return whether every picture arrived unchanged."""
        table = Table(show_lines=self.console.width < WIDE)
        for heading in ("source", "taskID", "file ID", "new URL", "bytes", "resumed after"):
            table.add_column(heading, overflow="fold")  # do not truncate URLs
        posted = self._posted()
        delays: list[tuple[float, float]] = []
        good = 0
        for index, url in enumerate(self.urls):
            submitted = self._xcom("migrate.submit", index)
            arrived = self._xcom("migrate.wait", index)
            new_url = arrived.get("user_url") or arrived.get("download_url")
            equal = new_url is not None and self._equal(url, new_url)
            good += equal
            verdict = "[green]equal" if equal else "[red]different" if new_url else "[red]did not arrive"
            cell, seconds = self._resumed_after(index, posted.get(submitted.get("taskID", 0)))
            if seconds:
                delays.append(seconds)
            row = (url, submitted.get("taskID"), arrived.get("fileID"), new_url)
            cells = (str(cell or "–") for cell in row)
            table.add_row(*cells, verdict, cell)
        self.console.print(table)
        self.console.print(
            "resumed after: seconds from the start of the service's POST to the event of the waiting trigger, "
            "and to the end of its task, for which Airflow starts a worker; late: the wait began after the POST; "
            "–: the wait found the picture at once",
            soft_wrap=True,
        )
        if delays:
            for what, seconds in zip(("triggers", "tasks"), zip(*delays, strict=True), strict=True):
                median, longest = statistics.median(seconds), max(seconds)
                self.console.print(
                    f"{len(delays)} {what} resumed after {median:.2f} s in the median, {longest:.2f} s at most"
                )
        for task in self.airflow.api.task_instances(DAG_ID, self.run_id):
            if task["state"] == "failed":
                self._explain(task)
        self.console.print(f"{good} of {len(self.urls)} pictures arrived unchanged")
        state = self.airflow.api.run_state(DAG_ID, self.run_id)
        return good == len(self.urls) and state == "success"

    def sync_twice(self) -> bool:
        """Sync the pictures twice, and return whether both runs succeeded and only the first one submitted."""
        manifests = self.home / "manifests"
        manifests.mkdir()
        (manifests / "demo.csv").write_text("\n".join(["url", *self.urls]))
        conf = {"manifests": str(manifests), "results": str(self.home / "results")}
        table = Table(title=f"The same pictures in one sync ({SYNC_DAG_ID})")
        for heading in ("run", "submissions", "present", "migrated", "failed"):
            table.add_column(heading)
        good = True
        for name, submissions in (("first", len(self.urls)), ("second", 0)):
            before = self._submissions()
            with self.console.status(f"Sync, {name} run"):
                run_id = self.airflow.api.trigger(SYNC_DAG_ID, conf)
                state = self.airflow.api.wait_for_run(SYNC_DAG_ID, run_id, timeout=600)
            submitted = self._submissions() - before
            counts = self.airflow.api.xcom(SYNC_DAG_ID, run_id, "sync", map_index=0) or {}
            cells = (str(counts.get(key, "–")) for key in ("present", "migrated", "failed"))
            table.add_row(name, str(submitted), *cells)
            good &= state == "success" and submitted == submissions
        self.console.print(table)
        line = (self.home / "results" / "demo.csv").read_text().splitlines()[1]
        self.console.print(f"A line of its results: {line}", soft_wrap=True)
        return good

    def _submissions(self) -> int:
        state = self.http.get(f"{self.sandbox}/sandbox/state?limit=0", timeout=30).json()
        return int(state["counts"]["submissions"])

    def _posted(self) -> dict[int, float | None]:
        """Return when the service sent each callback in Unix seconds, by taskID."""
        state = self.http.get(f"{self.sandbox}/sandbox/state", timeout=30).json()
        return {task["taskID"]: task["delivered_at"] for task in state["tasks"]}

    def _resumed_after(self, index: int, posted: float | None) -> tuple[str, tuple[float, float] | None]:
        """Return the delays after the POST for the table, and for the statistics if the wait had begun by then."""

        def at(event: str) -> float | None:
            return self.airflow.api.logged_at(DAG_ID, self.run_id, "migrate.wait", event, map_index=index)

        if posted is None:
            return "–", None
        started, fired, ended = at("trigger "), at("Trigger fired event"), at(f"{self.urls[index]} is now ")
        if started is None or fired is None or ended is None:
            return "–", None
        cell = f"{fired - posted:.2f} s, {ended - posted:.1f} s"
        return (cell, (fired - posted, ended - posted)) if started < posted else (f"{cell}, late", None)

    def _xcom(self, task_id: str, index: int) -> dict[str, Any]:
        return self.airflow.api.xcom(DAG_ID, self.run_id, task_id, map_index=index) or {}

    def _equal(self, url: str, new_url: str) -> bool:
        before, after = self.http.get(url, timeout=30), self.http.get(new_url, timeout=30)
        return before.ok and after.ok and before.content == after.content

    def _explain(self, task: dict[str, Any]) -> None:
        reason = self.airflow.api.error(
            DAG_ID, self.run_id, task["task_id"], map_index=task["map_index"], attempt=task["try_number"]
        )
        name = f"{task['task_id']} {task['map_index']}"
        self.console.print(f"[red]{name} failed:[/] {reason or 'see the log of the task'}", soft_wrap=True)

    def stay_up(self) -> None:
        """Print where everything is, and wait for a signal."""
        self.console.print(
            f"Airflow: {self.airflow.url}/dags/{DAG_ID}  (login {USERNAME}, password {PASSWORD})\n"
            f"Sandbox: {self.sandbox}/  (its contents)\n"
            "Press Ctrl-C to end both."
        )
        signal.pause()


def main() -> int:
    """Run the demo, and return the exit code."""
    parser = argparse.ArgumentParser("python -m dev.demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end when the pictures have arrived")
    once: bool = parser.parse_args().once
    end_on(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    home = Path(tempfile.mkdtemp(prefix="pan123-demo-"))
    arrived: bool | None = None
    code = 1
    try:
        with ExitStack() as stack:
            demo = Demo(console, home, stack)
            try:
                demo.prepare()
                demo.migrate()
                arrived = demo.report()
                arrived = demo.sync_twice() and arrived
                code = 0 if arrived else 1
                if not once:
                    demo.stay_up()
            finally:
                console.print("Ending all processes")
    except Ended as ended:
        if arrived is None:  # otherwise the demo has finished, and this is its normal end
            shutil.rmtree(home, ignore_errors=True)
            return ended.code
    except Exception as error:
        console.print(f"[red]The demo failed:[/] {error}", soft_wrap=True)
    if arrived:
        shutil.rmtree(home, ignore_errors=True)
    else:
        console.print(f"The logs are in {home}")
    return code


if __name__ == "__main__":
    sys.exit(main())
