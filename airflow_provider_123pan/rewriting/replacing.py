"""Replaces known URLs in a text."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from airflow_provider_123pan.rewriting.addresses import Addresses
from airflow_provider_123pan.rewriting.escapes import insertable, spelled_like
from airflow_provider_123pan.rewriting.images import Images
from airflow_provider_123pan.rewriting.scanner import Reference, scan
from airflow_provider_123pan.rewriting.serialized import Edit, SerializedStrings

log = logging.getLogger(__name__)

_XML = re.compile(r"\ufeff?\s{0,200}<\?xml")
_ENTITY_DEPTH = re.compile("&((?:amp;)*)")


def rewrite(text: str, addresses: Mapping[str, str]) -> str:
    """Return the text with all known URLs replaced, in the escapes of the place where they are.

    Only http and https URLs are inserted, without anything that a template or a browser would run. A string that PHP
    serialized keeps a true length; if its length is wrong already, it stays, and the log says so.

    :param addresses: new URLs by old URL, as returned by :func:`new_addresses`. Another mapping is prepared again for
        each text; :class:`Addresses` is prepared once.
    """
    parts: list[str] = []
    done = 0
    for start, end, new in replacements(text, addresses):
        parts += text[done:start], new
        done = end
    return "".join([*parts, text[done:]])


def replacements(text: str, addresses: Mapping[str, str]) -> list[Edit]:
    """Return what :func:`rewrite` replaces, in the order of the text: URLs, and lengths of strings of PHP."""
    return _replacements(text, addresses, SerializedStrings(text), lambda _: None)


class LeftImage(NamedTuple):
    """An image of a page that stays.

    :ivar is_broken: it is in a string that PHP serialized with a wrong length.
    """

    url: str
    is_broken: bool


def replacements_and_rest(text: str, addresses: Mapping[str, str]) -> tuple[list[Edit], list[LeftImage]]:
    """Return what :func:`replacements` returns, and the images that it leaves.

    The text is read once, and the places around URLs only where one is left.
    """
    strings = SerializedStrings(text)
    images = Images(text)
    rest: list[LeftImage] = []

    def leave(reference: Reference) -> None:
        if image := images.at(reference):
            rest.append(LeftImage(image.url, strings.is_broken(reference.start)))

    return _replacements(text, addresses, strings, leave), rest


def _replacements(
    text: str,
    addresses: Mapping[str, str],
    strings: SerializedStrings,
    leave: Callable[[Reference], None],
) -> list[Edit]:
    """Return what is replaced, and call ``leave`` with each reference that is not."""
    known = addresses if isinstance(addresses, Addresses) else Addresses(addresses)
    is_xml = _XML.match(text) is not None
    edits: list[Edit] = []
    left_alone = 0
    for reference in scan(text):
        if (found := _known_end(text, reference, known)) is None:
            leave(reference)
            continue
        end, new = found
        if strings.is_broken(reference.start):
            left_alone += 1
            leave(reference)
        elif (inserted := insertable(new)) is None:
            leave(reference)
        else:
            ampersand = _ampersand(text, reference, end, is_xml)
            inserted = spelled_like(inserted, text[reference.start : end], ampersand)
            edits.append(Edit(reference.start, end, inserted))
    if left_alone:
        log.warning("%d known URLs stay, because PHP serialized them with a wrong length", left_alone)
    return strings.with_lengths(edits)


def _known_end(text: str, reference: Reference, known: Addresses) -> tuple[int, str] | None:
    """Return where a known URL ends, and its new URL: the longest one, but in its shortest spelling.

    The rest of another spelling, such as a question mark, belongs to the sentence.
    """
    found: tuple[int, str] | None = None
    for end in reference.ends:
        spelled = text[reference.start : end]
        new = known.find(spelled, reference.is_relative)
        if new is not None and (found is None or new == found[1]):
            found = end, new
            if spelled in known:
                break
    return found


def _ampersand(text: str, reference: Reference, end: int, is_xml: bool) -> str:
    """Return how an ampersand is spelled at a place: in HTML's quotes and between tags it is escaped."""
    opener = reference.opener
    if opener.startswith("&") and (depth := _ENTITY_DEPTH.match(opener)):
        return f"&amp;{depth[1]}"
    between_tags = text[reference.start - 1 : reference.start] == ">" and text[end : end + 1] == "<"
    return "&amp;" if between_tags or (is_xml and opener != "[") else "&"
