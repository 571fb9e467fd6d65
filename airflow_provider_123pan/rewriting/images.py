"""Finds the images that a page shows, by what surrounds their URLs, or by what the URLs show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

from airflow_provider_123pan.rewriting.escapes import decodings
from airflow_provider_123pan.rewriting.scanner import Reference, scan
from airflow_provider_123pan.rewriting.serialized import SerializedStrings
from airflow_provider_123pan.source.urls import canonical_url

_MAX_BEFORE = 1000  # characters before a URL that show what it is

_FORMATS = tuple("apng avif bmp gif heic heif ico jfif jpeg jpg png svg tif tiff webp".split())  # noqa: SIM905
# An extension at the end of the path, or before a CDN's style (``a.jpg!large``, ``a.png@2x``, ``a.jpg/w=200``).
_EXTENSION = re.compile(rf"\.(?:{'|'.join(_FORMATS)})(?:[!@~:,;|/_-]|\Z)", re.IGNORECASE)
# Files that are in places for images, such as the fonts of a style sheet, or a video that is embedded.
_OTHER_FILE = re.compile(
    r"https?://[^/?#]+/[^?#]*\.(?:css|eot|m?js|m4[av]|mov|mp[34]|og[agv]|otf|pdf|ttf|wav|webm|woff2?)(?:[?#]|\Z)",
    re.IGNORECASE,
)
_FORMAT_PARAMETERS = frozenset({"wx_fmt", "format", "fmt", "fm", "ext"})
_PLAIN_HOST = re.compile(r"https?://[0-9A-Za-z][0-9A-Za-z.-]*/")
_UNREADABLE = re.compile(r"[\s\x00-\x1f\x7f\ud800-\udfff]")


class Context(str, Enum):
    """What surrounds a URL."""

    MARKDOWN = "markdown image"
    WIKI = "wiki embed"
    HTML = "html attribute"
    SRCSET = "srcset"
    CSS = "css url"
    BBCODE = "bbcode"
    ASCIIDOC = "asciidoc macro"
    RST = "rst directive"
    TAG = "template tag"
    VALUE = "value"
    OTHER = "other"


class FoundImage(NamedTuple):
    """An image that a page shows.

    :ivar url: its URL without the page's escapes; white space is percent-encoded, and ``//`` begins with ``https:``.
    :ivar start: where its spelling begins in the text.
    :ivar end: where it ends.
    :ivar context: what surrounds it.
    """

    url: str
    start: int
    end: int
    context: Context


_QUOTED = r"(?:\\{0,8}[\"'`]|&(?:amp;){0,3}(?:quot|\#0?39|\#34|\#[xX]2[27]);|\\{1,8}u002[27])?"
_ASSIGNED = rf"\\{{0,8}}[\"']?\s{{0,9}}[:=]\s{{0,9}}[\[{{(]{{0,2}}{_QUOTED}"
# Names of attributes, keys and elements whose value is an image.
_IMAGE_NAME = (
    r"[\w:.@-]{0,32}(?:image|img|photo|picture|poster|thumb|cover|avatar|banner|logo|icon|background|original|lazy)"
    r"[\w:.@-]{0,32}"
)
_MACRO = re.compile(r"\bimage::?\Z")
_BBCODE = re.compile(r"\[img(?:\b[^\]\[]{0,60}\]|=)\Z", re.IGNORECASE)
_CSS = re.compile(rf"(?<!@import )\burl\(\s{{0,9}}{_QUOTED}\Z", re.IGNORECASE)
_RST = re.compile(r"\.\. (?:\|[^|\n]{1,60}\| )?(?:image|figure):: {0,9}\Z")
_TAG = re.compile(r"\{%-? ?(?:img|image|fancybox|gallery|figure|photo)\b")
_SRCSET = re.compile(rf"srcset{_ASSIGNED}[^\"'<>]*\Z", re.IGNORECASE)
_NAMED = re.compile(
    rf"(?<![\w:.@-]){_IMAGE_NAME}{_ASSIGNED}\Z|<{_IMAGE_NAME}>\s{{0,9}}(?:<!\[CDATA\[)?\Z", re.IGNORECASE
)
_ATTRIBUTE = re.compile(
    rf"(?<![\w.-])(?P<name>(?:[\w.:@-]{{0,32}}-)?src|href|content){_ASSIGNED}\Z", re.IGNORECASE
)
_ELEMENT = re.compile(r"(?:<|lt;|u003[cC]) ?(?P<name>[\w:-]+)")
_NO_IMAGES = frozenset({"audio", "embed", "frame", "iframe", "object", "script", "track", "video"})
_DEFINITION = re.compile(r"^ {0,3}\[(?P<label>[^\[\]\n]{1,200})\]:\s{0,9}<?\Z", re.MULTILINE)
_USE = re.compile(r"!\[(?P<text>[^\[\]]{0,200})\](?:\[(?P<label>[^\[\]]{0,200})\])?(?!\()")


def find_images(text: str) -> Iterator[FoundImage]:
    """Yield the images that a page shows, in the order of the text.

    An image is a URL in a place for images, such as ``![](…)``, ``<img src=…>`` or ``cover: …``, or one that shows an
    image's format in its path or query. :func:`rewrite` replaces exactly what is found here, because it reads the text
    with the same scanner.
    """
    return _find(text, in_broken_strings=False)


def find_broken_images(text: str) -> Iterator[FoundImage]:
    """Yield the images that :func:`rewrite` leaves, because PHP serialized their strings with a wrong length."""
    return _find(text, in_broken_strings=True)


def _find(text: str, *, in_broken_strings: bool) -> Iterator[FoundImage]:
    strings, images = SerializedStrings(text), Images(text)
    if in_broken_strings and not strings.has_broken:
        return
    for reference in scan(text):
        if strings.is_broken(reference.start) is in_broken_strings and (found := images.at(reference)):
            yield found


class Images:
    """The images that a page shows, by the references to them."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._labels: frozenset[str] | None = None

    def at(self, reference: Reference) -> FoundImage | None:
        """Return the image to which a reference refers; None if it refers to something else."""
        head = self._text[max(0, reference.start - _MAX_BEFORE) : reference.start]
        context = _context(head)
        if context is Context.OTHER and (definition := _DEFINITION.search(head[-300:])):
            self._labels = _used_labels(self._text) if self._labels is None else self._labels
            if _label(definition["label"]) in self._labels:
                context = Context.MARKDOWN
        return _image(self._text, reference, context)


