"""Copies from the cloud drive, parsed from answers as `models.py` parses the others."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from airflow_provider_123pan.service.fields import (
    id_of,
    mapping_of,
    optional_text,
    shown,
    text_of,
    whole_of,
)


class CopyStatus(IntEnum):
    """The status of a task that copies files from the cloud drive (official)."""

    RUNNING = 1
    ENDED = 2
    FAILED = 3
    WAITING = 4


@dataclass(frozen=True, slots=True)
class CopyTask:
    """A task of the service that copies files from the cloud drive.

    :ivar status: ``ENDED`` also if some files failed: the hook's ``list_copy_failures`` lists them.
    :ivar reason: why the task failed, in the service's words, or None.
    """

    task_id: str
    status: CopyStatus
    reason: str | None

    @classmethod
    def parse(cls, data: Any, task_id: str) -> CopyTask:
        """Parse an answer about progress."""
        status = whole_of(data, "status")
        try:
            known = CopyStatus(status)
        except ValueError:
            raise ValueError(f"unknown status {status} of a copy task") from None
        return cls(task_id, known, optional_text(data.get("failMsg")))


@dataclass(frozen=True, slots=True)
class CopyFailure:
    """A file of the cloud drive that was not copied.

    :ivar file_id: its id on the cloud drive; None if the service counts the file but does not list it.
    """

    file_id: str | None
    file_name: str | None


@dataclass(frozen=True, slots=True)
class CopyFailures:
    """One page of the files that a task did not copy.

    :ivar total: number of files on all pages.
    """

    total: int
    failures: tuple[CopyFailure, ...]

    @classmethod
    def parse(cls, data: Any) -> CopyFailures:
        """Parse a page; its list may be null for none (official), which says nothing about the other pages."""
        page = mapping_of(data)
        items = page.get("list")
        if items is None and page.get("total") is None:
            return cls(0, ())
        if not isinstance(items, list | None):
            raise ValueError(f"list is {shown(items)}, not a list")
        files = [mapping_of(item) for item in items or ()]
        failures = tuple(CopyFailure(id_of(file, "fileId"), text_of(file, "filename")) for file in files)
        return cls(whole_of(data, "total"), failures)
