"""The probe of a source: what it finds, and that it always ends."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from airflow_provider_123pan.exceptions import Pan123InputError, Pan123SourceError
from airflow_provider_123pan.source.addresses import Connector
from airflow_provider_123pan.source.probe import Finding, Prober, complete_name
from tests.sources import AVIF, JPEG, Network, Source, get_only, image, redirect

PUBLIC = "93.184.215.14"
SHORT = 0.3  # seconds


def probe(source: Source, path: str = "/x", seconds: float = 10.0) -> Finding:
    return Prober(Connector(frozenset({"127.0.0.1"})), seconds).probe(source.url + path)


# -- what it finds --


@pytest.mark.parametrize(
    ("media_type", "extension"),
    [
        ("image/jpeg", "jpg"),
        ("IMAGE/PNG; charset=x", "png"),
        ("image/svg+xml", "svg"),
        ("image/x-ms-bmp", "bmp"),
    ],
)
def test_head_shows_the_format(source: Source, media_type: str, extension: str) -> None:
    source.answers["/x"] = image(media_type)
    assert probe(source).extension == extension
    assert source.methods() == ["HEAD"]


@pytest.mark.parametrize("media_type", [None, "application/octet-stream", "image/avif", "x" * 500])
def test_the_first_bytes_show_the_format_if_head_does_not(source: Source, media_type: str | None) -> None:
    source.answers["/x"] = image(media_type)
    assert probe(source).extension == "jpg"
    assert source.methods() == ["HEAD", "GET"]
    assert source.asked[1].headers["Range"] == "bytes=0-511"


def test_a_source_may_refuse_head(source: Source) -> None:
    source.answers["/x"] = get_only(image(None))
    assert probe(source).extension == "jpg"


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_names_the_missing_referer(source: Source, status: int) -> None:
    source.answers["/x"] = image(status=status)
    assert probe(source) == Finding(None, f"source answered {status} without Referer")
    assert not any("Referer" in request.headers for request in source.asked)


@pytest.mark.parametrize(
    ("media_type", "body", "answer"),
    [
        ("image/avif", AVIF, "Content-Type image/avif"),
        ("image/jpeg", AVIF, "Content-Type image/jpeg, but its bytes are .avif"),
        ("text/html; charset=utf-8", b"<!-- <svg --><html>not here", "Content-Type text/html"),
        (None, b"?", "no Content-Type"),
        ("<script>", b"?", "no Content-Type"),
    ],
)
def test_what_is_no_image_for_123pan_is_final(
    source: Source, media_type: str | None, body: bytes, answer: str
) -> None:
    source.answers["/x"] = get_only(image(media_type, body))
    assert probe(source) == Finding(None, answer, is_final=True)


def test_another_status_may_change(source: Source) -> None:
    assert probe(source, "/none") == Finding(None, "source answered 404")


def test_a_host_without_an_address_may_get_one() -> None:
    finding = Prober(Connector()).probe("http://no-such-host.example/x")
    assert finding == Finding(None, "source gave the worker no answer: OSError")


def test_a_port_that_nobody_listens_to(source: Source) -> None:
    source.server.shutdown()
    source.server.server_close()
    assert probe(source).answer == "source gave the worker no answer: ConnectionRefusedError"


def test_requests_are_encoded_and_hold_no_password(source: Source) -> None:
    source.answers["/%E5%9B%BE"] = image()
    finding = Prober(Connector(frozenset({"127.0.0.1"}))).probe(
        f"http://me:secret@127.0.0.1:{source.port}/图?a=b&c=%20é#top"
    )
    assert finding.extension == "jpg"
    assert source.asked[0].target == "/%E5%9B%BE?a=b&c=%20%C3%A9"
    assert source.asked[0].headers["Host"] == f"127.0.0.1:{source.port}"
    assert "Authorization" not in source.asked[0].headers


# -- names --


def test_a_name_is_completed_only_if_it_lacks_a_format(source: Source) -> None:
    source.answers["/x"] = image()
    prober = Prober(Connector(frozenset({"127.0.0.1"})))
    assert complete_name("x-1.", f"{source.url}/x", prober) == "x-1.jpg"
    assert complete_name("x-1.png", f"{source.url}/x", prober) == "x-1.png"
    assert source.methods() == ["HEAD"]


def test_a_format_that_may_show_later_is_retried(source: Source) -> None:
    source.answers |= {"/busy": image(status=503), "/page": image("text/html", b"<html>")}
    prober = Prober(Connector(frozenset({"127.0.0.1"})))
    with pytest.raises(
        Pan123SourceError, match=r"^file_name: neither .*\(source answered 503\); give a name"
    ):
        complete_name("x-1.", f"{source.url}/busy", prober)
    with pytest.raises(Pan123InputError, match=r"\(Content-Type text/html\); give a name"):
        complete_name("x-1.", f"{source.url}/page", prober)


# -- that it ends --


def trickle(source: Source, beginning: bytes, drop: bytes) -> None:
    """Answer everything with a beginning, and then with single bytes until the client goes."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(beginning)
        while not source.stopped.wait(0.01):
            request.wfile.write(drop)

    source.answers["/x"] = answer


