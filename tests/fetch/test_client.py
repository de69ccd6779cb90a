"""One URL: the outcome for every kind of server."""

import shutil
import socket
import ssl
import subprocess
import time
from email.utils import formatdate

import pytest

from cnlw_tools.fetch import Limits, http
from cnlw_tools.fetch.client import parse_retry_after
from cnlw_tools.fetch.transfer import Headers

OUTCOMES = {  # route -> outcome
    "/ok/1": "ok",
    "/body/gif": "ok",
    "/body/png": "ok",
    "/body/webp": "ok",
    "/body/bmp": "ok",
    "/body/mpo": "ok",
    "/gzip/ok": "ok",
    "/hop/5": "ok",
    "/flaky/2": "ok",
    "/flaky/3": "http_500",
    "/status/404": "http_404",
    "/status/410": "http_410",
    "/status/403": "http_403",
    "/status/204": "http_204",
    "/hop/6": "redirect",
    "/to?url=/to%3Furl%3D/to": "redirect",
    "/to?url=file:///etc/passwd": "refused",
    "/to?url=http://user:word@127.0.0.1/": "refused",
    "/short": "truncated",
    "/chunks": "truncated",
    "/body/cut-jpeg": "truncated",
    "/body/cut-png": "truncated",
    "/body/broken-png": "truncated",
    "/body/html": "not_image",
    "/body/svg": "not_image",
    "/body/pdf": "not_image",
    "/body/empty": "not_image",
    "/body/moving-gif": "animated",
    "/body/moving-png": "animated",
    "/body/moving-webp": "animated",
    "/body/bomb": "bomb",
    "/both": "too_big",
    "/endless": "too_big",
    "/announced": "too_big",
    "/gzip/bomb": "too_big",
    "/gzip/twice": "decode",
    "/garbage": "connect",
    "/cut": "connect",
    "/tag/noai": "opt_out",
}
NOT_RETRIED = {
    "http_404",
    "http_410",
    "http_403",
    "too_big",
    "opt_out",
    "not_image",
    "animated",
    "bomb",
    "decode",
}


def test_outcomes(server, fetch_rows):
    """Each kind of response has its outcome; final failures are requested once."""
    uris = {route[1:]: server.url + route for route in OUTCOMES}

    rows = fetch_rows(uris, max_pixels=1_000_000)

    assert OUTCOMES == {f"/{image_id}": row.outcome for image_id, row in rows.items()}
    for route, outcome in OUTCOMES.items():
        if outcome in NOT_RETRIED:
            assert 1 == server.requests[route]
    for route in ("/short", "/flaky/3"):
        assert 3 == server.requests[route]
    # a request over an idle connection that turns out to be closed is made again, uncounted
    assert 3 <= server.requests["/cut"]
    assert 3 == rows["cut"].attempts == rows["flaky/3"].attempts


def test_rows(server, fetch_rows):
    """A row has URI, final URI, status, size and time, or the reason of a failure."""
    rows = fetch_rows({"a": f"{server.url}/hop/1", "b": f"{server.url}/status/404"})

    a, b = rows["a"], rows["b"]
    assert (f"{server.url}/hop/1", f"{server.url}/ok/7") == (a.uri, a.final_uri)
    assert (200, 1) == (a.status, a.attempts)
    assert ("jpeg", 40, 30, 16) == (a.format, a.width, a.height, len(a.fingerprint))
    assert abs(a.timestamp - time.time()) < 60
    assert (404, "HTTP 404", None) == (b.status, b.reason, b.sha256)


@pytest.mark.parametrize("route", ["/slow", "/drip", "/head"])
def test_slow_servers(server, fetch_rows, route):
    """Silence, a slow body and endless headers all end at the time limit."""
    limits = Limits(1, 0.4, 0.8, 1_000_000)
    start = time.monotonic()

    rows = fetch_rows({"a": server.url + route}, limits=limits, max_tries=1)

    assert "timeout" == rows["a"].outcome
    assert time.monotonic() - start < 1.6


