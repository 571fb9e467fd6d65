"""A real Airflow for development: `airflow standalone` on SQLite with the LocalExecutor, on free ports.

    with Cluster(home=Path("…"), dags=Path("example_dags")) as airflow:
        airflow.connect(sandbox)
        airflow.wait_for_dag("example_pan123_many_images")
        run_id = airflow.api.trigger("example_pan123_many_images", {"urls": […]})
        airflow.api.wait_for_run("example_pan123_many_images", run_id)

`python -m dev.cluster` starts one that runs until Ctrl-C.
"""

from __future__ import annotations

import base64
import json
import os
import random
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import psutil
import requests
from typing_extensions import Self

from dev.airflow_api import AirflowAPI
from dev.supervised_process import SupervisedProcess, is_alive
from dev.waiting import wait_for

if TYPE_CHECKING:
    from airflow_provider_123pan.sandbox import Sandbox

EXAMPLE_DAGS = Path(__file__).parent.parent / "example_dags"
USERNAME = PASSWORD = "admin"  # Airflow listens on loopback only

Component = Literal["scheduler", "dag-processor", "api-server", "triggerer"]
TITLES: dict[Component, str] = {
    "scheduler": "airflow scheduler",
    "dag-processor": "airflow dag-processor",
    "api-server": "airflow api_server",  # the title that the process sets
    "triggerer": "airflow triggerer",
}
SUPERVISED: tuple[Component, ...] = ("scheduler", "dag-processor", "triggerer")
SUPERVISION_SECONDS = 5.0
WORKER = re.compile("airflow worker -- [0-9a-f-]{36}")  # the title ends with the task instance's ID


class ClusterError(RuntimeError):
    """Airflow did not do what was expected; the message ends with the last lines of its log."""


