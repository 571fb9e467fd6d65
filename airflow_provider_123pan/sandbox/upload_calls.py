"""What the calls of an upload do, and the storage that takes its slices."""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from airflow_provider_123pan.sandbox.backend import Backend
from airflow_provider_123pan.sandbox.calls import Call
from airflow_provider_123pan.sandbox.envelope import Refusal
from airflow_provider_123pan.sandbox.images import EXTENSIONS, extension_of
from airflow_provider_123pan.sandbox.store import Image

STORAGE = "/sandbox-storage/slice"

_MAX_NAME_LENGTH = 254
_RESERVED = frozenset('"\\/:*?|><')
_MD5 = re.compile("[0-9a-f]{32}")


async def create_upload(call: Call) -> dict[str, Any]:
    """Announce an image.

    :returns: `{"reuse", "fileID", "preuploadID", "sliceSize"}`.
    """
    call.require_type()
    options = call.backend.options
    directory = call.tree.directory(call.text("parentFileID"))
    name, etag, size = call.text("filename"), call.text("etag"), call.integer("size")
    if not name.strip() or len(name) > _MAX_NAME_LENGTH or _RESERVED.intersection(name):
        raise Refusal(
            f"filename must have 1 to {_MAX_NAME_LENGTH} characters, none of {' '.join(sorted(_RESERVED))}"
        )
    if not extension_of(name):
        raise Refusal(f"filename must end in one of {', '.join(EXTENSIONS)}")
    if not _MD5.fullmatch(etag):
        raise Refusal("etag must be an MD5 of 32 lower-case hexadecimal digits")
    if not 1 <= size <= options.max_bytes:
        raise Refusal(f"size must be 1 to {options.max_bytes}")
    created = call.backend.uploads.create(call.client_id, name, directory, etag, size)
    if isinstance(created, Image):
        return {"reuse": True, "fileID": created.file_id, "preuploadID": "", "sliceSize": 0}
    return {
        "reuse": False,
        "fileID": "",
        "preuploadID": created.preupload_id,
        "sliceSize": created.slice_size,
    }


async def get_upload_url(call: Call) -> dict[str, Any]:
    """Return where a slice goes.

    :returns: `{"presignedURL"}`.
    """
    uploads, options = call.backend.uploads, call.backend.options
    upload, number = uploads.get(call.client_id, call.text("preuploadID", "")), call.integer("sliceNo")
    query = (
        f"partNumber={number}&X-Amz-Expires={options.upload_url_life:.0f}"
        f"&X-Amz-Signature={uploads.presign(upload, number)}"
    )
    return {"presignedURL": f"{call.base_url}{STORAGE}?{query}"}


async def complete_upload(call: Call) -> dict[str, Any]:
    """End an upload whose slices have all arrived.

    :returns: `{"async", "completed", "fileID"}`.
    """
    uploads = call.backend.uploads
    image = await uploads.complete(uploads.get(call.client_id, call.text("preuploadID", "")))
    return {"async": image is None, "completed": image is not None, "fileID": _file_id(image)}


async def get_upload_result(call: Call) -> dict[str, Any]:
    """Return whether a completed upload is stored.

    :returns: `{"completed", "fileID"}`.
    """
    uploads = call.backend.uploads
    image = uploads.result(uploads.get(call.client_id, call.text("preuploadID", "")))
    return {"completed": image is not None, "fileID": _file_id(image)}


async def take_slice(backend: Backend, request: Request) -> Response:
    """Store a slice; the storage is another system than the service, and answers as S3 does."""
    headers = request.headers
    if "authorization" in headers or "platform" in headers:
        return _refused(400, "InvalidArgument", "Only one auth mechanism allowed")
    if headers.get("content-type") != "application/octet-stream":
        return _refused(403, "SignatureDoesNotMatch", "The header Content-Type was signed")
    if not headers.get("content-length", "").isdecimal():
        return _refused(411, "MissingContentLength", "You must provide the Content-Length HTTP header")
    presigned = backend.uploads.presigned(request.query_params.get("X-Amz-Signature", ""))
    if presigned is None or request.query_params.get("partNumber") != str(presigned.number):
        return _refused(403, "SignatureDoesNotMatch", "The signature does not match")
    if presigned.is_expired():
        return _refused(403, "AccessDenied", "Request has expired")
    upload, number, received = presigned.upload, presigned.number, 0
    if int(headers["content-length"]) != upload.slice_length(number):
        return _refused(400, "InvalidRequest", "The slice has another size")
    try:
        async for chunk in request.stream():
            upload.write(number, received, chunk)
            received += len(chunk)
    except ClientDisconnect:
        return _refused(400, "IncompleteBody", "The client went away")
    upload.received[number] = received
    return Response(headers={"ETag": '"0"'})


def _refused(status: int, code: str, message: str) -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(body, status, media_type="application/xml")


def _file_id(image: Image | None) -> str:
    return "" if image is None else image.file_id
