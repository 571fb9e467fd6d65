"""What 123pan takes as an image, and as its name."""

from __future__ import annotations

from typing import Any

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.source.formats import format_of
from airflow_provider_123pan.source.quoting import quoted

#: The extensions that an image's name may have (official: "create an offline migration").
EXTENSIONS = frozenset({"png", "gif", "jpeg", "tiff", "webp", "jpg", "tif", "svg", "bmp"})
#: Extensions of images that the service does not take.
OTHER_FORMATS = frozenset({"avif", "heic", "heif", "ico", "jxl", "jp2", "psd"})
#: Formats, as :func:`~airflow_provider_123pan.source.formats.sniff` names them, that the worker can convert.
CONVERTIBLE = frozenset({"avif", "heic", "ico", "jp2", "psd", "png", "gif", "jpg", "tif", "webp", "bmp"})
#: Extensions of what the worker can convert them to.
TARGETS = frozenset({"png", "jpeg", "jpg", "webp", "gif", "tiff", "tif", "bmp"})
#: Characters of an image's name (official); assumed of a directory's.
MAX_NAME_LENGTH = 254
#: Characters that no name may have (official).
RESERVED_CHARACTERS = frozenset('\\/:*?"<>|')
#: The largest image (official: 100 M).
MAX_IMAGE_BYTES = 100 * 1024 * 1024


def refused_format(extension: str) -> str:
    """Return the message for an image in a format that 123pan does not take, with what can be done."""
    message = f"123pan takes no .{extension}; convert it to one of {', '.join(sorted(EXTENSIONS))}"
    image_format = format_of(extension)
    if image_format not in CONVERTIBLE:
        return message
    return f"{message}, or have a sync's worker do so: fetch='auto', convert={{'{image_format}': 'webp'}}"


def with_extension(name: str, extension: str) -> str:
    """Return a name with another extension, if it has one of an image."""
    stem, _, before = name.rpartition(".")
    is_known = before.lower() in EXTENSIONS or before.lower() in OTHER_FORMATS
    return f"{stem}.{extension}" if stem and is_known else name


def check_file_name(name: Any) -> str | None:
    """Return a file name, checked; None for none."""
    if name is None or name == "":
        return None
    shown = quoted(name)
    if not isinstance(name, str) or not _has_extension(name):
        raise Pan123InputError(
            f"file_name: {shown} needs a name and an image extension, one of {', '.join(sorted(EXTENSIONS))}"
        )
    if not name.isprintable() or "/" in name or "\\" in name:
        raise Pan123InputError(
            f"file_name: {shown} must be a plain name; the directory goes into directory_id"
        )
    if reserved := RESERVED_CHARACTERS.intersection(name):
        raise Pan123InputError(
            f"file_name: {shown} contains {' '.join(sorted(reserved))}; 123pan takes none of "
            f"{' '.join(sorted(RESERVED_CHARACTERS))} in a name"
        )
    if len(name) > MAX_NAME_LENGTH:
        raise Pan123InputError(
            f"file_name: {shown} has {len(name)} characters; 123pan takes at most {MAX_NAME_LENGTH}"
        )
    return name


def _has_extension(name: str) -> bool:
    stem, _, extension = name.rpartition(".")
    return bool(stem.strip()) and extension.lower() in EXTENSIONS
