"""Chooses stored images for the images in flight, by the rules of :func:`choose_image`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from airflow_provider_123pan.download.lookup import (
    Evidence,
    Newness,
    Stage,
    choose_image,
    newness_by_dates,
)
from airflow_provider_123pan.download.names import is_digest, may_be_cut, possible_stems
from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.source.digests import SourceDigest
from airflow_provider_123pan.sync.entries import ManifestEntry, comparable_folder, stem_of
from airflow_provider_123pan.sync.first_scan import Change, FirstScan
from airflow_provider_123pan.sync.image_list import difference
from airflow_provider_123pan.sync.in_flight import Clock, InFlight, InFlightImage
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.recorder import Recorder
from airflow_provider_123pan.sync.timing import SyncTiming

MAX_UNEXPLAINED = 1000  # with more of them, the end of a window proves nothing
_LONG_BEFORE = timedelta(days=1)  # more than two readings of a date differ by


class Matcher:
    """Matches listed images with those in flight, for one worker.

    :param first_scan: what the directory held before this worker submitted anything; None if it did not look.
    :param overwrite: the names were taken before: only progress says that an image is new.
    """

    def __init__(
        self,
        inventory: Inventory,
        in_flight: InFlight,
        recorder: Recorder,
        first_scan: FirstScan | None,
        *,
        overwrite: bool,
        timing: SyncTiming,
        clock: Clock,
    ) -> None:
        self._inventory = inventory
        self._in_flight = in_flight
        self._recorder = recorder
        self._first_scan = first_scan
        self._overwrite = overwrite
        self._timing = timing
        self._clock = clock
        self._earlier = {pending.number for pending in in_flight}  # submitted before the first scan

    def keep(self, images: list[Image], *, last: bool) -> Callable[[Image], None]:
        """Return a visitor that keeps, of everything in the directory, what :meth:`match` needs.

        :param last: as :meth:`match` needs it for images whose whole window has passed.
        """
        paths: dict[int, str] = {}
        unexplained = 0

        def visit(image: Image) -> None:
            nonlocal unexplained
            if self._is_named_by_the_service(image) or any(
                self._in_flight.get(number) for number in self._numbers(image, paths)[0]
            ):
                images.append(image)
            elif last and unexplained < MAX_UNEXPLAINED and self._is_unexplained(image):
                images.append(image)
                unexplained += 1

        return visit

    def match(
        self, images: Iterable[Image], last: Collection[InFlightImage] = (), *, complete: bool = False
    ) -> None:
        """Record the images in flight that are among these.

        :param images: listed, or named by a callback.
        :param last: the whole window of these has passed, and ``images`` is everything in the directory.
        :param complete: ``images`` is what :meth:`keep` kept of everything in the directory.
        """
        candidates = defaultdict[int, list[Image]](list)
        unexplained: list[Image] = []
        made: list[Image] = []
        unsure = set[int]()
        paths: dict[int, str] = {}  # of the images in flight, read when a name may be cut
        for image in images:
            numbers, doubtful = self._numbers(image, paths)
            for number in numbers:
                candidates[number].append(image)
            unsure |= doubtful
            if self._is_named_by_the_service(image):
                made.append(image)
            if last and len(unexplained) < MAX_UNEXPLAINED and self._is_unexplained(image):
                unexplained.append(image)
        final = last if len(unexplained) < MAX_UNEXPLAINED else ()
        for number in candidates.keys() | {pending.number for pending in last}:
            if pending := self._in_flight.get(number):
                self._match_one(
                    pending,
                    candidates[number],
                    made if complete else None,
                    unexplained if pending in final and number not in unsure else None,
                )

    def _numbers(self, image: Image, paths: dict[int, str]) -> tuple[set[int], set[int]]:
        """Return the entries that a stored image may be: by its name, unless that is another's, or by its MD5.

        The second set has those of which it may be either by its name, which proves nothing.
        """
        numbers = {*self._inventory.with_md5(image.etag), *self._in_flight.with_content(image)}
        if (named := self._inventory.number(self._inventory.key_of(image))) is not None:
            return numbers | {named}, set()
        folder = self._inventory.folder_of(image)
        known = (self._inventory.with_stem(stem, folder) for stem in possible_stems(image.file_name))
        similar = {number for number in known if number is not None}
        if may_be_cut(image.file_name):
            if not paths:
                entries = {each.number: self._inventory.entry(each.number) for each in self._in_flight}
                paths |= {
                    number: f"{comparable_folder(entry.folder)}/{entry.stem}"
                    for number, entry in entries.items()
                }
            cut = f"{folder}/{stem_of(image.file_name)}"
            similar |= {number for number, path in paths.items() if path.startswith(cut)}
        return (numbers | similar, set()) if len(similar) == 1 else (numbers, similar)

    def _is_unexplained(self, image: Image) -> bool:
        """Whether no entry of the list explains an image."""
        return (
            self._inventory.number(self._inventory.key_of(image)) is None
            and not self._inventory.is_recorded(image.fileID)
            and not self._was_there(image)
        )

    def _is_named_by_the_service(self, image: Image) -> bool:
        """Whether an image that no entry explains is named after its content, as any of those in flight may be."""
        return is_digest(image.file_name, image.etag) and self._is_unexplained(image)

    def _was_there(self, image: Image) -> bool:
        """Whether an image was there before any image in flight was submitted."""
        if self._first_scan and not self._earlier:
            return self._first_scan.compare(image) is Change.NONE
        return image.changed_at is not None and image.changed_at < self._in_flight.oldest() - _LONG_BEFORE

    def _match_one(
        self,
        pending: InFlightImage,
        images: list[Image],
        made: list[Image] | None,
        unexplained: list[Image] | None,
    ) -> None:
        """Match one image in flight.

        :param made: new images that may be of any entry; None if the directory may hold others.
        :param unexplained: the other new images of the directory, if the whole window has passed.
        """
        entry = self._inventory.entry(pending.number)
        folder = comparable_folder(entry.folder)
        others = [
            image
            for image in (*(made or ()), *(unexplained or ()))
            if self._inventory.folder_of(image) == folder
        ]
        known = newness = self._newness(pending, entry)
        if made is None:  # a new image of its own may be among those that are not here
            newness = replace(known, touched=lambda image: False)
        unique = {image.fileID: image for image in [*images, *others]}.values()
        differing = [image for image in unique if difference(entry, image)]
        # What a source says never counts more than the list.
        digest = SourceDigest(entry.md5) if entry.md5 else pending.digest
        match = None
        if pending.succeeded_at or not self._overwrite:
            match = choose_image(
                [image for image in unique if image not in differing],
                Evidence(
                    entry.file_name,
                    {delivery.fileID for delivery in pending.deliveries if delivery.fileID},
                    digest and digest.md5,
                    digest and digest.size,
                    {image.fileID for image in unique if self._is_anothers(image, pending.key)},
                    any_extension=True,
                    excludes_siblings=True,
                ),
                newness,
                Stage.FINAL if unexplained is not None else self._stage(pending),
            )
        if match:
            self._recorder.found(pending, match.image, match.matched_by)
        elif not pending.succeeded_at:
            if any(known.certain(image) or known.touched(image) for image in images):
                pending.poll_soon(self._clock())
        elif new := [image for image in images if image in differing and newness.certain(image)]:
            self._recorder.failed(pending, difference(entry, new[0]) or "")

    def _is_anothers(self, image: Image, key: str) -> bool:
        """Whether an image belongs to another entry; not if it was renamed to this one, for its content is equal."""
        return self._inventory.key_of(image) != key and self._inventory.is_recorded(image.fileID)

    def _stage(self, pending: InFlightImage) -> Stage:
        settling = self._timing.wait.settling
        settled = pending.succeeded_at is not None and self._clock() - pending.succeeded_at > settling
        return Stage.SETTLED if settled else Stage.FIRST

    def _newness(self, pending: InFlightImage, entry: ManifestEntry) -> Newness:
        """Return what the first scan and dates say of the age of images, beside a submission.

        What the first scan did not show is new by any clock, unless it may be an older image that was listed late. A
        sync that does not overwrite submits only what was not there when it began.
        """
        folder = comparable_folder(entry.folder)
        scan = None if pending.number in self._earlier else self._first_scan
        began_at = self._in_flight.began_at or pending.submitted_at
        since = datetime.fromtimestamp(began_at if pending.attempt else pending.submitted_at, timezone.utc)
        now = datetime.fromtimestamp(self._clock(), timezone.utc)
        dates = newness_by_dates(since, self._timing.skew, now)
        listed_by_then = datetime.fromtimestamp(began_at - self._timing.wait.visible_within, timezone.utc)

        def change(image: Image) -> Change | None:
            if scan:
                return scan.compare(image)
            may_have_been = (
                self._overwrite or self._inventory.key_of(image) != pending.key or difference(entry, image)
            )
            return None if may_have_been else Change.ADDED

        def is_certain(image: Image) -> bool:
            match change(image):
                case Change.NONE | Change.TOUCHED:
                    return False
                case Change.CHANGED:
                    return True
                case Change.ADDED if not self._overwrite:
                    return (
                        image.changed_at is None or dates.certain(image) or image.changed_at < listed_by_then
                    )
                case Change.ADDED:  # beside the older image, which the first scan showed
                    return dates.certain(image) or (scan is not None and scan.has_name(entry.stem, folder))
                case None:
                    return dates.certain(image)

        def is_touched(image: Image) -> bool:
            found = change(image)
            return dates.touched(image) if found in (None, Change.ADDED) else found is Change.TOUCHED

        def is_possible(image: Image) -> bool:
            found = change(image)
            return dates.possible(image) if found is None else found is not Change.NONE

        def is_certain_in_utc(image: Image) -> bool:
            return change(image) is None and image.changed_at is not None and dates.certain_in_utc(image)

        return Newness(is_certain, is_touched, is_possible, is_certain_in_utc)
