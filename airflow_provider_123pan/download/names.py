"""Compares the names of images as the service may write them."""

from __future__ import annotations

import re
import unicodedata
from enum import IntEnum

from airflow_provider_123pan.source.formats import format_of

_HEX_DIGEST = re.compile(r"[0-9a-f]{32}")
# What only a service adds to a name that is taken: a counter in brackets, or a moment of 8 to 17 digits.
_MADE = re.compile(r"(?: ?\(\d{1,4}\)|[ _-]?\d{8}[ _T-]?\d{0,6}|[ _-]?\d{10,17})$")
_NUMBER = re.compile(r" ?\(\d{1,4}\)")
# What people write as well: photo-1.jpg.
_COUNTER = re.compile(r"[ _-]\d{1,4}$")
_MIN_CUT_LENGTH = 32  # characters: a shorter name that begins like ours is another image's


class Likeness(IntEnum):
    """How a stored image's name compares with the name that was sent."""

    OTHER = 0
    SIMILAR = 1  # the service may have made it of the sent name, but another image may have it as well
    VARIANT = 2  # the service made it of the sent name
    SAME = 3


def split_name(file_name: str) -> tuple[str, str]:
    """Return stem and extension of a name, normalized: NFC, and one spelling for each format."""
    name = unicodedata.normalize("NFC", file_name)
    stem, dot, extension = name.rpartition(".")
    if not dot:
        return name, ""
    return stem, format_of(extension)


def compare_names(stored: str, sent: str, *, any_extension: bool = False) -> Likeness:
    """Compare a stored image's name with the name that was sent.

    The service may add a counter or a moment to a name that is taken, change the extension, or cut the end.

    :param any_extension: names do not differ in the extension alone.
    """
    stem, extension = split_name(stored)
    sent_stem, sent_extension = split_name(sent)
    if extension != sent_extension and not any_extension:
        return Likeness.SIMILAR if stem == sent_stem else Likeness.OTHER
    if stem == sent_stem:
        return Likeness.SAME
    if (made := _MADE.search(stem)) and stem[: made.start()] == sent_stem:
        return Likeness.VARIANT
    if len(stem) >= _MIN_CUT_LENGTH and sent_stem.startswith(stem):
        return Likeness.VARIANT
    counter = _COUNTER.search(stem)
    return Likeness.SIMILAR if counter and stem[: counter.start()] == sent_stem else Likeness.OTHER


def is_numbered(stored: str, sent: str) -> bool:
    """Return whether a stored name is the name that was sent with a counter in brackets."""
    stem, sent_stem = split_name(stored)[0], split_name(sent)[0]
    return stem.startswith(sent_stem) and _NUMBER.fullmatch(stem[len(sent_stem) :]) is not None


def begins_alike(stored: str, sent: str) -> bool:
    """Return whether a stored name begins like the name that was sent, whatever the service may have added to it."""
    return split_name(stored)[0].startswith(split_name(sent)[0])


def possible_stems(stored: str) -> list[str]:
    """Return the stems that the sent name may have had, if it was not cut: the likeliest first."""
    stem, _ = split_name(stored)
    shorter = [stem[: found.start()] for found in (_MADE.search(stem), _COUNTER.search(stem)) if found]
    return [stem, *dict.fromkeys(shorter)]


def may_be_cut(stored: str) -> bool:
    """Return whether a stored name is long enough to be the beginning of a longer one."""
    return len(split_name(stored)[0]) >= _MIN_CUT_LENGTH


def is_digest(stored: str, etag: str | None) -> bool:
    """Return whether a stored image is named after its content."""
    stem, _ = split_name(stored)
    return etag is not None and stem.lower() == etag and bool(_HEX_DIGEST.fullmatch(etag))
