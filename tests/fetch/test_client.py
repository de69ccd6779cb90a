"""One URL: what comes of every kind of server."""

import shutil
import socket
import ssl
import subprocess
import time
from email.utils import formatdate

import pytest
from urllib3 import HTTPHeaderDict

from cnlw_tools.fetch import Limits, http
from cnlw_tools.fetch.client import wait

ENDS = {  # route -> class
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
    "/body/broken-png": "decode",
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
ONCE = {
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


def test_every_server_comes_to_an_end(server, fetched):
    """Each kind of answer has its class, all in one run; what cannot get better is asked for once."""
    found = fetched({route[1:]: server.url + route for route in ENDS}, pixels=1_000_000)

    rows = {f"/{image_id}": row for image_id, row in found.items()}
    assert ENDS == {route: row.kind for route, row in rows.items()}
    assert 1 == max(server.seen[route] for route, kind in ENDS.items() if kind in ONCE)
    assert (
        3
        == server.seen["/cut"]
        == server.seen["/short"]
        == server.seen["/flaky/3"]
        == rows["/flaky/3"].attempts
    )


def test_a_row_says_all(server, fetched):
    """URI, where it led, status, size, time and what went wrong."""
    rows = fetched({"a": f"{server.url}/hop/1", "b": f"{server.url}/status/404"})

    a, b = rows["a"], rows["b"]
    assert (f"{server.url}/hop/1", f"{server.url}/ok/7", 200, 1) == (
        a.uri,
        a.final_uri,
        a.status,
        a.attempts,
    )
    assert ("jpeg", 40, 30, 16) == (a.format, a.width, a.height, len(a.fingerprint))
    assert abs(a.at - time.time()) < 60
    assert (404, "HTTP 404", None) == (b.status, b.reason, b.sha256)


@pytest.mark.parametrize("route", ["/slow", "/drip", "/head"])
def test_slow_servers_are_cut(server, fetched, route):
    """Silence, a body byte after byte, and headers without end: none takes longer than it may."""
    begun = time.monotonic()

    rows = fetched({"a": server.url + route}, limits=Limits(1, 0.4, 0.8, 1_000_000), tries=1)

    assert "timeout" == rows["a"].kind
    assert time.monotonic() - begun < 1.6


def test_who_we_are(server, fetched):
    """The agent and the host's name are in every request, and nothing asks for packed bodies."""
    fetched({"a": f"{server.url}/ok/1"}, agent="cnlw_tools/0 (+me@example.org)")

    assert {"cnlw_tools/0 (+me@example.org)"} == {h["User-Agent"] for h in server.headers}
    assert {server.url.removeprefix("http://")} == {h["Host"] for h in server.headers}
    assert {"identity"} == {h["Accept-Encoding"] for h in server.headers}


def test_a_proxy_of_the_environment_is_not_asked(server, fetched, monkeypatch):
    """It could reach what we may not."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert "ok" == fetched({"a": f"{server.url}/ok/1"})["a"].kind


def test_plain_where_tls_is_expected(server, fetched):
    """No trusted connection is a class of its own."""
    assert "tls" == fetched({"a": server.url.replace("http", "https")})["a"].kind


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
@pytest.mark.parametrize(("host", "kind"), [("example.test", "ok"), ("other.test", "tls")])
def test_certificates(server, fetched, monkeypatch, tmp_path, host, kind):
    """A certificate must be trusted, and of the name that was asked for, whatever the address."""
    pem = tmp_path / "both.pem"
    ask = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=x -addext subjectAltName=DNS:example.test"
    made = subprocess.run(
        [*ask.split(), "-keyout", "-", "-out", "-"], check=True, capture_output=True
    )
    pem.write_bytes(made.stdout)
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(pem)
    server.socket = ours.wrap_socket(server.socket, server_side=True)
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *a, **k: real("127.0.0.1", *a, **k))
    monkeypatch.setattr(http, "where", lambda: pem)
    url = f"https://{host}:{server.server_port}/ok/1"

    assert kind == fetched({"a": url}, tries=1)["a"].kind
    monkeypatch.undo()
    if host == "example.test":
        monkeypatch.setattr(socket, "getaddrinfo", lambda host, *a, **k: real("127.0.0.1", *a, **k))
        assert "tls" == fetched({"b": url}, tries=1)["b"].kind


def test_nobody_listens(server, fetched):
    """Some URLs of a host that does not answer are tried, the others are not."""
    server.shutdown()
    server.server_close()

    rows = fetched({str(i): f"{server.url}/ok/{i}" for i in range(40)})

    kinds = [row.kind for row in rows.values()]
    assert {"connect", "unreachable"} == set(kinds)
    assert kinds.count("unreachable") > 30
    assert 0 == min(row.attempts for row in rows.values())


def test_retry_after(server, fetched):
    """A host that asks for a second of peace gets it, for all its URLs."""
    rows = fetched({str(i): f"{server.url}/busy/{i}" for i in range(3)}, per_host=1)

    assert {"ok"} == {row.kind for row in rows.values()}
    gaps = [b - a for a, b in zip(server.times, server.times[1:], strict=False)]
    assert max(gaps) >= 0.95


def test_a_host_that_asks_for_an_hour(server, fetched):
    """It gets it: nothing waits that long, and nothing asks again in this run."""
    rows = fetched({str(i): f"{server.url}/closed/{i}" for i in range(5)}, per_host=1)

    assert ["http_429", *["unreachable"] * 4] == sorted(row.kind for row in rows.values())
    assert {"HTTP 429, to be asked again in 3,600 s"} == {
        r.reason for r in rows.values() if r.kind == "http_429"
    }
    assert 1 == server.images().total()


def test_wait():
    """Seconds or a date, nothing where it is nonsense."""
    ask = [
        {"Retry-After": text}
        for text in ("7", "0", "-3", "x", "99999999", formatdate(1030, usegmt=True))
    ]

    found = [round(wait(HTTPHeaderDict(h), lambda: 1000.0)) for h in [{}, *ask]]

    assert [0, 7, 0, 0, 0, 99999999, 30] == found