def free_ports(count: int) -> list[int]:
    """Return ports that no process listens on, and that no earlier call returned.

    They are below the range of outgoing connections, because Airflow takes half a minute until it listens on them.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                found.append(port)
    return found


_given: set[int] = set()


class Cluster:
    """An Airflow that writes only below `home`, and whose processes all end with it.

    :ivar home: AIRFLOW_HOME.
    :ivar url: base URL of the API server.
    :ivar api: a client of its REST API.
    :ivar env: the environment of every process.
    """

    def __init__(
        self,
        *,
        home: Path,
        dags: Path = EXAMPLE_DAGS,
        env: Mapping[str, str] | None = None,
        bin_dir: Path = Path(sys.executable).parent,
    ) -> None:
        """Configure an Airflow; entering the context starts it.

        :param home: the folder for all files; it is created if necessary.
        :param dags: the DAGs folder.
        :param env: environment variables that override the settings made here.
        :param bin_dir: the folder of the `airflow` command, by default that of this Python.
        """
        self.home = home
        self._airflow = bin_dir / "airflow"
        self._stack = ExitStack()
        self._supervised: list[SupervisedProcess] = []
        self._held: set[Component] = set()
        self._lock = threading.Lock()  # a component is started or killed by one thread at a time
        self._ended = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        port, worker_logs, trigger_logs = free_ports(3)
        self.url = f"http://127.0.0.1:{port}"
        self.api = AirflowAPI(self.url, username=USERNAME, password=PASSWORD)
        passwords = home / "passwords.json"
        home.mkdir(parents=True, exist_ok=True)
        passwords.write_text(json.dumps({USERNAME: PASSWORD}))
        settings = {
            "CORE__DAGS_FOLDER": str(dags),
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__EXECUTOR": "LocalExecutor",
            "CORE__PARALLELISM": "6",
            "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",  # seconds, instead of 1, until it looks for work again
            "CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "CORE__TEST_CONNECTION": "Enabled",
            "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USERNAME}:admin",
            "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            # Workers and API server must agree on both, and the defaults do not know the port.
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
            "API__HOST": "127.0.0.1",
            "API__PORT": str(port),
            "API__BASE_URL": self.url,
            "API__SECRET_KEY": secrets.token_urlsafe(32),
            "LOGGING__WORKER_LOG_SERVER_PORT": str(worker_logs),
            "LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_logs),
            "DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        }
        # Ignore the settings of an Airflow that the caller may have.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        self.env: dict[str, str] = {
            **inherited,
            "AIRFLOW_HOME": str(home),
            "PATH": f"{bin_dir}{os.pathsep}{os.environ['PATH']}",  # standalone calls `airflow` by name
            "NO_PROXY": "127.0.0.1,localhost",
            "NO_COLOR": "1",
            "PYTHONUNBUFFERED": "1",
            **{f"AIRFLOW__{name}": value for name, value in settings.items()},
            **(env or {}),
        }

    @property
    def callback_base_url(self) -> str:
        """The URL that 123pan sends callbacks below."""
        return self.url

    @property
    def log(self) -> Path:
        """The log of all components; the logs of tasks are in the folder `logs` beside it."""
        return self.home / "airflow.log"

    def __enter__(self) -> Self:
        """Start Airflow, and wait until it is healthy."""
        with self._stack:
            self._launch()
            self.wait_until_healthy()
            self._stack = self._stack.pop_all()
        self._supervisor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all processes."""
        self._ended.set()
        with self._stack:
            if self._supervisor.ident is not None:  # it does not run if the context was not entered
                self._supervisor.join()

    def _launch(self) -> None:
        """Start all processes."""
        self._start("standalone")

    def _start(self, command: str) -> None:
        self._supervised.append(
            self._stack.enter_context(SupervisedProcess([self._airflow, command], log=self.log, env=self.env))
        )

    def _supervise(self) -> None:
        """Start components that end, as a supervisor does, except those that were killed here.

        On SQLite, scheduler and triggerer end if another process has the database for five seconds (observed).
        """
        while not self._ended.wait(SUPERVISION_SECONDS):
            for component in SUPERVISED:
                with self._lock:
                    if component not in self._held and not self.processes(component):
                        self._start(component)

    # --- waiting -------------------------------------------------------------------------------------

    def wait_until_healthy(self, *components: Component, timeout: float = 240) -> None:
        """Wait until these components, by default all, are healthy: usually 30 s after the start."""
        expected = {name.replace("-", "_") for name in components or TITLES if name != "api-server"}

        def healthy() -> bool:
            self._check_alive()
            try:
                health = self.api.health()
            except requests.RequestException:
                return False
            return all(health.get(name) == "healthy" for name in expected)

        self._wait(healthy, "a healthy Airflow", timeout)

    def wait_for_dag(self, *dag_ids: str, timeout: float = 120) -> None:
        """Wait until the DAGs are parsed; a DAG file that cannot be imported raises an error at once."""

        def parsed() -> bool:
            self._check_alive()
            if errors := self.api.import_errors():
                raise ClusterError(
                    "\n".join(f"{name} cannot be imported:\n{why}" for name, why in errors.items())
                )
            return all(self.api.has_dag(dag_id) for dag_id in dag_ids)

        self._wait(parsed, f"the DAGs {', '.join(dag_ids)}", timeout)

    def connect(
        self,
        sandbox: Sandbox,
        conn_id: str = "pan123_default",
        *,
        callbacks: bool = True,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Create a connection to a sandbox, or replace it.

        :param callbacks: whether the connection has `callback_base_url`.
        :param extra: further fields of the connection's extra.
        """
        base_url = {"callback_base_url": self.callback_base_url} if callbacks else {}
        self.api.set_connection(
            conn_id,
            conn_type="pan123",
            host=sandbox.base_url,
            login=sandbox.client_id,
            password=sandbox.client_secret,
            extra=base_url | dict(extra or {}),
        )

    def _wait(self, condition: Callable[[], bool], what: str, timeout: float) -> None:
        try:
            wait_for(condition, what=what, timeout=timeout)
        except AssertionError as error:
            raise ClusterError(f"{error}\n{self._log_end()}") from error

    def _check_alive(self) -> None:
        for process_tree in self._supervised:
            if process_tree.returncode is not None:
                raise ClusterError(
                    f"Airflow ended by itself, exit code {process_tree.returncode}\n{self._log_end()}"
                )

    def _log_end(self) -> str:
        return f"--- the end of {self.log}\n{self._supervised[0].tail()}"

    # --- the command line, and the components --------------------------------------------------------

    def cli(self, *args: str, timeout: float = 120) -> str:
        """Run an `airflow …` command, and return what it prints."""
        done = subprocess.run(
            [self._airflow, *args], env=self.env, timeout=timeout, text=True, capture_output=True, check=False
        )
        if done.returncode:
            raise ClusterError(f"airflow {' '.join(args)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def processes(self, component: Component) -> list[psutil.Process]:
        """Return a component's main process and all its descendants."""
        found: dict[int, psutil.Process] = {}
        for process_tree in self._supervised:
            for process in process_tree.processes():
                with suppress(psutil.Error):
                    if TITLES[component] in " ".join(process.cmdline()):
                        found |= {
                            member.pid: member for member in [process, *process.children(recursive=True)]
                        }
        return [process for process in found.values() if is_alive(process)]

    def workers(self) -> list[psutil.Process]:
        """Return the processes that run a task at present."""
        found = []
        for process in chain.from_iterable(process_tree.processes() for process_tree in self._supervised):
            with suppress(psutil.Error):
                if WORKER.search(" ".join(process.cmdline())):
                    found.append(process)
        return found

    def kill(self, component: Component, sig: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a component and its descendants, and wait until they have ended."""
        with self._lock:
            self._held.add(component)
        processes = self.processes(component)
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(sig)
        self._wait(lambda: not any(map(is_alive, processes)), f"the end of the {component} by {sig.name}", 60)

    def start(self, component: Component) -> None:
        """Start a component that was killed, which `standalone` does not do.

        The health status lags behind by about 30 s (observed), so wait for what the component does instead.
        """
        with self._lock:
            self._start(component)
            self._wait(lambda: bool(self.processes(component)), f"the start of the {component}", 60)
            self._held.discard(component)


def main() -> None:
    """Run an Airflow until Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="pan123-airflow-") as home, suppress(KeyboardInterrupt):
        print(f"Starting Airflow; its log is {home}/airflow.log")
        with Cluster(home=Path(home)) as airflow:
            print(f"{airflow.url}  login {USERNAME}, password {PASSWORD}. Press Ctrl-C to end it.")
            signal.pause()


if __name__ == "__main__":
    main()
