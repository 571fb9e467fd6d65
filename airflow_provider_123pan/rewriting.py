"""Replace the source URLs of images in text, Markdown or HTML by their image URLs.

    addresses = new_addresses("s3://my-bucket/results.jsonl")
    page.write_text(rewrite(page.read_text(), addresses))

Only whole URLs are replaced: if ``a.jpg`` is known, ``a.jpg.webp`` and ``a.jpg?w=2`` stay as they are. Therefore the
text is split into URLs, by the delimiters around them, and every URL is looked up. The running time depends on the
length of the text only, not on the number of known URLs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from urllib.parse import quote

from airflow_provider_123pan.sync.results import read_results

# The beginning of a URL, and the delimiter before it. A URL within another one, such as an image proxy's, is skipped.
_BEGIN = re.compile(
    r"""(?P<opener>&(?:quot|apos|\#0?39|\#34|\#x22|\#x27);|["'(<\[`|])?
    (?:(?<![a-z/?&=\#@%+])|(?<=\ssrc=)|(?<=\shref=))
    (?P<url>https?://)""",
    re.VERBOSE | re.IGNORECASE,
)
# Opening delimiters whose closing one is a different character.
_CLOSERS = {"(": ")", "<": ">", "[": "]"}
# The end of a URL: characters that are part of no URL, or a separator and the next URL.
_ENDS = r"""[\s<>"]|&(?:quot|lt|gt|nbsp|\#34|\#x22);|(?<=[,;|\u0080-\U0010ffff])https?://"""
# Punctuation that may follow a URL in a sentence. Chinese text continues without a space.
_WIDE = "，。、；：！？）】》」』”’…"
_TRAILING = f".,;:!?'*_~}}|\\`{_WIDE}"
_CHINESE_PUNCTUATION = re.compile(f"[{_WIDE}]")
# HTML escapes ampersands, Markdown escapes punctuation.
_AMPERSAND = re.compile("&(?:amp|#0?38|#x26);")
_BACKSLASH = re.compile(r"\\(?=[!-/:-@\[-`{-~])")
# A new URL: its host, which is inserted as it is, and the rest.
_NEW_URL = re.compile(r"(https?://[\w.:@%\[\]-]+)((?:[/?#].*)?)", re.IGNORECASE)
# Characters that would end the new URL in its place, or begin a template's mark such as "{{" or "{%".
_BREAKING = re.compile(r"""[\s<>"'()`\\{}\[\]|^]""")


def new_addresses(results: str) -> dict[str, str]:
    """Return the image URL for every source URL in a results file whose image is stored.

    An image URL on the user's own domain is preferred.

    :param results: path or URL of the file that a sync wrote.
    """
    return {
        record.url: new
        for record in read_results(results)
        if record.status != "failed" and (new := record.user_url or record.download_url)
    }


def rewrite(text: str, addresses: Mapping[str, str]) -> str:
    """Return the text with all known URLs replaced.

    Only http and https URLs are inserted, without anything that a template or a browser would run.

    :param addresses: new URLs by old URL, as returned by :func:`new_addresses`.
    """
    parts: list[str] = []
    done = end = 0
    while found := _BEGIN.search(text, end):
        start, opener = found.start("url"), found["opener"]
        end, closed = _end(text, found.end(), opener)
        for spelled in _candidates(text[start:end], closed):
            if (new := _look_up(spelled, addresses)) is not None:
                parts += text[done:start], new
                done = start + len(spelled)
                break
    return "".join([*parts, text[done:]])


def _end(text: str, start: int, opener: str | None) -> tuple[int, bool]:
    """Return the end of a URL, which may contain pairs of brackets, and whether its closing delimiter follows."""
    closer = _CLOSERS.get(opener, opener) if opener else None
    depth = 0
    for delimiter in _delimiters(opener).finditer(text, start):
        if delimiter[0] in ("(", "["):
            depth += 1
        elif delimiter[0] in (")", "]") and depth:
            depth -= 1
        else:
            return delimiter.start(), delimiter[0] == closer
    return len(text), False


@lru_cache(maxsize=64)
def _delimiters(opener: str | None) -> re.Pattern[str]:
    """Return a pattern of everything that may end a URL, and of the brackets that may occur in it in pairs."""
    if opener is None:
        inside = r"[()\[\]]"
    elif opener in _CLOSERS:
        inside = f"[{re.escape(opener + _CLOSERS[opener])}]"
    else:
        inside = re.escape(opener)
    return re.compile(f"{inside}|{_ENDS}", re.IGNORECASE)


def _candidates(run: str, closed: bool) -> Iterator[str]:
    """Yield the URLs that a run of characters may stand for, the longest first; between delimiters only the run."""
    yield run
    if not closed:
        yield run.rstrip(_TRAILING)
        yield _CHINESE_PUNCTUATION.split(run, maxsplit=1)[0].rstrip(_TRAILING)


def _look_up(spelled: str, addresses: Mapping[str, str]) -> str | None:
    """Return the new URL, with ampersands escaped as in the old one, or None if there is none to insert."""
    new, ampersand = addresses.get(spelled), None
    if new is None:
        ampersand = _AMPERSAND.search(spelled)
        new = addresses.get(_AMPERSAND.sub("&", _BACKSLASH.sub("", spelled)))
    if new is None:
        return None
    if not (parts := _NEW_URL.fullmatch(new)) or not new.isprintable():
        return None
    new = parts[1] + _BREAKING.sub(lambda match: quote(match[0]), parts[2])
    return new.replace("&", ampersand[0]) if ampersand else new
