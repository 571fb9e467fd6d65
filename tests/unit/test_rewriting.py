"""Known URLs in Markdown and HTML are replaced as a whole, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_123pan.rewriting import Addresses, new_addresses, rewrite
from airflow_provider_123pan.sync.result_record import ResultRecord
from airflow_provider_123pan.sync.results import Results

A, B, Q = "http://x.com/a.jpg", "https://x.com/b.png", "http://x.com/i?id=1&w=2"
ADDRESSES = {
    A: "https://new.com/1.jpg",
    B: "https://new.com/2.png",
    Q: "https://new.com/3.jpg?k=1&l=2",
    "http://x.com/a": "https://new.com/4.jpg",
    "http://x.com/a(1).jpg": "https://new.com/5.jpg",
    "http://x.com/a,b.jpg": "https://new.com/6.jpg",
    "http://x.com/it's.jpg": "https://new.com/7.jpg",
    "http://x.com/图（1）.jpg": "https://new.com/8.jpg",
    "http://x.com/a[1].jpg": "https://new.com/9.jpg",
    "http://x.com/odd.jpg": "https://new.com/o d(d)'\".jpg",
    "HTTP://X.com/loud.jpg": "https://new.com/10.jpg",
    "http://x.com/a.jpg!": "https://new.com/11.jpg",
    "http://x.com/w&amp;k.jpg": "https://new.com/12.jpg?a=1&b=2",
}
NEW_A, NEW_B, NEW_Q = ADDRESSES[A], ADDRESSES[B], ADDRESSES[Q]

REPLACED = {
    # Markdown
    "image": (f"![cat]({A})", f"![cat]({NEW_A})"),
    "image with a title": (f'![cat]({A} "a cat")', f'![cat]({NEW_A} "a cat")'),
    "image in a link": (f"[![cat]({A})]({B})", f"[![cat]({NEW_A})]({NEW_B})"),
    "image in an unknown link": (
        f"[![cat]({A})](http://x.com/page)[b]({B})",
        f"[![cat]({NEW_A})](http://x.com/page)[b]({NEW_B})",
    ),
    "no space in between": (f"![]({A}),[b]({B})和", f"![]({NEW_A}),[b]({NEW_B})和"),
    "brackets of its own": ("![](http://x.com/a(1).jpg)", "![](https://new.com/5.jpg)"),
    "escaped brackets": (r"![](http://x.com/a\(1\).jpg)", "![](https://new.com/5.jpg)"),
    "square brackets of its own": (
        "http://x.com/a[1].jpg [http://x.com/a[1].jpg]",
        "https://new.com/9.jpg [https://new.com/9.jpg]",
    ),
    "autolink": (f"<{A}>", f"<{NEW_A}>"),
    "in angle brackets": (f"![](<{A}>)", f"![](<{NEW_A}>)"),
    "reference": (f"[1]: {A}\n[2]:{B} 'b'", f"[1]: {NEW_A}\n[2]:{NEW_B} 'b'"),
    "link text": (f"[{A}]({B}), [see {A}]({B})", f"[{NEW_A}]({NEW_B}), [see {NEW_A}]({NEW_B})"),
    "emphasis": (f"**{A}** _{B}_ ~~{A}~~", f"**{NEW_A}** _{NEW_B}_ ~~{NEW_A}~~"),
    "code": (f"`{A}`和 `see {A}`", f"`{NEW_A}`和 `see {NEW_A}`"),
    "table": (f"|{A}|{B}|b|\n| {A} |", f"|{NEW_A}|{NEW_B}|b|\n| {NEW_A} |"),
    # sentences
    "alone": (A, NEW_A),
    "full stop": (f"It is {A}.", f"It is {NEW_A}."),
    "other ends": (f"{A}, {A}; {A}: {A}? {B}!", f"{NEW_A}, {NEW_A}; {NEW_A}: {NEW_A}? {NEW_B}!"),
    "in parentheses": (f"(see {A}). ({A}, old)", f"(see {NEW_A}). ({NEW_A}, old)"),
    "quoted": (f"'{A}', “{A}”, “see {A}.”", f"'{NEW_A}', “{NEW_A}”, “see {NEW_A}.”"),
    "apostrophe of its own": ("http://x.com/it's.jpg", "https://new.com/7.jpg"),
    "Chinese sentence": (f"图：{A}，很好（{B}）。", f"图：{NEW_A}，很好（{NEW_B}）。"),
    "Chinese sentence with a comma": (f"看{A},，很好", f"看{NEW_A},，很好"),
    "Chinese punctuation of its own": ("http://x.com/图（1）.jpg。", "https://new.com/8.jpg。"),
    "list without spaces": (f"{A},{B};{A}|{B}，{A}", f"{NEW_A},{NEW_B};{NEW_A}|{NEW_B}，{NEW_A}"),
    "colon": (f"image:{A}", f"image:{NEW_A}"),
    # HTML
    "double quotes": (f'<img src="{A}">', f'<img src="{NEW_A}">'),
    "single quotes": (f"<img src='{A}'alt=''>", f"<img src='{NEW_A}'alt=''>"),
    "an apostrophe in double quotes": (
        '<img src="http://x.com/it\'s.jpg">',
        '<img src="https://new.com/7.jpg">',
    ),
    "no quotes": (f"<a href={B}><img src={A}></a>", f"<a href={NEW_B}><img src={NEW_A}></a>"),
    "content": (f"<p>{A}</p>{B}<br>", f"<p>{NEW_A}</p>{NEW_B}<br>"),
    "srcset": (
        f'<img srcset="{A} 1x, {B} 2x, http://x.com/a,b.jpg, {A}">',
        f'<img srcset="{NEW_A} 1x, {NEW_B} 2x, https://new.com/6.jpg, {NEW_A}">',
    ),
    "srcset without spaces": (f"srcset='{A} 1x,{B} 2x,{A}'", f"srcset='{NEW_A} 1x,{NEW_B} 2x,{NEW_A}'"),
    "list in an attribute": (f'data-images="{A},{B}"', f'data-images="{NEW_A},{NEW_B}"'),
    "CSS": (f"url({A}) url('{A}') url(\"{B}\");", f"url({NEW_A}) url('{NEW_A}') url(\"{NEW_B}\");"),
    "CSS in an attribute": (
        f"style=\"background:url(&quot;{A}&quot;)\" style='a:url(&#039;{B}&#039;)'",
        f"style=\"background:url(&quot;{NEW_A}&quot;)\" style='a:url(&#039;{NEW_B}&#039;)'",
    ),
    "escaped mark-up": (
        f"&lt;{A}&gt;&nbsp;{B}&nbsp;&lt;p&gt;{A}&lt;/p&gt;",
        f"&lt;{NEW_A}&gt;&nbsp;{NEW_B}&nbsp;&lt;p&gt;{NEW_A}&lt;/p&gt;",
    ),
    "escaped quotes around a sentence": (f"&quot;see {A}.&quot;", f"&quot;see {NEW_A}.&quot;"),
    "fragment": (f"{A}#top ({A}#top)", f"{NEW_A} ({NEW_A})"),
    "ampersand": (f'src="{Q}"', f'src="{NEW_Q}"'),
    "escaped ampersand": (
        f'<img src="{Q.replace("&", "&amp;")}">',
        f'<img src="{NEW_Q.replace("&", "&amp;")}">',
    ),
    "ampersand by number": (Q.replace("&", "&#038;"), NEW_Q.replace("&", "&#038;")),
    "known with an escaped ampersand": ("http://x.com/w&amp;k.jpg", "https://new.com/12.jpg?a=1&amp;b=2"),
    # choice
    "the longest": (f"{A}! {A}!!", "https://new.com/11.jpg https://new.com/1.jpg!!"),
    "capitals": ("HTTP://X.com/loud.jpg", "https://new.com/10.jpg"),
    "several lines": (f"{A}\n{B}\t{A}\r\nend", f"{NEW_A}\n{NEW_B}\t{NEW_A}\r\nend"),
    "characters that would end the new URL": (
        "![](http://x.com/odd.jpg)",
        "![](https://new.com/o%20d%28d%29%27%22.jpg)",
    ),
}


@pytest.mark.parametrize(
    ("new", "inserted"),
    [
        ("https://new.com/{{ secrets }}.jpg", "https://new.com/%7B%7B%20secrets%20%7D%7D.jpg"),
        ("https://new.com/{% x %}${y}#{z}", "https://new.com/%7B%%20x%20%%7D$%7By%7D#%7Bz%7D"),
        ("https://new.com/?a=<%x%>|[[y]]", "https://new.com/?a=%3C%x%%3E%7C%5B%5By%5D%5D"),
        ("HTTP://[::1]:8080/a[1].jpg", "HTTP://[::1]:8080/a%5B1%5D.jpg"),
        ("https://图.cn", "https://图.cn"),
    ],
)
def test_template_marks_in_a_new_url_are_quoted(new: str, inserted: str) -> None:
    assert rewrite(f'<img src="{A}"> ![]({A})', {A: new}) == f'<img src="{inserted}"> ![]({inserted})'


@pytest.mark.parametrize(
    "new",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.com/a.jpg",
        "/a.jpg",
        "a.jpg",
        "",
        "https://",
        "https:///a.jpg",
        "https:evil.com",
        "https://{{host}}/a.jpg",
        "https://a<b>/a.jpg",
        "https://new.com\\@evil.com/",
        " https://new.com/1.jpg",
        "ftp://new.com/1.jpg",
        "https://new.com/\n1.jpg",
        "https://new.com/\u202e1.jpg",
        "https://new.com/\0.jpg",
        "{{ 'https://new.com' }}",
    ],
)
def test_only_http_urls_are_inserted(new: str) -> None:
    text = f'<img src="{A}"> ![]({A}) {A}'
    assert rewrite(text, {A: new}) == text


UNTOUCHED = {
    "no URL": "a.jpg (b.png) <p>http</p>",
    "unknown URL": "http://x.com/c.jpg https://x.com/a.jpg",
    "another host": f"http://www.{A.removeprefix('http://')}",
    "longer path": f"{A}.webp ({A}.webp) '{A}.webp' {A}/b",
    "style of a CDN": f"{A}!thumb {A}@2x {A}:large {A},w_100 ({A},w_100) {A};v=1 {A}~b {A}_b {A}*b",
    "query": f'{A}?w=2 "{A}?w=2" {Q}&h=3 {Q}&amp;h=3',
    "unknown brackets": "http://x.com/a(2).jpg (http://x.com/a(2).jpg) http://x.com/a[2].jpg <http://x.com/a(2).jpg>",
    "other bracket": f"({A}].jpg) [{A}).jpg]",
    "bracket that stays open": "http://x.com/a(1.jpg ",
    "bracket between quotes": f"\"{A})b.jpg\" '{A})b.jpg' <{A})b.jpg>",
    "dot between delimiters": f"\"{A}.\" ({A}.) <{A}.> '{A}.' &quot;{A}.&quot;",
    "Chinese punctuation between delimiters": f'src="{A}，1.webp" ({A}，1.webp)',
    "no longest": f"{A}图",
    "quote of its own": f"{A}'s ({A}'s.jpg)",
    "in the path of another": f"https://cdn.com/fetch/{A} /fetch/{A} http://web.org/2020/{A}",
    "in the query of another": f'https://cdn.com/?url={A} "/resize?src={A}" /a?{A} /a?b&{A} /a#{A} /a@{A} /%{A} /+{A}',
    "in the brackets of another": f"http://cdn.com/f({A})",
    "another scheme": f"x{A} X{A}",
}


@pytest.mark.parametrize(("text", "expected"), REPLACED.values(), ids=REPLACED.keys())
def test_known_urls_are_replaced(text: str, expected: str) -> None:
    assert rewrite(text, ADDRESSES) == expected
    assert rewrite(f"文 {text}\n{text}", ADDRESSES) == f"文 {expected}\n{expected}"


@pytest.mark.parametrize("text", UNTOUCHED.values(), ids=UNTOUCHED.keys())
def test_other_text_stays_as_it_is(text: str) -> None:
    assert rewrite(text, ADDRESSES) == text


def test_a_second_rewriting_changes_nothing() -> None:
    text = "\n".join(expected for _, expected in REPLACED.values())
    assert rewrite(text, ADDRESSES) == text


class Counting(Addresses):
    """URLs that count the characters of all look-ups."""

    characters = 0

    def find(self, spelled: str, is_relative: bool = False) -> str | None:
        """Look a URL up."""
        self.characters += len(spelled)
        return super().find(spelled, is_relative)


@pytest.mark.parametrize(
    "unit",
    [
        "http://x.com/c.jpg,",
        "(http://x.com/",
        "http://x.com/(",
        "，:http://x.com/c",
        "http://x.com/c&amp;",
        '"http://x.com/c d ',
        '"//x.com/c 1x, ',
        "<http://x.com/c d",
    ],
)
def test_the_work_grows_linearly_with_the_text(unit: str) -> None:
    """In one long line of URLs, all look-ups together grow with the line."""

    def characters(count: int) -> int:
        urls = Counting()
        rewrite(unit * count, urls)
        return urls.characters

    few, many = characters(1000), characters(4000)
    assert few > 0
    assert many <= 4.1 * few


@pytest.mark.parametrize("name", ["results.jsonl", "results.csv"])
def test_new_addresses_are_those_of_all_stored_images(tmp_path: Path, name: str) -> None:
    path = str(tmp_path / name)

    def record(number: int, status: str, download_url: str | None, user_url: str | None) -> ResultRecord:
        place = (f"http://x.com/{number}.jpg", f"{number}.jpg", status, None, None)
        return ResultRecord(*place, download_url, user_url, None, None, None)

    Results(path, "test").write(
        [
            record(1, "present", "https://new.com/1.jpg", None),
            record(2, "migrated", "https://new.com/2.jpg", "https://own.com/2.jpg"),
            record(3, "failed", "https://new.com/3.jpg", None),  # rejected by review
            record(4, "migrated", None, None),
        ]
    )
    assert new_addresses(path) == {
        "http://x.com/1.jpg": "https://new.com/1.jpg",
        "http://x.com/2.jpg": "https://own.com/2.jpg",
    }


def test_a_results_file_of_another_program_can_be_read(tmp_path: Path) -> None:
    values = dict.fromkeys(ResultRecord._fields) | {"url": A, "status": "present", "download_url": NEW_A}
    (tmp_path / "results.jsonl").write_text(json.dumps(values) + "\n", encoding="utf-8")
    assert rewrite(A, new_addresses(f"file://{tmp_path}/results.jsonl")) == NEW_A
