"""The hook alone: its calls, and what all hooks of one process share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_123pan.exceptions import Pan123InputError, Pan123ServiceError
from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.service.models import TaskStatus
from dev.waiting import wait_for

URL = "https://example.com/pictures/a.jpg"
Connect = Callable[..., None]


@pytest.mark.usefixtures("connect")
def test_the_hook_alone_can_submit_a_url_and_find_the_image(sandbox: Sandbox) -> None:
    hook = Pan123Hook()
    made = hook.create_offline_download(URL, "b.jpg")
    wait_for(
        lambda: hook.get_offline_download(made.taskID).status is TaskStatus.SUCCEEDED,
        what="the end of the offline task",
        timeout=10,
    )
    [stored] = sandbox.state()["files"]
    [image] = hook.list_images(stored["parentFileId"])
    assert (image.fileID, image.file_name) == (stored["fileId"], "b.jpg")
    assert hook.get_image(image.fileID) == image
    with pytest.raises(Pan123ServiceError, match="^get_image: "):
        hook.get_image("no-such-file")


@pytest.mark.usefixtures("connect")
def test_the_hook_alone_can_make_and_list_directories() -> None:
    hook = Pan123Hook()
    photos = hook.make_directory("photos")
    year = hook.make_directory("2026", photos.directory_id)
    assert list(hook.list_directories()) == [photos]
    assert list(hook.list_directories(photos.directory_id)) == [year]
    assert list(hook.list_images()) == []


@pytest.mark.usefixtures("variables")
def test_hooks_of_a_process_share_one_throttle_per_account(connect: Connect, sandbox: Sandbox) -> None:
    first, second = Pan123Hook().client, Pan123Hook().client
    assert first.throttle is second.throttle
    connect(extra={"requests_per_second": 5})
    bounded = Pan123Hook().client.throttle
    assert bounded is not first.throttle
    assert bounded.rate == 5  # not the 1,000 that an earlier process found
    connect(login="another")
    assert Pan123Hook().client.throttle is not first.throttle


@pytest.mark.usefixtures("connect")
def test_a_hook_shares_its_token_with_the_next(sandbox: Sandbox) -> None:
    message = f"123pan answers for client ID {sandbox.client_id}"
    assert Pan123Hook().test_connection() == (True, message)
    assert list(Pan123Hook().list_images()) == []
    assert Pan123Hook().test_connection() == (
        True,
        f"{message}; by the token at hand, so the client secret was not needed",
    )
    assert sandbox.state()["counts"]["logins"] == 1


def test_the_secrets_of_a_connection_of_another_type_are_not_sent(connect: Connect, sandbox: Sandbox) -> None:
    connect(conn_type="http")
    with pytest.raises(Pan123InputError, match="conn_type is 'http'; it must be pan123"):
        Pan123Hook().create_offline_download(URL)
    assert sandbox.state()["counts"]["requests"] == {}
