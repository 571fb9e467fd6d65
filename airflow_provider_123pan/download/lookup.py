"""Decides which stored image belongs to a submission, by ranked evidence.

Progress does not name the image, and a callback proves nothing. So the rules go from proof to plausibility, and the
weaker ones count only when every image of the submission must have appeared. An image that another one of the run
claims is never taken, nor an older one while a newer explanation is possible.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import IntEnum

from airflow_provider_123pan.download.names import (
    Likeness,
    begins_alike,
    compare_names,
    is_digest,
    is_numbered,
)
from airflow_provider_123pan.service.models import Image

# How far the service's clock and the dates of its images may differ from Beijing time and ours, when nothing else fits.
_LOOSE_SKEW = timedelta(minutes=10)


class Stage(IntEnum):
    """How long the image has had time to appear."""

    FIRST = 0  # it may not be listed yet
    SETTLED = 1  # a few seconds
    FINAL = 2  # the whole window: what is not listed now never will be


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a submission's image.

    :ivar file_name: the name that was sent.
    :ivar fileIDs: the ids that deliveries name.
    :ivar md5: of its bytes, as the list, an upload or the source states it.
    :ivar size: of its bytes, if the MD5 proves only an image of that size.
    :ivar claimed: the ids of images that belong to other submissions of the run. Only the same MD5 makes an image
        belong to two.
    :ivar any_extension: no other image of the run has a name that differs in the extension alone, which the service
        may change.
    :ivar excludes_siblings: no other submission has stored an image of a similar name, unless ``claimed`` has it. Then
        one of any age may be ours: equal content that was overwritten may keep its date.
    """

    file_name: str
    fileIDs: Collection[str] = ()
    md5: str | None = None
    size: int | None = None
    claimed: Collection[str] = ()
    any_extension: bool = False
    excludes_siblings: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """The image of a submission.

    :ivar matched_by: the rule: ``content``, ``callback``, ``name``, ``variant``, ``renamed`` or ``older``.
    """

    image: Image
    matched_by: str


IsNew = Callable[[Image], bool]


@dataclass(frozen=True, slots=True)
class Newness:
    """What is known of the age of images, beside a submission.

    :ivar certain: whether an image is certainly not from before the submission.
    :ivar touched: whether an image was changed since the submission. If it is older, the service may have stored equal
        bytes again, or only have counted a download: what ``updateAt`` means is undocumented.
    :ivar possible: whether it may be new, by dates read less strictly; used at the end only.
    :ivar certain_in_utc: whether an image of any name is new if dates are in UTC, or if it has none; used at the end
        only.
    """

    certain: IsNew
    touched: IsNew
    possible: IsNew
    certain_in_utc: IsNew


def choose_image(images: Sequence[Image], evidence: Evidence, newness: Newness, stage: Stage) -> Match | None:
    """Choose the image of a submission among those of its directory.

    1. ``content``: it has the MD5 that is stated; its name does not matter.
    2. ``callback``: a delivery names it, it is new, and it has the sent name or a variant of it.
    3. ``name``: it is new, and has the sent name. ``variant``, once settled: it is the only new one with a variant of
       that name; at the end also with a name that another image may have as well, such as ``photo-1.jpg``. Once
       settled, an older image of the sent name that was changed since is taken as well, if nothing new may be ours; at
       the end also one with a variant of that name. Beside the former, a new variant needs a counter in brackets.
    4. ``renamed``, at the end: a delivery names it, and it is the only new image in the directory.
    5. ``older``, at the end: it has the sent name, and the directory holds no new image. The service overwrites equal
       content and may keep its date (official: it overwrites; its date is undocumented).
    """
    same_content = [image for image in images if has_content(image, evidence.md5, evidence.size)]
    images = [image for image in images if image.fileID not in evidence.claimed]
    likeness = {
        image.fileID: compare_names(image.file_name, evidence.file_name, any_extension=evidence.any_extension)
        for image in images
    }

    def with_names(least: Likeness, most: Likeness) -> list[Image]:
        return [image for image in images if least <= likeness[image.fileID] <= most]

    exact, variants = with_names(Likeness.SAME, Likeness.SAME), with_names(Likeness.SIMILAR, Likeness.VARIANT)
    if same_content:
        return Match(_newest([image for image in same_content if image in exact] or same_content), "content")
    for image in [*exact, *variants]:
        if image.fileID in evidence.fileIDs and newness.certain(image):
            return Match(image, "callback")
    if fresh := [image for image in exact if newness.certain(image)]:
        return Match(_newest(fresh), "name")
    if stage is Stage.FIRST:
        return None
    touched = [image for image in exact if newness.touched(image)]
    fresh = [image for image in variants if newness.certain(image)]
    if stage is Stage.FINAL and (evidence.excludes_siblings or not any(map(newness.certain, images))):
        fresh = [image for image in variants if newness.certain(image) or newness.touched(image)]
    # Beside a changed image of the sent name, only a counter in brackets is certainly not another image's name.
    if touched:
        fresh = [image for image in fresh if is_numbered(image.file_name, evidence.file_name)]
    if len(fresh) == 1 and (stage is Stage.FINAL or likeness[fresh[0].fileID] is Likeness.VARIANT):
        return Match(fresh[0], "variant")
    rivals = [image for image in images if image in variants or (_looks_made(image) and image not in exact)]
    if not evidence.excludes_siblings:
        rivals = [image for image in rivals if newness.certain(image)]
    if touched and (not rivals or any(map(_looks_made, touched))):
        return Match(_newest(touched), "name")
    if stage is Stage.SETTLED:
        return None
    return _choose_at_the_end(images, exact, variants, evidence, newness)


