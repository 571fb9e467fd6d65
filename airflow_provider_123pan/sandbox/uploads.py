"""Uploads of local bytes: from the announcement over slices at presigned URLs to the stored image."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import tempfile
import time
from dataclasses import dataclass, field
from typing import IO

from airflow_provider_123pan.sandbox.envelope import NAME_TAKEN, Refusal
from airflow_provider_123pan.sandbox.images import NotAnImage, Picture, identify
from airflow_provider_123pan.sandbox.options import Options
from airflow_provider_123pan.sandbox.saving import save_picture
from airflow_provider_123pan.sandbox.store import Directory, Image, Store, Tree

NO_PREUPLOAD_ID = "预上传ID不能为空"  # observed
TAKEN = "该目录下文件名重复无法创建"  # observed on the cloud drive, a sister product
_ABANDONED_SECONDS = 600.0  # after which an upload no longer counts as in flight
BANNED = "写入操作过于频繁,账号已被限制"  # invented: only the ban itself was observed


@dataclass(eq=False, slots=True)
class Upload:
    """One announced image.

    :ivar preupload_id: The preuploadID.
    :ivar client_id: The clientID of the account.
    :ivar etag: The announced MD5, in hexadecimal digits.
    :ivar size: The announced size in bytes.
    :ivar slice_size: The size of all slices but the last, in bytes.
    :ivar received: Number of bytes of each slice that arrived, by its number.
    :ivar created: When it was announced, on the monotonic clock in seconds.
    :ivar picture: The bytes, from the completion until they are stored.
    :ivar ends_at: When they are stored, on the monotonic clock in seconds.
    :ivar image: The stored image, or None.
    """

    preupload_id: str
    client_id: str
    name: str
    directory: Directory
    etag: str
    size: int
    slice_size: int
    file: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    received: dict[int, int] = field(default_factory=dict)
    created: float = field(default_factory=time.monotonic)
    picture: Picture | None = None
    ends_at: float = 0
    image: Image | None = None

    def slice_length(self, number: int) -> int:
        """Return the number of bytes of a slice; 0 or less if there is none of this number."""
        return min(self.slice_size, self.size - (number - 1) * self.slice_size) if number > 0 else 0

    def write(self, number: int, offset: int, chunk: bytes) -> None:
        """Write a part of a slice.

        :param offset: Where the part begins in the slice.
        """
        os.pwrite(self.file.fileno(), chunk, (number - 1) * self.slice_size + offset)

    def is_whole(self) -> bool:
        """Return True if all slices arrived."""
        return sum(self.received.values()) == self.size

    def content(self) -> bytes:
        """Return all bytes."""
        return os.pread(self.file.fileno(), self.size, 0)


@dataclass(frozen=True, slots=True)
class PresignedSlice:
    """What a presigned URL stands for.

    :ivar expires_at: On the monotonic clock in seconds.
    """

    upload: Upload
    number: int
    expires_at: float

    def is_expired(self) -> bool:
        """Return True if the URL is no longer valid."""
        return time.monotonic() >= self.expires_at


class Uploads:
    """All uploads.

    :ivar reused: Number of announcements that were answered with a stored image.
    :ivar completed: Number of uploads that are stored.
    :ivar most_in_flight: The largest number of uploads that an account had in flight.
    """

    def __init__(self, options: Options, store: Store) -> None:
        """Start without uploads.

        :param options: The sandbox's options; a change takes effect at once.
        :param store: Where images are stored.
        """
        self._options = options
        self._store = store
        self._uploads: dict[str, Upload] = {}
        self._slices: dict[str, PresignedSlice] = {}  # by signature
        self._in_flight: dict[str, list[Upload]] = {}
        self._banned_until: dict[str, float] = {}
        self.reused = 0
        self.completed = 0
        self.most_in_flight = 0

    def check_ban(self, client_id: str) -> None:
        """Refuse a call that writes while the account is banned.

        :raises Refusal: It is.
        """
        if time.monotonic() < self._banned_until.get(client_id, 0):
            raise Refusal(BANNED)

    def create(self, client_id: str, name: str, directory: Directory, etag: str, size: int) -> Upload | Image:
        """Announce an image.

        :returns: The upload, or an image with the bytes that the account has already.
        :raises Refusal: The name is taken by other bytes, or the account has too many uploads in flight.
        """
        taken = directory.by_name.get(name, [])
        if any(not isinstance(entry, Image) or (entry.etag, entry.size) != (etag, size) for entry in taken):
            raise Refusal(TAKEN, NAME_TAKEN)
        tree = self._store.tree(client_id)
        same = tree.find_content(etag, size) if self._options.reuse else None
        if same is not None:
            self.reused += 1
            picture = Picture(self._store.content(same), etag, "", same.media_type)
            return self._save(tree, picture, name, directory)
        in_flight = self._uploads_in_flight(client_id)
        # A long text with the characters that need care in URLs and shells.
        preupload_id = "+/" + base64.b64encode(secrets.token_bytes(94)).decode() + "=="
        upload = Upload(preupload_id, client_id, name, directory, etag, size, self._options.slice_size)
        in_flight.append(upload)
        self.most_in_flight = max(self.most_in_flight, len(in_flight))
        self._uploads[preupload_id] = upload
        return upload

    def get(self, client_id: str, preupload_id: str) -> Upload:
        """Return an upload of an account.

        :raises Refusal: There is none of this preuploadID.
        """
        if not preupload_id:
            raise Refusal(NO_PREUPLOAD_ID)
        upload = self._uploads.get(preupload_id)
        if upload is None or upload.client_id != client_id:
            raise Refusal("preuploadID does not exist")
        return upload

    def presign(self, upload: Upload, number: int) -> str:
        """Return the signature of a new presigned URL.

        :raises Refusal: There is no slice of this number.
        """
        if upload.slice_length(number) < 1:
            raise Refusal(f"sliceNo must be 1 to {-(-upload.size // upload.slice_size)}")
        signature = secrets.token_hex(32)
        expires_at = time.monotonic() + self._options.upload_url_life
        self._slices[signature] = PresignedSlice(upload, number, expires_at)
        return signature

    def presigned(self, signature: str) -> PresignedSlice | None:
        """Return what a presigned URL stands for, or None."""
        return self._slices.get(signature)

    async def complete(self, upload: Upload) -> Image | None:
        """Check the bytes of an upload and store its image; a repeated call changes nothing.

        :returns: The image, or None if it is stored later.
        :raises Refusal: Slices are missing, or the bytes are not the announced ones, or no image.
        """
        if upload.picture is None and upload.image is None:
            if not upload.is_whole():
                raise Refusal("slices are missing")
            content = upload.content()
            try:
                picture = await asyncio.to_thread(identify, content)
            except NotAnImage as error:
                raise Refusal(str(error)) from error
            if picture.etag != upload.etag:
                raise Refusal("etag is not the MD5 of the bytes")
            upload.picture = picture
            upload.ends_at = time.monotonic() + self._options.upload_delay
        return self.result(upload) if self._options.upload_end == "at-once" else None

    def result(self, upload: Upload) -> Image | None:
        """Return the image of a completed upload, or None if it is not stored yet."""
        if upload.picture is not None and time.monotonic() >= upload.ends_at:
            tree = self._store.tree(upload.client_id)
            upload.image = self._save(tree, upload.picture, upload.name, upload.directory)
            upload.picture = None
            if upload in self._in_flight[upload.client_id]:
                self._in_flight[upload.client_id].remove(upload)
            self.completed += 1
        return upload.image

    def close(self) -> None:
        """Delete the files of all uploads."""
        for upload in self._uploads.values():
            upload.file.close()

    def _save(self, tree: Tree, picture: Picture, name: str, directory: Directory) -> Image:
        return save_picture(self._options, self._store, tree, picture, name, directory)

    def _uploads_in_flight(self, client_id: str) -> list[Upload]:
        """Return the uploads that an account has in flight, if it may have one more."""
        oldest = time.monotonic() - _ABANDONED_SECONDS
        in_flight = self._in_flight.setdefault(client_id, [])
        in_flight[:] = [other for other in in_flight if other.created > oldest]
        if self._options.upload_cap is not None and len(in_flight) >= self._options.upload_cap:
            self._banned_until[client_id] = time.monotonic() + self._options.ban_seconds
            raise Refusal(BANNED)
        return in_flight
