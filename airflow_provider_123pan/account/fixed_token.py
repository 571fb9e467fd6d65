"""The access token that a user enters in the connection."""

from __future__ import annotations

from airflow_provider_123pan.exceptions import Pan123AccessTokenError
from airflow_provider_123pan.service.flow import Flow


class FixedToken:
    """The connection's own ``access_token``, used as it is and never stored."""

    logged_in = False

    def __init__(self, token: str) -> None:
        self._token = token

    def cached(self, refused: str | None) -> str | None:
        """Return the token, or None if it is the refused one."""
        return None if refused == self._token else self._token

    def obtain(self, refused: str | None) -> Flow[str]:
        """Raise an error, since a fixed token cannot be replaced.

        :raises Pan123AccessTokenError: always.
        """
        yield from ()
        raise Pan123AccessTokenError(
            "the service refuses the connection's access_token; replace access_token, "
            "or empty it so that the provider logs in",
            code=401,
        )
