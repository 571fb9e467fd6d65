"""The canonical form of a source URL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import idna

from airflow_provider_123pan.source.signatures import signature_names

_DEFAULT_PORTS = {"http": "80", "https": "443"}
_SEPARATORS = "/?#@:[]\\"
_WEB = re.compile("https?://", re.IGNORECASE)

# A URL that is canonical already, as most are: the check is cheaper than the work.
_CANONICAL = re.compile(r"https?://[a-z0-9.-]+/[\w.~!$&'()*,;=:@|\[\]+/-]*", re.ASCII)
# A percent-encoded byte, or a character that must be: browsers encode the same ones in a path.
_ENCODED = re.compile(r"""%[0-9A-Fa-f]{2}|%|[^!-~]|["<>\\^`{}]""")
# Characters that mean the same, encoded or not. A plus sign may stand for a blank, so it is not one of them.
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$'()*,:@|[]")
_PLAIN_IN_PATH = _PLAIN | frozenset("&=;")
_PLAIN_IN_QUERY = _PLAIN | frozenset("/?")


def is_web_url(url: str) -> bool:
    """Return whether a source URL is one of http or https; any other is a path of Airflow's object storage."""
    return _WEB.match(url) is not None


def canonical_url(url: str, signature_parameters: Sequence[str] = ()) -> str:
    """Return the form of a URL in which two URLs of the same image are equal.

    Scheme and host are in lower case, the host in ASCII (IDNA). Percent-encoding is in UTF-8, in upper-case hex, and
    only where it is needed. The default port, the fragment and what a known signer adds are missing.

    :param signature_parameters: patterns of further parameters that sign a URL, in lower case.
    :returns: the URL as it is if it cannot be parsed, or is a path of Airflow's object storage.
    """
    if _CANONICAL.fullmatch(url) or not is_web_url(url):
        return url
    try:
        parts = urlsplit(url)
        netloc = _canonical_netloc(parts.netloc, parts.scheme)
    except ValueError:
        return url
    pairs = [pair for pair in _normalized(parts.query, _PLAIN_IN_QUERY).split("&") if pair]
    if pairs:
        named = [(name.lower(), value) for name, _, value in (pair.partition("=") for pair in pairs)]
        signing = signature_names(named, signature_parameters)
        pairs = [pair for (name, _), pair in zip(named, pairs, strict=True) if name not in signing]
    path = _normalized(parts.path, _PLAIN_IN_PATH)
    return urlunsplit((parts.scheme, netloc, path, "&".join(pairs), ""))


def _canonical_netloc(netloc: str, scheme: str) -> str:
    login, at, place = netloc.rpartition("@")
    host, colon, port = place.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = place, ""
    host = ascii_host(host)
    port = port.lstrip("0") if port.isdecimal() else port
    return f"{login}{at}{host}:{port}" if port and port != _DEFAULT_PORTS.get(scheme) else login + at + host


def host_and_port(url: str) -> str:
    """Return the host of an http or https URL in its canonical form, with its port unless that is the default one."""
    parts = urlsplit(url)  # and not the canonical URL, whose host may be one that cannot be parsed
    return _canonical_netloc(parts.netloc, parts.scheme).rpartition("@")[2]


def ascii_host(host: str) -> str:
    """Return a host in lower case, in ASCII if it is a domain name that IDNA can encode.

    What would become another part of a URL, as an encoded slash, stays encoded.
    """
    if "%" in host and "[" not in host and _is_host(decoded := unquote(host), host):
        host = decoded
    if host.isascii():
        return host.lower()
    try:
        encoded = idna.encode(host, uts46=True).decode()
    except idna.IDNAError:  # among them emoji, which browsers encode by the older rules
        try:
            encoded = host.encode("idna").decode().lower()
        except UnicodeError:
            return host.lower()
    return encoded if _is_host(encoded, host) else host.lower()


def _is_host(found: str, host: str) -> bool:
    """Return whether what was made of a host has no separator of URLs that the host lacks."""
    return not any(mark in found and mark not in host for mark in _SEPARATORS)


def _normalized(text: str, plain: frozenset[str]) -> str:
    """Return a text in which exactly those characters are percent-encoded that must be."""

    def spelled(match: re.Match[str]) -> str:
        found = match[0]
        if len(found) == 3:
            character = chr(int(found[1:], 16))
            return character if character in plain else found.upper()
        return quote(found, safe="", errors="surrogatepass")

    return _ENCODED.sub(spelled, text)
