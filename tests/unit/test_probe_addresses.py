"""Where a probe of a source may connect to."""

from __future__ import annotations

import pytest

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.source.addresses import Connector, check_private_hosts, is_public
from airflow_provider_123pan.source.client import MAX_REDIRECTS
from airflow_provider_123pan.source.probe import Prober
from tests.sources import Network, Source, get_only, image, redirect

PUBLIC = "93.184.215.14"
LOOPBACK = Connector(frozenset({"127.0.0.1"}))


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.1.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_an_address_that_is_not_public_is_refused(address: str, source: Source) -> None:
    assert not is_public(address)
    network = Network(source, images_example=[address])
    finding = network.prober().probe("http://images.example/x")
    assert finding.is_final
    assert finding.extension is None
    assert "which is not public; add the host if workers may connect to it" in finding.answer
    assert network.opened == []


@pytest.mark.parametrize(
    "address", [PUBLIC, "::ffff:8.8.8.8", "2606:2800:21f:cb07::1", "64:ff9b::808:808", "2002:808:808::"]
)
def test_a_public_address_is_connected_to(address: str, source: Source) -> None:
    source.answers["/x"] = image()
    network = Network(source, images_example=[address])
    assert network.prober().probe("http://images.example/x").extension == "jpg"
    assert network.opened == [address]


def test_of_several_addresses_only_public_ones_are_tried(source: Source) -> None:
    source.answers["/x"] = image()
    network = Network(source, images_example=["10.0.0.1", PUBLIC])
    assert network.prober().probe("http://images.example/x").extension == "jpg"
    assert network.opened == [PUBLIC]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001", "[::1]"])
def test_no_spelling_of_loopback_is_connected_to(host: str, source: Source) -> None:
    network = Network(source)
    finding = network.prober().probe(f"http://{host}:{source.port}/x")
    assert "which is not public" in finding.answer
    assert network.opened == []


def test_private_hosts_may_have_any_address(source: Source) -> None:
    source.answers["/x"] = image()
    network = Network(source, images_intranet=["10.0.0.1"], other_intranet=["10.0.0.1"])
    prober = network.prober("images.intranet")
    assert prober.probe("http://IMAGES.intranet/x").extension == "jpg"
    assert network.opened == ["10.0.0.1"]
    assert "not public" in prober.probe("http://other.intranet/x").answer


@pytest.mark.parametrize(
    "location",
    [
        "http://metadata.example/latest/meta-data/",
        "//metadata.example/x",
        "http://127.0.0.1/x",
        "http://[::ffff:169.254.169.254]/x",
        "file:///etc/passwd",
        "gopher://images.example/x",
    ],
)
def test_redirects_are_checked_at_each_hop(location: str, source: Source) -> None:
    source.answers |= {"/x": redirect("/y"), "/y": redirect(location)}
    network = Network(source, images_example=[PUBLIC], metadata_example=["169.254.169.254"])
    finding = network.prober().probe("http://images.example/x")
    assert finding.is_final
    assert finding.extension is None
    assert network.opened == [PUBLIC, PUBLIC]
    assert [request.target for request in source.asked] == ["/x", "/y"]


def test_a_private_host_may_not_redirect_to_another_one(source: Source) -> None:
    source.answers["/x"] = redirect("http://10.0.0.2/x")
    network = Network(source, images_intranet=["10.0.0.1"])
    assert "not public" in network.prober("images.intranet").probe("http://images.intranet/x").answer
    assert network.opened == ["10.0.0.1"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(status: int, source: Source) -> None:
    location = "../é?w=1".encode().decode("latin-1")  # a raw byte for each character
    source.answers |= {"/x": redirect(location, status), "/%C3%A9": image()}
    network = Network(source, images_example=[PUBLIC])
    assert network.prober().probe("http://images.example/x").extension == "jpg"


def test_redirects_without_end_are_cut(source: Source) -> None:
    source.answers["/x"] = redirect("/x")
    finding = Prober(LOOPBACK).probe(f"{source.url}/x")
    assert finding.answer == f"source redirects more than {MAX_REDIRECTS} times"
    assert len(source.asked) == MAX_REDIRECTS + 1


def test_a_name_that_changes_its_address_after_the_check_is_not_followed(source: Source) -> None:
    """DNS rebinding: each connection goes to the address that was checked for it."""
    source.answers["/x"] = get_only(image())
    network = Network(source)
    answers = iter([[PUBLIC], ["127.0.0.1"]])
    prober = Prober(Connector(frozenset(), lambda host, port: next(answers), network.open_socket))
    assert "not public" in prober.probe("http://images.example/x").answer
    assert network.opened == [PUBLIC]
    assert source.methods() == ["HEAD"]


def test_the_environments_proxy_is_not_used(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    source.answers["/x"] = image()
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert Prober(LOOPBACK).probe(f"{source.url}/x").extension == "jpg"


def test_private_hosts_are_spelled_as_urls_are_compared() -> None:
    hosts = check_private_hosts(["Images.Intranet", "图.Intranet", "[::1]", "FD12::1"])
    assert hosts == {"images.intranet", "xn--wcs.intranet", "::1", "fd12::1"}


@pytest.mark.parametrize("hosts", ["a.example", ["https://a.example"], [""], [7], None])
def test_private_hosts_must_be_a_list_of_hosts(hosts: object) -> None:
    with pytest.raises(Pan123InputError, match="^private_hosts: "):
        Prober.of(True, hosts)
