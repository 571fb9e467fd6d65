"""The report of a soak says what grew, blocked or was lost, and its plot shows every series."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cluster.callers import Deliveries
from tests.cluster.loop_lags import Lag, without_omission
from tests.cluster.soak_plot import plot
from tests.cluster.soak_report import Soak, report, samples
from tests.cluster.soak_results import blocked_warnings, lags, load_fact, stream_facts
from tests.cluster.trends import Sample

SECONDS = 1800
TIMES = range(0, SECONDS, 5)
LAGS = [Lag(at / 10, 0.002, 0.0015) for at in range(10 * SECONDS)]


def levels(value: float, per_hour: float = 0.0) -> list[Sample]:
    """Return a value every 5 s that jumps during the warm-up and then changes steadily."""
    return [(float(at), value + 50 * (at > 100) + per_hour * at / 3600) for at in TIMES]


@pytest.fixture
def soak() -> Soak:
    """Nothing grows, blocks or is lost."""
    return Soak(
        "Soak of 30 minutes",
        SECONDS,
        300,
        {
            ("triggerer-1", "memory, MB"): levels(250),
            ("triggerer-1", "threads"): levels(12),
            ("api-server-1", "memory, MB"): levels(300),
        },
        {"triggerer-1": LAGS, "api-server-1": LAGS},
        [(float(at), 1.5) for at in TIMES],
        facts=["72 batches"],
    )


def test_a_soak_without_problems_passes(soak: Soak) -> None:
    assert not soak.problems()
    lines = report(soak).splitlines()
    assert lines[:5] == ["# Soak of 30 minutes", "", "Passed.", "", "- 72 batches"]
    assert "| triggerer-1 | memory, MB | 300.0 | +0.00 | +0.00 to +0.00 | +0.00 | 3.0 |  |" in lines
    assert "| triggerer-1 | 18000 | 2.0 ms | 2.0 ms | 2.0 ms | 2.0 ms | 0.5 ms |" in lines


def test_a_measure_that_grows_fails_it(soak: Soak) -> None:
    grown = replace(soak, series={**soak.series, ("triggerer-1", "threads"): levels(12, per_hour=4)})
    assert grown.problems() == ["triggerer-1: threads grows by 4 per hour"]
    assert "| triggerer-1 | threads | 63.1 | +4.00 | +4.00 to +4.00 | +4.00 | 1.0 | grows |" in report(grown)


def test_memory_may_grow_by_one_per_cent_per_hour(soak: Soak) -> None:
    for per_hour, problems in ((2.9, 0), (3.1, 1)):
        name = ("triggerer-1", "memory, MB")
        grown = replace(soak, series={**soak.series, name: levels(250, per_hour)})
        assert len(grown.problems()) == problems


def test_a_blocked_loop_fails_it(soak: Soak) -> None:
    blocked = [lag if number % 50 else lag._replace(seconds=2.0) for number, lag in enumerate(LAGS)]
    found = replace(soak, lags={**soak.lags, "triggerer-1": blocked}).problems()
    assert found == ["triggerer-1: the event loop's lag has a 99th percentile of 2.000 s"]


def test_a_loop_that_was_not_measured_all_the_time_fails_it(soak: Soak) -> None:
    half = LAGS[: len(LAGS) // 2]
    found = replace(soak, lags={**soak.lags, "triggerer-1": half, "triggerer-2": []}).problems()
    assert found == [
        "triggerer-1: the lag of its event loop is known for 918 s only",
        "triggerer-2: the lag of its event loop is known for 0 s only",
    ]


def test_what_was_lost_fails_it(soak: Soak) -> None:
    lost = replace(soak, failures=["wait 7: None"])
    assert lost.problems() == ["wait 7: None"]
    assert report(lost).splitlines()[2:5] == ["Failed:", "", "- wait 7: None"]


def test_the_plot_has_a_line_for_each_series(soak: Soak) -> None:
    tree = ElementTree.fromstring(plot(soak))
    lines = [path for path in tree.iter() if path.tag.endswith("path") and path.get("stroke")]
    assert len(lines) == len(soak.series) + len(soak.lags) + 1  # and the load
    names = {text.text for text in tree.iter() if text.get("class") == "name"}
    assert {"memory, MB", "threads", "load of the machine"} < names


def test_the_samples_are_a_table(soak: Soak) -> None:
    rows = list(csv.reader(samples(soak).splitlines()))
    assert rows[:3] == [
        ["at", "service", "measure", "value"],
        ["0.0", "api-server-1", "memory, MB", "300"],
        ["0.0", "machine", "load", "1.5"],
    ]
    assert len(rows) == 1 + 4 * len(TIMES)


def test_lags_are_read_by_service_and_time(tmp_path: Path) -> None:
    lines = [{"at": at, "lags": [0.1, 0.2], "cpu_waits": [0.1, 0.0]} for at in (10, 20, 30)]
    (tmp_path / "7.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (tmp_path / "8.jsonl").write_text(f"{json.dumps(lines[1])}\n")  # of a process that is not watched
    found = lags(tmp_path, ("triggerer-1", "triggerer-2"), {7: "triggerer-1"}, 15, 25)
    assert found == {"triggerer-1": [Lag(20, 0.1, 0.1), Lag(20, 0.2, 0.0)], "triggerer-2": []}


def test_a_long_block_counts_for_the_sleeps_that_it_prevented() -> None:
    assert without_omission([0.0, 0.35, 0.05]) == pytest.approx([0.0, 0.35, 0.25, 0.15, 0.05, 0.05])


def test_a_wait_for_a_cpu_is_not_the_loops_own_lag() -> None:
    assert Lag(0, 0.3, 0.2).own == pytest.approx(0.1)
    assert Lag(0, 0.1, 0.15).own == 0  # of which 0.05 s passed before the sleep should have ended


def test_warnings_of_airflow_count_within_the_time() -> None:
    line = "2026-01-01T00:00:{}.691402Z [info     ] Triggerer's async thread was blocked for 0.24 seconds, …"
    log = "\n".join(line.format(second) for second in (10, 20, 30)) + "\nanother line\n"
    start = datetime(2026, 1, 1, tzinfo=timezone.utc).timestamp()
    found = blocked_warnings({"triggerer-1": log, "triggerer-2": ""}, start + 15, start + 35)
    assert found == "2 × triggerer-1, 0 × triggerer-2"


def test_facts_count_answers_by_kind() -> None:
    statuses = Counter({("forged", 404): 3, ("repeated", 200): 5, ("repeated", 0): 1})
    facts = stream_facts(SimpleNamespace(statuses=statuses))
    assert facts == ["3 requests, forged: 3 × 404", "6 requests, repeated: 1 × no answer, 5 × 200"]
    assert load_fact([(0, 1.0), (5, 3.0)], 2) == "load of the machine: mean 2.0, from 1.0 to 3.0, on 2 cores"


class OneOfEach:
    """A sandbox with a wait that is held and an image that was called back."""

    client_secret = "a client secret of some length"

    def state(self, limit: int) -> dict[str, Any]:
        held: dict[str, Any]
        held = {"callBackUrl": "held", "url": "a", "fileID": None, "state": "running", "deliveries": []}
        ended = {
            **held,
            "callBackUrl": "ended",
            "fileID": "f",
            "state": "success",
            "deliveries": ["HTTP 200"],
        }
        return {"tasks": [held, ended]}


def test_deliveries_are_of_every_kind() -> None:
    deliveries = Deliveries(OneOfEach(), "http://receiver")
    found = {request.kind: request for request in (deliveries.make() for _ in range(500))}
    assert {kind: request.expected for kind, request in found.items()} == {
        "repeated": 200,
        "premature": 200,
        "unknown submission": 200,
        "forged": 404,
        "unknown connection": 404,
    }
    assert (found["repeated"].url, found["premature"].url) == ("ended", "held")
