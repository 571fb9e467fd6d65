"""Pixels that hosts send instead of images, and what is remembered of placeholders."""

from __future__ import annotations

import base64
import hashlib
import io
import json

import pytest
from PIL import Image

from airflow_provider_123pan.source.placeholders import KNOWN_PIXELS, is_pixel
from airflow_provider_123pan.sync.known_placeholders import MAX_PLACEHOLDERS, KnownPlaceholders

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


class Variables(dict[str, str]):
    """Variables of a test; a name may be unavailable."""

    broken = False

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        if self.broken:
            raise RuntimeError("no answer")
        return super().get(name, default)

    def set(self, name: str, value: str, description: str) -> None:
        if self.broken:
            raise RuntimeError("no answer")
        self[name] = value


def test_the_newest_placeholders_are_remembered() -> None:
    variables = Variables()
    for number in range(MAX_PLACEHOLDERS + 2):
        KnownPlaceholders("account", variables).add(f"{number:032x}")
    KnownPlaceholders("account", variables).add(f"{5:032x}")
    known = KnownPlaceholders("account", variables).load()
    assert len(known) == MAX_PLACEHOLDERS
    assert (known[0], known[-1]) == (f"{2:032x}", f"{5:032x}")
    assert KnownPlaceholders("another", variables).load() == []


@pytest.mark.parametrize("stored", ["{", "{}", "[1]", "null"])
def test_a_variable_of_another_shape_is_ignored_and_replaced(stored: str) -> None:
    variables = Variables()
    known = KnownPlaceholders("account", variables)
    known.add("0" * 32)
    (name,) = variables
    variables[name] = stored
    assert known.load() == []
    known.add("1" * 32)
    assert json.loads(variables[name]) == ["1" * 32]


def test_an_unavailable_variable_costs_nothing_but_the_memory(caplog: pytest.LogCaptureFixture) -> None:
    variables = Variables()
    variables.broken = True
    known = KnownPlaceholders("account", variables)
    known.add("0" * 32)
    assert known.load() == []
    assert "RuntimeError" in caplog.text
