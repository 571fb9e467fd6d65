"""The troubleshooting page has every message of the code, and explains nothing that the code never says."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import airflow_provider_123pan
from airflow_provider_123pan import exceptions
from airflow_provider_123pan.account.fixed_token import FixedToken
from airflow_provider_123pan.checkup.checks import NAMES
from airflow_provider_123pan.download.events import from_event, to_event
from airflow_provider_123pan.exceptions import Pan123Error, Pan123InputError, Pan123WaitError
from airflow_provider_123pan.service.error_codes import (
    HELP_CODES,
    RATE_LIMIT_CODES,
    RATE_LIMIT_WORDS,
    TOO_MANY_TASKS,
    VERIFYING,
)
from airflow_provider_123pan.service.protocol import Answer, get_image, login, read

PACKAGE = Path(airflow_provider_123pan.__file__).parent
DOCS = PACKAGE.parent / "docs"
PAGE = (DOCS / "howto" / "troubleshooting.md").read_text(encoding="utf-8")
CHINESE_PAGE = (DOCS / "zh" / "howto" / "troubleshooting.md").read_text(encoding="utf-8")
#: Where one text stands for another that differs.
GAP = "…"
MIN_LETTERS = 8  # of a text that can be recognized
REFUSALS = {"_RefusedError", "UnreadablePageError", "InboxUnreachableError"}
LOGS = {"warning", "error", "exception"}
NAMED = {"reason", "message", "answer"}
CONSTANT = re.compile(r"_?(NO_REASON|NO_URL|SAME_CONTENT|NOT_LISTED|BROKEN_STRING)")
FUNCTIONS = {"refusal", "difference", "_why_invisible", "_delivery_problem"}


def _classes() -> list[type[Exception]]:
    return [
        found
        for found in vars(exceptions).values()
        if isinstance(found, type) and issubclass(found, Exception) and hasattr(found, "help_code")
    ]


def _text(node: ast.expr | None) -> str:
    """Return the text of an expression, with gaps for what only the run knows."""
    match node:
        case ast.Constant(value=str(text)):
            return re.sub(r"%(\(\w+\))?[a-z]", GAP, text)
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else GAP for part in parts)
        case ast.BinOp(left=left, right=right):
            return _text(left) + _text(right)
    return GAP


def _messages(tree: ast.Module) -> Iterator[str]:
    """Yield what a module may say about an error: exceptions, warnings, reasons, and failed checks."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=function, args=args) if args:
                name = ast.unparse(function)
                kind = name.rpartition(".")[2]
                if kind == "Pan123InputError":
                    continue
                if (
                    (name.startswith("Pan123") and name.endswith("Error"))
                    or kind in ("_RefusedError", "UnreadablePageError", "InboxUnreachableError")
                    or (kind in LOGS and name.split(".")[-2:-1] == ["log"])
                ):
                    yield _text(args[0])
                elif kind == "Finding":
                    yield _text(args[1])
                elif kind == "Result" and ast.unparse(args[1]) in ("Status.FAILED", "Status.WARNING"):
                    yield _text(args[2])
                yield from _after_problem(args)
            case ast.Tuple(elts=parts):
                yield from _after_problem(parts)
            case ast.keyword(arg="reason", value=value):
                yield _text(value)
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in NAMED or CONSTANT.fullmatch(
                name
            ):
                yield _text(value)
            case ast.FunctionDef(name=name) if name in FUNCTIONS:
                yield from (_text(found.value) for found in ast.walk(node) if isinstance(found, ast.Return))


def _after_problem(parts: list[ast.expr]) -> Iterator[str]:
    for number, part in enumerate(parts[:-1]):
        if ast.unparse(part).startswith("Problem."):
            yield _text(parts[number + 1])


@cache
def _all_messages() -> dict[str, str]:
    """Return the messages, each with its file."""
    found: dict[str, str] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if "sandbox" not in path.parts:
            for message in _messages(ast.parse(path.read_text(encoding="utf-8"))):
                if _letters(message) >= MIN_LETTERS:
                    found[message] = str(path.relative_to(PACKAGE))
    return found


