"""What an image is: the nine extensions, the formats behind them, and thumbnails."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from dataclasses import dataclass
from xml.parsers import expat

from PIL import Image as Pillow

EXTENSIONS = ("png", "gif", "jpeg", "tiff", "webp", "jpg", "tif", "svg", "bmp")

# Pillow's names of the formats. A JPEG with more pictures inside is "MPO" to Pillow.
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
_THUMBNAIL = (240, 180)


class NotAnImage(Exception):
    """The bytes are none of the nine formats."""


@dataclass(frozen=True)
class Picture:
    """Checked bytes. `etag` is their MD5, `extension` that of the format found in them."""

    content: bytes
    etag: str
    extension: str
    media_type: str


def identify(content: bytes) -> Picture:
    """Look at the bytes, not at a name or a header; raises `NotAnImage`."""
    extension, media_type = _SVG if _is_svg(content) else _raster_format(content)
    return Picture(content, hashlib.md5(content, usedforsecurity=False).hexdigest(), extension, media_type)


def tiny(url: str) -> Picture:
    """A PNG of 2 × 2 pixels whose colours are the url's digest: as many images as urls, at no cost."""
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
    """A small PNG of a raster image; raises `NotAnImage` where Pillow cannot draw it."""
    try:
        with Pillow.open(io.BytesIO(content), formats=_pillow_formats()) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise NotAnImage("too many pixels for a thumbnail")
            image.thumbnail(_THUMBNAIL)
            small = io.BytesIO()
            image.convert("RGBA").save(small, "PNG")
            return small.getvalue()
    except Exception as error:  # Pillow's plugins raise nearly anything on broken bytes
        raise NotAnImage(str(error)) from error


def extension_of(name: str) -> str:
    """The extension of a name, if it is one of the nine; else an empty string."""
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
    """Whether the bytes are well-formed XML with `svg` as their root element."""
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
