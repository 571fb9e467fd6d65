"""Pages are rewritten once and can be restored, whenever the process is killed."""

from __future__ import annotations

import hashlib
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.pages import undo
from airflow_provider_123pan.pages.folder import PageFolder
from airflow_provider_123pan.pages.page_journal import PageJournal
from airflow_provider_123pan.pages.page_text import PageProblem
from airflow_provider_123pan.pages.rewriter import Rewriter, RewrittenPage
from airflow_provider_123pan.rewriting import Addresses

OWNER, OTHER = "0123456789ab", "ba9876543210"
OLD, NEW = "https://old.example/%s.png", "https://vip.123pan.cn/1/%s.png"
ADDRESSES = Addresses({OLD % name: NEW % name for name in ("a", "b", "图")})
PAGES = {
    "a.md": f"\ufeff![]({OLD % 'a'})\r\n![]({OLD % 'b'}) ![]({OLD % 'other'})\n".encode(),
    "b.html": f'<meta charset="gbk">图<img src="{OLD % "图"}">\r\n'.encode("gbk"),
    "c/d.txt": f"![]({OLD % 'a'})".encode("utf-16"),
    "c/e.md": b"no image",
    "c/f.json": json.dumps({"image": OLD % "b"}).replace("/", "\\/").encode(),
    "g.yaml": f"cover: {OLD % 'a'} # \xe9\n".encode("latin-1"),
    "h.txt": f's:25:"{OLD % "a"}";'.encode(),
    "i.md": b"\x89PNG\0\0",
}
CHANGED = 6


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_123pan.pages.rewriter._MAX_PAGES", 2)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for name, content in PAGES.items():
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "site"


def journal_of(site: Path) -> str:
    return str(site.parent / "journal")


def rewrite(
    site: Path, owner: str = OWNER, addresses: Addresses = ADDRESSES
) -> list[RewrittenPage | PageProblem]:
    return [*Rewriter(PageFolder(str(site)), addresses, PageJournal(journal_of(site)), owner).run()]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def changed(found: list[RewrittenPage | PageProblem]) -> int:
    return sum(isinstance(page, RewrittenPage) and bool(page.edits) for page in found)


def reset(site: Path, disk: Any) -> None:
    for folder in (site, Path(journal_of(site))):
        for path in folder.rglob("*"):
            if path.is_file():
                os.unlink(path)
    for name, content in PAGES.items():
        (site / name).write_bytes(content)
    disk.replaced.clear()


def test_pages_change_in_their_urls_only_and_keep_their_modes(site: Path) -> None:
    (site / "a.md").chmod(0o640)
    found = rewrite(site)
    assert (len(found), changed(found)) == (len(PAGES) - 1, CHANGED)
    after = tree(site)
    assert (site / "a.md").stat().st_mode & 0o777 == 0o640
    assert after["a.md"] == PAGES["a.md"].replace(b"old.example/a", b"vip.123pan.cn/1/a").replace(
        b"old.example/b", b"vip.123pan.cn/1/b"
    )
    assert after["b.html"].decode("gbk") == f'<meta charset="gbk">图<img src="{NEW % "图"}">\r\n'
    assert after["c/d.txt"].decode("utf-16") == f"![]({NEW % 'a'})"
    assert after["g.yaml"] == f"cover: {NEW % 'a'} # \xe9\n".encode("latin-1")
    assert after["h.txt"] == f's:{len(NEW % "a")}:"{NEW % "a"}";'.encode()
    assert changed(rewrite(site, OTHER)) == 0
    assert tree(site) == after


def test_undo_restores_every_page_and_can_be_repeated(site: Path) -> None:
    rewrite(site)
    done = undo(journal_of(site))
    assert tree(site) == PAGES
    assert (len(done.restored), done.untouched, done.left) == (CHANGED, [], {})
    done = undo(journal_of(site))
    assert (done.restored, len(done.untouched), done.left) == ([], CHANGED, {})


def test_undo_leaves_and_names_pages_that_were_edited_since(site: Path) -> None:
    rewrite(site)
    (site / "a.md").write_bytes(b"edited")
    (site / "h.txt").unlink()
    done = undo(journal_of(site))
    assert tree(site) == {name: data for name, data in PAGES.items() if name != "h.txt"} | {"a.md": b"edited"}
    assert done.left[str(site / "a.md")] == "it was edited since"
    assert done.left[str(site / "h.txt")].startswith("FileNotFoundError")
    assert len(done.restored) == CHANGED - 2


def test_undo_goes_back_over_several_runs(site: Path) -> None:
    rewrite(site)
    rewrite(site, OTHER, Addresses({OLD % "other": NEW % "other"}))
    assert (NEW % "other").encode() in (site / "a.md").read_bytes()
    assert undo(journal_of(site)).left == {}
    assert tree(site) == PAGES


def test_undo_leaves_a_page_that_was_edited_between_two_runs(site: Path) -> None:
    rewrite(site)
    edited = (site / "a.md").read_bytes() + b"edited"
    (site / "a.md").write_bytes(edited)
    rewrite(site, OTHER, Addresses({OLD % "other": NEW % "other"}))
    after = (site / "a.md").read_bytes()
    assert after != edited
    assert undo(journal_of(site)).left == {str(site / "a.md"): "it was edited since"}
    assert tree(site) == PAGES | {"a.md": after}


