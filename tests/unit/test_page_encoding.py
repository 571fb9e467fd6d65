"""In which encodings pages are read and written."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.pages.encoding import Encoding, check_encoding, decode_page
from airflow_provider_123pan.pages.folder import UnreadablePageError

CHINESE = "# 图片\r\n\r\n![图](https://x.com/图.png) 你好\n"
TAIWANESE = "# 我的部落格\n今天天氣很好，我們去公園玩。"
JAPANESE = "# ブログ\n今日はいい天気です。"
KOREAN = "# 블로그\n오늘은 날씨가 좋습니다."


def decoded(data: bytes, name: str = "a.md", fallback: str | None = None) -> tuple[str, Encoding]:
    found = decode_page(data, name, fallback)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "written", "encoding"),
    [
        (CHINESE, "utf-8", "utf-8"),
        ("\ufeff" + CHINESE, "utf-8", "utf-8"),
        ("\ufeff" + CHINESE, "utf-16-le", "utf-16-le"),
        ("\ufeff" + CHINESE, "utf-16-be", "utf-16-be"),
        ("\ufeff" + CHINESE, "utf-32-le", "utf-32-le"),
        (CHINESE, "utf-16-le", "utf-16-le"),
        (CHINESE, "utf-16-be", "utf-16-be"),
        (f"{CHINESE}一丁", "utf-16-le", "utf-16-le"),  # U+4E00 has a zero at the other place
        (CHINESE, "gbk", "gb18030"),
        (CHINESE * 30, "gbk", "gb18030"),
        (TAIWANESE, "big5", "big5"),
        (JAPANESE * 4, "cp932", "cp932"),
        (KOREAN * 4, "cp949", "cp949"),
    ],
)
def test_encodings_are_detected_and_kept(text: str, written: str, encoding: str) -> None:
    data = text.encode(written)
    found, used = decoded(data)
    assert (found, used.name) == (text, encoding)
    assert used.encode(found) == data


@pytest.mark.parametrize(
    ("text", "name", "encoding"),
    [
        ('<meta charset="gbk"><img src="https://example.com/图.png">', "a.html", "gb18030"),
        ("<META http-equiv=content-type content='text/html; charset=gb2312'>图", "A.HTM", "gb18030"),
        ('<?xml version="1.0" encoding="GBK"?><a>图</a>', "a.xml", "gb18030"),
        ('@charset "gbk"; a { background: url(https://example.com/图.png) }', "a.css", "gb18030"),
        ('<?xml version="1.0" encoding="Big5"?>圖', "a.xml", "big5"),
        ('@charset "shift_jis";図', "a.css", "cp932"),
    ],
)
def test_a_declared_encoding_decides_where_the_text_is_short(text: str, name: str, encoding: str) -> None:
    found, used = decoded(text.encode(encoding), name)
    assert (found, used.name) == (text, encoding)


def test_a_declaration_counts_more_than_utf_8_by_accident() -> None:
    for text in ("图", "图" * 7):
        data = f"<meta charset=gbk>{text}".encode("gbk")
        assert data.decode("utf-8") != text  # it is valid
        assert decoded(data, "a.html")[0].endswith(f">{text}")


@pytest.mark.parametrize(
    "text",
    [
        f"<meta charset=gbk>{'图文' * 10}",
        f"<meta charset=gbk>{CHINESE}",
        "<meta charset=utf-7>+AGE-",
        "<meta charset=utf-16><meta charset=rot13>图",
        f"<meta charset=klingon>{CHINESE}",
        f"<meta charset=hex>{CHINESE}",
        "<meta charset=cp037>图",
    ],
)
def test_a_wrong_declaration_does_not_count(text: str) -> None:
    assert decoded(text.encode(), "a.html") == (text, Encoding("utf-8"))


def test_a_declaration_in_markdown_is_an_example() -> None:
    text = '`<meta charset="gb2312">` 图 https://x.com'
    assert decoded(text.encode(), "a.md") == (text, Encoding("utf-8"))


def test_a_given_encoding_replaces_detection_only() -> None:
    assert decoded("図".encode("shift_jis"), fallback="shift_jis")[0] == "図"
    assert decoded("図".encode(), fallback="shift_jis")[0] == "図"


@pytest.mark.parametrize("name", ["klingon", "hex", "utf-16", "a\0b", ""])
def test_a_given_encoding_must_be_known(name: str) -> None:
    with pytest.raises(Pan123InputError, match="encoding: Python knows none of the name"):
        check_encoding(name)


def test_any_bytes_without_zeros_are_read_and_written_again() -> None:
    data = b"a" + bytes(range(255, 0, -1)) * 3
    text, encoding = decoded(data)
    assert encoding.encode(text) == data


@given(st.binary(max_size=200), st.sampled_from(["a.md", "a.html", "a.xml"]))
def test_whatever_is_read_is_written_byte_for_byte(data: bytes, name: str) -> None:
    try:
        found = decode_page(data, name)
    except UnreadablePageError:
        return
    if found is not None:
        text, encoding = found
        assert encoding.encode(text) == data


@pytest.mark.parametrize(
    "data", [bytes(9), b"a\0b\0c", b"a\0b\0\0c", codecs.BOM_UTF16_LE + b"a\0\0\0", b"a\0\0\0b\0" * 9]
)
def test_data_with_nul_is_binary(data: bytes) -> None:
    assert decode_page(data, "a.txt") is None
