"""A local 123pan, for trying things and for tests: the service as its documents describe it, over HTTP.

    with Sandbox(delay=0, rate=10) as sandbox:
        ...  # talk to sandbox.base_url as sandbox.client_id with sandbox.client_secret

or `python -m airflow_provider_123pan.sandbox --port 8123`. It needs the extra `sandbox`, and knows nothing of
Airflow. Its options are the fields of `options.Options`.
"""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Sandbox"]


class Sandbox:
    """Runs the sandbox in a background thread of this process, on a free port of 127.0.0.1.

    The keyword arguments are the options; an unknown or invalid one raises `ValueError`. `client_id` and
    `client_secret` are those of the first account. `port` and `base_url` are known once it runs.
    """

    port: int
    base_url: str

    def __init__(self, **options: Any) -> None:
        from airflow_provider_123pan.sandbox.options import Options

        self._options = Options.model_validate(options)
        self.client_id, self.client_secret = next(iter(self._options.accounts.items()))
        host = self._options.host
        self._host = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 (only compared)

    def start(self) -> Sandbox:
        try:
            from airflow_provider_123pan.sandbox.server import Server
        except ModuleNotFoundError as error:
            if error.name != "PIL":
                raise
            raise ImportError(
                'the sandbox needs Pillow: pip install "airflow-provider-123pan[sandbox]"'
            ) from None

        self._server = Server(self._options)
        self.port = self._server.port
        self.base_url = f"http://{self._host}:{self.port}"
        self._server.start()
        return self

    def stop(self) -> None:
        self._server.stop()

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def state(self, limit: int = 1000) -> dict[str, Any]:
        """What `GET /sandbox/state` answers: counts, tasks and files, newest first."""
        return self._ask("GET", f"/sandbox/state?limit={limit}")

    def configure(self, **changes: Any) -> dict[str, Any]:
        """Change some options while it runs and return all of them; an invalid one raises `ValueError`."""
        return self._ask("PUT", "/sandbox/settings", changes)

    def reset(self) -> None:
        """As after the start, the settings too; only taskIDs go on growing."""
        self._ask("POST", "/sandbox/reset")

    def kill_tokens(self) -> int:
        """All living tokens answer `token is expired` from now on; how many there were."""
        killed: int = self._ask("POST", "/sandbox/kill-tokens")["killed"]
        return killed

    def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self._host, self.port, timeout=30)
        try:
            connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content: dict[str, Any] = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 200:
            raise ValueError(content["detail"])
        return content
