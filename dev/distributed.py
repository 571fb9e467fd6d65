"""A distributed Airflow for development, on free ports of this machine; everything ends with this process.

PostgreSQL, Redis, Celery with two workers, two API servers behind nginx, two triggerers, a scheduler and a DAG
processor. What ends is started again, as a supervisor does: without PostgreSQL, most of Airflow's components exit.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from dev import servers
from dev.cluster import EXAMPLE_DAGS, Cluster, ClusterError, free_ports
from dev.services import Service, Services
from dev.supervised_process import SupervisedProcess
from dev.waiting import wait_for

Inbox = Literal["postgresql", "mariadb"]
MAX_STARTS = 10  # in a row, of a service that does not stay up
MIGRATION_SECONDS = 300.0

SETTINGS = {
    "CORE__EXECUTOR": "CeleryExecutor",
    "CORE__PARALLELISM": "6",
    "CELERY__WORKER_CONCURRENCY": "3",
    "CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
    # A killed component is noticed within a minute. Two cores run all of them, so they cannot be much faster.
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "10",
    "SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "15",
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
    "TRIGGERER__JOB_HEARTBEAT_SEC": "5",
}


class DistributedCluster(Cluster):
    """An Airflow of many processes, with the interface of the small one.

    :ivar url: base URL of nginx, which passes requests on to the API servers.
    :ivar api_ports: the ports of the API servers themselves.
    :ivar servers: the services `postgresql`, `redis`, `nginx`, and `mariadb` if the inbox is there.
    :ivar components: the services of Airflow: `api-server-1`, `api-server-2`, `worker-1`, `worker-2`, `triggerer-1`,
        `triggerer-2`, `scheduler` and `dag-processor`.
    """

    def __init__(
        self,
        *,
        home: Path,
        dags: Path = EXAMPLE_DAGS,
        env: Mapping[str, str] | None = None,
        inbox: Inbox = "postgresql",
    ) -> None:
        """Configure an Airflow; entering the context starts it.

        :param home: the folder for Airflow's files and all logs; it is created if necessary.
        :param dags: the DAGs folder.
        :param env: environment variables that override the settings made here.
        :param inbox: the server that stores callbacks.
        """
        settings = {f"AIRFLOW__{name}": value for name, value in SETTINGS.items()}
        super().__init__(home=home, dags=dags, env=settings | dict(env or {}))
        self._inbox = inbox
        self._outside, *self.api_ports = free_ports(3)

    @property
    def callback_base_url(self) -> str:
        """The URL of the nginx server that lets only callbacks through."""
        return f"http://127.0.0.1:{self._outside}"

    @property
    def log(self) -> Path:
        """The log of the first API server; those of the other services are beside it."""
        return self.home / "services" / "api-server-1.log"

    def services(self) -> dict[str, Service]:
        """Return all services by name."""
        return {service.name: service for service in (*self.servers, *self.components)}

    def _launch(self) -> None:
        """Start the servers, create Airflow's tables, and start Airflow."""
        logs = self.home / "services"
        folder = Path(tempfile.mkdtemp(prefix="pan123-servers-"))
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o711)  # each server's user enters its own folder below
        self.servers = self._stack.enter_context(Services(logs))
        self.components = self._stack.enter_context(Services(logs))
        self._start_servers(folder)
        self._create_tables()
        for number, port in enumerate(self.api_ports, 1):
            self._run(f"api-server-{number}", "api-server", "--port", str(port))
        self._run("scheduler", "scheduler", "--skip-serve-logs")
        self._run("dag-processor", "dag-processor")
        for number in (1, 2):
            self._run(f"triggerer-{number}", "triggerer", "--skip-serve-logs")
            pid = self.home / f"worker-{number}.pid"
            name = ("--celery-hostname", f"worker-{number}@localhost", "--pid", str(pid))
            self._run(f"worker-{number}", "celery", "worker", "--skip-serve-logs", *name)

    def _start_servers(self, folder: Path) -> None:
        postgresql_port, redis_port = free_ports(2)
        database = servers.postgresql(self.servers, folder / "postgresql", postgresql_port)
        self.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"postgresql+psycopg2://{database}"
        self.env["AIRFLOW__CELERY__RESULT_BACKEND"] = f"db+postgresql+psycopg2://{database}"
        self.env["AIRFLOW__CELERY__BROKER_URL"] = servers.redis(self.servers, folder / "redis", redis_port)
        if self._inbox == "mariadb":
            self.env["AIRFLOW__PAN123__INBOX_URI"] = servers.mariadb(self.servers, folder / "mariadb")
        inside = int(self.url.rpartition(":")[2])
        servers.nginx(
            self.servers, folder / "nginx", inside=inside, outside=self._outside, upstreams=self.api_ports
        )

    def _create_tables(self) -> None:
        log = self.home / "services" / "migration.log"
        with SupervisedProcess([self._airflow, "db", "migrate"], log=log, env=self.env) as migration:
            wait_for(
                lambda: migration.returncode is not None, what="Airflow's tables", timeout=MIGRATION_SECONDS
            )
            if migration.returncode:
                raise ClusterError(f"airflow db migrate: {migration.returncode}\n{migration.tail()}")

    def _run(self, name: str, *command: str) -> None:
        self.components.add(name, [self._airflow, *command], self.env)

    def _supervise(self) -> None:
        """Leave it to the services."""

    def _check_alive(self) -> None:
        for service in self.services().values():
            if service.starts > MAX_STARTS:
                raise ClusterError(f"{service.name} ends by itself\n--- the end of its log\n{service.tail()}")

    def _log_end(self) -> str:
        tails = (f"--- the end of {service.log}\n{service.tail(10)}" for service in self.components)
        return "\n".join(tails)
