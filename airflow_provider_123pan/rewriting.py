"""Puts the new addresses of images into text, Markdown or HTML, in place of the old ones.

    addresses = new_addresses("s3://my-bucket/results.jsonl")
    page.write_text(rewrite(page.read_text(), addresses))

An address is replaced as a whole or not at all: with ``a.jpg`` known, ``a.jpg.webp`` and ``a.jpg?w=2`` are others. So
the text is cut into addresses, by what stands around each, and each is looked up; the price is the text's length,
however many addresses are known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from urllib.parse import quote

from airflow_provider_123pan.sync.results import read_results

# Where an address begins, and what it may stand in. Not inside of another one, such as an image proxy's.
_BEGIN = re.compile(
    r"""(?P<opener>&(?:quot|apos|\#0?39|\#34|\#x22|\#x27);|["'(<\[`|])?
    (?:(?<![a-z/?&=\#@%+])|(?<=\ssrc=)|(?<=\shref=))
    (?P<address>https?://)""",
    re.VERBOSE | re.IGNORECASE,
)
_CLOSERS = {"(": ")", "<": ">", "[": "]"}  # all others close with what opened
# What is part of no address, or separates it from the next one.
_ENDS = r"""[\s<>"]|&(?:quot|lt|gt|nbsp|\#34|\#x22);|(?<=[,;|\u0080-\U0010ffff])https?://"""
# What follows an address in a sentence. Chinese goes on without a space.
_WIDE = "，。、；：！？）】》」』”’…"
_TRAILING = f".,;:!?'*_~}}|\\`{_WIDE}"
_SENTENCE_GOES_ON = re.compile(f"[{_WIDE}]")
# How HTML and Markdown spell what is in an address.
_AMPERSAND = re.compile("&(?:amp|#0?38|#x26);")
_BACKSLASH = re.compile(r"\\(?=[!-/:-@\[-`{-~])")
# What would end the new address where it stands.
_BREAKING = re.compile(r"""[\s<>"'()`\\]""")


def new_addresses(results: str) -> dict[str, str]:
    """Old address → new address, of all images in a results file that are there.

    The new one is on the user's own domain, where there is one.
    """
    return {
        record.url: new
        for record in read_results(results)
        if record.status != "failed" and (new := record.user_url or record.download_url)
    }


def rewrite(text: str, addresses: Mapping[str, str]) -> str:
    """The text with each address that is known replaced.

    :param addresses: old → new, as :func:`new_addresses` gives them.
    """
    parts: list[str] = []
    done = end = 0
    while found := _BEGIN.search(text, end):
        start, opener = found.start("address"), found["opener"]
        end, closed = _end(text, found.end(), opener)
        for spelled in _spellings(text[start:end], closed):
            if (new := _look_up(spelled, addresses)) is not None:
                parts += text[done:start], new
                done = start + len(spelled)
                break
    return "".join([*parts, text[done:]])


def _end(text: str, start: int, opener: str | None) -> tuple[int, bool]:
    """Where an address ends, and whether what it stands in ends there as well; brackets of its own may be in it."""
    closer = _CLOSERS.get(opener, opener) if opener else None
    depth = 0
    for mark in _marks(opener).finditer(text, start):
        if mark[0] in ("(", "["):
            depth += 1
        elif mark[0] in (")", "]") and depth:
            depth -= 1
        else:
            return mark.start(), mark[0] == closer
    return len(text), False


@lru_cache(maxsize=64)
def _marks(opener: str | None) -> re.Pattern[str]:
    """What may end an address, and the brackets that pair."""
    if opener is None:
        inside = r"[()\[\]]"
    elif opener in _CLOSERS:
        inside = f"[{re.escape(opener + _CLOSERS[opener])}]"
    else:
        inside = re.escape(opener)
    return re.compile(f"{inside}|{_ENDS}", re.IGNORECASE)


def _spellings(run: str, closed: bool) -> Iterator[str]:
    """What may be meant, the longest first; between two delimiters it is what stands there."""
    yield run
    if not closed:
        yield run.rstrip(_TRAILING)
        yield _SENTENCE_GOES_ON.split(run, maxsplit=1)[0].rstrip(_TRAILING)


def _look_up(spelled: str, addresses: Mapping[str, str]) -> str | None:
    """The new address, its ampersands spelled as those of the old one."""
    new, ampersand = addresses.get(spelled), None
    if new is None:
        ampersand = _AMPERSAND.search(spelled)
        new = addresses.get(_AMPERSAND.sub("&", _BACKSLASH.sub("", spelled)))
    if new is None:
        return None
    new = _BREAKING.sub(lambda each: quote(each[0]), new)
    return new.replace("&", ampersand[0]) if ampersand else new
