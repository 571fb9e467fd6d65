"""Which images are converted, and what is refused."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image
from PIL import ImageFile as PillowFile

from airflow_provider_123pan.exceptions import Pan123InputError, Pan123SourceError
from airflow_provider_123pan.source import convert, pixels
from airflow_provider_123pan.source.convert import Converter
from airflow_provider_123pan.source.formats import sniff
from dev.waiting import wait_for
from tests.pictures import (
    HEIC,
    animation,
    converted,
    encoded,
    error_of,
    halves,
    image_file,
)

CORRUPT: dict[str, Callable[[], tuple[bytes, str]]] = {
    "cut avif": lambda: (encoded(halves(size=(64, 64)), "AVIF")[:-40], "avif"),
    "cut heic": lambda: (HEIC[:-40], "heic"),
    "cut png": lambda: (encoded(Image.effect_noise((64, 64), 90), "PNG")[:-400], "png"),
    "avif of zeros": lambda: (b"\0\0\0\x1cftypavif" + bytes(400), "avif"),
    "heic of zeros": lambda: (b"\0\0\0\x1cftypheic" + bytes(400), "heic"),
    "psd of zeros": lambda: (b"8BPS" + bytes(400), "psd"),
    "ico of ones": lambda: (b"\0\0\1\0" + b"\1" * 400, "ico"),
    "jp2 of zeros": lambda: (b"\0\0\0\x0cjP  " + bytes(400), "jp2"),
    "tiff without an end": lambda: (b"II*\0" + b"\x08\0\0\0" * 200, "tif"),
}


@pytest.mark.parametrize("make", CORRUPT.values(), ids=CORRUPT)
def test_corrupt_bytes_are_a_failure_of_the_source(make: Callable[[], tuple[bytes, str]]) -> None:
    body, source = make()
    assert sniff(body) == source
    error = error_of(body, source, "webp")
    assert isinstance(error, Pan123SourceError)
    assert f"its bytes are no whole {source}" in error.message
    assert len(error.message) < 250


def test_an_image_with_too_many_pixels_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: Any) -> None:
        raise AssertionError("it was read")

    body = encoded(Image.new("1", (10_000, 10_001)), "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    monkeypatch.setattr(PillowFile.ImageFile, "load", read)
    error = error_of(body, "png", "webp")
    assert isinstance(error, Pan123InputError)
    assert "the image has 100,010,000 pixels in 1 frames, at most 100,000,000" in error.message


def test_pillows_own_limit_is_a_failure_of_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    error = error_of(encoded(halves(), "PNG"), "png", "webp")
    assert isinstance(error, Pan123InputError)
    assert error.message.startswith("convert: the image has too many pixels")


def test_all_frames_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "MAX_PIXELS", 3 * 16 * 16 - 1)
    assert "768 pixels in 3 frames" in error_of(animation("WEBP"), "webp", "gif").message


def test_pixels_in_memory_are_bounded_across_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    budget, made = convert._PixelBudget(16 * 8), threading.Event()
    monkeypatch.setattr(convert, "_budget", budget)

    def work() -> None:
        converted(encoded(halves(), "PNG"), "png", "webp")
        made.set()

    thread = threading.Thread(target=work)
    with budget.take(1):
        thread.start()
        wait_for(lambda: budget._changed._waiters, what="a wait for room", timeout=30, every=0.001)  # type: ignore[attr-defined]
        assert not made.is_set()
    thread.join(30)
    assert made.is_set()


def test_a_result_that_123pan_refuses_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "MAX_IMAGE_BYTES", 100)
    error = error_of(encoded(Image.effect_noise((64, 64), 90), "PNG"), "png", "bmp")
    assert isinstance(error, Pan123InputError)
    assert error.message.endswith("123pan takes 0; convert png to webp or jpeg")


def test_what_the_other_format_cannot_hold_is_a_clear_reason() -> None:
    error = error_of(encoded(Image.new("L", (20_000, 1)), "PNG"), "png", "webp")
    assert isinstance(error, Pan123InputError)
    assert error.message.startswith("convert: png cannot become webp (ValueError: encoding error 5")


WRONG: dict[str, tuple[Any, str]] = {
    "no dict": (["avif"], "convert: give a dict of formats, such as {'avif': 'webp'}"),
    "unknown source": (
        {"jxl": "webp"},
        "convert: 'jxl' cannot be converted; name one of avif, bmp, gif, heic, ico, ",
    ),
    "SVG": ({"svg": "png"}, "convert: 'svg' cannot be converted; name one of avif"),
    "with a dot": ({".avif": "webp"}, "convert: '.avif' cannot be converted; name one of avif"),
    "unknown target": (
        {"avif": "svg"},
        "convert: 'avif' cannot become 'svg'; give one of bmp, gif, jpeg, jpg, png, ",
    ),
    "no target": ({"avif": None}, "convert: 'avif' cannot become None; give one of bmp"),
    "twice": ({"tif": "webp", "tiff": "png"}, "convert: 'tiff' is named twice; name each format once"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG)
def test_wrong_arguments_name_the_fix(given: Any, message: str) -> None:
    with pytest.raises(Pan123InputError) as caught:
        Converter.of(given)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("module", "given", "missing"),
    [
        ("PIL", {"avif": "webp"}, "Pillow"),
        ("pi_heif", {"heic": "webp"}, "pi-heif"),
        ("pi_heif", {"avif": "webp"}, None),
    ],
)
def test_a_missing_library_is_named(
    module: str, given: dict[str, str], missing: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    if missing is None:
        assert Converter.of(given).targets == given
        return
    with pytest.raises(Pan123InputError) as caught:
        Converter.of(given)
    assert caught.value.message == (f"convert: needs {missing}; install airflow-provider-123pan[convert]")


def test_a_pillow_without_the_format_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import features

    monkeypatch.setattr(features, "check", lambda feature: feature != "avif")
    with pytest.raises(Pan123InputError, match="convert: this Pillow has no avif; install Pillow's wheel"):
        Converter.of({"avif": "webp"})
    assert Converter.of({"PNG": "WEBP"}).targets == {"png": "webp"}


def test_an_image_is_converted_by_its_bytes() -> None:
    converter = Converter.of({"avif": "webp", "jpeg": "png"})
    avif, png = image_file(encoded(halves(), "AVIF")), image_file(encoded(halves(), "PNG"))
    jpeg = image_file(encoded(halves(), "JPEG"))
    assert [converter.target(each) for each in (avif, png, jpeg)] == ["webp", None, "png"]
    assert [converter.extension(png, each) for each in ("png", "PNG", "webp")] == ["png", "PNG", "png"]
    assert Converter().extension(png, "webp") == "webp"
