"""Plans a migration: what would be submitted and rewritten. It submits nothing and makes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.pages.folder import PageFolder
from airflow_provider_123pan.pages.page_images import PageImages
from airflow_provider_123pan.pages.page_text import PageProblem, read_texts
from airflow_provider_123pan.pages.rewriter import RewrittenPage
from airflow_provider_123pan.pages.selection import Choice, Selection, netloc_of
from airflow_provider_123pan.pages.tally import Tally
from airflow_provider_123pan.rewriting import Addresses, find_images
from airflow_provider_123pan.rewriting.replacing import replacements_and_rest
from airflow_provider_123pan.service.flow import Flow
from airflow_provider_123pan.service.listing import ROOT, visit_images
from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.service.protocol import PAGE
from airflow_provider_123pan.source.naming import Naming
from airflow_provider_123pan.sync.directory import find_path
from airflow_provider_123pan.sync.entries import ManifestEntry, comparable_folder
from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.raw_entries import RawEntry

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Stands for the URL at which 123pan will serve an image; the domain is reserved for examples.
PLACEHOLDER = "https://123pan.example/"
#: Calls that an upload of one slice takes: create, get_upload_url, upload_complete, upload_async_result and detail.
CALLS_OF_UPLOAD = 5


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a sync of the images would take.

    :ivar missing: images that would be submitted or uploaded.
    :ivar probes: those of them whose format their source must show.
    :ivar calls: calls to the service.
    """

    present: int
    missing: int
    probes: int
    failed: int
    calls: int


class PagePlan:
    """The plan of a folder.

    :param tally: counts the pages with placeholders for new URLs; made by :meth:`tally`.
    :ivar hosts: the number of images by host.
    """

    def __init__(
        self, folder: PageFolder, selection: Selection, naming: Naming, encoding: str | None
    ) -> None:
        self._folder = folder
        self._selection = selection
        self._naming = naming
        self._encoding = encoding
        self._invalid: dict[str, str] = {}  # the reasons, of the images of one page
        self.hosts: Counter[str] = Counter()
        self.tally = Tally(selection, lambda url: self._invalid.get(url, ""))

    def entries(self) -> Iterator[RawEntry]:
        """Read the pages, and yield their images as a sync's list."""
        images = PageImages(self._selection)
        for page in read_texts(self._folder, self._encoding):
            if isinstance(page, PageProblem):
                self.tally.add(page)
                continue
            edits, rest = replacements_and_rest(page.text, self._placeholders(page.text))
            self.tally.add(RewrittenPage(page.name, page.text, edits, rest))
            for entry in images.of_page(page):
                self.hosts[netloc_of(entry.values["url"])] += 1
                yield entry

    def _placeholders(self, text: str) -> Addresses:
        """Return a placeholder for the image of each URL of a page."""
        found = Addresses()
        self._invalid = {}
        for image in find_images(text):
            if image.url in found or self._selection.choose(image.url) is not Choice.MIGRATED:
                continue
            try:
                entry = ManifestEntry.of({"url": image.url}, self._naming)
            except Pan123InputError as error:
                self._invalid[image.url] = error.message
            else:
                found[image.url] = PLACEHOLDER + quote(entry.file_name.removesuffix("."))
        return found


def forecast(inventory: Inventory, directory_ids: Sequence[str], *, overwrite: bool) -> Flow[Forecast]:
    """Compare the images with what the directory holds, by reading alone.

    :param directory_ids: the target directory; empty if it does not exist, several if there are several default ones.
    """
    found: dict[str, str] = {}
    for folder in inventory.folders() if directory_ids else ():
        if (below := (yield from find_path(folder.split("/"), directory_ids[0]))) is not None:
            found[comparable_folder(folder)] = below
    inventory.locate(found)
    listed = 0

    def compare(image: Image) -> None:
        nonlocal listed
        listed += 1
        for number in inventory.matches(image):
            if not overwrite and inventory.is_missing(number):
                inventory.record(number, ImageState.FAILED if image.rejected else ImageState.PRESENT, image)

    for directory_id in (*directory_ids, *found.values()):
        yield from visit_images(directory_id, compare)
    counts = inventory.counts()
    uploads = inventory.count(ImageState.WORKER)
    missing = inventory.count(ImageState.MISSING) + uploads
    # The directory is listed before and after, a hundred images at a time.
    listings = 2 * (1 + len(directory_ids) + len(inventory.folders())) + (2 * listed + missing) // PAGE
    return Forecast(
        present=counts["present"],
        missing=missing,
        probes=inventory.count_without_format(),
        failed=counts["failed"],
        calls=missing + (CALLS_OF_UPLOAD - 1) * uploads + listings,
    )


def find_target(directory_id: str | None, names: Sequence[str]) -> Flow[list[str]]:
    """Return the id of the directory that a path names, in a list; an empty one if it does not exist."""
    if directory_id is not None:
        return [directory_id]
    found = yield from find_path(names, ROOT)
    return [] if found is None else [found]
