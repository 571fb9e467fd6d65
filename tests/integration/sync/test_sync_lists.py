"""Lists with invalid entries, other spellings and other formats, from the file to the results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_123pan.exceptions import Pan123DownloadFailedError
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sync.results import read_results
from tests.support import addresses, counts, submitted, sync

pytestmark = pytest.mark.usefixtures("connect")

BAD = (
    "ftp://a.com/1.png",
    "https://a.com/1.avif",
    "https://mmbiz.qpic.cn/mmbiz_jpg/AB/640",
    "1.png",
    "data:,1",
)


def manifest(folder: Path) -> tuple[str, dict[int, str]]:
    """Write a list of 100 images and five invalid lines; return its path, and these lines by number."""
    lines = addresses(100)
    for number, bad in enumerate(BAD):
        lines.insert(20 * number, bad)
    path = folder / "list.txt"
    path.write_text("\n".join(lines))
    return str(path), {20 * number + 1: bad for number, bad in enumerate(BAD)}


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
def test_invalid_lines_are_records_and_all_others_are_migrated(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path, deferrable: bool
) -> None:
    sandbox.configure(delay=1 if deferrable else 0)
    path, bad = manifest(tmp_path)
    results = str(tmp_path / "results.jsonl")
    result = sync(context, manifest=path, results=results, deferrable=deferrable, max_failures=len(BAD))
    assert (result["total"], counts(result)) == (105, (0, 100, 5))
    records = [*read_results(results)]
    assert sorted(record.url for record in records if record.status == "migrated") == sorted(addresses(100))
    failed = {record.url: str(record.reason) for record in records if record.status == "failed"}
    assert {url: reason.split(":")[0] for url, reason in failed.items()} == {
        url: f"line {number}" for number, url in bad.items()
    }
    assert len(records) == 105
    assert len(result["failures"]) == 5
    assert set(submitted(sandbox)) == {*addresses(100)}

    result = sync(context, manifest=path, results=results, deferrable=deferrable, max_failures="5%")
    assert counts(result) == (100, 0, 5)
    assert set(submitted(sandbox).values()) == {1}


ROWS = 1000
# Rows of a table, and how their reasons begin.
BAD_ROWS = {
    "ftp://a.com/1.png,": "url: the scheme 'ftp'",
    "data:image/gif;base64,": "url: the scheme 'data'",
    "1.png,": "url: the scheme ''",
    "https://a.com/1.avif,": "url: 123pan takes no .avif",
    "https://mmbiz.qpic.cn/mmbiz_jpg/AB/640,": "file_name: neither the URL nor the source shows an image extension",
    "https:///1.png,": "url: it has no host",
    "https://[::1/1.png,": "url: it is not a URL",
    ",12": "url: got ''",
    "https://a.com/2.png,many": "size: 'many' is not",
    f"https://a.com/{'9' * 9000}.png,": "url: it has 9018 characters",
}


def test_ten_bad_rows_of_a_thousand_cost_no_other_image(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.configure(delay=0)
    bad = dict(zip(range(1, ROWS, ROWS // len(BAD_ROWS)), BAD_ROWS, strict=True))
    good = iter(addresses(ROWS))
    path, results = tmp_path / "list.csv", tmp_path / "results.jsonl"
    rows = [bad.get(number) or f"{next(good)}," for number in range(ROWS)]
    path.write_text("\n".join(("url,size", *rows)))
    with pytest.raises(Pan123DownloadFailedError, match=f"10 of {ROWS} images failed"):
        sync(context, manifest=str(path), results=str(results))
    records = [*read_results(str(results))]
    assert len(records) == ROWS
    migrated = {record.url for record in records if record.status == "migrated" and record.download_url}
    assert migrated == {*addresses(ROWS - len(bad))} == set(submitted(sandbox))
    reasons = [str(record.reason) for record in records if record.status == "failed"]
    # The first line is the header.
    expected = [f"line {number + 2}: {BAD_ROWS[row]}" for number, row in bad.items()]
    assert [reason[: len(begin)] for reason, begin in zip(reasons, expected, strict=True)] == expected


def test_max_failures_counts_invalid_entries(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.configure(delay=0)
    path, _ = manifest(tmp_path)
    with pytest.raises(
        Pan123DownloadFailedError, match=r"5 of 105 images failed, .* line 1: url: the scheme 'ftp'"
    ):
        sync(context, manifest=path, max_failures=4)
    assert len(submitted(sandbox)) == 100


def test_invalid_entries_may_refuse_the_list(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path
) -> None:
    path, _ = manifest(tmp_path)
    with pytest.raises(AirflowFailException, match="5 entries are invalid, nothing was submitted"):
        sync(context, manifest=path, on_invalid="fail", probe=False)
    assert sandbox.state()["counts"]["requests"] == {}


EMPTY = {"a.txt": "# none\n", "a.csv": "url\n", "a.tsv": "TsvHttpData-1.0\n", "a.jsonl": "\n", "b.csv": ""}


@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_manifest_is_an_error_unless_it_is_allowed(
    name: str, context: dict[str, Any], sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(EMPTY[name])
    with pytest.raises(AirflowFailException, match=r"^manifest: .* is empty; pass allow_empty=True"):
        sync(context, manifest=str(path))
    assert sandbox.state()["counts"]["requests"] == {}
    assert counts(sync(context, manifest=str(path), allow_empty=True)) == (0, 0, 0)


def test_an_empty_list_is_an_error_unless_it_is_allowed(context: dict[str, Any]) -> None:
    with pytest.raises(AirflowFailException, match="^images: the list is empty; pass allow_empty=True"):
        sync(context, images=[])
    assert counts(sync(context, images=[], allow_empty=True)) == (0, 0, 0)


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
def test_two_spellings_of_an_image_are_fetched_once_and_have_a_record_each(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path, deferrable: bool
) -> None:
    sandbox.configure(delay=1 if deferrable else 0)
    signed = [f"https://example.com/i.png?X-Amz-Date={day}&X-Amz-Signature={day}5ec5ec" for day in (1, 2)]
    results = str(tmp_path / "results.csv")
    for expected in ((0, 1, 0), (1, 0, 0)):
        result = sync(context, images=signed, results=results, deferrable=deferrable)
        assert (counts(result), result["total"]) == (expected, 1)
        first, second = read_results(results)
        assert [first.url, second.url] == signed
        assert first._replace(url="") == second._replace(url="")
        assert first.download_url
    assert submitted(sandbox) == {signed[0]: 1}


def test_a_list_in_another_encoding(context: dict[str, Any], sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.configure(delay=0)
    path = tmp_path / "list.txt"
    path.write_bytes("https://example.com/测.png\n".encode("gbk"))
    with pytest.raises(AirflowFailException, match="is not UTF-8 .* give its encoding"):
        sync(context, manifest=str(path))
    assert counts(sync(context, manifest=str(path), encoding="gbk")) == (0, 1, 0)
    assert set(submitted(sandbox)) == {"https://example.com/测.png"}
