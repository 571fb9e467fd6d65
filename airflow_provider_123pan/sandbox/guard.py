"""Keeps other sites' web pages away from the sandbox's page and from its routes for tests.

These routes show the accounts' secrets and change the sandbox without a token, so that only loopback protects them.
A browser on the same machine reaches loopback too: a page of another site may send requests to it, and by DNS
rebinding may even read the answers under a host name of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

from fastapi import HTTPException
from starlette.requests import Request

_OWN_SITE = ("same-origin", "none")  # none: the user typed the URL


def guard(host: str) -> Callable[[Request], Awaitable[None]]:
    """Return a dependency that refuses requests of other sites with HTTP 403.

    :param host: The option `host`; unless it is loopback, requests may name any host.
    """
    any_host = not _is_loopback(host)

    async def check(request: Request) -> None:
        named = request.headers.get("host", "")
        if not any_host and not _is_loopback(_hostname(named)):
            raise _refused(
                "Host is not a loopback name such as 127.0.0.1; to use another, set the option host"
            )
        origin = request.headers.get("origin")
        if origin is not None and _authority(origin) != named.lower():
            raise _refused("Origin is another site's")
        if request.headers.get("sec-fetch-site", "none") not in _OWN_SITE:
            raise _refused("Sec-Fetch-Site says that another site sent the request; type the URL instead")

    return check


def _refused(reason: str) -> HTTPException:
    return HTTPException(HTTPStatus.FORBIDDEN, f"refused: the header {reason}")


def _is_loopback(host: str) -> bool:
    host = host.lower().rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _hostname(authority: str) -> str:
    """Return the host of a `Host` header, without the port; empty if there is none."""
    try:
        return urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return ""


def _authority(origin: str) -> str:
    """Return host and port of an `Origin` header; empty if there are none, as in `null`."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
