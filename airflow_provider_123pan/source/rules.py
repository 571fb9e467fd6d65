"""What 123pan takes as the name of an image."""

from __future__ import annotations

#: The extensions that an image's name may have (official: "create an offline migration").
EXTENSIONS = frozenset({"png", "gif", "jpeg", "tiff", "webp", "jpg", "tif", "svg", "bmp"})
#: Extensions of images that the service does not take.
OTHER_FORMATS = frozenset({"avif", "heic", "heif", "ico", "jxl", "jp2", "psd"})
#: Characters of an image's name (official); assumed of a directory's.
MAX_NAME_LENGTH = 254
#: Characters that no name may have (official).
RESERVED_CHARACTERS = frozenset('\\/:*?"<>|')
