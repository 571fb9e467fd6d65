"""The report of a check: JSON lines, which a sync reads as a list, and a page of HTML with thumbnails."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from itertools import islice
from typing import Any

from airflow_provider_123pan.check.checked_images import CheckedImages, Failure
from airflow_provider_123pan.html_report import begin, end, origin_of, shown, table, tiles
from airflow_provider_123pan.service.redaction import redact_url
from airflow_provider_123pan.source.paths import path_of
from airflow_provider_123pan.sync.atomic_file import write_file
from airflow_provider_123pan.verification.loading import Problem

# Of more thumbnails a browser becomes slow; the JSON lines have all failures.
_MAX_HTML_FAILURES = 500

_TILES = {"images": "images", "healthy": "healthy", "failed": "failed"}
_NAMES = {
    Problem.GONE: "gone",
    Problem.REJECTED: "rejected by review",
    Problem.WRONG_TYPE: "not an image",
    Problem.WRONG_CONTENT: "wrong content",
    Problem.SLOW: "slow",
    Problem.TRAFFIC_EXCEEDED: "traffic exceeded",
    Problem.UNREACHABLE: "unreachable",
}
# There is nothing to show of these.
_WITHOUT_THUMBNAIL = (Problem.GONE, Problem.WRONG_TYPE)


def data_path(report: str) -> str:
    """Return the path of the JSON lines beside an HTML file."""
    return report.removesuffix(".html") + ".jsonl"


def write_report(
    path: str, subject: str, counts: Mapping[str, Any], images: CheckedImages, owner: str
) -> None:
    """Write the HTML file, and the JSON lines beside it.

    :param subject: what was checked.
    :param counts: as :meth:`~airflow_provider_123pan.check.checked_images.CheckedImages.counts` returns them.
    """
    lines = (json.dumps(failure._asdict(), ensure_ascii=False) + "\n" for failure in images.failures())
    write_file(path_of("report", data_path(path)), lines, owner)
    about = f"{subject}, {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC"
    failures = [*islice(images.failures(), _MAX_HTML_FAILURES)]
    page = _html(about, counts, failures, images.traffic.most_common())
    write_file(path_of("report", path), page, owner)


def _html(
    about: str, counts: Mapping[str, Any], failures: list[Failure], traffic: Iterable[tuple[str, int]]
) -> Iterator[str]:
    yield begin("Check of images on 123pan", about, filter(None, map(_thumbnail_url, failures)))
    names = _TILES | {problem.value: name for problem, name in _NAMES.items() if counts[problem.value]}
    yield from tiles(names, counts)
    yield "<h2>Failures</h2>\n"
    if failures:
        yield "<table>\n<tr><th></th><th>Image</th><th>Problem</th></tr>\n"
        yield from map(_row, failures)
        yield "</table>\n"
    else:
        yield "<p>All images are healthy.</p>\n"
    if len(failures) == _MAX_HTML_FAILURES:
        yield f"<p>These are the first {_MAX_HTML_FAILURES}; all are in the .jsonl file beside this one.</p>\n"
    rows = [(directory, _size(served)) for directory, served in traffic]
    yield from table("Traffic so far, by directory", ("Directory", "Traffic"), rows)
    yield end()


def _row(failure: Failure) -> str:
    url = _thumbnail_url(failure)
    name = _NAMES[Problem(failure.problem)]
    thumbnail = (
        f'<img src="{shown(url)}" alt="" loading="lazy" referrerpolicy="no-referrer">'
        if url
        else "<span>nothing to see</span>"
    )
    label = shown(failure.file_name or failure.fileID)
    if failure.image_url and origin_of(failure.image_url):
        label = f'<a href="{shown(failure.image_url)}" rel="noreferrer">{label}</a>'
    source = f'<div class="quiet">{shown(redact_url(failure.url))}</div>' if failure.url else ""
    return (
        f'<tr><td class="thumbnail">{thumbnail}</td><td>{label}{source}</td>'
        f'<td><span class="problem">{name}</span><div>{shown(failure.reason)}</div></td></tr>\n'
    )


def _thumbnail_url(failure: Failure) -> str | None:
    """Return the URL of an image that may show something, or None."""
    url = failure.image_url
    return url if url and Problem(failure.problem) not in _WITHOUT_THUMBNAIL and origin_of(url) else None


def _size(count: int) -> str:
    """Return a number of bytes for people."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"
