"""Keeps tokens out of the access log of Airflow's API server, which writes paths and queries whole.

A proxy with a wrong prefix or a doubled slash sends valid tokens to paths that are not the receiver's. Airflow answers
these requests, and logs them, so a middleware masks them too.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_123pan.callbacks.address import mask_tokens


def mask_scope(scope: Scope) -> None:
    """Mask the tokens in a request's path and query; access logs read both when the answer begins or has ended."""
    path = mask_tokens(scope["path"])
    if path != scope["path"]:
        scope["path"], scope["raw_path"] = path, path.encode()
    if query := scope["query_string"]:
        scope["query_string"] = mask_tokens(query.decode("latin-1")).encode("latin-1")


class TokenMaskingMiddleware:
    """Masks tokens in all requests of the API server, after routing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request as the app behind does."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_masked(message: Message) -> None:
            if message["type"] == "http.response.start":
                mask_scope(scope)
            await send(message)

        try:
            await self._app(scope, receive, send_masked)
        finally:
            mask_scope(scope)  # an error may have prevented an answer
