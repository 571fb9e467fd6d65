"""The directory that images go to: found by its path, and made where it is missing."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, TypeVar

from airflow_provider_123pan.download.request import check_directory_id
from airflow_provider_123pan.exceptions import (
    Pan123AnswerError,
    Pan123Error,
    Pan123InputError,
    Pan123RedirectError,
    Pan123ServiceError,
    Pan123UnavailableError,
)
from airflow_provider_123pan.service.flow import Flow, Sleep, within
from airflow_provider_123pan.service.listing import ROOT, comparable_name, find_directory, visit_pages
from airflow_provider_123pan.service.models import Listing
from airflow_provider_123pan.service.protocol import MakeCall, make_directory

log = logging.getLogger(__name__)

T = TypeVar("T")


def parse_path(directory: str, field: str = "directory") -> tuple[str, ...]:
    """Return the names in a directory's path; a Pan123InputError names the field."""
    names = tuple(name.strip() for name in directory.strip("/ ").split("/"))
    if not all(names) or any(name in (".", "..") or not name.isprintable() for name in names):
        raise Pan123InputError(
            f"{field}: {directory!r} is not a path of names, such as photos/2026, below the root"
        )
    return names


def check_directory(
    directory_id: Any, directory: str | None, field: str = "directory"
) -> tuple[str | None, tuple[str, ...]]:
    """Return a directory's id, or the names on the path to it; neither for the default directory.

    :param field: the argument with the path; that with the id has the same name with ``_id``.
    :raises Pan123InputError: both are given, or one is not valid.
    """
    if directory is not None and directory_id is not None:
        raise Pan123InputError(f"{field}: give either {field} or {field}_id")
    names = parse_path(directory, field) if directory is not None else ()
    return check_directory_id(directory_id, f"{field}_id"), names


def retry_reads(flow: Flow[T], pauses: tuple[float, ...]) -> Flow[T]:
    """Repeat each call of a flow while the service is unavailable: a long listing has many.

    :param pauses: seconds between two attempts.
    """

    def again(step: Any) -> Flow[Any]:
        if not isinstance(step, MakeCall):
            return (yield step)
        for pause in pauses:
            try:
                return (yield step)
            except Pan123Error as error:
                if not error.transient:
                    raise
                log.warning("Trying again: %s", error)
            yield Sleep(pause)
        return (yield step)

    return within(flow, again)


def find_path(names: Iterable[str], directory_id: str = ROOT) -> Flow[str | None]:
    """Return the id of the directory at a path below another one, or None if it does not exist."""
    found: str | None = directory_id
    for name in names:
        if found is None:
            break
        found = yield from find_directory(found, name)
    return found


def ensure_directory(names: tuple[str, ...]) -> Flow[str]:
    """Return the id of the directory at a path; make what is missing."""
    directory_id = ROOT
    for name in names:
        found = yield from find_directory(directory_id, name)
        directory_id = found or (yield from _make(name, directory_id))
    return directory_id


def ensure_folders(target_id: str, folders: Iterable[str]) -> Flow[dict[str, str]]:
    """Return the ids of the directories at paths below another one, by comparable path; make what is missing."""
    found: dict[str, str] = {}
    listed: dict[str, dict[str, str]] = {}
    for folder in folders:
        path, parent_id = "", target_id
        for name in folder.split("/"):
            comparable = comparable_name(name)
            path = f"{path}/{comparable}" if path else comparable
            if path not in found:
                if parent_id not in listed:
                    listed[parent_id] = yield from _list_directories(parent_id)
                there = listed[parent_id].get(comparable)
                found[path] = there or (yield from _make(name, parent_id))
                if there is None:
                    listed[found[path]] = {}
            parent_id = found[path]
    return found


def _list_directories(parent_id: str) -> Flow[dict[str, str]]:
    """Return the ids of the directories in another one, by comparable name; of several, the first one."""
    ids: dict[str, str] = {}

    def visit(page: Listing) -> None:
        for directory in page.directories:
            name = comparable_name(directory.name)
            ids[name] = min(ids.get(name, directory.directory_id), directory.directory_id)

    yield from visit_pages(parent_id, visit)
    return ids


def _make(name: str, parent_id: str) -> Flow[str]:
    """Make a directory. If that fails, another run was faster, or the service wants the name in the other form."""
    for listed in (False, True):
        try:
            return (yield MakeCall(make_directory(name, parent_id, listed=listed))).directory_id  # type: ignore[no-any-return]
        except (
            Pan123ServiceError,
            Pan123AnswerError,
            Pan123UnavailableError,
            Pan123RedirectError,
        ) as error:
            if (found := (yield from find_directory(parent_id, name))) is not None:
                return found
            if listed:
                raise
            log.info("Trying the other form of the name: %s", error)
    raise AssertionError("unreachable")
