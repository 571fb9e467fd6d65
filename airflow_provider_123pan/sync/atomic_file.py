"""Writes a file so that readers see the old content or the whole new one, never a part."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath


def write_file(path: ObjectStoragePath, blocks: Iterable[str | bytes], owner: str) -> None:
    """Write a file, text in UTF-8, and replace an earlier one by it. An error leaves the earlier one as it is.

    A local file is written beside its path and renamed. An object is written to the local disk and uploaded, because
    a store shows an object only when its upload has finished.

    :param owner: distinguishes two tasks that write to the same path at once.
    """
    if not is_local(path):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, path.name)  # a store derives the content type from the name
            _write(file, blocks)
            path.fs.put_file(str(file), path.path)
        return
    target, unfinished = _places(path, owner)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        _write(unfinished, blocks)
        if target.exists():
            shutil.copymode(target, unfinished)
        unfinished.replace(target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def discard_unfinished(path: ObjectStoragePath, owner: str) -> None:
    """Remove what a crash left of :func:`write_file`."""
    if is_local(path):
        _places(path, owner)[1].unlink(missing_ok=True)


def is_local(path: ObjectStoragePath) -> bool:
    """Return whether a path is one of the local file system."""
    return path.protocol in ("", "file")


def _places(path: ObjectStoragePath, owner: str) -> tuple[Path, Path]:
    """Return the file, and the one to be renamed to it; a symbolic link keeps pointing to the file."""
    target = Path(os.path.realpath(path.path))
    return target, target.with_name(f"{target.name}.{owner}.tmp")


def _write(file: Path, blocks: Iterable[str | bytes]) -> None:
    with file.open("wb") as stream:
        stream.writelines(block.encode() if isinstance(block, str) else block for block in blocks)
        stream.flush()
        os.fsync(stream.fileno())
