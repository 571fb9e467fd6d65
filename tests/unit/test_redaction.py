"""What logs and errors show of URLs, and of messages that quote them."""

from __future__ import annotations

import html

import pytest

from airflow_provider_123pan.service.redaction import redact_quoted_urls, redact_text

SIGNED = "https://me:pass%20word@a.com/p.png?X-Amz-Signature=5ec5ec&X-Amz-Date=20261125&w=1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"cannot fetch {SIGNED}", "cannot fetch https://a.com/p.png?X-Amz-Signature=***&X-Amz-Date=***&w=1"),
        (
            f"<p>{html.escape(SIGNED)}</p>",
            "<p>https://a.com/p.png?X-Amz-Signature=***&amp;X-Amz-Date=***&amp;w=1</p>",
        ),
        ("signature 5ec5ec is wrong", "signature *** is wrong"),
        ("X-Amz-Date=20261125&X-Amz-Signature=5ec5ec", "X-Amz-Date=***&X-Amz-Signature=***"),
        ("user me:pass%20word", "user ***"),
        ("password 'pass word'", "password '***'"),
        ("1 of 1", "1 of 1"),
    ],
)
def test_a_message_that_quotes_a_signed_url_is_redacted(text: str, expected: str) -> None:
    assert redact_text(text, SIGNED) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see https://a.com/x.jpg?token=abcdefgh now", "see https://a.com/x.jpg?token=*** now"),
        (
            "链接https://a.com/x.jpg?token=abcdefgh无法访问，源站返回404",
            "链接https://a.com/x.jpg?token=***无法访问，源站返回404",
        ),
        ("下载链接https://user:S3cretPw@host.com/x.jpg失败", "下载链接https://host.com/x.jpg失败"),
        ("https://a.com/x.jpg?name=张三&sig=abcdefgh 404", "https://a.com/x.jpg?name=张三&sig=*** 404"),
        (
            '{"url":"https://a.com/x?sig=abcdefgh","reason":"HTTP 403"}',
            '{"url":"https://a.com/x?sig=***","reason":"HTTP 403"}',
        ),
        ("no URL at all: 404", "no URL at all: 404"),
    ],
)
def test_every_quoted_url_is_redacted_and_the_text_around_it_stays(text: str, expected: str) -> None:
    assert redact_quoted_urls(text) == expected
