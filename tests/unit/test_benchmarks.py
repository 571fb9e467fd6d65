"""The report of the benchmarks: docs/benchmarks.md is what the stored results say."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.benchmarks import document, report
from tests.benchmarks.plot import Panel, Plot
from tests.benchmarks.report import Figure, Report, Table, beside, straight_line, take_turns

MAKEFILE = Path("Makefile")


def counting(*values: float) -> Callable[[], dict[str, float]]:
    left = iter(values)
    return lambda: {"calls": next(left)}


def test_the_document_and_its_plots_are_what_the_stored_results_say() -> None:
    for path, content in document.files(document.published()).items():
        assert path.read_text(encoding="utf-8") == content, (
            f"{path.name}: write it with python -m tests.benchmarks.document"
        )


def test_each_benchmark_has_a_section() -> None:
    targets = re.findall(r"^bench-([a-z]+):.*##", MAKEFILE.read_text(), re.MULTILINE)
    assert "submission" in targets
    template = document.TEMPLATE.read_text(encoding="utf-8")
    places = {place.partition("-")[0] for place in document.PLACE.findall(template)}
    assert places - {"machine"} == set(targets)
    for target in targets:
        assert f"`make bench-{target}" in template


def test_a_result_without_a_place_in_the_template_is_an_error() -> None:
    with pytest.raises(ValueError, match="imports"):
        document.render("# Benchmarks\n", {"imports": document.published()["imports"]})


def test_the_sides_of_each_round_are_measured_one_after_the_other() -> None:
    order: list[str] = []

    def side(name: str) -> dict[str, float]:
        order.append(name)
        return {"calls": len(order)}

    measured = take_turns({"peer": lambda: side("peer"), "ours": lambda: side("ours")}, 2)
    assert order == ["peer", "ours", "peer", "ours"]
    assert measured["ours"]["calls"].values == [2, 4]


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds() -> None:
    measured = take_turns({"ours": counting(20, 30, 90), "peer": counting(10, 20, 10)}, 3)
    table = beside(measured, "peer", what="Client")
    assert table.heading == ["Client", "calls", "ratio to peer"]
    assert [[str(cell) for cell in row] for row in table.rows] == [
        ["ours", "30 (20–90)", "2.00 (1.50–9.00)"],
        ["peer", "10 (10–20)", "1"],
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1234.5], "1,234"),
        ([56.78], "56.8"),
        ([1.234], "1.23"),
        ([0.0123], "0.012"),
        ([1234], "1,234"),
        ([7, 7, 7], "7"),
        ([1, 3, 2], "2 (1–3)"),
    ],
)
def test_a_figure_shows_the_median_with_the_range(values: list[float], expected: str) -> None:
    assert str(Figure(values)) == expected


def test_a_stored_report_reads_back_the_same(tmp_path: Path) -> None:
    panel = Panel("Time", "pages", " s", {"ours": ([1, 2], [0.5, 1.25])})
    stored = Report(
        "name",
        [straight_line("", "pages", [1, 2], [1, 2]), Table("", ["a"], [[Figure([1.5, 2])]])],
        [Plot("file", "title", [panel])],
        "2026-11-26",
        "abcdef0",
        {"CPU": "2 cores"},
        0.5,
        "--rounds 2",
    )
    stored.write(tmp_path)
    read = Report.read(tmp_path / "name.json")
    assert str(read) == str(stored)
    assert read.plots[0].svg() == stored.plots[0].svg()


def test_a_result_is_published_only_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "_commit", lambda: "abcdef0")
    monkeypatch.setattr(report, "LATEST", tmp_path / "latest")
    monkeypatch.setattr(report, "PUBLISHED", tmp_path / "published")
    monkeypatch.setattr("sys.argv", ["benchmark", "--rounds", "1"])
    report.finish("some", Table("", ["calls"], [["1"]]))
    assert "`ARGS='--rounds 1'`" in capsys.readouterr().out
    assert [path.name for path in tmp_path.rglob("*.json")] == ["some.json"]
    monkeypatch.setattr("sys.argv", ["benchmark", "--publish"])
    report.finish("some", Table("", ["calls"], [["1"]]))
    assert Report.read(tmp_path / "published" / "some.json").arguments == ""
    assert "ARGS" not in capsys.readouterr().out
