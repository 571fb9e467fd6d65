"""Bad input gives an error that names the field, before anything is sent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_123pan.download.request import EXTENSIONS, Request, name_of
from airflow_provider_123pan.download.submission import Submission
from airflow_provider_123pan.exceptions import Pan123InputError

URL = "https://example.com/a.jpg"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"url": None}, "url: got None"),
        ({"url": ""}, "url: got ''"),
        ({"url": ["https://a/b.jpg"]}, "url: got a list"),
        ({"url": "ftp://example.com/a.jpg"}, "url: the scheme"),
        ({"url": "example.com/a.jpg"}, "url: the scheme"),
        ({"url": "file:///etc/passwd"}, "url: the scheme"),
        ({"url": "http:///a.jpg"}, "no host"),
        ({"url": "https://example.com/a b.jpg"}, "white space"),
        ({"url": "https://[::1/a.jpg"}, "url: "),
        ({"url": "https://example.com:99999/a.jpg"}, "url: "),
        ({"url": "ftp://user:secret@example.com/a.jpg"}, "url: the scheme 'ftp'"),
        ({"file_name": "a.txt"}, "file_name: 'a.txt' needs a name and an image extension"),
        ({"file_name": "a"}, "file_name"),
        ({"file_name": ".jpg"}, "file_name"),
        ({"file_name": "a.jpg.exe"}, "file_name"),
        ({"file_name": "b/a.jpg"}, "file_name: 'b/a.jpg' must be a plain name"),
        ({"file_name": "a\n.jpg"}, "plain name"),
        ({"file_name": 3}, "file_name"),
        ({"directory_id": ""}, "directory_id: '' is the root"),
        ({"directory_id": "0"}, "directory_id: '0' is the root"),
        ({"directory_id": 0}, "root"),
        ({"directory_id": "/"}, "root"),
        ({"directory_id": ["x"]}, "directory_id: got a list"),
    ],
)
def test_bad_requests(arguments: dict[str, Any], words: str) -> None:
    given = {"url": URL, "file_name": None, "directory_id": None} | arguments
    with pytest.raises(Pan123InputError) as caught:
        Request.of(**given)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)
    assert not caught.value.retryable


@pytest.mark.parametrize("extension", sorted(EXTENSIONS))
def test_the_nine_extensions(extension: str) -> None:
    assert Request.of(URL, f"x.{extension.upper()}", 10023).file_name == f"x.{extension.upper()}"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (URL, "a.jpg"),
        ("https://example.com/x/%E5%9B%BE%201.PNG?x=1#y", "图 1.PNG"),
        ("https://example.com/a%2Fb.jpg", "b.jpg"),
        ("https://example.com/", None),
        ("https://example.com/image?format=webp", None),
        ("https://example.com/.jpg", None),
        ("https://example.com/a%0A.jpg", None),
        ("https://example.com/a%5Cb.jpg", None),
    ],
)
def test_the_name_that_an_address_shows(url: str, name: str | None) -> None:
    assert name_of(url) == name
    assert Request.of(url, None, None).file_name == name


def test_a_given_name_wins() -> None:
    assert Request.of(URL, "b.png", None).file_name == "b.png"


def test_digests_differ_in_every_part() -> None:
    base = Request.of(URL, "b.png", "d")
    digests = {
        base.digest("account"),
        base.digest("other"),
        Request.of(URL + "?", "b.png", "d").digest("account"),
        Request.of(URL, "c.png", "d").digest("account"),
        Request.of(URL, "b.png", None).digest("account"),
    }
    assert len(digests) == 5
    assert base.digest("account") == Request.of(URL, "b.png", "d").digest("account")


GOOD = Submission(7, URL, "a.jpg", None, None, "2026-11-23T08:00:00+00:00")


@pytest.mark.parametrize("value", [GOOD.xcom(), {**GOOD.xcom(), "more": 1}])
def test_the_operators_output_is_taken(value: Any) -> None:
    assert Submission.parse(value) == GOOD


def test_an_image_without_a_name_may_be_known_by_its_callback() -> None:
    found = replace(GOOD, taskID=None, file_name=None, callback_id="0" * 32)
    assert Submission.parse(found.xcom()) == found


@pytest.mark.parametrize("value", [7, "7", " 7 "], ids=repr)
def test_a_bare_taskid_is_taken(value: Any) -> None:
    assert Submission.parse(value) == Submission(7)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "got None"),
        ("", "got ''"),
        ("abc", "got a str"),
        (True, "got a bool"),
        (-1, "got a int"),
        (1.5, "got a float"),
        (("taskID", 7), "not mapped"),
        (["url", URL], "not mapped"),
        ([GOOD.xcom()], "map the sensor"),
        ([GOOD.xcom(), GOOD.xcom()], "map the sensor"),
        (GOOD.xcom() | {"callback_id": "0" * 31}, "callback_id"),
        (GOOD.xcom() | {"callback_id": "A" * 32}, "callback_id"),
        (GOOD.xcom() | {"callback_id": "0" * 32 + "\n"}, "callback_id"),
        ({}, "no taskID"),
        ({"taskID": 0}, "got a int"),
        (GOOD.xcom() | {"file_name": 7}, "file_name is a int"),
        ({"taskID": None}, "nothing can be looked for"),
        (GOOD.xcom() | {"submitted_at": "yesterday"}, "submitted_at"),
        (GOOD.xcom() | {"submitted_at": "2026-11-23T08:00:00"}, "offset"),
    ],
)
def test_wrong_submissions(value: Any, words: str) -> None:
    with pytest.raises(Pan123InputError, match="^submission: ") as caught:
        Submission.parse(value)
    assert words in str(caught.value)


def test_logs_and_errors_do_not_show_what_signs_a_url() -> None:
    signed = "https://me:password@example.com/a.jpg?X-Amz-Signature=0123456789abcdef"
    assert replace(GOOD, url=signed).redacted_url == "https://example.com/a.jpg?X-Amz-Signature=***"
    assert Submission(7).redacted_url == "the image of taskID 7"
