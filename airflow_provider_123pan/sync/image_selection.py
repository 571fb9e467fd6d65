"""The stored images that an operator moves or deletes: by their ids, in a results file, or in a directory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_123pan.exceptions import Pan123InputError, Pan123ServiceError
from airflow_provider_123pan.service.error_codes import NO_FILE
from airflow_provider_123pan.service.file_calls import in_groups
from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.sync.directory import check_directory, find_path
from airflow_provider_123pan.sync.results import read_results

if TYPE_CHECKING:
    from airflow_provider_123pan.hooks.pan123 import Pan123Hook

log = logging.getLogger(__name__)

_MAX_SHOWN = 5  # missing images in the log


@dataclass(frozen=True, slots=True)
class ImageSelection:
    """An operator's arguments, checked: which images are selected.

    :ivar file_ids: their ids; or
    :ivar file_names: their names in the directory; or
    :ivar results: the path of a sync's results file. Without all three, all images in the directory.
    :ivar names: the path to the directory, if that was given.
    """

    file_ids: tuple[str, ...] | None
    file_names: tuple[str, ...] | None
    results: str | None
    directory_id: str | None
    names: tuple[str, ...]

    @classmethod
    def of(
        cls, file_ids: Any, file_names: Any, results: str | None, directory_id: Any, directory: str | None
    ) -> ImageSelection:
        """Check an operator's arguments.

        :raises Pan123InputError: names the argument and the fix.
        """
        given = {"file_ids": file_ids, "file_names": file_names, "results": results}
        fields = [field for field, value in given.items() if value is not None]
        if len(fields) > 1:
            raise Pan123InputError(f"{fields[1]}: give only one of file_ids, file_names and results")
        has_directory = directory is not None or directory_id is not None
        if fields in (["file_ids"], ["results"]) and has_directory:
            raise Pan123InputError(f"directory: {fields[0]} needs none; remove directory and directory_id")
        if fields in ([], ["file_names"]) and not has_directory:
            raise Pan123InputError(
                "directory: give directory or directory_id, for the images in it or for file_names; "
                "or give file_ids or results"
            )
        return cls(
            _strings("file_ids", file_ids),
            _strings("file_names", file_names),
            results,
            *check_directory(directory_id, directory),
        )

    @property
    def field(self) -> str:
        """The argument that selects the images."""
        given = {"file_ids": self.file_ids, "file_names": self.file_names, "results": self.results}
        return next((field for field, value in given.items() if value is not None), "directory")

    @property
    def is_whole_directory(self) -> bool:
        """True if all images of a directory are selected."""
        return self.field == "directory"

    def find(self, hook: Pan123Hook) -> FoundImages:
        """Find the images.

        :raises Pan123InputError: the directory does not exist, or the results file cannot be read.
        """
        if self.file_ids is not None:
            return FoundImages([*dict.fromkeys(self.file_ids)])
        if self.results is not None:
            records = read_results(self.results)
            stored = (record.fileID for record in records if record.status != "failed" and record.fileID)
            return FoundImages([*dict.fromkeys(stored)])
        images = hook.list_images(self._find_directory(hook))
        if self.file_names is None:
            return FoundImages([image.fileID for image in images])
        wanted = dict.fromkeys(self.file_names)
        found = [image for image in images if image.file_name in wanted]
        there = {image.file_name for image in found}
        return FoundImages(
            [image.fileID for image in found], tuple(name for name in wanted if name not in there)
        )

    def _find_directory(self, hook: Pan123Hook) -> str:
        if self.directory_id is not None:
            return self.directory_id
        found = hook.run(find_path(self.names))
        if found is None:
            raise Pan123InputError(f"directory: there is no directory {'/'.join(self.names)!r}")
        return found


@dataclass(frozen=True, slots=True)
class FoundImages:
    """The images of a selection.

    :ivar missing: the selected names that the directory does not hold.
    """

    file_ids: list[str]
    missing: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.file_ids) + len(self.missing)

    def refuse_directories(self, hook: Pan123Hook) -> None:
        """Check that no id is that of a directory, with a call for each.

        :raises Pan123InputError: names the first one that is.
        """
        for file_id in self.file_ids:
            image = _image(hook, file_id)
            if image is not None and image.is_directory:
                raise Pan123InputError(
                    f"file_ids: {file_id!r} is the directory {image.file_name!r}; remove it, or pass confirm=True "
                    "to delete all that it contains"
                )

    def act(self, hook: Pan123Hook, act: Callable[[Sequence[str]], object]) -> int:
        """Act on the images, 100 at once, and return on how many.

        The service refuses a whole call for one image that is not there. Those that are not there are then found and
        left out, so a retry continues where an earlier try stopped.

        :param act: takes the ids of one call.
        """
        missing, done = [*self.missing], 0
        for group in in_groups(self.file_ids) if self.file_ids else ():
            try:
                act(group)
            except Pan123ServiceError as error:
                if error.code != NO_FILE:
                    raise
                there = [file_id for file_id in group if _image(hook, file_id) is not None]
                missing += [file_id for file_id in group if file_id not in there]
                if there:
                    act(there)
                done += len(there)
            else:
                done += len(group)
        if missing:
            log.warning("%d images are not there: %s", len(missing), ", ".join(missing[:_MAX_SHOWN]))
        return done


def _image(hook: Pan123Hook, file_id: str) -> Image | None:
    """Return an image or a directory, or None if the service does not know it."""
    try:
        return hook.get_image(file_id)
    except Pan123ServiceError as error:
        if error.code != NO_FILE:
            raise
        return None


def _strings(field: str, values: Any) -> tuple[str, ...] | None:
    """Return a list of strings that are not empty; None if there is no list."""
    if values is None:
        return None
    if not isinstance(values, Iterable) or isinstance(values, (str, bytes, dict)):
        raise Pan123InputError(f"{field}: got a {type(values).__name__}; give a list of strings")
    strings = tuple(values)
    if not all(isinstance(value, str) and value not in ("", "0") for value in strings):
        raise Pan123InputError(f"{field}: an entry is empty, 0 or not a string")
    return strings
