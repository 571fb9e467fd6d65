"""Converts images to formats that 123pan takes, with Pillow, which is imported when a task runs.

The pixels of the images that are converted at the same time are in memory: see :data:`MAX_PIXELS`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_123pan.exceptions import Pan123Error, Pan123InputError, Pan123SourceError
from airflow_provider_123pan.service.image_file import ImageFile
from airflow_provider_123pan.source.formats import HEAD_BYTES, format_of, sniff
from airflow_provider_123pan.source.pixels import PILLOW, frames_of, read_frames, said_by, write_frames
from airflow_provider_123pan.source.quoting import quoted
from airflow_provider_123pan.source.rules import CONVERTIBLE, TARGETS

if TYPE_CHECKING:
    from PIL import Image

#: Pixels of one image, with all of its frames, and of all images that this process converts at the same time. Each
#: takes 10 to 30 bytes of memory (measured with Pillow 13), and up to 35 in a WebP without loss.
MAX_PIXELS = 100_000_000


@dataclass(frozen=True, slots=True)
class Converter:
    """Converts images by what their bytes are.

    :ivar targets: for formats, as :func:`sniff` names them, the extensions of what they become.
    """

    targets: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, convert: Any) -> Converter:
        """Check an operator's argument ``convert``.

        :raises Pan123InputError: it names a format that cannot be read or written, or Pillow is missing.
        """
        if convert is None:
            return cls()
        if not isinstance(convert, Mapping):
            raise Pan123InputError("convert: give a dict of formats, such as {'avif': 'webp'}")
        targets: dict[str, str] = {}
        for source, target in convert.items():
            if not isinstance(source, str) or format_of(source) not in CONVERTIBLE:
                raise Pan123InputError(
                    f"convert: {quoted(source)} cannot be converted; name one of {', '.join(sorted(CONVERTIBLE))}"
                )
            if not isinstance(target, str) or target.lower() not in TARGETS:
                raise Pan123InputError(
                    f"convert: {quoted(source)} cannot become {quoted(target)}; give one of "
                    f"{', '.join(sorted(TARGETS))}"
                )
            if format_of(source) in targets:
                raise Pan123InputError(f"convert: {quoted(source)} is named twice; name each format once")
            targets[format_of(source)] = target.lower()
        _check_pillow({*targets, *map(format_of, targets.values())})
        return cls(targets)

    def target(self, image: ImageFile) -> str | None:
        """Return the extension of what an image becomes, by its bytes; None if it stays as it is."""
        return self.targets.get(_format_of(image) or "") if self.targets else None

    def extension(self, image: ImageFile, extension: str) -> str:
        """Return the extension for an image that stays as it is: the one given, unless the bytes are of another format.

        Without anything to convert it is always the one given.
        """
        found = _format_of(image) if self.targets else None
        return extension if found is None or format_of(extension) == found else found

    def convert(self, source: ImageFile) -> ImageFile:
        """Return an image in the format that it becomes, in a file of its own.

        Orientation is applied, transparency becomes white where the format has none, and a color profile is kept.
        Other metadata, such as place and camera, is left out: images on 123pan are public.

        :raises Pan123InputError: it cannot be converted: it is too large, or has frames or pixels that the other format
            cannot hold.
        :raises Pan123SourceError: its bytes cannot be read.
        """
        source_format = _format_of(source) or ""
        target = format_of(self.targets[source_format])
        with _reading(source_format), _opened(source, source_format) as image:
            indexes = frames_of(image, source_format, target)
            pixels = image.width * image.height * len(indexes)
            if pixels > MAX_PIXELS:
                raise Pan123InputError(
                    f"convert: the image has {pixels:,} pixels in {len(indexes)} frames, at most {MAX_PIXELS:,} are "
                    "converted; make it smaller at its source"
                )
            with _budget.take(pixels):
                frames, options = read_frames(image, indexes, source_format, target)
                return write_frames(frames, options, source_format, target)


class _PixelBudget:
    """Bounds the pixels that all threads have in memory."""

    def __init__(self, pixels: int) -> None:
        self._free = pixels
        self._changed = threading.Condition()

    @contextmanager
    def take(self, pixels: int) -> Iterator[None]:
        """Wait until there is room for these pixels, and use it."""
        with self._changed:
            self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()


_budget = _PixelBudget(MAX_PIXELS)


def _format_of(image: ImageFile) -> str | None:
    return sniff(b"".join(image.chunks(0, HEAD_BYTES)))


def _check_pillow(formats: set[str]) -> None:
    """Check that Pillow reads and writes these formats.

    :raises Pan123InputError: says what to install.
    """
    try:
        from PIL import features

        if "heic" in formats:
            import pi_heif  # noqa: F401
    except ImportError as error:
        missing = "pi-heif" if (error.name or "").startswith(("pi_heif", "_pi_heif")) else "Pillow"
        raise Pan123InputError(
            f"convert: needs {missing}; install airflow-provider-123pan[convert]"
        ) from None
    for each in sorted(formats):
        feature = PILLOW[each][1]
        if feature is not None and not features.check(feature):
            raise Pan123InputError(
                f"convert: this Pillow has no {each}; install Pillow's wheel, 11.3 or later"
            )


@contextmanager
def _reading(source_format: str) -> Iterator[None]:
    """Turn what Pillow raises for an image into an error of this image alone."""
    try:
        yield
    except Pan123Error:
        raise
    except Exception as error:  # Pillow's plugins raise errors of many kinds
        from PIL import Image, UnidentifiedImageError

        if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
            raise Pan123InputError(
                f"convert: the image has too many pixels, at most {MAX_PIXELS:,} are converted; make it smaller at its "
                "source"
            ) from None
        said = "" if isinstance(error, UnidentifiedImageError) else f" ({said_by(error)})"
        raise Pan123SourceError(
            f"convert: the image cannot be read, its bytes are no whole {source_format}{said}"
        ) from None


def _opened(source: ImageFile, source_format: str) -> Image.Image:
    from PIL import Image

    if source_format == "heic":
        import pi_heif

        pi_heif.register_heif_opener()
    source.file.seek(0)
    return Image.open(source.file, formats=[PILLOW[source_format][0]])
