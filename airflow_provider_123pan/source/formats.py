"""Recognizes the format of an image by its media type or its first bytes."""

from __future__ import annotations

import re

#: Bytes that :func:`sniff` needs.
HEAD_BYTES = 512

_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,30}/[a-z0-9.+-]{1,40}", re.ASCII)
_MEDIA_TYPES = {
    "image/png": "png",
    "image/x-png": "png",
    "image/gif": "gif",
    "image/jpeg": "jpg",
    "image/jpg": "jpg",
    "image/pjpeg": "jpg",
    "image/tiff": "tif",
    "image/webp": "webp",
    "image/svg+xml": "svg",
    "image/bmp": "bmp",
    "image/x-bmp": "bmp",
    "image/x-ms-bmp": "bmp",
}
_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF8", "gif"),
    (b"\xff\xd8\xff", "jpg"),
    (b"II*\0", "tif"),
    (b"MM\0*", "tif"),
    (b"\0\0\1\0", "ico"),
    (b"8BPS", "psd"),
    (b"\xff\x0a", "jxl"),
    (b"\0\0\0\x0cJXL ", "jxl"),
    (b"\0\0\0\x0cjP  ", "jp2"),
)
_RIFF_WEBP = re.compile(rb"RIFF.{4}WEBP", re.DOTALL)
_BMP = re.compile(rb"BM.{4}\0\0\0\0", re.DOTALL)
_BRAND = re.compile(rb".{4}ftyp(avi[fs]|hei[cxms]|hev[cxms]|mif1|msf1)", re.DOTALL)
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_SPELLINGS = {"jpeg": "jpg", "tiff": "tif", "heif": "heic"}  # of one format
_MARKUP = (b"<svg", b"<?xml", b"<!--", b"<!DOCTYPE svg")


def format_of(extension: str) -> str:
    """Return the format of an extension without its dot, as :func:`sniff` names it, whether or not it is known."""
    extension = extension.lower()
    return _SPELLINGS.get(extension, extension)


def spellings_of(image_format: str) -> list[str]:
    """Return the extensions of a format."""
    return [image_format, *(each for each, of in _SPELLINGS.items() if of == image_format)]


def media_type_in(header: str | None) -> str:
    """Return the media type of a Content-Type header in lower case; empty if there is none, or one of another form."""
    media_type = (header or "").partition(";")[0].strip().lower()
    return media_type if _MEDIA_TYPE.fullmatch(media_type) else ""


def extension_of(media_type: str) -> str | None:
    """Return the extension of a media type that 123pan takes, in lower case."""
    return _MEDIA_TYPES.get(media_type)


def sniff(head: bytes) -> str | None:
    """Return the extension of an image's format, whether 123pan takes it or not.

    :param head: the first HEAD_BYTES bytes.
    """
    for beginning, extension in _BEGINNINGS:
        if head.startswith(beginning):
            return extension
    if _RIFF_WEBP.match(head):
        return "webp"
    if _BMP.match(head):
        return "bmp"
    if _BRAND.match(head):
        return "avif" if _AVIF_BRANDS.intersection(_brands(head)) else "heic"
    markup = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return "svg" if markup.startswith(_MARKUP) and b"<svg" in markup and b"<html" not in markup else None


def _brands(head: bytes) -> list[bytes]:
    """Return the brands of a file of the HEIF family: its own, and those with which it is compatible."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return [head[8:12], *(head[start : start + 4] for start in range(16, end, 4))]
