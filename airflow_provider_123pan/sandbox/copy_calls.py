"""What the calls do that copy files from the cloud drive."""

from __future__ import annotations

from typing import Any

from airflow_provider_123pan.sandbox.calls import MAX_ITEMS, Call
from airflow_provider_123pan.sandbox.envelope import Refusal


async def copy_from_drive(call: Call) -> dict[str, Any]:
    """Create a copy task.

    :returns: `{"taskID"}`, a string.
    """
    call.require_type()
    file_ids = call.params.get("fileIDs")
    if not isinstance(file_ids, list) or not 1 <= len(file_ids) <= MAX_ITEMS:
        raise Refusal(f"fileIDs must be a list of 1 to {MAX_ITEMS} ids")
    if not all(isinstance(file_id, str) for file_id in file_ids):
        raise Refusal("fileIDs must be strings")
    if call.integer("sourceType") != 1:
        raise Refusal("sourceType must be 1")
    directory = call.tree.directory(call.text("toParentFileID"))
    return {"taskID": call.backend.copies.submit(call.client_id, file_ids, directory)}


async def get_copy(call: Call) -> dict[str, Any]:
    """Return the progress of a copy task.

    :returns: `{"status", "failMsg"}`.
    """
    task = call.backend.copies.get(call.client_id, call.text("taskID"))
    return {"status": task.status, "failMsg": task.reason}


async def list_copy_failures(call: Call) -> dict[str, Any]:
    """Return one page of the files that a task did not copy.

    :returns: `{"total", "list": [{"fileId", "filename"}]}`; the list is null for none.
    """
    task = call.backend.copies.get(call.client_id, call.text("taskID"))
    limit, page = (_number(call, name) for name in ("limit", "page"))
    if limit > MAX_ITEMS:
        raise Refusal(f"limit must be 1 to {MAX_ITEMS}")
    found = task.failures[(page - 1) * limit : page * limit]
    files = [{"fileId": _as_number(file.file_id), "filename": file.filename} for file in found]
    return {"total": len(task.failures), "list": files or None}


def _number(call: Call, name: str) -> int:
    text = call.text(name)
    if not text.isdecimal() or int(text) < 1:
        raise Refusal(f"{name} must be a number from 1")
    return int(text)


def _as_number(file_id: str) -> int | str:
    return int(file_id) if file_id.isdecimal() else file_id
