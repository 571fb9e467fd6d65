"""The hook: 123pan's calls with an Airflow connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_provider_123pan.account.account import account_of
from airflow_provider_123pan.account.connection import CONN_TYPE, ConnectionSettings, unknown_connection
from airflow_provider_123pan.exceptions import Pan123Error
from airflow_provider_123pan.service import protocol
from airflow_provider_123pan.service.flow import Flow
from airflow_provider_123pan.service.listing import PageCursor
from airflow_provider_123pan.service.timing import RETRY_FOR_SECONDS

if TYPE_CHECKING:
    import requests

    from airflow_provider_123pan.service.client import Pan123Client
    from airflow_provider_123pan.service.models import Directory, Image, Listing, OfflineTask


T = TypeVar("T")


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
