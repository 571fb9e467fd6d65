"""A local 123pan for trials and tests: an HTTP server that behaves as the service's documents say.

    with Sandbox(delay=0, rate=10) as sandbox:
        ...  # connect to sandbox.base_url with sandbox.client_id and sandbox.client_secret

`python -m airflow_provider_123pan.sandbox --port 8123` starts the same server. It needs the extra `sandbox`, and it
does not use Airflow. Its options are the fields of `options.Options`.
"""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Sandbox"]


class Sandbox:
    """A local 123pan in a background thread of this process, by default on a free port of 127.0.0.1.

    :ivar client_id: The client ID of the first account.
    :ivar client_secret: The client secret of the first account.
    :ivar port: The port, once the sandbox runs.
    :ivar base_url: The URL for the connection's host, once the sandbox runs.
    """

    port: int
    base_url: str

    def __init__(self, **options: Any) -> None:
        """Check the options; `start()` starts the server.

        :param options: The options by name.
        :raises ValueError: An option is unknown or invalid.
        """
        from airflow_provider_123pan.sandbox.options import Options

        self._options = Options.model_validate(options)
        self.client_id, self.client_secret = next(iter(self._options.accounts.items()))
        host = self._options.host
        self._host = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 (only compared)

    def start(self) -> Sandbox:
        """Start the server, and return this sandbox when it answers.

        :raises ImportError: The extra `sandbox` is not installed.
        :raises OSError: The port is not available.
        """
        try:
            from airflow_provider_123pan.sandbox.server import Server
        except ModuleNotFoundError as error:
            if error.name != "PIL":
                raise
            raise ImportError(
                'the sandbox needs Pillow; install it with: pip install "airflow-provider-123pan[sandbox]"'
            ) from None

        self._server = Server(self._options)
        self.port = self._server.port
        self.base_url = f"http://{self._host}:{self.port}"
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop the server."""
        self._server.stop()

    def __enter__(self) -> Sandbox:
        """Start the server."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server."""
        self.stop()

    def state(self, limit: int = 1000) -> dict[str, Any]:
        """Return the answer of `GET /sandbox/state`: counts, tokens, tasks and files.

        :param limit: Maximum number of tasks and of files; the newest come first.
        """
        return self._request("GET", f"/sandbox/state?limit={limit}")

    def configure(self, **changes: Any) -> dict[str, Any]:
        """Change some options of the running sandbox.

        :param changes: New values by the options' names.
        :returns: All options.
        :raises ValueError: An option is unknown, invalid or fixed at start; no option is changed.
        """
        return self._request("PUT", "/sandbox/settings", changes)

    def reset(self) -> None:
        """Restore the state after the start, including the options; only taskIDs keep growing."""
        self._request("POST", "/sandbox/reset")

    def kill_tokens(self) -> int:
        """Let all valid tokens expire, so that calls with them are refused with `token is expired`.

        :returns: The number of tokens.
        """
        killed: int = self._request("POST", "/sandbox/kill-tokens")["killed"]
        return killed

    def lose(self, names: str) -> int:
        """Delete images as if the service had lost them.

        :param names: A regex that is searched in the names of the images.
        :returns: The number of images.
        :raises ValueError: It is no regex.
        """
        lost: int = self._request("POST", "/sandbox/lose", {"names": names})["lost"]
        return lost

    def _request(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
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
