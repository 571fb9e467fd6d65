"""The directories that a sync fills: the target directory, and those below it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_123pan.service.listing import ROOT, find_default_directories
from airflow_provider_123pan.sync.directory import ensure_directory, ensure_folders, retry_reads
from airflow_provider_123pan.sync.entries import comparable_folder
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.options import SyncOptions

if TYPE_CHECKING:
    from airflow_provider_123pan.hooks.pan123 import Pan123Hook

# As JSON. MySQL stores 64 KiB of a trigger's arguments, of which 1,000 images may take 50.
MAX_WATCHED_BYTES = 12_000


class Target:
    """The directories of a sync, by the folders of its list.

    :param given_id: the id of the target directory; None for the default one, which may not exist yet.
    :param folders: the ids of the directories below it, by :func:`comparable_folder`.
    :param pauses: seconds between two attempts of a call.
    """

    def __init__(
        self,
        hook: Pan123Hook,
        inventory: Inventory,
        given_id: str | None,
        folders: Mapping[str, str],
        pauses: tuple[float, ...],
    ) -> None:
        self._hook = hook
        self._inventory = inventory
        self.given_id = given_id
        self.folders = dict(folders)
        self._pauses = pauses
        self._default_ids: list[str] = []
        inventory.locate(self.folders)

    @classmethod
    def ensure(
        cls, hook: Pan123Hook, inventory: Inventory, options: SyncOptions, pauses: tuple[float, ...]
    ) -> Target:
        """Find the directories, and make what is missing."""
        given_id = options.directory_id
        if given_id is None and options.names:
            given_id = hook.run(retry_reads(ensure_directory(options.names), pauses))
        folders = ensure_folders(given_id or ROOT, inventory.folders())
        return cls(hook, inventory, given_id, hook.run(retry_reads(folders, pauses)), pauses)

    @property
    def directory_id(self) -> str | None:
        """The id of the target directory; None before the first image in the default directory."""
        return self.given_id or next(iter(self._default_ids), None)

    def ids(self) -> list[str]:
        """Return the ids of the target directory: several if there are several of the default name."""
        if self.given_id is not None:
            return [self.given_id]
        if not self._default_ids:
            self._default_ids = self._hook.run(retry_reads(find_default_directories(), self._pauses))
        return self._default_ids

    def id_of(self, folder: str) -> str | None:
        """Return the id of the directory of a folder; None for the default one."""
        return self.folders[comparable_folder(folder)] if folder else self.given_id

    def ids_of(self, numbers: Iterable[int]) -> list[str]:
        """Return the ids of the directories of images."""
        if not self.folders:
            return self.ids()
        folders = {self._inventory.entry(number).folder for number in numbers}
        return sorted({found for folder in folders if (found := self.id_of(folder))})

    def watched(self, numbers: Iterable[int]) -> dict[str, Any]:
        """Return what a trigger needs to list the directories of images.

        Of many directories only the first are returned; the trigger polls the images of the others.
        """
        if not self.folders:
            # Of several default directories the trigger finds all.
            return {"directory_id": None if len(self._default_ids) > 1 else self.directory_id}
        ids = {*self.ids_of(numbers)}
        left = MAX_WATCHED_BYTES
        folders = {
            at: path
            for path, at in self.folders.items()
            if at in ids and (left := left - len(json.dumps({at: path}))) >= 0
        }
        return {"directory_id": self.given_id if self.given_id in ids else None, "folders": folders}
