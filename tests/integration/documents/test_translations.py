"""The Chinese pages: their code is that of the English pages, and their lists are complete."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_123pan.get_provider_info import get_provider_info
from tests.integration.documents.support import BLOCKS, PAGES, ROOT, Block

CHINESE = ROOT / "docs" / "zh"
#: What has no English page: the notes are about Airflow's Chinese interface and Beijing time.
ONLY_CHINESE = CHINESE / "howto" / "airflow.md"


def english(page: Path) -> Path:
    """Return the English page of a Chinese one."""
    return ROOT / "README.md" if page.parent == ROOT else ROOT / "docs" / page.relative_to(CHINESE)


def code(page: Path) -> list[tuple[str, str]]:
    """Return the languages and texts of a page's blocks of code, without comments."""
    return [
        (block.language, _bare(block))
        for block in BLOCKS
        if block.page == page and not block.language.startswith("{")
    ]


def _bare(block: Block) -> str:
    if block.language == "python":
        return ast.unparse(ast.parse(block.text))
    if block.language not in ("json", "text"):
        return re.sub(r"(?m)(^|\s)#.*$", "", block.text)
    return block.text


TRANSLATED = [
    page
    for page in PAGES
    if page.name == "README.zh-CN.md" or (CHINESE in page.parents and page != ONLY_CHINESE)
]


@pytest.mark.parametrize("page", TRANSLATED, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_chinese_page_has_the_code_of_the_english_one(page: Path) -> None:
    assert code(page) == code(english(page))


def test_the_chinese_guide_lists_the_fields_of_the_connection() -> None:
    info: Any = get_provider_info()
    (connection,) = info["connection-types"]
    labels = {name: field["label"] for name, field in connection["conn-fields"].items()}
    expected = connection["ui-field-behaviour"]["relabeling"] | {
        f"extra.{name}": label for name, label in labels.items()
    }
    text = (CHINESE / "howto" / "connection.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"(?m)^\| `([\w.]+)` \| ([^|]+) \|", text)) == expected
