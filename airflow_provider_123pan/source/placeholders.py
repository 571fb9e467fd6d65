"""Recognizes pictures that a host sends instead of an image, as for hotlink protection: a pixel."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

#: The MD5s of pixels that many hosts send, which hold one transparent or white pixel.
KNOWN_PIXELS = frozenset(
    {
        "07fff40b5dd495aca2ac4e1c3fbc60aa",
        "325472601571f31e1bf00674c368d335",
        "3be1e662f7d923c81dd88185cc14d33e",
        "3eacd0132310ea44cad756b378a3bc07",
        "6d22e4f2d2057c6e8d6fab098e76e80f",
        "91e42db1c66c0b276abf6234dc50b2eb",
        "a5098c60b3b0c879a2c7af6c68b7b53f",
        "b357a19c87624c7c4d131aeeb4ae677f",
        "d89746888da2d9510b64a9f031eaecd5",
        "df16d33739defe9bda1f4c45d36fd7a7",
        "fb02f374b8f73825415db1bccd4bd76d",
        "fcfeb766b91a4e2fdfc8653df35297e1",
    }
)

#: The reason of an image that is one.
PIXEL = "a pixel instead of an image; if it is the image, pass allow_equal=True"

_MAX_BYTES = 128
_GIF_1X1 = b"\1\0\1\0"
_PNG_1X1 = b"\0\0\0\1\0\0\0\1"
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"IEND\xaeB`\x82"
_WHITE = frozenset({b"\xff", b"\xff\xff\xff"})


def is_pixel(image: bytes) -> bool:
    """Return whether an image is a GIF or PNG of one pixel that is transparent or white.

    :param image: all of its bytes; more than 128 are none.
    """
    if len(image) > _MAX_BYTES:
        return False
    if image.startswith((b"GIF87a", b"GIF89a")):
        return image[6:10] == _GIF_1X1 and image.endswith(b";")
    return (
        image.startswith(_PNG) and image[16:24] == _PNG_1X1 and image.endswith(_PNG_END) and _is_blank(image)
    )


def _is_blank(png: bytes) -> bool:
    """Return whether the only pixel of a PNG is transparent or white, as far as it has 8 bits per channel."""
    depth, color = png[24], png[25]
    chunks = dict(_chunks(png))
    try:
        pixel = zlib.decompressobj().decompress(chunks.get(b"IDAT", b""), 16)[1:]  # after the filter's number
    except zlib.error:
        return False
    if color == 3 or b"tRNS" in chunks:  # a palette, or a color that is transparent
        return b"tRNS" in chunks
    if depth != 8 or not pixel:
        return False
    return pixel[-1] == 0 if color in (4, 6) else pixel in _WHITE


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks of a PNG."""
    at = len(_PNG)
    while at + 8 <= len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += 12 + length
