"""A sandbox in a process of its own, and an nginx in front of it that can be killed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from airflow_provider_123pan.sandbox import Sandbox
from dev.cluster import free_ports
from dev.servers import nginx
from dev.services import Services
from dev.waiting import wait_for


class SandboxService(Sandbox):
    """The sandbox as the service `sandbox`. It keeps its state in memory, so it can be paused but not killed."""

    def __init__(self, services: Services, *, front: Path | None = None, **options: Any) -> None:
        """Check the options; entering the context starts the service.

        :param front: where to create the folder of an nginx in front of the sandbox, the service `sandbox-front`.
        """
        super().__init__(**options)
        self._services, self._front, self._arguments = services, front, options

    def __enter__(self) -> SandboxService:
        """Start the service."""
        return self.start()

    def start(self) -> SandboxService:
        """Start the service, and return when it answers."""
        port, self.port = free_ports(2)
        if self._front is None:
            port = self.port
        self.base_url = f"http://127.0.0.1:{self.port}"
        arguments = {"port": port, **self._arguments}
        command = [sys.executable, "-m", "airflow_provider_123pan.sandbox"]
        command += [f"--{name.replace('_', '-')}={value}" for name, value in arguments.items()]
        service = self._services.add("sandbox", command)
        wait_for(lambda: "client ID" in service.tail(), what="the sandbox", timeout=60)
        if self._front is not None:
            nginx(self._services, self._front, inside=self.port, upstreams=[port], name="sandbox-front")
        return self

    def stop(self) -> None:
        """Leave the end to the services."""