@pytest.mark.parametrize(
    ("beginning", "drop"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", b"\xff"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["silent", "header", "body", "chunks", "continue"],
)
def test_a_source_that_trickles_meets_the_time_limit(source: Source, beginning: bytes, drop: bytes) -> None:
    trickle(source, beginning, drop)
    assert probe(source, seconds=SHORT) == Finding(None, f"source did not answer the worker within {SHORT} s")


def test_redirects_share_one_time_limit(source: Source) -> None:
    """By the fake clock, each hop takes four seconds of ten."""
    source.answers |= {f"/{hop}": redirect(f"/{hop + 1}") for hop in range(5)} | {"/5": image()}
    now = [0.0]

    def open_socket(address: tuple[str, int], timeout: float) -> socket.socket:
        now[0] += 4
        return socket.create_connection(("127.0.0.1", source.port), timeout)

    connector = Connector(frozenset(), lambda host, port: [PUBLIC], open_socket)
    finding = Prober(connector, 10.0, lambda: now[0]).probe("http://images.example/0")
    assert finding.answer == "source did not answer the worker within 10 s"
    assert [request.target for request in source.asked] == ["/0", "/1"]


def test_of_a_gigabyte_only_the_beginning_is_read(source: Source) -> None:
    sent, ended = [0], threading.Event()

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(2**30))
        request.end_headers()
        try:
            while request.command == "GET" and sent[0] < 2**30:
                sent[0] += request.wfile.write(JPEG * 1024)
        finally:
            if request.command == "GET":
                ended.set()

    source.answers["/x"] = answer
    assert probe(source).extension == "jpg"
    assert ended.wait(30)
    assert sent[0] < 2**26  # the rest is in the buffers of both sockets


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\xff" * 1000,
        b"",
    ],
)
def test_what_is_no_answer_is_a_finding(source: Source, answer: bytes) -> None:
    def write(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(answer)
        request.close_connection = True

    source.answers["/x"] = write
    finding = probe(source)
    assert finding.answer.startswith("source gave the worker no answer: ")
    assert not finding.is_final


# -- https --


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file with a key and a certificate for images.example that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "images.example")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = [x509.DNSName("images.example"), x509.IPAddress(ipaddress.ip_address("127.0.0.2"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path / "certificate.pem"
    path.write_bytes(private + made.public_bytes(pem))
    return path


@pytest.fixture
def tls_source(certificate: Path, source: Source) -> Source:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    source.server.socket = context.wrap_socket(
        source.server.socket, server_side=True, do_handshake_on_connect=False
    )
    source.answers["/x"] = image()
    return source


def test_the_certificate_counts_for_the_name_and_not_the_address(
    tls_source: Source, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("requests.utils.DEFAULT_CA_BUNDLE_PATH", str(certificate))
    network = Network(tls_source, images_example=[PUBLIC], other_example=[PUBLIC])
    assert network.prober().probe("https://images.example/x").extension == "jpg"
    assert tls_source.asked[0].headers["Host"] == "images.example"
    answer = network.prober().probe("https://other.example/x").answer
    assert answer == "source gave the worker no answer: SSLCertVerificationError"


def test_a_certificate_that_nobody_knows_is_refused(tls_source: Source) -> None:
    network = Network(tls_source, images_example=[PUBLIC])
    answer = network.prober().probe("https://images.example/x").answer
    assert answer == "source gave the worker no answer: SSLCertVerificationError"
    assert tls_source.asked == []


def test_a_handshake_that_does_not_go_on_meets_the_time_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        prober = Prober(Connector(frozenset({"127.0.0.1"})), SHORT)
        finding = prober.probe(f"https://127.0.0.1:{listener.getsockname()[1]}/x")
    assert finding.answer == f"source did not answer the worker within {SHORT} s"
