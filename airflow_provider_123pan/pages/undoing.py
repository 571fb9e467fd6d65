"""Restores the pages of a journal."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.pages.folder import UnreadablePageError, opened_folder, page_at, read_page
from airflow_provider_123pan.pages.page_journal import PageJournal, Segment, read_segment, sha256
from airflow_provider_123pan.sync.atomic_file import discard_unfinished, write_file

log = logging.getLogger(__name__)

_OWNER = "undo"

_Place = tuple[str, str]  # the folder of the pages, and a page's path below it
_Change = tuple[str, str]  # the hashes of a page before and after


@dataclass(slots=True)
class Undone:
    """What :func:`undo` did, by the paths of the pages.

    :ivar restored: pages that have their old content again.
    :ivar untouched: pages that had it already.
    :ivar left: pages that were left as they are, and why: they were edited since, or could not be read or written.
    """

    restored: list[str] = field(default_factory=list)
    untouched: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)


def undo(journal: str) -> Undone:
    """Restore the pages of a journal, byte for byte. A page that was edited since is left, and named.

    It can be repeated after an interruption.

    :param journal: the folder that was given to the operator.
    :raises Pan123InputError: it holds no journal, or a file of it was changed.
    """
    segments = PageJournal(journal).segments()
    if not segments:
        raise Pan123InputError(f"journal: {journal!r} holds no journal of rewritten pages")
    done = Undone()
    todo = _restorable(segments, done)
    for segment in reversed(segments):
        root, entries = read_segment(segment)
        place = opened_folder("pages", root)
        for entry in reversed([*entries]):
            if (root, entry.page) not in todo:
                continue
            page, shown = page_at(place, entry.page), _shown(root, entry.page)
            try:
                data = read_page(page)
                if sha256(data) == entry.after:
                    write_file(page.path, [entry.restored(data)], _OWNER)
            except (OSError, UnreadablePageError) as error:
                done.left[shown] = f"{type(error).__name__}: {error}"
                todo.discard((root, entry.page))
    done.restored += sorted(_shown(*place) for place in todo)
    return done


def _restorable(segments: Sequence[Segment], done: Undone) -> set[_Place]:
    """Return the pages that the journal leads back to their first content, and sort the others into ``done``."""
    changes: dict[_Place, list[_Change]] = {}
    for segment in segments:
        root, entries = read_segment(segment)
        for entry in entries:
            changes.setdefault((root, entry.page), []).append((entry.before, entry.after))
            for owner in (segment.owner, _OWNER):
                discard_unfinished(page_at(opened_folder("pages", root), entry.page).path, owner)
    restorable: set[_Place] = set()
    for (root, name), made in changes.items():
        shown = _shown(root, name)
        try:
            current = sha256(read_page(page_at(opened_folder("pages", root), name)))
        except (OSError, UnreadablePageError) as error:
            done.left[shown] = f"{type(error).__name__}: {error}"
            continue
        original = made[0][0]
        if current == original:
            done.untouched.append(shown)
        elif _leads_to(original, current, made):
            restorable.add((root, name))
        else:
            done.left[shown] = "it was edited since"
    return restorable


def _leads_to(original: str, current: str, made: Sequence[_Change]) -> bool:
    """Return whether undoing changes, the latest first, leads from one content to another."""
    for before, after in reversed(made):
        if after == current:
            current = before
    return current == original


def _shown(root: str, name: str) -> str:
    return f"{root.rstrip('/')}/{name}"
