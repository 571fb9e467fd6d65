"""A sandbox in a process of its own, which can be paused."""

from __future__ import annotations

import sys
from typing import Any

from airflow_provider_123pan.sandbox import Sandbox
from dev.cluster import free_ports
from dev.services import Service, Services
from dev.waiting import wait_for


class SandboxService(Sandbox):
    """The sandbox as a service. It keeps its state in memory, so it is paused and never killed.

    :ivar service: the service, once the sandbox runs.
    """

    service: Service

    def __init__(self, services: Services, **options: Any) -> None:
        """Check the options; entering the context starts the service."""
        super().__init__(**options)
        self._services, self._arguments = services, options

    def __enter__(self) -> SandboxService:
        """Start the service."""
        return self.start()

    def start(self) -> SandboxService:
        """Start the service, and return when it answers."""
        (self.port,) = free_ports(1)
        self.base_url = f"http://127.0.0.1:{self.port}"
        arguments = {"port": self.port, **self._arguments}
        command = [sys.executable, "-m", "airflow_provider_123pan.sandbox"]
        command += [f"--{name.replace('_', '-')}={value}" for name, value in arguments.items()]
        self.service = self._services.add("sandbox", command)
        wait_for(lambda: "client ID" in self.service.tail(), what="the sandbox", timeout=60)
        return self

    def stop(self) -> None:
        """End the service."""
        self.service.stop()
