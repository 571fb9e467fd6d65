"""Which URLs are one image, and which are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_123pan.source.urls import canonical_url, host_and_port

SAME = {
    "host in capitals": ("https://X.COM/a.jpg", "https://x.com/a.jpg"),
    "scheme in capitals": ("HTTPS://x.com/a.jpg", "https://x.com/a.jpg"),
    "default port": ("https://x.com:443/a.jpg", "https://x.com/a.jpg"),
    "default port of http": ("http://x.com:80/a.jpg", "http://x.com/a.jpg"),
    "empty port": ("http://x.com:/a.jpg", "http://x.com/a.jpg"),
    "port with a zero": ("http://x.com:08080/a.jpg", "http://x.com:8080/a.jpg"),
    "fragment": ("https://x.com/a.jpg#top", "https://x.com/a.jpg"),
    "empty query": ("https://x.com/a.image?", "https://x.com/a.image"),
    "domain name in Chinese": ("https://例子.中国/a.jpg", "https://xn--fsqu00a.xn--fiqs8s/a.jpg"),
    "domain name with a full-width dot": ("https://例子。中国/a.jpg", "https://xn--fsqu00a.xn--fiqs8s/a.jpg"),
    "domain name, percent-encoded": ("https://%E4%BE%8B%E5%AD%90.cn/a.jpg", "https://xn--fsqu00a.cn/a.jpg"),
    "domain name with an emoji": ("https://i❤.ws/a.jpg", "https://xn--i-7iq.ws/a.jpg"),
    "IPv6": ("http://[2001:DB8::1]:80/a.jpg", "http://[2001:db8::1]/a.jpg"),
    "user": ("https://Me:P@X.com/a.jpg", "https://Me:P@x.com/a.jpg"),
    "raw Chinese": ("https://x.com/图.png", "https://x.com/%E5%9B%BE.png"),
    "raw Chinese in the query": ("https://x.com/a?n=图", "https://x.com/a?n=%E5%9B%BE"),
    "hex in lower case": ("https://x.com/%e5%9b%be.png", "https://x.com/%E5%9B%BE.png"),
    "needless encoding": ("https://x.com/%61%281%29%7E.jpg", "https://x.com/a(1)~.jpg"),
    "needless encoding in the query": (
        "https://x.com/a?u=https%3A%2F%2Fy.com%2Fb",
        "https://x.com/a?u=https://y.com/b",
    ),
    "needless encoding of a separator of queries": ("https://x.com/a%26b%3D.jpg", "https://x.com/a&b=.jpg"),
    "blank": ("https://x.com/a b.png", "https://x.com/a%20b.png"),
    "full-width blank": ("https://x.com/a\u3000b.png", "https://x.com/a%E3%80%80b.png"),
    "pipe": ("https://x.com/a?strip%7Cview", "https://x.com/a?strip|view"),
    "brackets": ("https://x.com/a%5B1%5D.jpg", "https://x.com/a[1].jpg"),
    "quotes and braces": ('https://x.com/"{a}<b>".jpg', "https://x.com/%22%7Ba%7D%3Cb%3E%22.jpg"),
    "percent sign alone": ("https://x.com/100%.jpg", "https://x.com/100%25.jpg"),
    "half a surrogate pair": ("https://x.com/\ud83d.jpg", "https://x.com/%ED%A0%BD.jpg"),
}


@pytest.mark.parametrize(("url", "canonical"), SAME.values(), ids=SAME.keys())
def test_these_urls_are_one_image(url: str, canonical: str) -> None:
    assert canonical_url(url) == canonical
    assert canonical_url(canonical) == canonical


DIFFERENT = {
    "scheme": ("http://x.com/a.jpg", "https://x.com/a.jpg"),
    "slash in a host": ("http://x.com%2Fa/b.jpg", "http://x.com/a/b.jpg"),
    "slash that IDNA makes": ("http://x.com\u2100/b.jpg", "http://x.coma/c/b.jpg"),
    "slash that IDNA makes, encoded": ("http://x.com%E2%84%80/b.jpg", "http://x.coma/c/b.jpg"),
    "port in a host": ("http://x.com%3A81/a.jpg", "http://x.com:81/a.jpg"),
    "port": ("http://x.com:81/a.jpg", "http://x.com/a.jpg"),
    "port of the other scheme": ("http://x.com:443/a.jpg", "http://x.com/a.jpg"),
    "case of the path": ("http://x.com/A.jpg", "http://x.com/a.jpg"),
    "slash in a name": ("http://x.com/a%2Fb.jpg", "http://x.com/a/b.jpg"),
    "question mark in a name": ("http://x.com/a%3Fb.jpg", "http://x.com/a?b.jpg"),
    "number sign in a name": ("http://x.com/a%23b.jpg", "http://x.com/a#b.jpg"),
    "percent sign in a name": ("http://x.com/a%2541.jpg", "http://x.com/a%41.jpg"),
    "plus sign": ("http://x.com/a%2Bb.jpg", "http://x.com/a+b.jpg"),
    "plus sign in the query": ("http://x.com/?a%2Bb", "http://x.com/?a+b"),
    "separators in the query": ("http://x.com/?a=1%26b%3D2", "http://x.com/?a=1&b=2"),
    "GBK and UTF-8": ("http://x.com/%B1%ED.png", "http://x.com/表.png"),
    "order of the query": ("http://x.com/?a=1&b=2", "http://x.com/?b=2&a=1"),
    "token": ("https://x.com/show.png?token=one", "https://x.com/show.png?token=two"),
    "a query after a signature": (
        "https://x.com/a.png?X-Amz-Signature=9f1c?w=2",
        "https://x.com/a.png?X-Amz-Signature=9f1c",
    ),
    "a page after a signature": (
        "https://x.com/a.png?X-Amz-Signature=9f1c.html",
        "https://x.com/a.png?X-Amz-Signature=9f1c",
    ),
    "sig": ("https://x.com/get.png?sig=9f1c", "https://x.com/get.png?sig=77ab"),
}


@pytest.mark.parametrize(("first", "second"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_these_urls_are_two_images(first: str, second: str) -> None:
    assert canonical_url(first) != canonical_url(second)


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Date=1&X-Amz-Signature=a",
        "X-Amz-Algorithm=a&X-Amz-Credential=c&X-Amz-Date=d&X-Amz-SignedHeaders=h&X-Amz-Signature=s",
        "AWSAccessKeyId=k&Signature=s&Expires=1&x-amz-security-token=t",
        "X-Goog-Algorithm=a&X-Goog-Date=1&X-Goog-Signature=s",
        "X-Goog%2DSignature=1",
        "GoogleAccessId=k&Signature=s&Expires=1",
        "se=1&sp=r&sv=2&sr=b&sig=x",
        "OSSAccessKeyId=k&Signature=s&Expires=1&security-token=t",
        "x-oss-signature-version=1&x-oss-credential=c&x-oss-date=d&x-oss-security-token=t&x-oss-signature=s",
        "q-sign-algorithm=sha1&q-ak=x&q-sign-time=1;2&q-key-time=1;2&q-header-list=&q-url-param-list=&q-signature=s",
        "AccessKeyId=k&Signature=s&Expires=1",
        "X-Obs-Date=1&X-Obs-Signature=s",
        "X-Tos-Algorithm=a&X-Tos-Credential=c&X-Tos-Date=d&X-Tos-SignedHeaders=h&X-Tos-Signature=s",
        "e=1700000000&token=key:signature=",
        "Expires=1&Signature=x&Key-Pair-Id=k",
        "Policy=p&Signature=x&Key-Pair-Id=k",
        "auth_key=1-2",
    ],
)
def test_what_signs_a_url_does_not_belong_to_it(query: str) -> None:
    assert canonical_url(f"https://a.com/p.png?{query}") == "https://a.com/p.png"
    assert canonical_url(f"https://a.com/p.png?a=%20b&{query}") == "https://a.com/p.png?a=%20b"


@pytest.mark.parametrize(
    "query",
    [
        "x-oss-process=image/resize,w_100",
        "x-tos-process=a",
        "x-image-process=b",
        "st=1&sp=2&sv=3",
        "t=1",
        "token=abc",
        "sig=abc",
        "e=1&token=abc",
        "e=mc2&token=a:b",
        "Expires=1",
        "Signature=s",
        "Signature=s&Expires=1",
        "Policy=p",
        "security-token=t",
        "authkey=AMWPepY4tg0HgcY",
        "X-Amz-Date=1",
        "OSSAccessKeyId=k",
        "AWSAccessKeyId=k&Signature=s",
        "q-ak=k",
    ],
)
def test_what_selects_an_image_is_kept(query: str) -> None:
    assert canonical_url(f"https://a.com/p.png?{query}") == f"https://a.com/p.png?{query}"


def test_more_parameters_can_sign_a_url() -> None:
    url = "https://a.com/p.png?token=1&Mine=2&X-Amz-Signature=3"
    assert canonical_url(url, ["mine"]) == "https://a.com/p.png?token=1"
    assert canonical_url(url, ["m*", "tok?n"]) == "https://a.com/p.png"


@pytest.mark.parametrize("url", ["http://[::1/a.jpg", "http://a\u2100b/c.jpg", "a.jpg", ""])
def test_what_cannot_be_parsed_stays(url: str) -> None:
    assert canonical_url(url) == url


@given(st.text(), st.text())
def test_a_canonical_url_stays_canonical(path: str, query: str) -> None:
    canonical = canonical_url(f"HTTPS://Example.com:443/{path}?{query}")
    assert canonical_url(canonical) == canonical
    assert canonical.isascii()


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://me:p@X.com:443/a.jpg", "x.com"),
        ("http://例子.中国:080/a.jpg?u=http://y.com/", "xn--fsqu00a.xn--fiqs8s"),
        ("http://x.com:8080/a.jpg", "x.com:8080"),
        ("http://[2001:DB8::1]:80/a.jpg", "[2001:db8::1]"),
        ("http://x.com%5D/a.jpg", "x.com%5d"),
        ("http://%5B1%5D/a.jpg", "%5b1%5d"),
        ("http://x.%E2%84%80/a.jpg", "x.\u2100"),  # IDNA makes a/c of it
        ("http://x.com%2Fa.jpg/", "x.com%2fa.jpg"),
    ],
)
def test_every_url_has_a_host(url: str, host: str) -> None:
    """Also a host that is none, as long as the URL can be parsed."""
    assert host_and_port(url) == host