@cache
def _all_strings() -> frozenset[str]:
    """Return all strings of the package, whatever they are for."""
    return frozenset(
        _text(node)
        for path in PACKAGE.rglob("*.py")
        if "sandbox" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant | ast.JoinedStr)
    )


def _letters(text: str) -> int:
    return sum(letter.isalpha() for letter in text)


def _says(message: str, quoted: str) -> bool:
    """Return whether a message has all that the page quotes of it, or the other way round, in the same order."""
    if min(_letters(message), _letters(quoted)) < MIN_LETTERS:
        return False
    return _has_parts(message, quoted) or _has_parts(quoted, message)


def _has_parts(text: str, pattern: str) -> bool:
    position = 0
    for part in filter(None, map(str.strip, pattern.split(GAP))):
        if (position := text.find(part, position)) < 0:
            return False
    return True


def _quotations(text: str) -> list[str]:
    return [" ".join(found.split()) for found in re.findall(r"`([^`]+)`", text)]


def _headings(page: str = PAGE) -> list[str]:
    return re.findall(r"^### (.*)$", page, re.MULTILINE)


def _with_anchor() -> list[str]:
    return re.findall(r"^\(.*\)=\n### (.*)$", PAGE, re.MULTILINE)


def _anchors(page: str = PAGE) -> list[str]:
    return re.findall(r"^\((.*)\)=$", page, re.MULTILINE)


def test_every_class_of_errors_has_a_help_code() -> None:
    own = [found.help_code for found in _classes() if found is not exceptions.Pan123TransientError]  # type: ignore[attr-defined]
    assert len(own) == len(set(own)) >= 26


def test_the_page_has_an_entry_for_each_help_code_and_no_other() -> None:
    codes = {found.help_code for found in _classes()} | {code for _, code in HELP_CODES}  # type: ignore[attr-defined]
    assert sorted(_anchors()) == sorted(codes)


@pytest.mark.parametrize("anchor", _anchors())
@pytest.mark.parametrize(("page", "prefix"), [(PAGE, ""), (CHINESE_PAGE, "zh-")], ids=["English", "Chinese"])
def test_an_entry_shows_its_code_so_that_a_search_finds_it(page: str, prefix: str, anchor: str) -> None:
    entry = page.partition(f"({prefix}{anchor})=\n")[2]
    assert re.match(rf"#+ [^\n]+\n\n`\[{anchor}\]`", entry)


@pytest.mark.parametrize(("message", "file"), sorted(_all_messages().items()))
def test_the_page_quotes_every_message(message: str, file: str) -> None:
    assert any(_says(message, quoted) for quoted in _quotations(PAGE)), file


@pytest.mark.parametrize("heading", [found for found in _headings() if found not in _with_anchor()])
def test_a_heading_without_a_help_code_quotes_messages(heading: str) -> None:
    quoted = _quotations(heading)
    assert quoted
    assert all(any(_says(text, found) for text in _all_strings()) for found in quoted)


def test_the_page_has_the_services_codes_and_words() -> None:
    signs = [
        *(sign for sign, _ in HELP_CODES),
        *RATE_LIMIT_CODES,
        *RATE_LIMIT_WORDS,
        TOO_MANY_TASKS,
        VERIFYING,
    ]
    quoted = _quotations(PAGE)
    assert not [sign for sign in signs if not any(str(sign) in found for found in quoted)]


def test_the_page_has_every_check_of_the_checkup() -> None:
    assert not {*NAMES} - {*_quotations(PAGE)}


@pytest.mark.parametrize("page", [PAGE, CHINESE_PAGE], ids=["English", "Chinese"])
def test_no_heading_is_there_twice(page: str) -> None:
    assert len(_headings(page)) == len({*_headings(page)})


def test_the_chinese_page_has_the_same_entries_in_the_same_order() -> None:
    assert _anchors(CHINESE_PAGE) == [f"zh-{anchor}" for anchor in _anchors()]
    assert [*map(_quotations, _headings(CHINESE_PAGE))] == [*map(_quotations, _headings())]


def test_the_chinese_page_quotes_all_that_the_english_page_quotes() -> None:
    assert {*_quotations(PAGE)} - {*_quotations(CHINESE_PAGE)} == set()


# --- how errors lead there -----------------------------------------------------------------------------------


