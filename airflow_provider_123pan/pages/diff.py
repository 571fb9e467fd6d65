"""Shows what is replaced in a page, as a unified diff."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from airflow_provider_123pan.rewriting import Edit

_CONTEXT = 2  # lines before and after a changed one
_MAX_LINE = 2000  # characters; of a longer line only what surrounds its replacements is shown
_MARGIN = 120


def unified_diff(name: str, text: str, edits: Sequence[Edit]) -> list[str]:
    """Return the lines of a unified diff; no replacement changes the number of lines.

    :param edits: in the order of the text.
    """
    if not edits:
        return []
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    changed: dict[int, list[Edit]] = {}
    for edit in edits:
        number = bisect_right(starts, edit.start) - 1
        changed.setdefault(number, []).append(
            Edit(edit.start - starts[number], edit.end - starts[number], edit.new)
        )
    shown = [f"--- a/{name}", f"+++ b/{name}"]
    for first, last in _hunks(changed, len(lines)):
        size = last - first
        shown.append(f"@@ -{first + 1},{size} +{first + 1},{size} @@")
        for number in range(first, last):
            line = lines[number].rstrip("\r\n")
            if number in changed:
                old, new = _excerpts(line, changed[number])
                shown += [f"-{old}", f"+{new}"]
            else:
                shown.append(f" {line[:_MAX_LINE]}{'…' if len(line) > _MAX_LINE else ''}")
    return shown


def _hunks(changed: dict[int, list[Edit]], count: int) -> Iterator[tuple[int, int]]:
    """Yield the first line of each hunk, and the line after its last one."""
    first = last = -1
    for number in changed:
        begin, end = max(0, number - _CONTEXT), min(count, number + _CONTEXT + 1)
        if first >= 0 and begin <= last:
            last = end
            continue
        if first >= 0:
            yield first, last
        first, last = begin, end
    if first >= 0:
        yield first, last


def _excerpts(line: str, edits: Sequence[Edit]) -> tuple[str, str]:
    """Return a line before and after; of a long one, what surrounds the replacements."""
    is_long = len(line) > _MAX_LINE
    old: list[str] = []
    new: list[str] = []
    done = 0
    for start, end, inserted in edits:
        between = line[done:start]
        if is_long:
            between = _shortened(between, keeps_begin=done > 0, keeps_end=True)
        old += between, line[start:end]
        new += between, inserted
        done = end
    rest = line[done:]
    if is_long:
        rest = _shortened(rest, keeps_begin=True, keeps_end=False)
    return "".join([*old, rest]), "".join([*new, rest])


def _shortened(text: str, *, keeps_begin: bool, keeps_end: bool) -> str:
    if len(text) <= 2 * _MARGIN:
        return text
    return f"{text[:_MARGIN] if keeps_begin else ''} … {text[-_MARGIN:] if keeps_end else ''}"
