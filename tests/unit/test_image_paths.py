"""Images in folders, of patterns, and single files."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.source.image_paths import find_paths

FILES = {"a.png": 1, "b.JPG": 2, "notes.txt": 3, "2026/c.png": 4, "2026/[1]/d 猫#%.png": 5}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, size in FILES.items():
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
    (tmp_path / "images" / "folder.png").mkdir()
    return tmp_path / "images"


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ("", ["a.png", "b.JPG", "2026/c.png", "2026/[1]/d 猫#%.png"]),
        ("/", ["a.png", "b.JPG", "2026/c.png", "2026/[1]/d 猫#%.png"]),
        ("/*", ["a.png", "b.JPG"]),
        ("/?.png", ["a.png"]),
        ("/**/*.png", ["a.png", "2026/c.png", "2026/[1]/d 猫#%.png"]),
        ("/202[5-6]/*", ["2026/c.png"]),
        ("/2026/[1]", ["2026/[1]/d 猫#%.png"]),
        ("/2026/c.png", ["2026/c.png"]),
        ("/*.gif", []),
    ],
)
@pytest.mark.parametrize("scheme", ["file://", ""])
def test_images_are_found_with_their_paths_and_sizes(
    folder: Path, scheme: str, place: str, names: list[str]
) -> None:
    found = {*find_paths("source", f"{scheme}{folder}{place}")}
    assert found == {(f"file://{folder}/{name}", FILES[name]) for name in names}


def test_a_path_that_is_not_there_is_an_error_that_names_it(folder: Path) -> None:
    with pytest.raises(Pan123InputError, match="source: there is no bucket or folder '.*/nothing'"):
        [*find_paths("source", f"{folder}/nothing")]