def _choose_at_the_end(
    images: Sequence[Image],
    exact: Sequence[Image],
    variants: Sequence[Image],
    evidence: Evidence,
    newness: Newness,
) -> Match | None:
    """Choose when nothing that is certainly new has the sent name or a variant of it."""

    def is_named(image: Image) -> bool:
        return image.fileID in evidence.fileIDs

    def may_be_ours(image: Image) -> bool:
        return (
            image in variants
            or is_named(image)
            or _looks_made(image)
            or begins_alike(image.file_name, evidence.file_name)
        )

    def is_new(image: Image) -> bool:
        return newness.certain(image) or (newness.touched(image) and image not in exact)

    if newcomers := [image for image in images if is_new(image)]:
        sole = newcomers[0] if len(newcomers) == 1 else None
        if sole is None:
            return None
        # Beside an older image of the name, which may be ours as well, a name must look made by the service.
        is_ours = (is_named(sole) and _looks_made(sole)) if exact else (is_named(sole) or _looks_made(sole))
        return Match(sole, "renamed") if is_ours else None
    # If dates are in UTC, a new image of the sent name explains itself.
    in_utc = [image for image in exact if image.appeared_at and newness.certain_in_utc(image)]
    others = [
        image
        for image in images
        if image not in exact
        and (
            (newness.certain_in_utc(image) and not in_utc) or (newness.possible(image) and may_be_ours(image))
        )
    ]
    if others:  # one of them may be ours, so an image of the sent name may be an older one
        return (
            Match(others[0], "variant") if not exact and len(others) == 1 and others[0] in variants else None
        )
    fresh = [image for image in exact if newness.possible(image)]
    if len(fresh) == 1:
        return Match(fresh[0], "name" if fresh[0].changed_at else "older")
    return Match(exact[0], "older") if len(exact) == 1 else None


def has_content(image: Image, md5: str | None, size: int | None) -> bool:
    """Return whether an image certainly has the bytes of a source.

    :param md5: of the source; None: it is not known.
    :param size: as :class:`Evidence` has it.
    """
    return md5 is not None and image.etag == md5 and size in (None, image.size)


def newness_by_dates(moment: datetime | None, tolerance: timedelta, now: datetime) -> Newness:
    """Return what the dates of images say.

    Strictly read, they are in Beijing time. Less strictly, clocks may differ, and dates may be in UTC or missing.

    :param moment: when the service accepted the submission, by its clock. None: nothing is certainly new.
    :param tolerance: both moments are cut to seconds.
    """

    def is_since(date: datetime | None) -> bool:
        return moment is not None and date is not None and date >= moment - tolerance

    def is_certain(image: Image) -> bool:
        return is_since(image.appeared_at)

    def is_certain_in_utc(image: Image) -> bool:
        date = image.appeared_at
        if moment is None or date is None:
            return True
        in_utc = date.replace(tzinfo=timezone.utc)
        return is_since(in_utc) and in_utc <= now + _LOOSE_SKEW

    def is_possible(image: Image) -> bool:
        if moment is None or image.changed_at is None:
            return True
        in_utc = image.changed_at.replace(tzinfo=timezone.utc)
        readings = [image.changed_at] if in_utc > now + _LOOSE_SKEW else [image.changed_at, in_utc]
        return any(reading >= moment - _LOOSE_SKEW for reading in readings)

    return Newness(is_certain, lambda image: is_since(image.changed_at), is_possible, is_certain_in_utc)


def _looks_made(image: Image) -> bool:
    return is_digest(image.file_name, image.etag)


def _newest(images: Sequence[Image]) -> Image:
    return max(images, key=lambda image: image.changed_at.timestamp() if image.changed_at else 0.0)
