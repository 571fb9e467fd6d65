"""The states of an image in a sync."""

from __future__ import annotations

from enum import IntEnum


class ImageState(IntEnum):
    """The state of an image."""

    MISSING = 0
    PRESENT = 1  # it was in the directory before the sync
    ACTIVE = 2  # submitted, and not known to have ended
    MIGRATED = 3
    AGAIN = 4  # failed once: submitted again when all others have ended
    FAILED = 5
    WORKER = 6  # missing, and the worker fetches it
    SUSPECT = 7  # stored, but perhaps a placeholder


#: The states of images that 123pan has.
STORED = (ImageState.PRESENT, ImageState.MIGRATED)
#: The states of images that have ended.
ENDED = (*STORED, ImageState.SUSPECT, ImageState.FAILED)
