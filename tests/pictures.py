"""Images for tests of conversions, and what becomes of them."""

from __future__ import annotations

import base64
import hashlib
import io
from typing import Any

import pytest
from PIL import Image, ImageCms

from airflow_provider_123pan.exceptions import Pan123Error, Pan123InputError, Pan123SourceError
from airflow_provider_123pan.service.image_file import ImageFile
from airflow_provider_123pan.source.convert import Converter

# 16 by 8 pixels, the left half red and the right half blue.
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAXxtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAA"
    "ACJpbG9jAAAAAERAAAEAAQAAAAABoAABAAAAAAAAADwAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRt"
    "AAAAAAABAAAA/GlwcnAAAADcaXBjbwAAAHVodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMA"
    "AAMAHroCQGEAAQApQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbqrprm4CGgwIAAAAyAAAADAIRiAAEABkQBwXPBiQAAABNjb2xybmNs"
    "eAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAAAChjbGFwAAAAEAAAAAEAAAAIAAAAAf///9AAAAAC////yAAAAAIAAAAQcGl4"
    "aQAAAAADCAgIAAAAGGlwbWEAAAAAAAAAAQABBYECAwWEAAAARG1kYXQAAAA4KAGvEyF4YsDlMjb/gZPvXPrw1f2jiM6J/Dww16wp"
    "jT19a+4C+vJRpoB8x+jj2e4y+eekyy9Dz/A="
)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GPS_TAG, ORIENTATION_TAG, MAKER_TAG = 0x8825, 0x0112, 0x010F


def halves(mode: str = "RGB", size: tuple[int, int] = (16, 8)) -> Image.Image:
    """The left half is red, the right half blue."""
    image = Image.new("RGB", size, "red")
    image.paste("blue", (size[0] // 2, 0, *size))
    return image.convert(mode)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def animation(kind: str, colours: tuple[str, ...] = ("red", "lime", "blue"), **options: Any) -> bytes:
    frames = [Image.new("RGB", (16, 16), colour) for colour in colours]
    durations = [100 * (number + 1) for number in range(len(frames))]
    return encoded(
        frames[0], kind, save_all=True, append_images=frames[1:], duration=durations, loop=0, **options
    )


def image_file(body: bytes) -> ImageFile:
    return ImageFile(io.BytesIO(body), len(body), hashlib.md5(body).hexdigest())


def converted(body: bytes, source: str, target: str) -> Any:
    """The image that another one becomes; its size and its MD5 are those of its bytes."""
    with Converter.of({source: target}).convert(image_file(body)) as made:
        content = b"".join(made.chunks(0, made.size))
        assert (made.size, made.etag) == (len(content), hashlib.md5(content).hexdigest())
    opened = Image.open(io.BytesIO(content))
    opened.load()
    return opened


def is_near(found: Any, wanted: tuple[int, ...], by: int = 12) -> bool:
    return all(abs(one - other) <= by for one, other in zip(found, wanted, strict=True))


def error_of(body: bytes, source: str, target: str) -> Pan123Error:
    with pytest.raises((Pan123InputError, Pan123SourceError)) as caught:
        converted(body, source, target)
    return caught.value
