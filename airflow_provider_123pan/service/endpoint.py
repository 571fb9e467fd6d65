"""How both clients reach the service."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_123pan.exceptions import Pan123UnavailableError
from airflow_provider_123pan.service.protocol import BASE_URL, Call

TIMEOUT_SECONDS = 30.0
# Nothing but gzip, which BodyReader decompresses.
HEADERS = {"Platform": "open_platform", "Content-Type": "application/json", "Accept-Encoding": "gzip"}
# The share of a request's time in which the connection must be made: if it fails, the request was not sent.
_CONNECT_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The service's base URL, and the options of every request.

    :ivar timeout: seconds per request, from the connection to the end of the answer.
    :ivar verify: whether certificates are checked, or the path of a CA bundle.
    :ivar proxy: URL of a proxy; it may contain a password.
    """

    base_url: str = BASE_URL
    timeout: float = TIMEOUT_SECONDS
    verify: bool | str = True
    proxy: str | None = field(default=None, repr=False)

    def time_limits(self, call: Call[Any]) -> tuple[float, float]:
        """Return the seconds in which a call's connection must be made, and in which its answer must be complete."""
        total = call.timeout or self.timeout
        return total * _CONNECT_SHARE, total

    def unavailable(
        self, call: Call[Any], cause: BaseException, *, ambiguous: bool
    ) -> Pan123UnavailableError:
        """Return the error for a request without an answer, with the same message for both clients.

        :param ambiguous: True if the request may have reached the service.
        """
        return Pan123UnavailableError(
            f"no answer from {self.base_url}: {words_of(cause)}; "
            "check the connection's host, proxy and verify, and the network",
            call=call.name,
            ambiguous=ambiguous,
        )


def words_of(error: BaseException) -> str:
    """Return the words of a network error that tell its cause, without the objects around them."""
    cause = getattr(error.args[0], "reason", None) if error.args else None
    return re.sub(r"^\w*Connection(?:Pool)?\(.*?\): ", "", str(cause or error)) or type(error).__name__
