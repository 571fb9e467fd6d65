"""The pixels of an image, from the format in which Pillow reads them to the one in which it writes them."""

from __future__ import annotations

import hashlib
import os
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.service.image_file import ImageFile
from airflow_provider_123pan.source.rules import MAX_IMAGE_BYTES

if TYPE_CHECKING:
    from PIL import Image

JPEG_QUALITY = 90
WEBP_QUALITY = 90

#: Pillow's name of each format, and the feature that reads or writes it, which Pillow may have been built without.
PILLOW = {
    "avif": ("AVIF", "avif"),
    "bmp": ("BMP", None),
    "gif": ("GIF", None),
    "heic": ("HEIF", None),
    "ico": ("ICO", None),
    "jp2": ("JPEG2000", "jpg_2000"),
    "jpg": ("JPEG", "jpg"),
    "png": ("PNG", "zlib"),
    "psd": ("PSD", None),
    "tif": ("TIFF", "libtiff"),
    "webp": ("WEBP", "webp"),
}

_IN_MEMORY_BYTES = 1024 * 1024  # larger images are in a file on the disk
_ANIMATED = frozenset({"gif", "png", "webp"})  # targets that may have several frames
_FRAMES = _ANIMATED | {"avif"}  # sources whose frames follow each other in time
_LOSSLESS = frozenset({"bmp", "gif", "ico", "png"})  # sources that are drawings more often than photos
_WITHOUT_ALPHA = frozenset({"bmp", "jpg"})
_WITHOUT_PROFILE = frozenset({"bmp", "gif"})
_SIXTEEN_BITS = frozenset({"I;16", "I;16B", "I;16L"})
_MODES = _SIXTEEN_BITS | {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr"}
_SPACES = {"L": b"GRAY", "I;16": b"GRAY", "RGB": b"RGB ", "RGBA": b"RGB ", "CMYK": b"CMYK"}  # of ICC profiles
_ORIENTATION = 0x0112  # the tag of EXIF


def frames_of(image: Image.Image, source_format: str, target: str) -> range:
    """Return the numbers of the frames that an image is converted with.

    :raises Pan123InputError: the target has no room for them.
    """
    count = getattr(image, "n_frames", 1)
    if count > 1 and source_format == "tif":
        raise Pan123InputError(
            f"convert: the file has {count} pages, and {target} has one; split it at its source"
        )
    if count == 1 or source_format not in _FRAMES:  # layers, and further pictures of a camera
        return range(image.tell(), image.tell() + 1)
    if target not in _ANIMATED:
        raise Pan123InputError(
            f"convert: the file has {count} frames, and {target} has one; convert {source_format} to webp or gif"
        )
    return range(1 if image.info.get("default_image") else 0, count)


def read_frames(
    image: Image.Image, indexes: range, source_format: str, target: str
) -> tuple[list[Image.Image], dict[str, Any]]:
    """Return an image's frames as they are to be written, and the options to write them with."""
    frames, durations, options = [], [], _options_of(source_format, target)
    for index in indexes:
        if index != image.tell():
            image.seek(index)
        image.load()
        profile = image.info.get("icc_profile")
        frame, profile = _with_profile(_pixels(_turned(image), target), profile, target)
        if profile:
            options["icc_profile"] = profile
        frame.info = {}  # Pillow writes some of it by itself
        frames.append(frame)
        durations.append(round(image.info.get("duration", 0)))
    if len(frames) > 1:
        loop = image.info.get("loop", 1 if source_format == "gif" else 0)
        options |= {"save_all": True, "append_images": frames[1:], "duration": durations, "loop": loop}
        if target == "gif":
            options["disposal"] = 2  # a frame with transparency replaces the one before it
            if loop == 1:
                del options["loop"]  # in a GIF it is the number of repetitions
    return frames, options


def _options_of(source_format: str, target: str) -> dict[str, Any]:
    if target == "jpg":
        return {"quality": JPEG_QUALITY}
    if target == "webp":
        return {"lossless": True} if source_format in _LOSSLESS else {"quality": WEBP_QUALITY}
    return {"compression": "tiff_adobe_deflate"} if target == "tif" else {}


def _turned(image: Image.Image) -> Image.Image:
    """Return an image in the orientation that its EXIF says."""
    from PIL.Image import Transpose

    methods = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    method = methods.get(image.getexif().get(_ORIENTATION, 1))
    return image if method is None else image.transpose(method)


def _pixels(image: Image.Image, target: str) -> Image.Image:
    """Return a copy of an image's pixels in a mode that the target can hold; CMYK stays for its profile.

    :raises Pan123InputError: Pillow cannot convert them without a loss that would be seen.
    """
    from PIL import Image

    if image.mode not in _MODES:
        raise Pan123InputError(
            f"convert: pixels of the kind {image.mode} cannot be converted; convert the image at its source"
        )
    if image.mode in _SIXTEEN_BITS:
        if image.mode == "I;16" and target in ("png", "tif"):
            return image.copy()
        high = image.tobytes()[0 if image.mode == "I;16B" else 1 :: 2]
        image = Image.frombytes("L", image.size, high)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if target not in _WITHOUT_ALPHA:
            return image
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        return white
    if image.mode == "CMYK":
        return image.copy()
    return image.convert("L" if image.mode in ("1", "L") and target != "webp" else "RGB")


def _with_profile(frame: Image.Image, profile: bytes | None, target: str) -> tuple[Image.Image, bytes | None]:
    """Return pixels and the color profile to write; where there can be none, the pixels are those of sRGB."""
    fits = profile is not None and profile[16:20] == _SPACES[frame.mode]
    if fits and profile is not None and (frame.mode == "CMYK" or target in _WITHOUT_PROFILE):
        from PIL import ImageCms

        mode = "RGB" if frame.mode == "CMYK" else frame.mode
        try:
            if mode in ("RGB", "RGBA"):
                srgb = ImageCms.createProfile("sRGB")
                made = ImageCms.profileToProfile(frame, BytesIO(profile), srgb, outputMode=mode)
                return made or frame, None
        except ImageCms.PyCMSError:  # a broken profile says nothing about the colors
            pass
    if frame.mode == "CMYK":
        return frame.convert("RGB"), None
    return frame, profile if fits and target not in _WITHOUT_PROFILE else None


def write_frames(
    frames: list[Image.Image], options: dict[str, Any], source_format: str, target: str
) -> ImageFile:
    """Write frames to a temporary file.

    :raises Pan123InputError: the target cannot hold them, or the file is too large.
    """
    file = SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 - it is returned open
    try:
        try:
            frames[0].save(file, PILLOW[target][0], **options)
        except Exception as error:
            raise Pan123InputError(
                f"convert: {source_format} cannot become {target} ({said_by(error)}); convert it to another format"
            ) from None
        file.seek(0, os.SEEK_END)
        size = file.tell()
        if size > MAX_IMAGE_BYTES:
            raise Pan123InputError(
                f"convert: the image has {size / 2**20:.0f} MiB as {target}, and 123pan takes "
                f"{MAX_IMAGE_BYTES // 2**20}; convert {source_format} to webp or jpeg"
            )
        md5 = hashlib.md5(usedforsecurity=False)
        image = ImageFile(file, size, "")
        for chunk in image.chunks(0, size):
            md5.update(chunk)
    except BaseException:
        file.close()
        raise
    return ImageFile(file, size, md5.hexdigest())


def said_by(error: Exception) -> str:
    """Return what Pillow says about an image, for messages."""
    return f"{type(error).__name__}: {error}"[:100].rstrip(": ")
