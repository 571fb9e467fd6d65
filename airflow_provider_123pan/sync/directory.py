"""The directory into which images go: found by its path, made where it is missing, and listed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from airflow_provider_123pan.download.lookup import DEFAULT_DIRECTORY
from airflow_provider_123pan.exceptions import (
    Pan123AnswerError,
    Pan123Error,
    Pan123InputError,
    Pan123ServiceError,
    Pan123UnavailableError,
)
from airflow_provider_123pan.service.flow import Flow, Sleep, within
from airflow_provider_123pan.service.models import Image, Listing
from airflow_provider_123pan.service.protocol import MakeCall, list_directory, make_directory

log = logging.getLogger(__name__)

T = TypeVar("T")

ROOT = ""
RETRY_PAUSES_SECONDS = (
    1.0,
    2.0,
    4.0,
    8.0,
    15.0,
    30.0,
    30.0,
    30.0,
)  # seconds between two tries while the service is away


def parse_path(directory: str) -> tuple[str, ...]:
    """The names on the way to a directory; an error names the field."""
    names = tuple(name.strip() for name in directory.strip("/ ").split("/"))
    if not all(names) or any(name in (".", "..") or not name.isprintable() for name in names):
        raise Pan123InputError(
            f"directory: {directory!r} is not a path of names, such as photos/2026, below the root"
        )
    return names


def retry_reads(flow: Flow[T]) -> Flow[T]:
    """A flow of which each question is asked again while the service is away: a long listing has many."""

    def again(step: Any) -> Flow[Any]:
        if not isinstance(step, MakeCall):
            return (yield step)
        for pause in RETRY_PAUSES_SECONDS:
            try:
                return (yield step)
            except Pan123Error as error:
                if not error.transient:
                    raise
                log.warning("Asked again: %s", error)
            yield Sleep(pause)
        return (yield step)

    return within(flow, again)


def ensure_directory(names: tuple[str, ...]) -> Flow[str]:
    """The id of the directory at a path; what is missing on the way is made."""
    directory_id = ROOT
    for name in names:
        found = yield from _child(directory_id, name)
        directory_id = found or (yield from _make(name, directory_id))
    return directory_id


def default_directory() -> Flow[str | None]:
    """The id of the service's own directory for offline downloads; None before the first image."""
    return (yield from _child(ROOT, DEFAULT_DIRECTORY))


def list_images(
    directory_id: str, on_image: Callable[[Image], object], since: datetime | None = None
) -> Flow[int]:
    """List a directory, or what is new there; ``see`` gets each image, one that moves meanwhile perhaps twice.

    :returns: how many there were.
    """
    number, last_file_id, seen = 0, None, set[str]()
    while True:
        page: Listing = yield MakeCall(list_directory(directory_id, since, last_file_id))
        for image in page.images:
            on_image(image)
        number += len(page.images)
        last_file_id = page.last_file_id
        if last_file_id is None or last_file_id in seen:
            return number
        seen.add(last_file_id)


def _make(name: str, parent_id: str) -> Flow[str]:
    """Make a directory; where that fails, another run was faster, or wants the name spelled the other way."""
    for listed in (False, True):
        try:
            return (yield MakeCall(make_directory(name, parent_id, listed=listed))).directory_id  # type: ignore[no-any-return]
        except (Pan123ServiceError, Pan123AnswerError, Pan123UnavailableError) as error:
            if (found := (yield from _child(parent_id, name))) is not None:
                return found
            if listed:
                raise
            log.info("Trying the other spelling of the name: %s", error)
    raise AssertionError("unreachable")


def _child(parent_id: str, name: str) -> Flow[str | None]:
    """The directory of a name; the one with the first id, should there be several."""
    found: list[str] = []
    last_file_id, seen = None, set[str]()
    while True:
        page: Listing = yield MakeCall(list_directory(parent_id, None, last_file_id))
        found += [each.directory_id for each in page.directories if each.name == name]
        last_file_id = page.last_file_id
        if found or last_file_id is None or last_file_id in seen:
            return min(found, default=None)
        seen.add(last_file_id)
