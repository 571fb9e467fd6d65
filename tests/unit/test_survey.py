"""A check believes the record of an image where its listing is silent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from airflow_provider_123pan import exceptions
from airflow_provider_123pan.check.checked_images import CheckedImages
from airflow_provider_123pan.check.survey import Survey
from airflow_provider_123pan.service.flow import drive
from airflow_provider_123pan.service.models import Image, Listing
from airflow_provider_123pan.service.protocol import MakeCall
from airflow_provider_123pan.sync.result_record import ResultRecord
from tests.support import image

VERIFYING = exceptions.Pan123VerifyingError("20103")


@pytest.fixture
def directory() -> Iterator[CheckedImages]:
    with closing(CheckedImages(lists_all=True)) as made:
        yield made


@pytest.fixture
def results() -> Iterator[CheckedImages]:
    """The images f0 to f3 of a results file."""
    with closing(CheckedImages(lists_all=False)) as made:
        for number in range(4):
            url = f"https://vip/f{number}.jpg"
            made.add_record(
                ResultRecord(url, f"{number}.jpg", "migrated", 7, f"f{number}", url, None, None, None, None)
            )
        yield made


def perform(listed: list[Image], details: dict[str, Image | Exception], asked: list[str]) -> Any:
    """Answer the calls of a survey, and note the ids whose records it requests."""

    def answer(step: Any) -> Any:
        assert isinstance(step, MakeCall)
        if step.call.name == "list_images":
            return Listing(tuple(listed), (), None)
        assert step.call.params
        asked.append(step.call.params["fileID"])
        found = details[asked[-1]]
        if isinstance(found, Exception):
            raise found
        return found

    return answer


def listed(file_id: str, **more: Any) -> Image:
    return image(f"{file_id}.jpg", file_id=file_id, **more)


def test_images_that_are_listed_without_a_url_show_it_or_a_rejection(directory: CheckedImages) -> None:
    silent = [listed(f"f{number}", status=0, download_url=None, etag=None) for number in range(3)]
    details = {"f0": listed("f0", status=104), "f1": listed("f1"), "f2": VERIFYING}
    survey, asked = Survey(directory), list[str]()
    answer = perform([*silent, listed("f3")], details, asked)
    drive(survey.list_directory("d", "photos"), answer)
    drive(survey.find_urls(), answer)
    directory.fail_without_url("no URL")
    assert asked == ["f0", "f1", "f2"]
    assert [(found.fileID, found.problem) for found in directory.failures()] == [
        ("f0", "rejected"),
        ("f2", "unreachable"),
    ]
    assert [(file_id, served.url) for file_id, served in directory.to_load()] == [
        ("f1", "https://vip/f1.jpg"),
        ("f3", "https://vip/f3.jpg"),
    ]
    assert directory.hosts == {"vip"}


def test_a_rejection_in_a_record_counts_though_the_listing_shows_none(results: CheckedImages) -> None:
    survey, asked = Survey(results), list[str]()
    answer = perform([listed(f"f{number}") for number in range(4)], {"f0": listed("f0", status=104)}, asked)
    drive(survey.find_directories(), answer)
    drive(survey.find_urls(), answer)
    assert [(found.fileID, found.problem) for found in results.failures()] == [("f0", "rejected")]
    assert asked == ["f0"]


def test_an_image_in_verification_does_not_stop_the_check(results: CheckedImages) -> None:
    answer = perform(
        [listed(f"f{number}") for number in (1, 2, 3)], {"f0": VERIFYING, "f1": listed("f1")}, []
    )
    drive(Survey(results).find_directories(), answer)
    assert [(found.fileID, found.problem) for found in results.failures()] == [("f0", "unreachable")]