def answered(code: int, message: str, call: object = None) -> Pan123Error:
    body = json.dumps({"code": code, "message": message, "data": None, "x-traceID": "t-1"})
    with pytest.raises(Pan123Error) as caught:
        read(call or get_image("1"), Answer(200, {}, body.encode()))  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize(
    ("code", "message", "entry"),
    [
        (401, "tokens number has exceeded the limit", "token-limit"),
        (401, "token is expired", "token-expired"),
        (401, "unauthorized", "token"),
        (429, "请求太频繁", "rate-limit"),
        (42902, "slow down", "rate-limit"),
        (1, "操作频繁", "rate-limit"),
        (2, "同时下载的任务超出最大限制，不能下载", "too-many-tasks"),
        (2, "解析失败", "unresolved-url"),
        (1, "预上传ID不能为空", "upload-id"),
        (1, "该目录下文件名重复无法创建", "name-taken"),
        (5060, "refused", "name-taken"),
        (5066, "refused", "no-file"),
        (5113, "refused", "traffic"),
        (20103, "文件正在校验中,请间隔1秒后再试", "verifying"),
        (9999, "refused", "service"),
    ],
)
def test_an_error_of_the_service_leads_to_the_entry_of_its_words(code: int, message: str, entry: str) -> None:
    error = answered(code, message)
    assert error.message.startswith(message)
    assert str(error).endswith(f"(code {code}, x-traceID t-1) [pan123-{entry}]")
    assert error.description == str(error).removesuffix(f" [pan123-{entry}]")


@pytest.mark.parametrize(
    ("message", "entry"), [("wrong secret", "credentials"), ("无效的登录信息", "developer-package")]
)
def test_an_error_of_the_login_leads_to_its_entry(message: str, entry: str) -> None:
    assert answered(1, message, login("id", "secret")).help_code == f"pan123-{entry}"


def test_the_blocked_address_of_a_client_is_recognized_without_an_envelope() -> None:
    with pytest.raises(Pan123Error, match=r"forbidden client ip.*\[pan123-client-blocked\]$"):
        read(get_image("1"), Answer(403, {}, b"123pan-global-slb forbidden client ip"))


def _ends_of_waits() -> Iterator[Pan123Error]:
    yield answered(5066, "refused")
    yield answered(9999, "refused")
    yield answered(1, "wrong secret", login("id", "secret"))
    yield answered(1, "无效的登录信息", login("id", "secret"))
    yield Pan123InputError("pan123_conn_id: there is no connection 'a'")
    with pytest.raises(exceptions.Pan123AccessTokenError) as refused:
        next(FixedToken("a").obtain("a"))
    yield refused.value
    with pytest.raises(exceptions.Pan123RedirectError) as redirected:
        read(get_image("1"), Answer(302, {"Location": "https://a.example"}, b""))
    yield redirected.value
    with pytest.raises(exceptions.Pan123AnswerError) as strange:
        read(get_image("1"), Answer(200, {}, b'{"code": 0, "data": {"fileId": []}}'))
    yield strange.value
    unknown = "the service does not know taskID 7 (any more), and there is no image of its name: refused"
    yield exceptions.Pan123UnknownTaskError(unknown, call="get_offline_download", code=5066)
    invisible = "taskID 7 succeeded, but after 300 s no image in its directory is certainly 'a.png': none"
    yield exceptions.Pan123InvisibleError(invisible, call="list_images")
    without_url = "taskID 7 is unknown, and the service gives no URL for its image 'a.png' (1)"
    yield exceptions.Pan123InvisibleError(without_url, call="get_image")


@pytest.mark.parametrize("error", list(_ends_of_waits()), ids=lambda error: f"{error.help_code}-{error.call}")
def test_an_error_from_the_triggerer_leads_to_the_same_entry(error: Pan123Error) -> None:
    with pytest.raises(Pan123WaitError) as caught:
        from_event(json.loads(json.dumps(to_event(error))))
    assert str(caught.value) == str(error)


def test_an_error_of_another_kind_from_the_triggerer_leads_to_the_entry_of_waits() -> None:
    with pytest.raises(Pan123WaitError, match=r"\[pan123-wait\]$"):
        from_event(to_event(Pan123Error("something else")))
