"""Sitemaps and feeds are read from public addresses, and from hosts that the caller names."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_123pan.exceptions import Pan123DocumentError, Pan123InputError
from airflow_provider_123pan.source.addresses import Connector
from airflow_provider_123pan.source.documents import Documents
from airflow_provider_123pan.sources import from_feed, from_sitemap
from tests.integration.source.conftest import Website

FROM = pytest.mark.parametrize("read", [from_sitemap, from_feed])
PUBLIC = "93.184.215.14"
IMAGE = b"<urlset><url><image><loc>https://example.com/1.png</loc></image></url></urlset>"


@pytest.fixture
def manifest(tmp_path: Path) -> str:
    return str(tmp_path / "images.jsonl")


@pytest.fixture
def port(website: Website) -> str:
    return website.url.rpartition(":")[2]


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolve each name in ``.test`` to loopback, and no other one."""

    def resolve(host: str, port: int) -> list[str]:
        if host.endswith(".test"):
            return ["127.0.0.1"]
        if host.replace(".", "").isdigit():
            return [host]
        raise socket.gaierror("no such host")

    monkeypatch.setattr("airflow_provider_123pan.source.addresses.resolve_host", resolve)


@FROM
@pytest.mark.parametrize("host", ["127.0.0.1", "wiki.test", "WIKI.test", "169.254.169.254", "10.0.0.1"])
def test_the_first_url_is_no_exception(
    website: Website, port: str, manifest: str, read: Callable[..., str], host: str
) -> None:
    website.serve("/x", IMAGE)
    with pytest.raises(
        Pan123InputError, match=rf"^private_hosts: .* not public.*\(http://{host.lower()}:.*x\?a=\*\*\*"
    ):
        read(f"http://{host}:{port}/x?a=verysecret", manifest)
    assert not website.agents
    assert not Path(manifest).exists()


def test_a_host_that_is_named_is_read(website: Website, port: str, manifest: str) -> None:
    website.serve("/x", IMAGE)
    from_sitemap(f"http://wiki.test:{port}/x", manifest, private_hosts=["WIKI.test"])
    assert "1.png" in Path(manifest).read_text()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/robots.txt", "Sitemap: {}"),
        ("/index.xml", "<sitemapindex><sitemap><loc>{}</loc></sitemap></sitemapindex>"),
    ],
)
def test_sitemaps_that_a_website_names_are_checked(
    website: Website, port: str, manifest: str, path: str, body: str
) -> None:
    website.serve("/1.xml", IMAGE)
    website.serve(path, body.format(f"http://other.test:{port}/1.xml").encode())
    with pytest.raises(Pan123InputError, match=r"not public.*\(http://other.test:"):
        from_sitemap(f"http://wiki.test:{port}{path}", manifest, private_hosts=["wiki.test"])
    assert len(website.agents) == 1


@FROM
def test_each_redirect_is_checked(
    website: Website, port: str, manifest: str, read: Callable[..., str]
) -> None:
    website.serve("/1", b"", 302, Location="/2")
    website.serve("/2", b"", 302, Location=f"http://other.test:{port}/3")
    website.serve("/3", IMAGE)
    with pytest.raises(Pan123InputError, match=r"not public.*\(http://other.test:"):
        read(f"http://wiki.test:{port}/1", manifest, private_hosts=["wiki.test"])
    assert len(website.agents) == 2


def test_a_connection_goes_to_the_address_that_was_checked(website: Website, port: str) -> None:
    """DNS rebinding: the second answer would lead to loopback."""
    website.serve("/1", b"", 302, Location="http://images.example/2")
    answers, opened = iter([[PUBLIC], ["127.0.0.1"]]), []

    def open_socket(address: tuple[str, int], seconds: float) -> socket.socket:
        opened.append(address)
        return socket.create_connection(("127.0.0.1", int(port)), seconds)

    connector = Connector(frozenset(), lambda host, port: next(answers), open_socket)
    with Documents(connector) as documents, pytest.raises(Pan123InputError, match="'127.0.0.1'"):
        [*documents.read("http://rebinding.example/1")]
    assert opened == [(PUBLIC, 80)]


def test_a_proxy_may_have_any_address_but_leads_to_public_ones(
    website: Website, manifest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", website.url)
    website.answers["http://known-to-the-proxy.example/1.xml"] = (200, {}, IMAGE)
    from_sitemap("http://known-to-the-proxy.example/1.xml", manifest)
    assert len(website.agents) == 1
    for host in ("10.0.0.1", "wiki.test"):
        with pytest.raises(Pan123InputError, match="not public"):
            from_sitemap(f"http://{host}/1.xml", manifest)
    assert len(website.agents) == 1
    website.answers["http://wiki.test/1.xml"] = (200, {}, IMAGE)
    from_sitemap("http://wiki.test/1.xml", manifest, private_hosts=["wiki.test"])


@pytest.mark.parametrize("host", ["nowhere.example", "a..example", "x" * 64 + ".example"])
def test_a_host_without_an_address_is_an_error_that_names_the_url(manifest: str, host: str) -> None:
    with pytest.raises(Pan123DocumentError, match=f"^http://{host}/1 cannot be read"):
        from_sitemap(f"http://{host}/1", manifest)


def test_private_hosts_must_be_a_list(manifest: str) -> None:
    with pytest.raises(Pan123InputError, match="^private_hosts: give a list of hosts"):
        from_sitemap("http://wiki.test/1", manifest, private_hosts="wiki.test")
