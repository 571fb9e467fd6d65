"""How the blocking client uses ``requests``."""

from __future__ import annotations

from typing import Any

import requests

from airflow_provider_123pan.service.endpoint import Endpoint
from airflow_provider_123pan.service.time_limit import TimeLimitAdapter

# Connections that are kept open: all threads of a worker share one client.
CONNECTIONS = 32


class TokenAuth(requests.auth.AuthBase):
    """Authentication with an access token; without an auth object, requests would read ``.netrc``."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the token to a request."""
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def make_session(endpoint: Endpoint) -> requests.Session:
    """Return a session with the endpoint's proxy and certificates, which sends no credentials."""
    session = requests.Session()
    session.auth = TokenAuth(None)
    session.verify = endpoint.verify
    if endpoint.proxy:
        session.proxies = {"http": endpoint.proxy, "https": endpoint.proxy}
    session.mount("http://", TimeLimitAdapter(pool_maxsize=CONNECTIONS))
    session.mount("https://", TimeLimitAdapter(pool_maxsize=CONNECTIONS))
    return session


def settings_for(session: requests.Session, url: str) -> dict[str, Any]:
    """Return the arguments of ``session.send()`` that also depend on the environment: its proxy and CA bundle."""
    verify = None if session.verify is True else session.verify
    return {**session.merge_environment_settings(url, dict(session.proxies), True, verify, None)}
