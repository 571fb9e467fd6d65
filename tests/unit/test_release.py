"""What a release promises about itself agrees."""

from __future__ import annotations

import re
from pathlib import Path

from airflow_provider_123pan import __version__

ROOT = Path(__file__).parents[2]


def test_the_latest_release_in_the_changelog_is_the_version_of_the_package() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"(?m)^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}$", changelog)
    assert released[0] == __version__
    assert len(set(released)) == len(released)


def test_the_readme_has_the_headings_at_which_the_description_is_cut() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    cuts = re.findall(r'(?m)^(?:start-at|end-before) = "(## .+)\\n"$', project)
    assert cuts
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert [lines.count(cut) for cut in cuts] == [1] * len(cuts)
