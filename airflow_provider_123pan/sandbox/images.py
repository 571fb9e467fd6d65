"""Image formats: the nine extensions that the service accepts, recognizing formats, and thumbnails."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from dataclasses import dataclass
from xml.parsers import expat

from PIL import Image as Pillow

EXTENSIONS = ("png", "gif", "jpeg", "tiff", "webp", "jpg", "tif", "svg", "bmp")

# By Pillow's names of the formats. Pillow calls a JPEG with several pictures "MPO".
_RASTER = {
    "PNG": ("png", "image/png"),
    "GIF": ("gif", "image/gif"),
    "JPEG": ("jpg", "image/jpeg"),
    "MPO": ("jpg", "image/jpeg"),
    "TIFF": ("tif", "image/tiff"),
    "WEBP": ("webp", "image/webp"),
    "BMP": ("bmp", "image/bmp"),
}
_SVG = ("svg", "image/svg+xml")
_MAX_PIXELS = 50_000_000
_THUMBNAIL_PIXELS = (240, 180)


class NotAnImage(Exception):
    """The bytes are in none of the accepted formats."""


@dataclass(frozen=True)
class Picture:
    """An image whose format has been checked.

    :ivar content: The image's bytes.
    :ivar etag: The MD5 of the bytes, in hexadecimal digits.
    :ivar extension: The usual extension of the format, without a dot.
    :ivar media_type: The format's media type.
    """

    content: bytes
    etag: str
    extension: str
    media_type: str


def identify(content: bytes) -> Picture:
    """Return the image that the bytes are; no file name or header is considered.

    :raises NotAnImage: The bytes are in none of the accepted formats.
    """
    extension, media_type = _SVG if _is_svg(content) else _raster_format(content)
    return Picture(content, hashlib.md5(content, usedforsecurity=False).hexdigest(), extension, media_type)


def tiny(url: str) -> Picture:
    """Return a PNG of 2 × 2 pixels whose colours are a digest of the URL, so that each URL has its own image."""
    colours = hashlib.sha256(url.encode()).digest()
    rows = b"\0" + colours[:6] + b"\0" + colours[6:12]
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return Picture(content, hashlib.md5(content, usedforsecurity=False).hexdigest(), *_RASTER["PNG"])


def thumbnail(content: bytes) -> bytes:
    """Return a small PNG of a raster image.

    :raises NotAnImage: Pillow cannot decode the image, or it has too many pixels.
    """
    try:
        with Pillow.open(io.BytesIO(content), formats=_pillow_formats()) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise NotAnImage("too many pixels for a thumbnail")
            image.thumbnail(_THUMBNAIL_PIXELS)
            small = io.BytesIO()
            image.convert("RGBA").save(small, "PNG")
            return small.getvalue()
    except Exception as error:  # Pillow's plugins raise many types of errors for broken images
        raise NotAnImage(str(error)) from error


def extension_of(name: str) -> str:
    """Return the extension of a file name in lower case, or an empty string if the service does not accept it."""
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    return extension if extension in EXTENSIONS else ""


def _raster_format(content: bytes) -> tuple[str, str]:
    try:
        with Pillow.open(io.BytesIO(content), formats=_pillow_formats()) as image:
            image.verify()
            return _RASTER[image.format or ""]
    except Exception as error:
        raise NotAnImage("unsupported image format") from error


def _pillow_formats() -> list[str]:
    return [name for name in _RASTER if name != "MPO"]


def _is_svg(content: bytes) -> bool:
    """Return True if the bytes are well-formed XML whose root element is `svg`."""
    if not content.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n").startswith(b"<"):
        return False
    roots: list[str] = []

    def first_element(name: str, attributes: dict[str, str]) -> None:
        roots.append(name)
        parser.StartElementHandler = None

    parser = expat.ParserCreate()
    parser.StartElementHandler = first_element
    try:
        parser.Parse(content, True)
    except expat.ExpatError:
        return False
    return bool(roots) and roots[0].rpartition(":")[2] == "svg"
