"""Connects to hosts that other people named, but not into the worker's own network.

A host name is resolved once, and the connection goes to an address that was checked: a second resolution might give
another one (DNS rebinding).
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.source.quoting import quoted
from airflow_provider_123pan.source.urls import ascii_host

MAX_ATTEMPTS = 4  # addresses of one host that are tried

_IPV4_COMPATIBLE = IPv6Network("::/96")
_NAT64 = IPv6Network("64:ff9b::/96")


def resolve_host(host: str, port: int) -> list[str]:
    """Return the addresses of a host, without duplicates."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [*dict.fromkeys(str(address[0]) for *_, address in found)]


@dataclass(frozen=True, slots=True)
class Connector:
    """Opens connections to hosts with a public address.

    :ivar private_hosts: hosts that may have any address, in lower case.
    :ivar resolve: returns the addresses of a host for a port; None: :func:`resolve_host`.
    :ivar open_socket: connects to an address and a port, within seconds.
    """

    private_hosts: frozenset[str] = frozenset()
    resolve: Callable[[str, int], Iterable[str]] | None = None
    open_socket: Callable[[tuple[str, int], float], socket.socket] = socket.create_connection

    def connect(self, host: str, port: int, time_left: Callable[[], float]) -> socket.socket:
        """Connect to a host.

        :param host: a name or an address, in lower case.
        :param time_left: returns seconds, or raises TimeoutError. The system alone limits the resolution of a name.
        :raises Pan123InputError: none of its addresses is public.
        :raises OSError: it has no address, or accepts no connection.
        """
        addresses = self._allowed(host, port)
        failure: OSError = OSError("the host has no address")
        for tried, address in enumerate(addresses[:MAX_ATTEMPTS]):
            attempts_left = min(len(addresses), MAX_ATTEMPTS) - tried
            try:
                return self.open_socket((address, port), time_left() / attempts_left)
            except OSError as error:
                failure = error
        raise failure

    def check(self, host: str, port: int) -> None:
        """Check a host to which a proxy will connect. A host whose addresses only the proxy knows passes.

        :raises Pan123InputError: one of its addresses is not public.
        """
        with contextlib.suppress(OSError, UnicodeError):
            for address in () if host in self.private_hosts else self._resolved(host, port):
                if not is_public(address):
                    raise _refusal(address)

    def _allowed(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host to which a connection may lead."""
        addresses = self._resolved(host, port)
        if host in self.private_hosts:
            return addresses
        public = [address for address in addresses if is_public(address)]
        if addresses and not public:
            raise _refusal(addresses[0])
        return public

    def _resolved(self, host: str, port: int) -> list[str]:
        return [*(self.resolve or resolve_host)(host, port)]


def _refusal(address: str) -> Pan123InputError:
    return Pan123InputError(
        f"private_hosts: the source's host has the address {quoted(address)}, which is not public; "
        "add the host if workers may connect to it"
    )


def check_private_hosts(hosts: object) -> frozenset[str]:
    """Return the argument ``private_hosts``, in lower case, and domain names in ASCII.

    :raises Pan123InputError: it is no list of hosts.
    """
    if isinstance(hosts, str) or not isinstance(hosts, Iterable):
        raise Pan123InputError('private_hosts: give a list of hosts, such as ["images.intranet.example"]')
    found = [*hosts]
    for host in found:
        if not isinstance(host, str) or not host or any(mark in host for mark in "/@* "):
            raise Pan123InputError(
                f"private_hosts: {quoted(host)} is not a host; give its name or its address"
            )
    return frozenset(ascii_host(host.strip("[]")) for host in found)


def is_public(address: str) -> bool:
    """Return whether an address is one of the internet, and so are IPv4 addresses in it."""
    ip = ip_address(address)
    if isinstance(ip, IPv6Address):
        if (embedded := _embedded(ip)) is not None:
            ip = embedded
        elif ip.is_site_local:
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _embedded(ip: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address to which a gateway, or this machine, translates an IPv6 address."""
    if ip.teredo:
        return ip.teredo[1]
    if ip in _NAT64 or (ip in _IPV4_COMPATIBLE and int(ip) > 1):
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour
