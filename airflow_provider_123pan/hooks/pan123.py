"""The hook: 123pan's calls with an Airflow connection."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from itertools import repeat
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_provider_123pan.account.account import account_of
from airflow_provider_123pan.account.connection import CONN_TYPE, ConnectionSettings, unknown_connection
from airflow_provider_123pan.exceptions import Pan123AnswerError, Pan123Error, Pan123InputError
from airflow_provider_123pan.service import file_calls, protocol
from airflow_provider_123pan.service.copies import CopyFailure
from airflow_provider_123pan.service.flow import Flow
from airflow_provider_123pan.service.listing import ROOT, PageCursor
from airflow_provider_123pan.service.timing import RETRY_FOR_SECONDS

if TYPE_CHECKING:
    import os
    from typing import IO

    import requests

    from airflow_provider_123pan.service.client import Pan123Client
    from airflow_provider_123pan.service.copies import CopyTask
    from airflow_provider_123pan.service.image_file import ImageFile
    from airflow_provider_123pan.service.models import Directory, Image, Listing, OfflineTask


T = TypeVar("T")

#: Uploads that one hook has in flight at most: about 60 of an account led to a ban on writing (observed).
MAX_UPLOADS = 8


class Pan123Hook(BaseHook):
    """Call 123pan's image host (123云盘图床): one method per call, with models as answers.

    All tasks of a deployment share one access token per account, and the request rate adapts to the service's
    unpublished limit. Threads may share a hook.

    :param pan123_conn_id: the connection, of type ``pan123``.
    """

    conn_name_attr = "pan123_conn_id"
    default_conn_name = "pan123_default"
    conn_type = CONN_TYPE
    hook_name = "123pan"

    def __init__(self, pan123_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pan123_conn_id = pan123_conn_id
        self._rate_lock = threading.Lock()
        self._uploads = threading.BoundedSemaphore(MAX_UPLOADS)

    @cached_property
    def settings(self) -> ConnectionSettings:
        """The connection's settings; a Pan123InputError names a wrong field."""
        try:
            return ConnectionSettings.of(self.get_connection(self.pan123_conn_id))
        except AirflowNotFoundException:
            raise unknown_connection(self.pan123_conn_id) from None

    @cached_property
    def client(self) -> Pan123Client:
        """The blocking client that all methods use."""
        from airflow_provider_123pan.service.client import Pan123Client

        self._tokens, throttle, self._rate = account_of(self.settings)
        return Pan123Client(self.settings.endpoint, self._tokens, throttle)

    def get_conn(self) -> requests.Session:
        """Return a session that is authorized with the shared token, for calls that the hook lacks.

        The caller gives whole URLs, and handles errors and the rate limit.
        """
        return self.client.authorized_session()

    def call(self, call: protocol.Call[T], retry_for: float = RETRY_FOR_SECONDS) -> T:
        """Make a call of :mod:`airflow_provider_123pan.service.protocol`.

        :param retry_for: seconds for which a call that was rejected for its load is repeated.
        """
        self.keep_rate()
        return self.client.call(call, retry_for)

    def run(self, flow: Flow[T]) -> T:
        """Run a flow of calls and sleeps."""
        self.keep_rate()
        return self.client.run(flow)

    def keep_rate(self) -> None:
        """Exchange the request rate with other processes; an error is logged and fails nothing.

        Never call it between an answer and its use: writing a Variable may take minutes.
        """
        throttle = self.client.throttle
        if not self._rate.due(throttle) or not self._rate_lock.acquire(blocking=False):
            return
        try:
            self._rate.exchange(throttle)
        except Exception as error:
            self.log.warning("Could not exchange the request rate: %s", error)
        finally:
            self._rate_lock.release()

    def create_offline_download(
        self,
        url: str,
        file_name: str | None = None,
        directory_id: str | None = None,
        callback_url: str | None = None,
    ) -> OfflineTask:
        """Have the service fetch the image at ``url``; it answers at once, with the offline task's ``taskID``.

        :param url: the image's http or https URL.
        :param file_name: its name in the image host, with an image extension.
        :param directory_id: the target directory, not the root; by default the one named ``来自:离线下载``.
        :param callback_url: the service sends a POST to it at the end.
        """
        return self.call(protocol.create_offline_download(url, file_name, directory_id, callback_url))

    def get_offline_download(self, taskID: int) -> OfflineTask:
        """Return the progress of an offline task."""
        return self.call(protocol.get_offline_download(taskID))

    def list_images(self, directory_id: str = "", since: datetime | None = None) -> Iterator[Image]:
        """Yield the images of a directory (``""``: the root), without those in directories below it.

        :param since: only images that are not older, by the service's own filter.
        """
        for page in self._pages(directory_id, since):
            yield from page.images

    def list_directories(self, directory_id: str = "") -> Iterator[Directory]:
        """Yield the directories in a directory (``""``: the root), without those further below."""
        for page in self._pages(directory_id):
            yield from page.directories

    def _pages(self, directory_id: str, since: datetime | None = None) -> Iterator[Listing]:
        cursor = PageCursor()
        while not cursor.ended:
            page = self.call(protocol.list_directory(directory_id, since, cursor.last_file_id))
            cursor.advance(page)
            yield page

    def make_directory(self, name: str, parent_id: str = "") -> Directory:
        """Make a directory in another one (``""``: the root); its name must not be taken there."""
        return self.call(protocol.make_directory(name, parent_id))

    def get_image(self, fileID: str) -> Image:
        """Return one image, with its URLs."""
        return self.call(protocol.get_image(fileID))

    def upload_image(
        self,
        source: str | os.PathLike[str] | IO[bytes] | ImageFile,
        file_name: str,
        directory_id: str | None = None,
    ) -> Image:
        """Upload an image's bytes and return the stored image; its etag and size are those of the source.

        Review may have rejected it: then its ``rejected`` is true.

        If the account has an image of equal content already, nothing is sent; the image may then have another name or
        directory. Threads may upload with one hook, eight images at a time.

        :param source: an ``http`` or ``https`` URL that this worker downloads; a path, local or any that Airflow's
            ``ObjectStoragePath`` opens; a binary file; or an image of ``airflow_provider_123pan.source.fetch``.
        :param file_name: the image's name in the image host, with an image extension.
        :param directory_id: the target directory; None or ``""`` for the root.
        :raises Pan123InputError: the name or the image is not what 123pan takes; nothing was sent.
        :raises Pan123SourceError: the source cannot be read; nothing was sent.
        :raises Pan123UploadError: 123pan does not take the bytes, or stored something else.
        :raises Pan123WaitTimeoutError: 123pan does not confirm the image within five minutes.
        """
        from airflow_provider_123pan.service.image_file import ImageFile
        from airflow_provider_123pan.source.fetch import fetch_image
        from airflow_provider_123pan.source.rules import check_file_name

        name = check_file_name(file_name)
        if name is None:
            raise Pan123InputError("file_name: it is empty; give a name with an image extension")
        if isinstance(source, ImageFile):
            return self._upload(source, name, directory_id)
        with fetch_image(source) as image:
            return self._upload(image, name, directory_id)

    def _upload(self, image: ImageFile, file_name: str, directory_id: str | None) -> Image:
        from airflow_provider_123pan.service.upload import upload

        with self._uploads:
            return self.run(upload(image, file_name, directory_id or ROOT))

    def move_images(self, file_ids: Iterable[str], directory_id: str) -> None:
        """Move images to a directory (``""``: the root), 100 with each call.

        :param file_ids: at least one id; an error names how many were moved before it.
        """
        self._in_calls(file_ids, "moved", lambda ids: file_calls.move_images(ids, directory_id))

    def delete_images(self, file_ids: Iterable[str]) -> None:
        """Delete images, 100 with each call. The id of a directory deletes all that it contains.

        :param file_ids: at least one id; an error names how many were deleted before it.
        """
        self._in_calls(file_ids, "deleted", file_calls.delete_images)

    def copy_from_drive(self, file_ids: Iterable[str], directory_id: str) -> list[str]:
        """Have the service copy files and directories of the cloud drive into the image host.

        The service runs three of these tasks at a time, takes up to 1,000 images with each, and looks 15 directories
        deep.

        :param file_ids: at least one id of the cloud drive.
        :param directory_id: the target directory.
        :returns: the id of a task for each 100 files; an error names those that were created before it.
        """
        return self._in_calls(
            file_ids, "submitted", lambda ids: file_calls.copy_from_drive(ids, directory_id)
        )

    def get_copy(self, task_id: str) -> CopyTask:
        """Return the progress of a task of :meth:`copy_from_drive`."""
        return self.call(file_calls.get_copy(task_id))

    def list_copy_failures(self, task_id: str) -> Iterator[CopyFailure]:
        """Yield the files that a task of :meth:`copy_from_drive` did not copy.

        The service lists only those in a format and of a size that it takes. Those that it counts but does not list
        come last, without id and name.
        """
        seen: dict[str | None, CopyFailure] = {}
        total = 0
        for number in range(1, file_calls.MAX_FAILURE_PAGES + 1):
            page = self.call(file_calls.list_copy_failures(task_id, number))
            total, before = max(total, page.total), len(seen)
            seen |= {failure.file_id: failure for failure in page.failures}
            if len(seen) == before or len(seen) >= total:
                break
        else:
            raise Pan123AnswerError(
                f"the listing does not end after {number} pages", call="list_copy_failures"
            )
        if len(seen) < total:  # where pages begin is undocumented: the first one may be page 0
            with suppress(Pan123Error):  # there is no page 0
                page = self.call(file_calls.list_copy_failures(task_id, 0))
                seen |= {failure.file_id: failure for failure in page.failures}
        yield from seen.values()
        most = file_calls.MAX_FAILURE_PAGES * file_calls.MAX_IDS
        yield from repeat(CopyFailure(None, None), min(total, most) - len(seen))

    def _in_calls(
        self, file_ids: Iterable[str], done: str, call: Callable[[Sequence[str]], protocol.Call[T]]
    ) -> list[T]:
        """Make a call for each 100 ids.

        :param done: what an error says about the ids of the calls before it.
        """
        answers: list[T] = []
        for number, group in enumerate(groups := file_calls.in_groups(file_ids)):
            try:
                answers.append(self.call(call(group)))
            except Pan123Error as error:
                if number:
                    tasks = ", ".join(str(answer) for answer in answers if answer is not None)
                    error.message += (
                        f"; {number * file_calls.MAX_IDS} of {sum(map(len, groups))} were {done} before"
                        + (f", as {tasks}" if tasks else "")
                    )
                raise
        return answers

    def test_connection(self) -> tuple[bool, str]:
        """Make a real call; it costs no login if a token is stored."""
        try:
            self.call(protocol.list_directory(), retry_for=10)
        except Pan123Error as error:
            return False, str(error)
        message = f"123pan answers for client ID {self.settings.client_id or '(access_token)'}"
        if not (self._tokens.logged_in or self.settings.access_token):
            message += "; by the token at hand, so the client secret was not needed"
        return True, message
