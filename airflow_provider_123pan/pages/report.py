"""The report of a plan or a migration: JSON, and a page of HTML that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.pages.folder import opened_folder
from airflow_provider_123pan.pages.tally import Tally
from airflow_provider_123pan.sync.atomic_file import write_file

# Of more diffs a browser becomes slow; the JSON file has all.
_MAX_HTML_DIFFS = 4 * 1024 * 1024  # characters

_STYLE = """
:root { color-scheme: light dark; --text: #1d2430; --quiet: #5a6472; --page: #fff; --panel: #f4f6f8;
  --line: #d7dce2; --old: #fbe3e4; --new: #dff3e4; --old-text: #8c1d23; --new-text: #14592b; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e8ee; --quiet: #9aa5b4; --page: #14181e; --panel: #1d232b;
  --line: #333c48; --old: #45222a; --new: #1c3b29; --old-text: #ffb9be; --new-text: #a5e8bb; } }
body { margin: 0 auto; padding: 2rem 1.25rem; max-width: 70rem; color: var(--text); background: var(--page);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { color: var(--quiet); margin: .25rem 0 1rem; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .75rem; margin: 1rem 0; }
dl div { background: var(--panel); border-radius: .5rem; padding: .6rem .8rem; }
dt { color: var(--quiet); font-size: .85rem; } dd { margin: 0; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .3rem .6rem .3rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0; }
summary { cursor: pointer; padding: .5rem .8rem; overflow-wrap: anywhere; } summary span { color: var(--quiet); }
pre { margin: 0; padding: .5rem 0; overflow-x: auto; border-top: 1px solid var(--line);
  font: .85rem/1.45 ui-monospace, monospace; }
pre span { display: block; padding: 0 .8rem; width: max-content; min-width: 100%; box-sizing: border-box; }
.old { background: var(--old); color: var(--old-text); } .new { background: var(--new); color: var(--new-text); }
.at { color: var(--quiet); }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

_NAMES = {
    "pages": "pages",
    "pages_changed": "pages that change",
    "images": "images",
    "present": "present already",
    "missing": "to be submitted",
    "probes": "formats to be probed",
    "migrated": "migrated",
    "failed": "failed",
    "unused": "migrated, on no page",
    "calls": "calls",
    "seconds": "seconds expected",
    "requests_per_second": "requests per second",
}


def check_report(path: str) -> None:
    """Check the path of a report.

    :raises Pan123InputError: it is not that of an HTML file.
    """
    if not path.endswith(".html"):
        raise Pan123InputError(f"report: {path!r} must end with .html; the JSON file is written beside it")


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
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        f"style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_shown(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{_shown(title)}</h1>\n<p>{_shown(facts['folder'])}</p>\n<dl>\n"
    )
    for key, name in _NAMES.items():
        if key in facts:
            yield f"<div><dt>{name}</dt><dd>{_number(facts[key])}</dd></div>\n"
    yield "</dl>\n"
    yield from _table("Images by host", ("Host", "Images"), facts.get("hosts", {}).items())
    yield from _table("Image URLs that stay in pages", ("Reason", "URLs"), facts["unknown"].items())
    left = [(each["page"], each["url"], each["reason"]) for each in facts["left"]]
    yield from _table("Where they are", ("Page", "URL", "Reason"), left)
    problems = [(each["page"], each["reason"]) for each in facts["problems"]]
    yield from _table("Pages that could not be read or written", ("Page", "Reason"), problems)
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
    yield "</body>\n</html>\n"


def _table(title: str, header: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    rows = [*rows]
    if not rows:
        return
    numeric = [not isinstance(value, str) for value in rows[0]]
    yield f"<h2>{title}</h2>\n<table>\n{_row('th', header, numeric)}"
    for row in rows:
        yield _row("td", row, numeric)
    yield "</table>\n"


def _row(tag: str, values: Iterable[Any], numeric: Iterable[bool]) -> str:
    cells = (
        f'<{tag} class="number">{_number(value)}</{tag}>' if right else f"<{tag}>{_shown(value)}</{tag}>"
        for value, right in zip(values, numeric, strict=True)
    )
    return f"<tr>{''.join(cells)}</tr>\n"


def _diff(diff: Mapping[str, Any]) -> Iterator[str]:
    replaced = f"{diff['replacements']:,} replacement{'s' if diff['replacements'] != 1 else ''}"
    yield f"<details><summary>{_shown(diff['page'])} <span>{replaced}</span></summary><pre>"
    for line in diff["diff"].split("\n")[2:]:
        kind = {"-": "old", "+": "new", "@": "at"}.get(line[:1])
        yield f'<span class="{kind}">{_shown(line)}</span>' if kind else f"<span>{_shown(line)}</span>"
    yield "</pre></details>\n"


def _number(value: Any) -> str:
    return _shown(value) if isinstance(value, str) else f"{value:,}"


def _shown(text: Any) -> str:
    """Return a text for HTML; halves of surrogate pairs, which names of files may have, cannot be written."""
    return escape(str(text).encode("utf-8", "replace").decode())
