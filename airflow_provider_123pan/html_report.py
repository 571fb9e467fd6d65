"""What all reports in HTML share: a page that needs no other file and runs nothing, its style, and its tables."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_123pan.exceptions import Pan123InputError

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
.thumbnail { width: 7.5rem; } .thumbnail img { display: block; width: 7rem; height: 5rem; object-fit: contain; }
.thumbnail img, .thumbnail span { background: var(--panel); border-radius: .5rem; }
.thumbnail span { display: flex; width: 7rem; height: 5rem; align-items: center; justify-content: center;
  color: var(--quiet); font-size: .85rem; }
.problem { background: var(--old); color: var(--old-text); border-radius: .4rem; padding: .1rem .45rem;
  font-size: .85rem; white-space: nowrap; }
.quiet { color: var(--quiet); font-size: .85rem; } a { color: inherit; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

# A host that can stand in a Content Security Policy, with its port.
_HOST = re.compile(r"[A-Za-z0-9.-]{1,255}(?::\d{1,5})?", re.ASCII)


def check_report(path: str) -> None:
    """Check the path of a report.

    :raises Pan123InputError: it is not that of an HTML file.
    """
    if not path.endswith(".html"):
        raise Pan123InputError(f"report: {path!r} must end with .html; its data are written beside it")


def begin(title: str, about: str, image_urls: Iterable[str] = ()) -> str:
    """Return the beginning of a page.

    :param about: what the report is about, such as a folder.
    :param image_urls: the page shows images of their hosts, and no others.
    """
    hosts = sorted({host for url in image_urls if (host := origin_of(url))})
    images = f"img-src {' '.join(hosts)}; " if hosts else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        f"{images}style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{shown(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{shown(title)}</h1>\n<p>{shown(about)}</p>\n"
    )


def end() -> str:
    """Return the end of a page."""
    return "</body>\n</html>\n"


def tiles(names: Mapping[str, str], facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield a tile for each fact that is there.

    :param names: what each key is called.
    """
    yield "<dl>\n"
    for key, name in names.items():
        if key in facts:
            yield f"<div><dt>{name}</dt><dd>{number(facts[key])}</dd></div>\n"
    yield "</dl>\n"


def origin_of(url: str) -> str | None:
    """Return scheme and host of an http or https URL, or None if a policy cannot name them."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    is_web = parts.scheme in ("http", "https") and _HOST.fullmatch(parts.netloc)
    return f"{parts.scheme}://{parts.netloc}" if is_web else None


def table(title: str, header: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    """Yield a table with its title; nothing if it has no rows. Columns of numbers are set to the right."""
    rows = [*rows]
    if not rows:
        return
    numeric = [not isinstance(value, str) for value in rows[0]]
    yield f"<h2>{title}</h2>\n<table>\n{_row('th', header, numeric)}"
    for row in rows:
        yield _row("td", row, numeric)
    yield "</table>\n"


def _row(tag: str, values: Iterable[Any], numeric: Iterable[bool]) -> str:
    """Return a row of a table."""
    cells = (
        f'<{tag} class="number">{number(value)}</{tag}>' if right else f"<{tag}>{shown(value)}</{tag}>"
        for value, right in zip(values, numeric, strict=True)
    )
    return f"<tr>{''.join(cells)}</tr>\n"


def number(value: Any) -> str:
    """Return a number for people, or a text."""
    return shown(value) if isinstance(value, str) else f"{value:,}"


def shown(text: Any) -> str:
    """Return a text for HTML; halves of surrogate pairs, which names of files may have, cannot be written."""
    return escape(str(text).encode("utf-8", "replace").decode())
