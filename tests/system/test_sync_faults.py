"""Workers, API server and triggerer are killed during a sync: every image is stored once, and none is lost."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path

import pytest
import requests

from airflow_provider_123pan.sandbox import Sandbox
from dev.cluster import Cluster
from dev.waiting import wait_for

DAG_ID = "pan123_sync"
IMAGES = 1000
KILLS = 10

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        version("apache-airflow").startswith("3.2."), reason="Airflow 3.2 has no task_state_store"
    ),
]


@pytest.fixture(params=[True, False], ids=["callbacks", "progress"])
def airflow(request: pytest.FixtureRequest, tmp_path: Path, sandbox: Sandbox) -> Iterator[Cluster]:
    """Run an Airflow, once with callbacks and once without."""
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / f"{DAG_ID}.py").symlink_to(Path(__file__).parent / "dags" / f"{DAG_ID}.py")
    with Cluster(home=tmp_path / "airflow", dags=dags) as airflow:
        airflow.connect(sandbox, callbacks=request.param)
        airflow.wait_for_dag(DAG_ID)
        yield airflow


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Run a slow sandbox."""
    # Slow enough that there is a worker to kill, and that the task also defers.
    with Sandbox(delay="5,20", fetch=False, rate=20, active_cap=100) as sandbox:
        yield sandbox


def submissions(sandbox: Sandbox) -> Counter[str]:
    """Return the number of submissions of each source URL."""
    return Counter(task["url"] for task in sandbox.state(100_000)["tasks"])


def test_a_sync_killed_at_random_points_stores_every_image_once(
    airflow: Cluster, sandbox: Sandbox, tmp_path: Path
) -> None:
    urls = [f"https://example.com/{number}.png" for number in range(IMAGES)]
    manifest, results = tmp_path / "list.txt", tmp_path / "results.jsonl"
    manifest.write_text("\n".join(urls))
    seed = random.randrange(10**6)
    random.seed(seed)
    run_id = airflow.api.trigger(DAG_ID, {"manifest": str(manifest), "results": str(results)})
    # A kill point is a number of submissions, so that it falls into the sync however fast the machine is.
    kill_points = sorted(random.randrange(1, IMAGES * 9 // 10) for _ in range(KILLS))
    outages = {kill_points[3]: "api-server", kill_points[6]: "triggerer"}

    def submitted(count: int) -> bool:
        return len(submissions(sandbox)) >= count

    for kill_point in kill_points:
        wait_for(
            partial(submitted, kill_point),
            what=f"{kill_point} submissions",
            timeout=300,
        )
        if component := outages.get(kill_point):
            airflow.kill(component)  # type: ignore[arg-type]
            airflow.start(component)  # type: ignore[arg-type]
        process = wait_for(lambda: next(iter(airflow.workers()), None), what="a worker", timeout=120)
        process.kill()

    def state() -> str | None:
        try:
            return airflow.api.run_state(DAG_ID, run_id)
        except requests.RequestException:
            return None

    wait_for(lambda: state() in ("success", "failed"), what="the end", timeout=900, every=2)
    assert state() == "success"
    records = [json.loads(line) for line in results.read_text().splitlines()]
    assert Counter(record["url"] for record in records) == Counter(urls)
    assert {record["status"] for record in records} <= {"present", "migrated"}
    files = sandbox.state(100_000)["files"]
    assert len(files) == len({file["filename"] for file in files}) == IMAGES
    assert {record["fileID"] for record in records} == {file["fileId"] for file in files}
    found = submissions(sandbox)
    repeated = sum(found.values()) - IMAGES
    print(f"seed {seed}: {KILLS} workers killed, {repeated} submissions repeated")
    assert repeated <= KILLS
    assert [path.name for path in tmp_path.iterdir() if ".part" in path.name] == []
