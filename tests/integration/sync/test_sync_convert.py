"""A sync whose worker converts what 123pan does not take."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from PIL import Image

from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from airflow_provider_123pan.operators.images import Pan123UploadImagesOperator
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.source.fetch import fetch_image
from airflow_provider_123pan.sync.result_record import ResultRecord
from airflow_provider_123pan.sync.results import read_results
from tests.integration.uploads.support import md5, picture
from tests.sources import Source, image, serve
from tests.support import counts, names, run, submitted, sync

PRIVATE = {"private_hosts": ["127.0.0.1"]}
AVIF_TO_WEBP = {"convert": {"avif": "webp"}, "fetch": "auto", **PRIVATE}

pytestmark = pytest.mark.usefixtures("connect")


@pytest.fixture
def source(sandbox: Sandbox) -> Iterator[Source]:
    """A host of images, which the service downloads by itself."""
    sandbox.configure(fetch=True, upload_end="at-once", delay=0)
    with serve() as running:
        yield running


def body_of(colour: str, kind: str = "AVIF") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (12, 8), colour).save(file, kind)
    return file.getvalue()


def records(results: Path) -> list[ResultRecord]:
    return [*read_results(str(results))]


def uploads(sandbox: Sandbox) -> int:
    return int(sandbox.state()["counts"]["requests"].get("/upload/v1/oss/file/create", 0))


def stored_format(record: ResultRecord) -> str | None:
    with fetch_image(io.BytesIO(_loaded(record))) as found:
        return Image.open(found.file).format


def _loaded(record: ResultRecord) -> bytes:
    import requests

    return requests.get(str(record.download_url), timeout=30).content


STATED: dict[str, Callable[[bytes], dict[str, Any]]] = {
    "nothing": lambda body: {},
    "MD5 and size": lambda body: {"md5": md5(body), "size": len(body)},
    "MD5": lambda body: {"md5": md5(body)},
    "size": lambda body: {"size": len(body)},
}


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
@pytest.mark.parametrize("fetch", ["worker", "auto"])
@pytest.mark.parametrize("stated", STATED.values(), ids=STATED)
def test_the_second_night_uploads_nothing(
    stated: Callable[[bytes], dict[str, Any]],
    fetch: str,
    deferrable: bool,
    source: Source,
    sandbox: Sandbox,
    context: dict[str, Any],
    tmp_path: Path,
) -> None:
    bodies = {
        "shown.avif": body_of("red"),
        "named": body_of("green"),
        "misnamed.jpg": body_of("blue"),
        "misnamed.webp": body_of("orange"),
        "plain.png": picture(),
        "wrong.avif": body_of("gray", "PNG"),
    }
    source.answers |= {f"/{name}": image("image/avif", body) for name, body in bodies.items()}
    images = [{"url": f"{source.url}/{name}", **stated(body)} for name, body in bodies.items()]
    images[1]["file_name"] = "my name.avif"
    results = tmp_path / "results.jsonl"
    given = {
        **AVIF_TO_WEBP,
        "images": images,
        "results": str(results),
        "fetch": fetch,
        "deferrable": deferrable,
        "verify": "content",
    }
    assert counts(sync(context, **given)) == (0, 6, 0)
    found = records(results)
    by_service = {"service"} if fetch == "auto" else {"worker"}
    assert {record.fetched_by for record in found if "plain" in record.url} == by_service
    assert {record.fetched_by for record in found if "plain" not in record.url} == {"worker"}
    formats = {record.url.rpartition("/")[2]: stored_format(record) for record in found}
    assert formats == {name: "PNG" if name in ("plain.png", "wrong.avif") else "WEBP" for name in bodies}
    assert {name.rpartition(".")[2] for name in names(sandbox) if "plain" not in name} == {"webp", "png"}
    assert "my name.webp" in names(sandbox)
    assert not any(".avif" in url or "named" in url.rpartition("/")[2][:5] for url in submitted(sandbox))

    first, before = {record.url: record.fileID for record in found}, (uploads(sandbox), submitted(sandbox))
    for _ in range(2):
        assert counts(sync(context, **given)) == (6, 0, 0)
        assert (uploads(sandbox), submitted(sandbox)) == before
        assert {record.url: record.fileID for record in records(results)} == first


@pytest.mark.parametrize("of", ["md5", "size"])
def test_a_source_that_changed_is_converted_again_once(
    of: str, source: Source, sandbox: Sandbox, context: dict[str, Any], tmp_path: Path
) -> None:
    results = tmp_path / "results.jsonl"
    found = []
    for body in (body_of("red"), body_of("blue") + bytes(20)):
        source.answers["/a.avif"] = image("image/avif", body)
        stated = {"md5": md5(body)} if of == "md5" else {"size": len(body)}
        given = {
            **AVIF_TO_WEBP,
            "images": [{"url": f"{source.url}/a.avif", "file_name": "a.avif", **stated}],
            "results": str(results),
        }
        assert counts(sync(context, **given)) == (0, 1, 0)
        found += records(results)
        for _ in range(2):
            assert counts(sync(context, **given)) == (1, 0, 0)
            assert records(results)[0].fileID == found[-1].fileID
    assert names(sandbox) == {"a.webp", "a(1).webp"}
    assert found[0].etag != found[1].etag


def test_without_what_is_kept_the_newest_image_of_the_name_counts(
    source: Source,
    sandbox: Sandbox,
    context: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow_provider_123pan.sync.known_conversions import KnownConversions

    monkeypatch.setattr(KnownConversions, "save", lambda *_: None)
    body = body_of("red")
    source.answers["/a.avif"] = image("image/avif", body)
    entry = {"url": f"{source.url}/a.avif", "file_name": "a.avif", "md5": md5(body)}
    assert counts(sync(context, images=[entry], **AVIF_TO_WEBP)) == (0, 1, 0)
    before = uploads(sandbox)
    assert counts(sync(context, images=[entry], **AVIF_TO_WEBP)) == (1, 0, 0)
    assert uploads(sandbox) == before


def test_the_fetched_bytes_must_be_those_of_the_list(
    source: Source, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    source.answers["/a.avif"] = image("image/avif", body_of("red"))
    entry = {"url": f"{source.url}/a.avif", "md5": md5(body_of("blue"))}
    result = sync(context, images=[entry], max_failures=1, **AVIF_TO_WEBP)
    assert result["failures"][0]["reason"].startswith("the fetched image's MD5 is ")
    assert names(sandbox) == set()


def test_what_is_there_unconverted_stays(source: Source, sandbox: Sandbox, context: dict[str, Any]) -> None:
    body = picture()
    source.answers["/a.png"] = image("image/png", body)
    entry = {"url": f"{source.url}/a.png", "md5": md5(body)}
    assert counts(sync(context, images=[entry], fetch="auto", **PRIVATE)) == (0, 1, 0)
    given: dict[str, Any] = {**AVIF_TO_WEBP, "convert": {"png": "webp"}}
    assert counts(sync(context, images=[entry], **given)) == (1, 0, 0)
    assert {name.rpartition(".")[2] for name in names(sandbox)} == {"png"}


def test_a_format_that_123pan_takes_is_for_the_worker_if_it_is_converted(
    source: Source, sandbox: Sandbox, context: dict[str, Any], tmp_path: Path
) -> None:
    body = body_of("red", "TIFF")
    source.answers |= {path: image("image/tiff", body) for path in ("/a.tif", "/640", "/b", "/c.TIFF")}
    results = tmp_path / "results.jsonl"
    given: dict[str, Any] = {
        **AVIF_TO_WEBP,
        "images": [f"{source.url}{path}" for path in ("/a.tif", "/640", "/b?format=tiff", "/c.TIFF?x=1")],
        "convert": {"tiff": "webp"},
        "results": str(results),
    }
    assert counts(sync(context, **given)) == (0, 4, 0)
    assert not submitted(sandbox)
    assert {name.rpartition(".")[2] for name in names(sandbox)} == {"webp"}
    assert counts(sync(context, **given)) == (4, 0, 0)


def test_a_failure_of_pillow_is_a_failure_of_the_image(
    source: Source, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    good = body_of("red")
    source.answers |= {
        "/good.avif": image("image/avif", good),
        "/cut.avif": image("image/avif", good[:-30]),
        "/moving.avif": image("image/avif", _animation()),
    }
    given: dict[str, Any] = {**AVIF_TO_WEBP, "convert": {"avif": "jpeg"}, "max_failures": 2}
    result = sync(
        context, images=[f"{source.url}/{name}.avif" for name in ("good", "cut", "moving")], **given
    )
    assert counts(result) == (0, 1, 2)
    cut, moving = (failure["reason"] for failure in result["failures"])
    assert cut.startswith("convert: the image cannot be read, its bytes are no whole avif")
    assert moving == "convert: the file has 2 frames, and jpg has one; convert avif to webp or gif"
    assert len(source.asked) == 1 + 2 + 1  # what cannot be read may be whole the next time


def _animation() -> bytes:
    file = io.BytesIO()
    frames = [Image.new("RGB", (12, 8), colour) for colour in ("red", "blue")]
    frames[0].save(file, "AVIF", save_all=True, append_images=frames[1:], duration=100)
    return file.getvalue()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "convert: 123pan converts nothing; pass fetch='auto' or fetch='worker' as well"),
        ({"fetch": "auto", "convert": {"jxl": "webp"}}, "convert: 'jxl' cannot be converted"),
    ],
)
def test_wrong_arguments_end_the_task_before_anything_is_sent(
    given: dict[str, Any], message: str, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    arguments = {"images": ["https://example.com/a.avif"], "convert": {"avif": "webp"}} | given
    with pytest.raises(AirflowFailException, match=message):
        sync(context, **arguments)
    assert not sandbox.state()["counts"]["requests"]


def test_a_folder_of_other_formats_is_uploaded(
    sandbox: Sandbox, context: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.configure(upload_end="at-once")
    (tmp_path / "a.avif").write_bytes(body_of("red"))
    (tmp_path / "b.png").write_bytes(picture())
    (tmp_path / "c.psd").write_bytes(b"8BPS")

    def upload(**more: Any) -> tuple[int, int, int]:
        task = Pan123UploadImagesOperator(
            task_id="upload", source=str(tmp_path), directory="photos/2026", deferrable=False, **more
        )
        return counts(run(task, context))

    assert upload() == (0, 1, 0)
    assert upload(convert={"avif": "webp"}) == (1, 1, 0)
    monkeypatch.setattr(Pan123Hook, "upload_image", None)
    assert upload(convert={"avif": "webp"}) == (2, 0, 0)
