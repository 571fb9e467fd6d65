"""The report of a plan or a migration: JSON, and a page of HTML that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_provider_123pan.html_report import begin, end, shown, table, tiles
from airflow_provider_123pan.pages.folder import opened_folder
from airflow_provider_123pan.pages.tally import Tally
from airflow_provider_123pan.sync.atomic_file import write_file

# Of more diffs a browser becomes slow; the JSON file has all.
_MAX_HTML_DIFFS = 4 * 1024 * 1024  # characters

_NAMES = {
    "pages": "pages",
    "pages_changed": "pages that change",
    "images": "images",
    "present": "present already",
    "missing": "to be submitted",
    "probes": "formats to be probed",
    "migrated": "migrated",
    "suspect": "suspect",
    "failed": "failed",
    "unused": "migrated, on no page",
    "calls": "calls",
    "seconds": "seconds expected",
    "requests_per_second": "requests per second",
}


def write_report(path: str, title: str, facts: Mapping[str, Any], tally: Tally, owner: str) -> None:
    """Write the HTML file, and the JSON file beside it.

    :param facts: counts and other values by name; ``hosts`` are numbers of images by host.
    """
    facts = {
        **facts,
        "unknown": dict(tally.unknown),
        "left": tally.left,
        "problems": [{"page": each.name, "reason": each.reason} for each in tally.problems],
    }
    place = opened_folder("report", path.removesuffix(".html") + ".json")
    write_file(place, _json(facts, tally.diffs()), owner)
    write_file(opened_folder("report", path), _html(title, facts, tally.diffs()), owner)


def _json(facts: Mapping[str, Any], diffs: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield json.dumps(facts, indent=1).removesuffix("\n}") + ',\n "diffs": ['
    separator = "\n"
    for diff in diffs:
        yield separator + json.dumps(diff)
        separator = ",\n"
    yield "\n]}\n"


def _html(title: str, facts: Mapping[str, Any], diffs: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield begin(title, facts["folder"])
    yield from tiles(_NAMES, facts)
    yield from table("Images by host", ("Host", "Images"), facts.get("hosts", {}).items())
    yield from table("Image URLs that stay in pages", ("Reason", "URLs"), facts["unknown"].items())
    left = [(each["page"], each["url"], each["reason"]) for each in facts["left"]]
    yield from table("Where they are", ("Page", "URL", "Reason"), left)
    problems = [(each["page"], each["reason"]) for each in facts["problems"]]
    yield from table("Pages that could not be read or written", ("Page", "Reason"), problems)
    yield "<h2>Changes</h2>\n"
    written = hidden = 0
    for diff in diffs:
        if written > _MAX_HTML_DIFFS:
            hidden += 1
            continue
        written += len(diff["diff"])
        yield from _diff(diff)
    if hidden:
        yield f"<p>{hidden:,} more pages are in the JSON file beside this one.</p>\n"
    elif not written:
        yield "<p>No page changes.</p>\n"
    yield end()


def _diff(diff: Mapping[str, Any]) -> Iterator[str]:
    replaced = f"{diff['replacements']:,} replacement{'s' if diff['replacements'] != 1 else ''}"
    yield f"<details><summary>{shown(diff['page'])} <span>{replaced}</span></summary><pre>"
    for line in diff["diff"].split("\n")[2:]:
        kind = {"-": "old", "+": "new", "@": "at"}.get(line[:1])
        yield f'<span class="{kind}">{shown(line)}</span>' if kind else f"<span>{shown(line)}</span>"
    yield "</pre></details>\n"
