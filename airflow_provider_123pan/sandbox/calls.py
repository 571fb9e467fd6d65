"""What each call of the service does.

Spellings as in the official documents: requests say `fileID`, answers `fileId`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from airflow_provider_123pan.sandbox.backend import Backend
from airflow_provider_123pan.sandbox.envelope import Refusal
from airflow_provider_123pan.sandbox.images import EXTENSIONS, extension_of
from airflow_provider_123pan.sandbox.store import HEALTHY, LAST_PAGE, Directory, Entry, Image, Tree

_BEIJING = timezone(timedelta(hours=8))
_MAX_ITEMS = 100  # of a list, of fileIDs


@dataclass(frozen=True, slots=True)
class Call:
    """One request whose token is good. `base_url` is how the caller reached us."""

    backend: Backend
    client_id: str
    params: dict[str, Any]
    base_url: str

    @property
    def tree(self) -> Tree:
        return self.backend.store.tree(self.client_id)

    def text(self, name: str, default: str | None = None) -> str:
        return _text(self.params, name, default)

    def whole(self, name: str, default: int | None = None) -> int:
        value = self.params.get(name)
        value = default if value is None else value
        if not isinstance(value, int) or isinstance(value, bool):
            raise Refusal(f"{name} must be a whole number")
        return value

    def require_type(self) -> None:
        value = self.params.get("type")
        if isinstance(value, bool) or value != 1:
            raise Refusal("type must be 1")


def log_in(backend: Backend, params: dict[str, Any]) -> dict[str, Any]:
    """→ `{"accessToken", "expiredAt"}`, the latter RFC 3339 with +08:00."""
    token = backend.login(_text(params, "clientID"), _text(params, "clientSecret"))
    expired_at = datetime.fromtimestamp(token.expires_at, _BEIJING).isoformat()
    return {"accessToken": token.text, "expiredAt": expired_at}


async def create_offline_task(call: Call) -> dict[str, Any]:
    """→ `{"taskID": number}`: created, not downloaded."""
    call.require_type()
    url, callback_url = call.text("url"), call.text("callBackUrl", "")
    if not _is_http(url):
        raise Refusal("url must be http or https")
    if callback_url and not _is_http(callback_url):
        raise Refusal("callBackUrl must be http or https")
    file_name = call.text("fileName", "")
    if file_name and not extension_of(file_name):
        raise Refusal(f"fileName must end in one of {', '.join(EXTENSIONS)}")
    directory_id = call.params.get("businessDirID")
    if directory_id is not None:
        directory_id = call.text("businessDirID")
        if call.tree.directory(directory_id) is call.tree.root:
            raise Refusal("offline download into the root directory is not supported")
    task = await call.backend.tasks.submit(call.client_id, url, file_name or None, directory_id, callback_url)
    call.backend.submissions += 1
    return {"taskID": task.task_id}


async def progress(call: Call) -> dict[str, Any]:
    """→ `{"process": 0 to 100, "status": 0 running, 1 failed, 2 success, 3 retrying}`."""
    try:
        task_id = int(call.text("taskID"))
    except ValueError as error:
        raise Refusal("taskID must be a whole number") from error
    process, status = call.backend.tasks.find(call.client_id, task_id).progress()
    return {"process": int(process) if process == int(process) else process, "status": status}


async def list_files(call: Call) -> dict[str, Any]:
    """→ `{"lastFileId", "fileList"}`, newest first; `lastFileId` is "-1" on the last page.

    `startTime` and `endTime` are compared with the time of creation (which of the two times is undocumented).
    """
    call.require_type()
    limit = call.whole("limit")
    if not 1 <= limit <= _MAX_ITEMS:
        raise Refusal(f"limit must be 1 to {_MAX_ITEMS}")
    directory = call.tree.directory(call.text("parentFileId", ""))
    start, end = call.whole("startTime", 0), call.whole("endTime", 2**62)
    last = call.text("lastFileId", "")
    if last == LAST_PAGE:
        return {"lastFileId": LAST_PAGE, "fileList": []}
    before = call.tree.entry(last).order if last else None
    found: list[Entry] = []
    for entry in directory.newest_first(before):
        if entry.is_visible() and start <= int(entry.created) <= end:
            found.append(entry)
        if len(found) > limit:
            break
    page = found[:limit]
    return {
        "lastFileId": page[-1].file_id if len(found) > limit else LAST_PAGE,
        "fileList": [
            item(entry, call.tree, call.base_url, call.backend.options.own_domain) for entry in page
        ],
    }


async def detail(call: Call) -> dict[str, Any]:
    """→ one item."""
    entry = call.tree.entry(call.text("fileID"))
    return item(entry, call.tree, call.base_url, call.backend.options.own_domain)


async def make_directories(call: Call) -> dict[str, Any]:
    """→ `{"list": [{"filename", "dirID"}]}`; `name` is a list by the field table, a string by the sample."""
    call.require_type()
    names = call.params.get("name")
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not names or not all(_is_text(name) and name for name in names):
        raise Refusal("name must be a name or a list of names")
    parent = call.tree.directory(call.text("parentID", ""))
    if len(set(names)) < len(names):
        raise Refusal("name repeats itself")
    for name in names:
        if name in parent.by_name:
            raise Refusal(f"{name} exists already")
    made = [call.tree.make_directory(name, parent) for name in names]
    return {"list": [{"filename": directory.name, "dirID": directory.file_id} for directory in made]}


async def move_files(call: Call) -> None:
    """→ null. To the root: the documents contradict each other; here it works."""
    call.tree.move(_entries(call), call.tree.directory(call.text("toParentFileID")))


async def delete_files(call: Call) -> None:
    """→ null."""
    for entry in _entries(call):
        call.tree.delete(entry)


CALLS: dict[tuple[str, str], Callable[[Call], Awaitable[Any]]] = {
    ("POST", "/api/v1/oss/offline/download"): create_offline_task,
    ("GET", "/api/v1/oss/offline/download/process"): progress,
    ("POST", "/api/v1/oss/file/list"): list_files,
    ("GET", "/api/v1/oss/file/detail"): detail,
    ("POST", "/upload/v1/oss/file/mkdir"): make_directories,
    ("POST", "/api/v1/oss/file/move"): move_files,
    ("POST", "/api/v1/oss/file/delete"): delete_files,
}


def item(entry: Entry, tree: Tree, base_url: str, own_domain: str) -> dict[str, Any]:
    """What list and detail tell of a directory or an image."""
    image = entry if isinstance(entry, Image) else None
    extension = extension_of(entry.name) if image else ""
    path = f"/{tree.user_id}/{entry.file_id}.{extension}"
    return {
        "fileId": entry.file_id,
        "filename": entry.name,
        "parentFileId": entry.parent.file_id if entry.parent else "",
        "type": int(isinstance(entry, Directory)),
        "etag": image.etag if image else "",
        "size": image.size if image else 0,
        "status": image.status if image else HEALTHY,
        "createAt": _beijing(entry.created),
        "updateAt": _beijing(entry.updated),
        "downloadURL": base_url + path if image else "",
        "userSelfURL": own_domain.rstrip("/") + path if image and own_domain else "",
        "totalTraffic": image.traffic if image else 0,
        "parentFilename": entry.parent.name if entry.parent else "",
        "extension": extension,
    }


def _entries(call: Call) -> list[Entry]:
    """All of `fileIDs`, or a refusal before anything is done."""
    file_ids = call.params.get("fileIDs")
    if not isinstance(file_ids, list) or not 1 <= len(file_ids) <= _MAX_ITEMS:
        raise Refusal(f"fileIDs must be a list of 1 to {_MAX_ITEMS} ids")
    return [call.tree.entry(str(file_id)) for file_id in file_ids]


def _text(params: dict[str, Any], name: str, default: str | None = None) -> str:
    value = params.get(name)
    value = default if value is None else value
    if value is None:
        raise Refusal(f"{name} is required")
    if not _is_text(value):
        raise Refusal(f"{name} must be a string")
    return value


def _is_text(value: Any) -> TypeGuard[str]:
    """JSON can hold half a surrogate pair, which no answer could repeat."""
    if not isinstance(value, str):
        return False
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def _beijing(moment: float) -> str:
    """The documents give no zone; Beijing time is presumed."""
    return datetime.fromtimestamp(moment, _BEIJING).strftime("%Y-%m-%d %H:%M:%S")
