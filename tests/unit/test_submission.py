"""Bad input gives an error that names the field, before anything is sent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_123pan.download.request import Request
from airflow_provider_123pan.download.submission import Submission
from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.source.naming import Naming
from airflow_provider_123pan.source.rules import EXTENSIONS
from airflow_provider_123pan.sync.entries import ManifestEntry

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
        ({"file_name": "a:b?c.jpg"}, "file_name: 'a:b?c.jpg' contains : ?; 123pan takes none of"),
        ({"file_name": "   "}, "file_name: '   ' needs a name and an image extension"),
        ({"file_name": "   .jpg"}, "file_name: '   .jpg' needs a name and an image extension"),
        ({"file_name": "x" * 300 + ".jpg"}, "has 304 characters; 123pan takes at most 254"),
        ({"file_name": "x" * 251 + ".jpg"}, "has 255 characters; 123pan takes at most 254"),
        ({"url": "https://example.com/"}, "file_name: the URL shows no image extension"),
        ({"url": "https://example.com/a.avif"}, "url: 123pan takes no .avif; convert it"),
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
        Request.of(**given, naming=Naming())
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)
    assert not caught.value.retryable


def request(url: str = URL, file_name: Any = None, directory_id: Any = None) -> Request:
    return Request.of(url, file_name, directory_id, Naming())


@pytest.mark.parametrize("extension", sorted(EXTENSIONS))
def test_the_nine_extensions(extension: str) -> None:
    assert (
        request(file_name=f"x.{extension.upper()}", directory_id=10023).file_name == f"x.{extension.upper()}"
    )


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "https://example.com/x/%E5%9B%BE%201.PNG?x=1#y",
        "https://example.com/a%2Fb.jpg",
        "https://example.com/a%0A.jpg",
        "https://example.com/a.png/",
        "https://example.com/%B1%ED.png",
        "https://example.com/640?wx_fmt=png",
        f"https://example.com/{'x' * 300}.jpg",
    ],
)
def test_a_name_is_derived_as_in_a_sync(url: str) -> None:
    name = request(url).file_name
    assert name == ManifestEntry.of({"url": url}).file_name
    assert request(file_name=name).file_name == name  # the service takes it


@pytest.mark.parametrize(
    "urls",
    [
        [f"https://example.com/{year}/1.png" for year in (2023, 2024, 2025)],
        ["https://example.com/%B1%ED.png", "https://example.com/%B2%E2.png"],
        ["https://example.com/show?format=png&id=1", "https://example.com/show?format=png&id=2"],
    ],
)
def test_derived_names_differ(urls: list[str]) -> None:
    assert len({request(url).file_name for url in urls}) == len(urls)


@pytest.mark.parametrize("name", ["b.png", " 图 (1).JPG", "x" * 250 + ".jpg"])
def test_a_given_name_is_sent_as_it_is(name: str) -> None:
    assert request(file_name=name).file_name == name


def test_digests_differ_in_every_part() -> None:
    base = request(URL, "b.png", "d")
    digests = {
        base.digest("account"),
        base.digest("other"),
        request(URL + "?", "b.png", "d").digest("account"),
        request(URL, "c.png", "d").digest("account"),
        request(URL, "b.png").digest("account"),
    }
    assert len(digests) == 5
    assert base.digest("account") == request(URL, "b.png", "d").digest("account")


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
