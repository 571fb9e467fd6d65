"""What checks of images found. These images have not failed to be migrated, so the page keeps them apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from airflow_provider_123pan.service.redaction import redact_text, redact_url
from airflow_provider_123pan.web.tasks import Task


class Finding(NamedTuple):
    """The images with one problem.

    :ivar problem: as :mod:`~airflow_provider_123pan.check` names it, such as ``gone``; empty if it is unknown.
    :ivar urls: source URLs where they are known, otherwise image URLs; redacted.
    """

    problem: str
    reason: str
    urls: list[str]


class Findings(NamedTuple):
    """The findings of the checks of a run, the most frequent first.

    :ivar shown: the number of images in them.
    :ivar total: the number of images with a problem; the XComs hold only the first ones of each check.
    """

    groups: list[Finding]
    shown: int
    total: int


def findings_of(tasks: Iterable[Task]) -> Findings:
    """Return what the checks among these tasks found."""
    groups: dict[tuple[str, str], list[str]] = {}
    shown = total = 0
    for task in tasks:
        if not task.is_check:
            continue
        total += task.counts.get("problems", 0)
        for failure in task.failures:
            url, problem, reason = (_text(failure.get(key)) for key in ("url", "problem", "reason"))
            shown += 1
            groups.setdefault((problem, redact_text(reason, url)), []).append(redact_url(url))
    found = [Finding(problem, reason, urls) for (problem, reason), urls in groups.items()]
    return Findings(sorted(found, key=lambda finding: -len(finding.urls)), shown, max(shown, total))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
