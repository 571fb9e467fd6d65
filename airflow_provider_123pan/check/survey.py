"""Finds out from listings which images are there: a gone image costs no call of its own where they show it."""

from __future__ import annotations

import logging

from airflow_provider_123pan.check.checked_images import CheckedImages
from airflow_provider_123pan.exceptions import Pan123AnswerError, Pan123ServiceError, Pan123VerifyingError
from airflow_provider_123pan.service.error_codes import NO_FILE
from airflow_provider_123pan.service.flow import Flow
from airflow_provider_123pan.service.listing import visit_pages
from airflow_provider_123pan.service.models import Image, Listing
from airflow_provider_123pan.service.protocol import MakeCall, get_image
from airflow_provider_123pan.verification.loading import Problem

log = logging.getLogger(__name__)

_NOT_LISTED = "its directory does not list it any more"


class Survey:
    """Lists the directories of images, each once, with those below it; a page has 100 images.

    :param images: gets what is found.
    """

    def __init__(self, images: CheckedImages) -> None:
        self._images = images
        self._listed: set[str] = set()  # the ids of directories

    def list_directory(self, directory_id: str, path: str) -> Flow[None]:
        """List a directory.

        :param path: what it is called in the report.
        """
        waiting = [(directory_id, path)]

        def visit(page: Listing) -> None:
            for image in page.images:
                self._images.add_listed(image, path)
            waiting.extend((found.directory_id, f"{path}/{found.name}") for found in page.directories)

        while waiting:
            directory_id, path = waiting.pop()
            if directory_id not in self._listed:
                self._listed.add(directory_id)
                yield from visit_pages(directory_id, visit)

    def end(self) -> None:
        """Record that images are gone which the directories should list."""
        self._images.fail_unlisted(_NOT_LISTED)

    def find_directories(self) -> Flow[None]:
        """List the directories of all images: an image that no listing showed names its directory, or is gone."""
        while (fileID := self._images.next_unlisted()) is not None:
            try:
                image: Image = yield MakeCall(get_image(fileID))
            except (Pan123ServiceError, Pan123AnswerError, Pan123VerifyingError) as error:
                if error.code == NO_FILE:
                    self._images.fail(fileID, Problem.GONE, f"123pan does not know it (code {NO_FILE})")
                else:
                    self._images.fail(
                        fileID, Problem.UNREACHABLE, f"123pan does not show it: {error.description}"
                    )
                continue
            path = image.directory_name or image.directory_id or ""
            if image.directory_id is not None:
                yield from self.list_directory(image.directory_id, path)
            if self._images.is_listed(fileID):
                self._images.complete(image)
            else:
                self._images.add_listed(image, path)

    def find_urls(self) -> Flow[None]:
        """Request the records of the images that are listed without a URL: they may show one, or a rejection."""
        for fileID in self._images.without_url():
            try:
                image: Image = yield MakeCall(get_image(fileID))
            except (Pan123ServiceError, Pan123AnswerError, Pan123VerifyingError) as error:
                log.info("File %s shows no record: %s", fileID, error)
            else:
                self._images.complete(image)
