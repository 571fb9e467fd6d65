"""What earlier workers of a deferred sync stored, which placeholders among all images are found by."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_123pan.service.flow import Flow
from airflow_provider_123pan.service.listing import visit_images
from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.known_contents import KnownContents
from airflow_provider_123pan.sync.results import Results
from airflow_provider_123pan.sync.target import Target


class EarlierImages:
    """Reads what earlier workers stored into the inventory, once.

    :param results: the results file, whose parts have it; None: the directories have to be listed.
    :param read: performs a flow.
    :param resumed: there were earlier workers.
    :param deadline: Unix seconds; no listing goes on after it.
    :ivar are_read: they are in the inventory.
    """

    def __init__(
        self,
        inventory: Inventory,
        results: Results | None,
        target: Target,
        contents: KnownContents,
        read: Callable[[Flow[int]], int],
        *,
        resumed: bool,
        deadline: float,
    ) -> None:
        self._inventory = inventory
        self._results = results
        self._target = target
        self._contents = contents
        self._read = read
        self._resumed = resumed
        self._deadline = deadline
        self.are_read = False

    def read(self) -> None:
        """Read the parts of the results file, if there is one."""
        if self._results and self._results.parts and not self.are_read:
            self._inventory.recall(self._results.earlier())
            self.are_read = True

    def list(self) -> None:
        """List the directories, if there is no results file."""
        if self._results or not self._resumed or self.are_read:
            return
        self._contents.load(self._inventory)
        for directory_id in (*self._target.ids(), *self._target.folders.values()):
            self._read(visit_images(directory_id, self._recall, until=self._deadline))
        self.are_read = True

    def _recall(self, image: Image) -> None:
        numbers = [*self._inventory.matches(image), *self._contents.with_md5(image.etag)]
        self._inventory.recall_stored(image, numbers)