def test_a_page_edited_while_the_task_runs_is_left(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = PageJournal.write

    def write_and_edit(*arguments: Any) -> None:
        write(*arguments)
        (site / "b.html").write_bytes(b"edited")

    monkeypatch.setattr(PageJournal, "write", write_and_edit)
    (problem,) = (page for page in rewrite(site) if isinstance(page, PageProblem))
    assert (problem.name, (site / "b.html").read_bytes()) == ("b.html", b"edited")


def test_a_retry_counts_what_the_killed_try_has_rewritten(site: Path, disk: Any) -> None:
    with disk.killing_after(14):
        rewrite(site)
    found = rewrite(site)
    earlier = [page for page in found if isinstance(page, RewrittenPage) and page.was_rewritten]
    assert earlier
    assert len(earlier) + changed(found) == CHANGED


def steps_of(site: Path, disk: Any) -> int:
    disk.steps = 0
    rewrite(site)
    steps = disk.steps
    reset(site, disk)
    assert steps == 5 * (CHANGED + CHANGED // 2)
    return int(steps)


def test_a_task_killed_at_any_step_continues_and_writes_each_page_once(site: Path, disk: Any) -> None:
    for step in range(steps_of(site, disk)):
        with disk.killing_after(step):
            rewrite(site)
        rewrite(site)
        pages = {path: count for path, count in disk.replaced.items() if path.startswith(str(site))}
        assert [*pages.values()] == [1] * CHANGED, step
        assert tree(site).keys() == PAGES.keys()
        undo(journal_of(site))
        assert tree(site) == PAGES, step
        reset(site, disk)


def test_undo_after_a_task_was_killed_at_any_step_restores_the_tree(site: Path, disk: Any) -> None:
    for step in range(steps_of(site, disk)):
        with disk.killing_after(step):
            rewrite(site)
        if PageJournal(journal_of(site)).segments():
            assert undo(journal_of(site)).left == {}
        assert tree(site) == PAGES, step
        reset(site, disk)


def test_an_undo_killed_at_any_step_can_be_repeated(site: Path, disk: Any) -> None:
    for step in range(5 * CHANGED):
        rewrite(site)
        with disk.killing_after(step):
            undo(journal_of(site))
        undo(journal_of(site))
        assert tree(site) == PAGES, step
        reset(site, disk)


def test_undo_after_ten_random_kills_restores_the_tree(site: Path, disk: Any) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(10):
        with disk.killing_after(chance.randrange(12)):
            rewrite(site)
    rewrite(site)
    assert max(count for path, count in disk.replaced.items() if path.startswith(str(site))) == 1
    undo(journal_of(site))
    assert tree(site) == PAGES


def test_pages_of_an_object_store_are_rewritten_and_restored(object_store: Any, tmp_path: Path) -> None:
    for name, content in PAGES.items():
        object_store.pipe_file(f"/site/{name}", content)
    journal = PageJournal("memory://journal/2026")
    found = [*Rewriter(PageFolder("memory://site"), ADDRESSES, journal, OWNER).run()]
    assert changed(found) == CHANGED
    assert object_store.cat_file("/site/c/d.txt").decode("utf-16") == f"![]({NEW % 'a'})"
    assert len(undo("memory://journal/2026").restored) == CHANGED
    assert {name: object_store.cat_file(f"/site/{name}") for name in PAGES} == PAGES


def test_a_stored_journal_is_still_read(site: Path) -> None:
    before, after = b"\xef\xbb\xbf![](a) b", b"\xef\xbb\xbf![](new) b"
    (site / "a.md").write_bytes(after)
    entry = {
        "page": "a.md",
        "encoding": ["utf-8", "surrogateescape"],
        "before": hashlib.sha256(before).hexdigest(),
        "after": hashlib.sha256(after).hexdigest(),
        "replacements": [[5, "a", "new"]],
    }
    lines = [{"version": 1, "pages": str(site)}, entry]
    journal = Path(journal_of(site))
    journal.mkdir()
    path = journal / "rewritten-20261126T010203.000004Z-0123456789ab.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert undo(str(journal)).restored == [str(site / "a.md")]
    assert (site / "a.md").read_bytes() == before


def test_a_journal_that_was_changed_restores_nothing_wrong(site: Path) -> None:
    rewrite(site)
    after = tree(site)
    for segment in PageJournal(journal_of(site)).segments():
        path = Path(str(segment.path))
        path.write_text(path.read_text().replace("old.example", "evil.example"))
    with pytest.raises(Pan123InputError, match="does not lead to its hash"):
        undo(journal_of(site))
    assert tree(site) == after
    path.write_text('{"version": 1, "pages": "/"}\n{"page"')
    with pytest.raises(Pan123InputError, match="line 2 of .* is not an entry"):
        undo(journal_of(site))
    with pytest.raises(Pan123InputError, match="holds no journal"):
        undo(str(site))
