"""Pixels that hosts send instead of images."""

from __future__ import annotations

import base64
import hashlib
import io

import pytest
from PIL import Image

from airflow_provider_123pan.source.placeholders import KNOWN_PIXELS, is_pixel

GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


def png(mode: str, color: object, size: tuple[int, int] = (1, 1)) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, color).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    "image",
    [GIF, png("RGBA", (0, 0, 0, 0)), png("RGB", (255, 255, 255)), png("L", 255), png("LA", (9, 0))],
    ids=["GIF", "transparent", "white", "white gray", "transparent gray"],
)
def test_a_blank_pixel_is_recognized(image: bytes) -> None:
    assert is_pixel(image)


@pytest.mark.parametrize(
    "image",
    [
        b"",
        GIF + b"more",
        GIF[:6] + b"\2\0\1\0" + GIF[10:],
        png("RGB", (200, 30, 40)),
        png("RGBA", (0, 0, 0, 255)),
        png("RGB", (255, 255, 255), (2, 1)),
        png("RGB", (255, 255, 255)) + b"more",
        png("RGB", (255, 255, 255))[:41] + bytes(12) + b"IEND\xaeB`\x82",
        b"\xff\xd8\xff\xe0" + bytes(60),
    ],
    ids=["nothing", "more after it", "wide", "red", "black", "two", "PNG with more", "broken", "JPEG"],
)
def test_any_other_image_is_none(image: bytes) -> None:
    assert not is_pixel(image)


def test_the_known_pixels_include_the_usual_gif() -> None:
    assert hashlib.md5(GIF).hexdigest() in KNOWN_PIXELS
    assert all(len(md5) == 32 and md5 == md5.lower() for md5 in KNOWN_PIXELS)
