"""What becomes of pixels, frames, colors and metadata in a conversion."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image

from airflow_provider_123pan.exceptions import Pan123InputError
from tests.pictures import (
    GPS_TAG,
    HEIC,
    MAKER_TAG,
    ORIENTATION_TAG,
    SRGB,
    animation,
    converted,
    encoded,
    error_of,
    halves,
    is_near,
)

SOURCES = {
    "avif": lambda: encoded(halves(), "AVIF", quality=95),
    "heic": lambda: HEIC,
    "ico": lambda: encoded(halves(size=(16, 16)), "ICO", sizes=[(16, 16)]),
    "jp2": lambda: encoded(halves(), "JPEG2000"),
    "png": lambda: encoded(halves(), "PNG"),
    "gif": lambda: encoded(halves(), "GIF"),
    "jpeg": lambda: encoded(halves(), "JPEG", quality=95),
    "tiff": lambda: encoded(halves(), "TIFF"),
    "webp": lambda: encoded(halves(), "WEBP", lossless=True),
    "bmp": lambda: encoded(halves(), "BMP"),
}
TARGETS = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP", "gif": "GIF", "tiff": "TIFF", "bmp": "BMP"}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("source", SOURCES)
def test_every_format_becomes_every_other_one(source: str, target: str) -> None:
    made = converted(SOURCES[source](), source, target)
    assert made.format == TARGETS[target]
    width, height = made.size
    shown = made.convert("RGB")
    assert is_near(shown.getpixel((2, height // 2)), (255, 0, 0), by=40)
    assert is_near(shown.getpixel((width - 3, height // 2)), (0, 0, 255), by=40)


@pytest.mark.parametrize("target", ["webp", "gif", "png"])
@pytest.mark.parametrize("source", ["avif", "gif", "png", "webp"])
def test_animations_stay_animated(source: str, target: str) -> None:
    options = {"lossless": True} if source == "webp" else {}
    made = converted(animation(source.upper(), **options), source, target)
    assert made.n_frames == 3
    found, durations = [], []
    for number in range(3):
        made.seek(number)
        made.load()
        found.append(made.convert("RGB").getpixel((8, 8)))
        durations.append(made.info["duration"])
    for colour, wanted in zip(found, [(255, 0, 0), (0, 255, 0), (0, 0, 255)], strict=True):
        assert is_near(colour, wanted)
    assert durations == [100, 200, 300]
    assert made.info["loop"] == 0


@pytest.mark.parametrize(("source", "loop"), [("gif", {"loop": 3}), ("gif", {})])
def test_an_animation_that_ends_still_ends(source: str, loop: dict[str, int]) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    body = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100, **loop)
    assert converted(body, source, "webp").info["loop"] == loop.get("loop", 1)
    assert converted(body, source, "gif").info.get("loop") == loop.get("loop")


@pytest.mark.parametrize("target", ["gif", "png"])
def test_transparent_frames_replace_each_other(target: str) -> None:
    frames = []
    for left in (0, 8):
        frame = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
        frame.paste((255, 0, 0, 255), (left, 0, left + 8, 16))
        frames.append(frame)
    body = encoded(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=100)
    made = converted(body, "png", target)
    made.seek(1)
    shown = made.convert("RGBA")
    assert [shown.getpixel((x, 8))[3] for x in (2, 12)] == [0, 255]


@pytest.mark.parametrize("target", ["jpeg", "tiff", "bmp"])
def test_an_animation_needs_a_format_with_frames(target: str) -> None:
    error = error_of(animation("AVIF"), "avif", target)
    assert isinstance(error, Pan123InputError)
    assert error.message == (
        f"convert: the file has 3 frames, and {target[:3].replace('jpe', 'jpg')} has one; convert avif to webp or gif"
    )


def test_the_picture_of_an_apng_for_others_is_no_frame() -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("white", "red", "blue")]
    body = encoded(
        frames[0], "PNG", save_all=True, append_images=frames[1:], duration=100, default_image=True
    )
    made = converted(body, "png", "webp")
    assert (made.n_frames, made.convert("RGB").getpixel((0, 0))) == (2, (255, 0, 0))


def test_pages_are_no_frames() -> None:
    body = encoded(halves(), "TIFF", save_all=True, append_images=[halves()])
    error = error_of(body, "tiff", "webp")
    assert error.message == "convert: the file has 2 pages, and webp has one; split it at its source"


def test_further_pictures_of_a_camera_are_left_out() -> None:
    body = encoded(halves(), "MPO", save_all=True, append_images=[Image.new("RGB", (4, 4), "white")])
    made = converted(body, "jpeg", "png")
    assert (made.size, getattr(made, "n_frames", 1)) == ((16, 8), 1)


def exif(**tags: int | str) -> Image.Exif:
    found = Image.Exif()
    found[ORIENTATION_TAG], found[MAKER_TAG] = 6, "Camera"
    found.get_ifd(GPS_TAG)[1] = "N"
    return found


@pytest.mark.parametrize("target", ["webp", "jpeg", "png", "tiff"])
@pytest.mark.parametrize("source", ["avif", "jpeg", "png", "tiff", "webp"])
def test_the_orientation_is_applied_and_other_metadata_left_out(source: str, target: str) -> None:
    options: dict[str, Any] = {"exif": exif()}
    if source == "png":
        options["pnginfo"] = None
    if source == "jpeg":
        options |= {"comment": "private", "quality": 95}
    made = converted(encoded(halves(), TARGETS.get(source, "AVIF"), **options), source, target)
    assert made.size == (8, 16)
    assert is_near(made.convert("RGB").getpixel((4, 1)), (255, 0, 0), by=40)
    found = made.getexif()
    assert not found.get_ifd(GPS_TAG)
    assert not {ORIENTATION_TAG, MAKER_TAG} & {*found}
    assert not {"comment", "xmp", "exif"} & {*made.info}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_shown_as_pillow_shows_it(orientation: int) -> None:
    from PIL import ImageOps

    tags = Image.Exif()
    tags[ORIENTATION_TAG] = orientation
    image = halves(size=(6, 4))
    image.putpixel((0, 0), (255, 255, 255))
    body = encoded(image, "PNG", exif=tags)
    with Image.open(io.BytesIO(body)) as opened:
        wanted = ImageOps.exif_transpose(opened).convert("RGB").tobytes()
    assert converted(body, "png", "bmp").convert("RGB").tobytes() == wanted


@pytest.mark.parametrize("target", ["jpeg", "bmp"])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_becomes_white_where_there_is_none(mode: str, target: str) -> None:
    image, options = Image.new("RGBA", (8, 8), (0, 0, 0, 0)).convert(mode), {}
    if mode == "P":
        options["transparency"] = image.getpixel((0, 0))
    made = converted(encoded(image, "PNG", **options), "png", target)
    assert made.mode == "RGB"
    assert is_near(made.getpixel((4, 4)), (255, 255, 255), by=2)


@pytest.mark.parametrize("target", ["webp", "png", "tiff", "gif"])
def test_transparency_stays_where_it_can(target: str) -> None:
    image = halves("RGBA")
    image.putpixel((0, 0), (0, 0, 0, 0))
    shown = converted(encoded(image, "AVIF", quality=100), "avif", target).convert("RGBA")
    assert [shown.getpixel(at)[3] for at in ((0, 0), (12, 4))] == [0, 255]


@pytest.mark.parametrize("target", ["webp", "jpeg", "png", "tiff"])
def test_the_color_profile_stays(target: str) -> None:
    made = converted(encoded(halves(), "AVIF", icc_profile=SRGB), "avif", target)
    assert made.info["icc_profile"] == SRGB


def test_a_profile_of_other_colors_does_not() -> None:
    gray = SRGB[:16] + b"GRAY" + SRGB[20:]
    assert "icc_profile" not in converted(encoded(halves(), "PNG", icc_profile=gray), "png", "webp").info
    made = converted(encoded(halves("L"), "PNG", icc_profile=gray), "png", "jpeg")
    assert (made.mode, made.info["icc_profile"]) == ("L", gray)
    assert "icc_profile" not in converted(encoded(halves("L"), "PNG", icc_profile=gray), "png", "webp").info


def test_colors_become_those_of_srgb_where_no_profile_can_be() -> None:
    body = encoded(halves(), "PNG", icc_profile=SRGB)
    made = converted(body, "png", "bmp")
    assert is_near(made.getpixel((0, 0)), (255, 0, 0), by=2)
    broken = encoded(halves(), "PNG", icc_profile=SRGB[:16] + b"RGB " + bytes(200))
    assert is_near(converted(broken, "png", "bmp").getpixel((0, 0)), (255, 0, 0), by=2)


@pytest.mark.parametrize("profile", [None, SRGB[:16] + b"CMYK" + bytes(200)], ids=["none", "broken"])
@pytest.mark.parametrize("target", ["webp", "png", "jpeg"])
def test_cmyk_becomes_rgb(profile: bytes | None, target: str) -> None:
    body = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", icc_profile=profile, quality=95)
    made = converted(body, "jpeg", target)
    assert made.mode == "RGB"
    assert is_near(made.getpixel((4, 4)), (255, 0, 0))
    assert "icc_profile" not in made.info


def test_sixteen_bits_stay_or_become_the_higher_eight() -> None:
    image = Image.new("I;16", (4, 1))
    for x, value in enumerate((0, 0x0100, 0x8000, 0xFFFF)):
        image.putpixel((x, 0), value)
    body = encoded(image, "PNG")
    assert converted(body, "png", "png").tobytes() == image.tobytes()
    assert converted(body, "png", "tiff").tobytes() == image.tobytes()
    assert converted(body, "png", "bmp").tobytes() == bytes((0, 1, 0x80, 0xFF))
    shown = converted(body, "png", "webp").convert("L")
    assert [shown.getpixel((x, 0)) for x in range(4)] == [0, 1, 0x80, 0xFF]


def test_sixteen_bits_of_each_color_become_eight() -> None:
    row = struct.pack(">3H", 0xFFFF, 0x8000, 0x0100)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0" + row)),
        (b"IEND", b""),
    )
    body = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    assert converted(body, "png", "webp").getpixel((0, 0)) == (0xFF, 0x80, 0x01)


@pytest.mark.parametrize("mode", ["I", "F", "LAB"])
def test_pixels_of_other_kinds_are_refused(mode: str) -> None:
    error = error_of(encoded(Image.new(mode, (4, 4)), "TIFF"), "tiff", "webp")
    assert isinstance(error, Pan123InputError)
    assert error.message.startswith(f"convert: pixels of the kind {mode} cannot be converted")


def test_drawings_lose_nothing_as_webp() -> None:
    image = Image.effect_noise((32, 32), 90).convert("RGB")
    assert converted(encoded(image, "PNG"), "png", "webp").tobytes() == image.tobytes()
    assert converted(encoded(image, "TIFF"), "tiff", "webp").tobytes() != image.tobytes()
