"""Sites of seven tools move with every image that they show, and come back byte for byte, whenever the task is killed.

A few pages of each are part of ``make test``; ``make sites`` takes 1,000 of each.
"""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_123pan.operators.migrate_pages import Pan123MigratePagesOperator
from airflow_provider_123pan.pages import undo
from airflow_provider_123pan.pages.page_journal import PageJournal
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.source.urls import canonical_url
from airflow_provider_123pan.sync.results import read_results
from tests.integration.pages.tries import Tries
from tests.sites import KINDS, Site, generate
from tests.sites.authors import EXCLUDED_HOST
from tests.support import run, submitted, sync

pytestmark = pytest.mark.usefixtures("connect")

FEW, MANY = 30, 1000
MANY_KILLS = 10
FEW_KILLED, FEW_KILLS = 12, 4
ALL = [
    *(pytest.param(kind, FEW, id=kind) for kind in KINDS),
    *(pytest.param(kind, MANY, id=f"{kind}-{MANY}", marks=pytest.mark.sites) for kind in KINDS),
]
KILLED = [
    pytest.param("html", FEW_KILLED, FEW_KILLS, id="html"),
    *(pytest.param(kind, MANY, MANY_KILLS, id=f"{kind}-{MANY}", marks=pytest.mark.sites) for kind in KINDS),
]
OWN_DOMAIN = "https://images.my-own.example"


@pytest.fixture
def seed() -> int:
    found = random.randrange(2**32)
    print(f"seed {found}")
    return found


@pytest.fixture
def own_image(context: dict[str, Any], sandbox: Sandbox) -> str:
    """The URL of an image that was migrated before, on the user's own domain."""
    sandbox.configure(delay=0, own_domain=OWN_DOMAIN)
    sync(context, images=["https://example.com/earlier.png"], directory="earlier")
    (file,) = sandbox.state()["files"]
    url: str = file["userSelfURL"]
    assert url.startswith(OWN_DOMAIN)
    return url


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder of everything that the task writes."""
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


def arguments(place: Path, journal: str = "journal", **more: Any) -> dict[str, Any]:
    return {
        "pages": str(place / "site"),
        "journal": str(place / journal),
        "directory": "blog",
        "exclude_hosts": [EXCLUDED_HOST],
        "verify": None,  # no server has OWN_DOMAIN
        "timeout": 900,
        **more,
    }


def migrate(context: dict[str, Any], place: Path, *, run_id: str, **more: Any) -> dict[str, Any]:
    again = context | {"ti": SimpleNamespace(**vars(context["ti"]) | {"run_id": run_id})}
    task = Pan123MigratePagesOperator(task_id="migrate", **{"deferrable": False} | arguments(place, **more))
    result: dict[str, Any] = run(task, again)
    return result


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def written(folder: Path) -> dict[str, int]:
    """Return when each file was written."""
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def written_pages(site: Site, place: Path) -> set[tuple[str, int]]:
    """Return the pages, and when each was written."""
    return {(name, (place / "site" / name).stat().st_mtime_ns) for name in site.pages}


def differing(found: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    """Return the names of the files that are not as expected; a comparison of the dicts would be shown as a whole."""
    return sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))


def made(kind: str, pages: int, seed: int, own_image: str, place: Path) -> Site:
    site = generate(kind, pages, seed, [own_image])
    site.write(place / "site")
    return site


@pytest.mark.parametrize(("kind", "pages"), ALL)
def test_every_image_moves_and_every_page_shows_it_and_can_be_restored(
    context: dict[str, Any],
    sandbox: Sandbox,
    own_image: str,
    place: Path,
    seed: int,
    kind: str,
    pages: int,
) -> None:
    site = made(kind, pages, seed, own_image, place)
    before, planted = tree(place / "site"), site.urls()
    assert differing(before, site.before()) == []

    requests, times = sandbox.state(0)["counts"]["requests"], written(place)
    plan = migrate(context, place, run_id="plan", mode="plan", report=str(place.parent / "plan.html"))
    assert (plan["pages"], plan["pages_changed"]) == (len(site.pages), len(site.changing()))
    assert (plan["images"], plan["missing"], plan["failed"]) == (len(planted), len(planted), 0)
    after = sandbox.state(0)["counts"]["requests"]
    assert {path for path, count in after.items() if count > requests.get(path, 0)} <= {
        "/api/v1/oss/file/list"
    }
    assert written(place) == times

    sandbox.configure(delay=1)
    result = migrate(context, place, run_id="first", deferrable=True)
    assert (result["pages"], result["pages_changed"]) == (len(site.pages), len(site.changing()))
    assert (result["images"], result["migrated"], result["unused"]) == (len(planted), len(planted), 0)
    unknown = {
        "its host is not selected": site.excluded(),
        "in a string that PHP serialized with a wrong length": site.broken(),
    }
    assert result["unknown"] == {reason: count for reason, count in unknown.items() if count}
    new = {canonical_url(record.url): str(record.user_url) for record in read_results(result["results"])}
    assert new.keys() == planted.keys()
    rewritten = tree(place / "site")
    assert differing(rewritten, site.expected(new)) == []
    # Each once, besides the earlier image.
    assert sum(submitted(sandbox).values()) == len(planted) + 1

    times = written(place / "site")
    second = migrate(context, place, run_id="second")
    assert (second["images"], second["pages_changed"]) == (0, 0)
    assert sum(submitted(sandbox).values()) == len(planted) + 1
    assert written(place / "site") == times

    assert undo(result["journal"]).left == {}
    assert differing(tree(place / "site"), before) == []


@pytest.mark.parametrize(("kind", "pages", "kills"), KILLED)
def test_a_task_killed_at_random_moments_continues_and_can_be_undone(
    sandbox: Sandbox, own_image: str, place: Path, seed: int, kind: str, pages: int, kills: int
) -> None:
    site = made(kind, pages, seed, own_image, place)
    before, changing = tree(place / "site"), len(site.changing())
    timing = Pan123MigratePagesOperator.timing
    whole = Tries(place, place.parent / "whole", timing).run(**arguments(place, "whole"))
    assert whole.result is not None
    assert whole.operations > 3 * changing
    new = {
        canonical_url(record.url): str(record.user_url) for record in read_results(whole.result["results"])
    }
    assert undo(str(place / "whole")).left == {}
    assert differing(tree(place / "site"), before) == []

    chance = random.Random(seed)
    for number in range(kills):
        killed_at = chance.randrange(whole.operations)
        tries = Tries(place, place.parent / f"alone-{number}", timing)
        assert tries.run(killed_at, **arguments(place, f"alone-{number}")).result is None
        if PageJournal(str(place / f"alone-{number}")).segments():
            assert undo(str(place / f"alone-{number}")).left == {}
        assert differing(tree(place / "site"), before) == [], killed_at

    tries = Tries(place, place.parent / "chain", timing)
    times = written_pages(site, place)
    done: set[tuple[str, int]] = set()
    for _ in range(kills):
        # Of few pages, the first is done after some forty operations, because several are written at once.
        tries.run(chance.randrange(40 + whole.operations // 5), **arguments(place, "chain"))
        assert done <= written_pages(site, place)
        done = written_pages(site, place) - times
    last = tries.run(**arguments(place, "chain"))
    assert last.result is not None
    assert last.result["pages_changed"] == changing == len(written_pages(site, place) - times)
    assert done <= written_pages(site, place)
    assert differing(tree(place / "site"), site.expected(new)) == []
    assert sum(submitted(sandbox).values()) == len(site.urls()) + 1

    assert undo(str(place / "chain")).left == {}
    assert differing(tree(place / "site"), before) == []
