"""Hosts of images, each at its own address of loopback, with what a task must be given to reach them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from tests.integration.uploads.support import picture
from tests.sources import Answer, Source, image, only_for, serve, wants

SERVICE = "127.0.0.2"  # from which the service downloads
WORKER = "127.0.0.1"
IMAGES_PER_HOST = 5
LOGIN, TOKEN, COOKIE = ("reader", "wiki-password"), "token-0123456789", "session=0123456789"
BASIC = base64.b64encode(":".join(LOGIN).encode()).decode()

#: What each host wants: the name and the value of a header, or nothing of this kind.
WANTED: dict[str, tuple[str, str] | None] = {
    "open": None,
    "referer": ("Referer", "https://pages.example/post"),
    "agent": ("User-Agent", "Mozilla/5.0 (X11)"),
    "cookie": ("Cookie", COOKIE),
    "basic": ("Authorization", f"Basic {BASIC}"),
    "bearer": ("Authorization", f"Bearer {TOKEN}"),
    "address": None,
}
#: The connections that have what the hosts want, by host.
CONNECTIONS = {"basic": {"login": LOGIN[0], "password": LOGIN[1]}, "bearer": {"password": TOKEN}}


class Host(NamedTuple):
    """A host.

    :ivar images: its images by their URLs.
    """

    kind: str
    name: str
    source: Source
    images: dict[str, bytes]


@contextmanager
def running_host(kind: str) -> Iterator[Host]:
    """Run a host of a kind."""
    place = [*WANTED].index(kind)
    name = f"127.0.0.{11 + place}"
    with serve(name) as source:
        host = Host(kind, name, source, {})
        for number, body in enumerate(pictures(place)):
            source.answers[f"/{kind}/{number}.png"] = _answer(kind, body)
            host.images[f"{source.url}/{kind}/{number}.png"] = body
        yield host


def pictures(place: int) -> list[bytes]:
    """Return images that no other place has."""
    return [picture(f"#{place:02x}{number:02x}80") for number in range(IMAGES_PER_HOST)]


def access(hosts: dict[str, Host]) -> dict[str, Any]:
    """Return the arguments with which a task reaches all hosts."""
    headers = {
        host.name: dict([wanted])
        for host in hosts.values()
        if (wanted := WANTED[host.kind]) and host.kind not in CONNECTIONS
    }
    return {
        "fetch": "auto",
        "fetch_headers": headers,
        "fetch_conn_ids": {hosts[kind].name: f"{kind}_http" for kind in CONNECTIONS},
        "private_hosts": [host.name for host in hosts.values()],
    }


def _answer(kind: str, body: bytes) -> Answer:
    if kind == "address":
        return only_for(WORKER, body)
    wanted = WANTED[kind]
    return wants(*wanted, body) if wanted else image("image/png", body)
