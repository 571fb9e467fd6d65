"""What came of the blog: whether its pages, its images and their checks are what the demo promises."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_123pan.sync.result_record import ResultRecord
from dev.demo.blog import Blog


@dataclass(frozen=True)
class Outcome:
    """The numbers that decide whether the demo succeeded.

    :ivar succeeded: whether the DAG run succeeded.
    :ivar pages: pages of the blog.
    :ivar rewritten: pages whose images all have their new URLs, and which are otherwise equal byte for byte.
    :ivar images: images of the blog.
    :ivar equal: images whose new URL serves the bytes that the old one served.
    :ivar by_service: images that 123pan fetched.
    :ivar by_worker: images that the worker fetched and uploaded.
    :ivar guarded: images that only the worker can fetch.
    :ivar healthy: images that the check found healthy.
    """

    succeeded: bool
    pages: int
    rewritten: int
    images: int
    equal: int
    by_service: int
    by_worker: int
    guarded: int
    healthy: int

    @property
    def held(self) -> bool:
        """Whether the demo showed what it promises."""
        return (
            self.succeeded
            and self.rewritten == self.pages
            and self.equal == self.healthy == self.images
            and self.by_worker == self.guarded
            and self.by_service + self.by_worker == self.images
        )

    @classmethod
    def of(
        cls,
        blog: Blog,
        records: Iterable[ResultRecord],
        checked: Mapping[str, Any],
        *,
        succeeded: bool,
        load: Callable[[str], bytes | None],
    ) -> Outcome:
        """Compare the blog with what it was.

        :param records: the results of the migration.
        :param checked: what the check returned.
        :param succeeded: whether the DAG run succeeded.
        :param load: returns what a URL serves, or None.
        """
        fetched = {record.url: record for record in records if record.status == "migrated"}
        new = {url: str(record.new_url) for url, record in fetched.items() if record.new_url}
        fetched_by = [record.fetched_by for record in fetched.values()]
        return cls(
            succeeded=succeeded,
            pages=len(blog.pages),
            rewritten=sum(blog.text(name) == _replaced(page, blog, new) for name, page in blog.pages.items()),
            images=len(blog.images),
            equal=sum(load(new[url]) == content for url, content in blog.images.items() if url in new),
            by_service=fetched_by.count("service"),
            by_worker=fetched_by.count("worker"),
            guarded=sum(url.startswith(f"{blog.guarded}/") for url in blog.images),
            healthy=checked.get("healthy", 0),
        )


def read_records(results: str) -> list[ResultRecord]:
    """Return the records of a local results file.

    The provider's own function imports Airflow, which takes seconds and creates a folder in the user's home.

    :param results: its path, which begins with ``file://``, and ends with ``.jsonl``.
    """
    lines = Path(results.removeprefix("file://")).read_text(encoding="utf-8").splitlines()
    return [ResultRecord(**json.loads(line)) for line in lines]


def _replaced(page: str, blog: Blog, new: Mapping[str, str]) -> str | None:
    """Return a page with the new URL of each image, or None if one of its images has none."""
    for url in blog.images:
        if url in page:
            if url not in new:
                return None
            page = page.replace(url, new[url])
    return page
