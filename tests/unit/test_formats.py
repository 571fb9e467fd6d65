"""Formats of images, by their first bytes."""

from __future__ import annotations

import io

import pytest
from PIL import Image as Picture

from airflow_provider_123pan.source.formats import HEAD_BYTES, sniff

DECLARED = b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- made -->\n<!DOCTYPE svg PUBLIC "x">\n<svg xmlns="x">'


@pytest.mark.parametrize(
    ("written", "extension"),
    [
        ("PNG", "png"),
        ("GIF", "gif"),
        ("JPEG", "jpg"),
        ("TIFF", "tif"),
        ("WEBP", "webp"),
        ("BMP", "bmp"),
        ("ICO", "ico"),
    ],
)
def test_pictures_are_recognized(written: str, extension: str) -> None:
    file = io.BytesIO()
    Picture.new("RGB", (300, 200), "teal").save(file, written)
    assert sniff(file.getvalue()[:HEAD_BYTES]) == extension


@pytest.mark.parametrize(
    ("head", "extension"),
    [
        (b"<svg>", "svg"),
        (DECLARED, "svg"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "avif"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "heic"),
        (b"8BPS\0\1", "psd"),
        (b"\xff\x0a\xff\x07", "jxl"),
        (b"MM\0*\0\0\0\x08", "tif"),
    ],
)
def test_other_beginnings_are_recognized(head: bytes, extension: str) -> None:
    assert sniff(head) == extension


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"BM is short",
        b"<html><svg>",
        b"<?xml version='1.0'?><html><svg>",
        b"RIFF\0\0\0\0WAVE",
        b"%PDF-1.7",
        b"\0" * 512,
    ],
)
def test_anything_else_has_no_format(head: bytes) -> None:
    assert sniff(head) is None