def test_request_headers(server, fetch_rows):
    """Every request has our user agent and the host's name, and asks for uncompressed bodies."""
    fetch_rows({"a": f"{server.url}/ok/1"}, user_agent="cnlw_tools/0 (+me@example.org)")

    assert {"cnlw_tools/0 (+me@example.org)"} == {h["User-Agent"] for h in server.headers}
    assert {server.url.removeprefix("http://")} == {h["Host"] for h in server.headers}
    assert {"identity"} == {h["Accept-Encoding"] for h in server.headers}


def test_proxies_are_ignored(server, fetch_rows, monkeypatch):
    """A proxy of the environment is not used: it could reach addresses that we may not."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert "ok" == fetch_rows({"a": f"{server.url}/ok/1"})["a"].outcome


def test_plain_http_instead_of_tls(server, fetch_rows):
    """The outcome `tls` stands for every connection that cannot be trusted."""
    assert "tls" == fetch_rows({"a": server.url.replace("http", "https")})["a"].outcome


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
@pytest.mark.parametrize(("host", "outcome"), [("example.test", "ok"), ("other.test", "tls")])
def test_certificates(server, fetch_rows, monkeypatch, tmp_path, host, outcome):
    """A certificate must be trusted, and must have the name of the host, not its IP address."""
    pem = tmp_path / "key_and_certificate.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=x "
        "-addext subjectAltName=DNS:example.test -keyout - -out -"
    )
    process = subprocess.run(command.split(), check=True, capture_output=True)
    pem.write_bytes(process.stdout)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    getaddrinfo = socket.getaddrinfo

    def look_up(host, *args, **options):
        return getaddrinfo("127.0.0.1", *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(http, "where", lambda: pem)
    url = f"https://{host}:{server.server_port}/ok/1"

    assert outcome == fetch_rows({"a": url}, max_tries=1)["a"].outcome
    monkeypatch.undo()
    if host == "example.test":
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        assert "tls" == fetch_rows({"b": url}, max_tries=1)["b"].outcome


def test_dead_host(server, fetch_rows):
    """A few URLs of a host that does not answer are requested; the others are not."""
    server.shutdown()
    server.server_close()

    rows = fetch_rows({str(i): f"{server.url}/ok/{i}" for i in range(40)})

    outcomes = [row.outcome for row in rows.values()]
    assert {"connect", "unreachable"} == set(outcomes)
    assert outcomes.count("unreachable") > 30
    assert 0 == min(row.attempts for row in rows.values())


def test_servers_that_close_their_connections(server, fetch_rows):
    """An idle connection that the server has closed is replaced, and no attempt is lost."""
    uris = {str(i): f"{server.url}/bye/{i}" for i in range(12)}

    rows = fetch_rows(uris, per_host=2)

    assert {("ok", 1)} == {(row.outcome, row.attempts) for row in rows.values()}
    assert len(uris) == server.images().total()


def test_retry_after(server, fetch_rows):
    """A Retry-After of one second holds for all URLs of the host."""
    rows = fetch_rows({str(i): f"{server.url}/busy/{i}" for i in range(3)}, per_host=1)

    assert {"ok"} == {row.outcome for row in rows.values()}
    gaps = [b - a for a, b in zip(server.times, server.times[1:], strict=False)]
    assert max(gaps) >= 0.95


def test_long_retry_after(server, fetch_rows):
    """A host that asks for an hour is not requested again in this run, and nothing waits for it."""
    rows = fetch_rows({str(i): f"{server.url}/closed/{i}" for i in range(5)}, per_host=1)

    assert ["http_429", *["unreachable"] * 4] == sorted(row.outcome for row in rows.values())
    reasons = [row.reason for row in rows.values() if row.outcome == "http_429"]
    assert ["HTTP 429, to be requested again after 3,600 s"] == reasons
    assert 1 == server.images().total()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, 0),
        ("7", 7),
        ("0", 0),
        ("-3", 0),
        ("x", 0),
        ("99999999", 99999999),
        (formatdate(1030, usegmt=True), 30),
    ],
)
def test_parse_retry_after(text, seconds):
    """Retry-After is a number of seconds or a date; anything else counts as 0."""
    headers = Headers()
    if text is not None:
        headers.add("Retry-After", text)

    assert seconds == round(parse_retry_after(headers, clock=lambda: 1000.0))
