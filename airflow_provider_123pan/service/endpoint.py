"""Where the service is and how it is reached: what both shells share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow_provider_123pan.exceptions import Pan123UnavailableError
from airflow_provider_123pan.service.protocol import BASE_URL, Call

TIMEOUT = 30.0
HEADERS = {"Platform": "open_platform", "Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The service's address and the way to it.

    :ivar timeout: seconds per request.
    :ivar verify: check certificates; or the path of a CA bundle.
    """

    base_url: str = BASE_URL
    timeout: float = TIMEOUT
    verify: bool | str = True
    proxy: str | None = field(default=None, repr=False)  # may hold a password

    def unavailable(
        self, call: Call[Any], cause: BaseException, *, ambiguous: bool
    ) -> Pan123UnavailableError:
        """The error for a request that got no answer, in the same words from both shells."""
        return Pan123UnavailableError(
            f"no answer from {self.base_url}: {str(cause) or type(cause).__name__}; "
            "check the connection's host, proxy and verify, and the network",
            call=call.name,
            ambiguous=ambiguous,
        )
