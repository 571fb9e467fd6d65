"""What each call of the service does.

Parameters and keys are spelled as in the official documents: `fileID` in requests, `fileId` in answers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from airflow_provider_123pan.sandbox.backend import Backend
from airflow_provider_123pan.sandbox.dates import expiry, image_date
from airflow_provider_123pan.sandbox.envelope import Refusal
from airflow_provider_123pan.sandbox.images import EXTENSIONS, extension_of
from airflow_provider_123pan.sandbox.options import Options
from airflow_provider_123pan.sandbox.store import HEALTHY, LAST_PAGE, Directory, Entry, Image, Tree

MAX_ITEMS = 100  # files per page of a list, and fileIDs per call


@dataclass(frozen=True, slots=True)
class Call:
    """One request with a valid token.

    :ivar backend: The sandbox's state.
    :ivar client_id: The clientID of the token.
    :ivar params: The query's or the body's parameters.
    :ivar base_url: The base URL under which the client reached the sandbox.
    """

    backend: Backend
    client_id: str
    params: dict[str, Any]
    base_url: str

    @property
    def tree(self) -> Tree:
        """The account's directories and images."""
        return self.backend.store.tree(self.client_id)

    def text(self, name: str, default: str | None = None) -> str:
        """Return a string parameter.

        :param name: Name of the parameter.
        :param default: The value if the parameter is missing or null; None makes it required.
        :raises Refusal: The parameter is required, or it is not a valid string.
        """
        return _text(self.params, name, default)

    def integer(self, name: str, default: int | None = None) -> int:
        """Return an integer parameter.

        :param name: Name of the parameter.
        :param default: The value if the parameter is missing or null; None makes it required.
        :raises Refusal: The parameter is required, or it is not an integer.
        """
        value = self.params.get(name)
        value = default if value is None else value
        if not isinstance(value, int) or isinstance(value, bool):
            raise Refusal(f"{name} must be an integer")
        return value

    def require_type(self) -> None:
        """Check that the parameter `type` is 1, which means the image host.

        :raises Refusal: It is missing or has another value.
        """
        value = self.params.get("type")
        if isinstance(value, bool) or value != 1:
            raise Refusal("type must be 1")


def log_in(backend: Backend, params: dict[str, Any]) -> dict[str, Any]:
    """Log in.

    :returns: `{"accessToken", "expiredAt"}`.
    """
    token = backend.login(_text(params, "clientID"), _text(params, "clientSecret"))
    return {"accessToken": token.text, "expiredAt": expiry(token.expires_at, backend.options.expiry)}


async def create_offline_task(call: Call) -> dict[str, Any]:
    """Create an offline task; it downloads the image later.

    :returns: `{"taskID": number}`.
    """
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
    """Return the progress of an offline task.

    :returns: `{"process", "status"}`: a percentage, and 0 (running), 1 (failed), 2 (success) or 3 (retrying).
    """
    try:
        task_id = int(call.text("taskID"))
    except ValueError as error:
        raise Refusal("taskID must be an integer") from error
    process, status = call.backend.tasks.progress(call.client_id, task_id)
    return {"process": int(process) if process == int(process) else process, "status": status}


async def list_files(call: Call) -> dict[str, Any]:
    """Return one page of a directory, newest first.

    `startTime` and `endTime` restrict the time of creation (assumed; the documents do not say which time).

    :returns: `{"lastFileId", "fileList"}`; `lastFileId` is "-1" on the last page.
    """
    call.require_type()
    limit = call.integer("limit")
    if not 1 <= limit <= MAX_ITEMS:
        raise Refusal(f"limit must be 1 to {MAX_ITEMS}")
    options = call.backend.options
    directory = call.tree.directory(call.text("parentFileId", ""))
    start, end = call.integer("startTime", 0), call.integer("endTime", 2**62)
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
            item(entry, call.tree, call.base_url, options, with_urls=options.image_urls == "everywhere")
            for entry in page
        ],
    }


async def detail(call: Call) -> dict[str, Any]:
    """Return one directory or image."""
    entry = call.tree.entry(call.text("fileID"))
    options = call.backend.options
    return item(entry, call.tree, call.base_url, options, with_urls=options.image_urls != "nowhere")


async def make_directories(call: Call) -> dict[str, Any]:
    """Create directories.

    `name` is a list in the official table of fields and a string in the official sample; both work.

    :returns: `{"list": [{"filename", "dirID"}]}`.
    """
    call.require_type()
    names = call.params.get("name")
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not names or not all(_is_text(name) and name for name in names):
        raise Refusal("name must be a string or a list of strings")
    parent = call.tree.directory(call.text("parentID", ""))
    if len(set(names)) < len(names):
        raise Refusal("name contains duplicates")
    for name in names:
        if name in parent.by_name:
            raise Refusal(f"name {name} already exists")
    created = [call.tree.make_directory(name, parent) for name in names]
    return {"list": [{"filename": directory.name, "dirID": directory.file_id} for directory in created]}


async def move_files(call: Call) -> None:
    """Move directories and images.

    Moving to the root works here; the documents contradict themselves about it.
    """
    target = call.tree.directory(call.text("toParentFileID"))
    call.tree.move(_entries(call), target, call.backend.options.numbering)


async def delete_files(call: Call) -> None:
    """Delete directories and images."""
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


def item(entry: Entry, tree: Tree, base_url: str, options: Options, with_urls: bool = True) -> dict[str, Any]:
    """Return what list and detail report about a directory or an image.

    :param entry: The directory or image.
    :param tree: The tree that contains it.
    :param base_url: Base of `downloadURL`.
    :param options: The options about URLs and dates.
    :param with_urls: Whether the URLs of an image are not empty.
    """
    image = entry if isinstance(entry, Image) else None
    extension = extension_of(entry.name) if image else ""
    own_domain = options.own_domain.rstrip("/")
    has_urls = image is not None and with_urls
    path = f"/{tree.user_id}/{entry.file_id}.{extension}"
    return {
        "fileId": entry.file_id,
        "filename": entry.name,
        "parentFileId": entry.parent.file_id if entry.parent else "",
        "type": int(isinstance(entry, Directory)),
        "etag": image.etag if image else "",
        "size": image.size if image else 0,
        "status": image.status if image else HEALTHY,
        "createAt": image_date(entry.created, options.dates),
        "updateAt": image_date(entry.updated, options.dates),
        "downloadURL": base_url + path if has_urls else "",
        "userSelfURL": own_domain + path if has_urls and own_domain else "",
        "totalTraffic": image.traffic if image else 0,
        "parentFilename": entry.parent.name if entry.parent else "",
        "extension": extension,
    }


def _entries(call: Call) -> list[Entry]:
    """Return all entries of `fileIDs`; a call with an invalid one is refused as a whole."""
    file_ids = call.params.get("fileIDs")
    if not isinstance(file_ids, list) or not 1 <= len(file_ids) <= MAX_ITEMS:
        raise Refusal(f"fileIDs must be a list of 1 to {MAX_ITEMS} ids")
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
    """Return True for a string without unpaired surrogates, which JSON allows but UTF-8 cannot encode."""
    if not isinstance(value, str):
        return False
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)