def _image(text: str, reference: Reference, context: Context) -> FoundImage | None:
    """Return the image of a reference, at the first end whose URL shows a format, or else at the likely one."""
    urls = {end: _url(text[reference.start : end], reference.is_relative) for end in reversed(reference.ends)}
    found = next((end for end, url in urls.items() if _shows_format(url)), None)
    likely = urls[reference.likely_end]
    if found is None and context is not Context.OTHER and not _OTHER_FILE.match(likely):
        likely = canonical_url(likely)
        found = next(end for end, url in urls.items() if canonical_url(url) == likely)
    if found is None or not _has_host(urls[found]):
        return None
    return FoundImage(urls[found], reference.start, found, context)


def _context(head: str) -> Context:
    """Return what surrounds a URL, from the text before it."""
    near = head[-96:]
    bare = near.rstrip(" \t\r\n<")
    if bare.endswith("]("):
        label_end = len(head) - len(near) + len(bare) - 2
        return Context.MARKDOWN if _is_image_link(head, label_end) else Context.OTHER
    if near.endswith("![["):
        return Context.WIKI
    if near.endswith(("]", "=")) and _BBCODE.search(near):
        return Context.BBCODE
    if _CSS.search(near):
        return Context.CSS
    if near.endswith(":") and _MACRO.search(near):
        return Context.ASCIIDOC
    if ":: " in near and _RST.search(near):
        return Context.RST
    if "srcset" in head.lower() and _SRCSET.search(head):
        return Context.SRCSET
    if attribute := _ATTRIBUTE.search(near):
        return Context.HTML if _shows_image(head, attribute["name"].lower()) else Context.OTHER
    if _NAMED.search(near):
        return Context.VALUE
    tag = head.rfind("{%")
    if tag >= 0 and "%}" not in head[tag:] and _TAG.match(head, tag):
        return Context.TAG
    return Context.OTHER


def _is_image_link(head: str, end: int) -> bool:
    """Return whether the brackets that end with the one at ``end`` belong to an image, not to a link."""
    depth = 1
    while depth and end > 0:
        begin = head.rfind("[", 0, end)
        if begin < 0:
            return False
        depth += head.count("]", begin, end) - 1
        end = begin
    return head[end - 1 : end] == "!"


def _shows_image(head: str, name: str) -> bool:
    """Return whether an attribute is the URL of an image, by the element that it belongs to."""
    start = max(head.rfind(mark) for mark in ("<", "lt;", "u003c", "u003C"))
    element = _ELEMENT.match(head, start) if start >= 0 else None
    kind = element["name"].lower() if element else ""
    if name == "href":
        return kind in ("image", "feimage") or (kind == "link" and "icon" in head[start:])
    if name == "content":
        return kind == "meta" and "image" in head[start:]
    return kind not in _NO_IMAGES


def _used_labels(text: str) -> frozenset[str]:
    """Return the labels of the definitions that images use (``![text][label]``)."""
    return frozenset(_label(use["label"] or use["text"]) for use in _USE.finditer(text))


def _label(text: str) -> str:
    return " ".join(text.split()).casefold()


def _url(spelled: str, is_relative: bool) -> str:
    """Return a URL without the escapes of its spelling."""
    *_, decoded = decodings(spelled)
    decoded = _UNREADABLE.sub(lambda match: quote(match[0], errors="surrogatepass"), decoded)
    return f"https:{decoded}" if is_relative else decoded


def _shows_format(url: str) -> bool:
    """Return whether the path or the query of a URL shows the format of an image."""
    place, _, query = url.partition("#")[0].partition("?")
    if (path := place.find("/", len("https://"))) >= 0 and _EXTENSION.search(place, path):
        return True
    return "=" in query and any(
        name.lower() in _FORMAT_PARAMETERS and value.lower().rpartition("/")[2] in _FORMATS
        for name, value in parse_qsl(query)
    )


def _has_host(url: str) -> bool:
    if _PLAIN_HOST.match(url):  # cheaper than the work below
        return True
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False
