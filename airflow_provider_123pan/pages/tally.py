"""Counts what a run did to the pages, and keeps what its report shows."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from airflow_provider_123pan.pages.diff import unified_diff
from airflow_provider_123pan.pages.page_text import PageProblem
from airflow_provider_123pan.pages.rewriter import RewrittenPage
from airflow_provider_123pan.pages.selection import Choice, Selection
from airflow_provider_123pan.rewriting.replacing import LeftImage
from airflow_provider_123pan.service.redaction import redact_url

_MAX_LISTED = 1000  # image URLs and problems in the report
_MAX_REASONS = 20
_OTHER_REASONS = "other reasons"
BROKEN_STRING = "in a string that PHP serialized with a wrong length"


class Tally:
    """What happened to the pages.

    :param reason_of: why an image that is to be migrated has no new URL.
    :ivar unknown: the number of image URLs that stay in pages, by reason.
    """

    def __init__(self, selection: Selection, reason_of: Callable[[str], str]) -> None:
        self._selection = selection
        self._reason_of = reason_of
        # Diffs of ten thousand pages do not belong into memory.
        self._diffs = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        self.pages = self.pages_changed = 0
        self.unknown: Counter[str] = Counter()
        self.left: list[dict[str, str]] = []
        self.problems: list[PageProblem] = []
        self.retryable_problems = 0

    def close(self) -> None:
        """Delete the diffs."""
        self._diffs.close()

    def add(self, page: RewrittenPage | PageProblem) -> None:
        """Count a page."""
        self.pages += 1
        if isinstance(page, PageProblem):
            self.retryable_problems += page.may_retry
            if len(self.problems) < _MAX_LISTED:
                self.problems.append(page)
            return
        self.pages_changed += page.was_rewritten or bool(page.edits)
        if page.edits:
            diff = "\n".join(unified_diff(page.name, page.text, page.edits))
            record = {"page": page.name, "replacements": len(page.edits), "diff": diff}
            self._diffs.write(json.dumps(record) + "\n")
        for image in page.rest:
            self._leave(page.name, image)

    def diffs(self) -> Iterator[dict[str, Any]]:
        """Yield the pages that changed: ``page``, the number of ``replacements``, and the ``diff``."""
        self._diffs.seek(0)
        yield from map(json.loads, self._diffs)

    def _leave(self, page: str, image: LeftImage) -> None:
        url = image.url
        choice = self._selection.choose(url)
        if choice is Choice.OWN:
            return
        if choice is Choice.EXCLUDED:
            reason = choice.value
        else:
            reason = BROKEN_STRING if image.is_broken else self._reason_of(url)
        if reason not in self.unknown and len(self.unknown) >= _MAX_REASONS:
            reason = _OTHER_REASONS
        self.unknown[reason] += 1
        if len(self.left) < _MAX_LISTED:
            self.left.append({"page": page, "url": redact_url(url), "reason": reason})
