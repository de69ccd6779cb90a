"""What may be asked for: nothing private, however it is spelled, and before a socket is opened."""

import ipaddress
import socket
import threading
import time

import pytest

from cnlw_tools.fetch import Limits, address
from cnlw_tools.store.outcomes import Failed

PRIVATE = [
    *(
        "127.0.0.1",
        "127.9.9.9",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
    ),
    *(
        "0.0.0.1",
        "255.255.255.255",
        "224.0.0.1",
        "240.0.0.1",
        "192.0.0.192",
        "198.18.0.1",
        "168.63.129.16",
    ),
    *(
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "fec0::1",
        "2001:db8::1",
        "2001::1",
    ),
    *(
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "64:ff9b::7f00:1",
    ),
    *("64:ff9b::169.254.169.254", "64:ff9b:1::1", "fe80::1%eth0", "2001:4860:4860::8888%1"),
]
PUBLIC = [
    "8.8.8.8",
    "93.184.216.34",
    "2001:4860:4860::8888",
    "::ffff:8.8.8.8",
    "2002:808:808::1",
    "64:ff9b::8.8.8.8",
]
WRONG = [
    *(
        "",
        " ",
        "a.jpg",
        "//host/a.jpg",
        "ftp://host/a.jpg",
        "file:///etc/passwd",
        "data:image/png;base64,AA",
        "http:",
    ),
    *(
        "http://",
        "http:///a",
        "http:a.jpg",
        "javascript:alert(1)",
        "gopher://host/",
        "HTTP//host",
        "http//host/x",
    ),
    *(
        "http://user@host/",
        "http://user:word@host/",
        "http://host\\@127.0.0.1/",
        "http://a b/",
        "http://host:0/",
    ),
    *(
        "http://host:22/",
        "http://host:99999/",
        "http://host:x/",
        "http://ho\nst/",
        "http://host/\r\nX: y",
        "http://%31/",
    ),
    *(
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://127.0.1/",
    ),
    *(
        "http://0x7f.0.0.1/",
        "http://1.2.3.4.5/",
        "http://256.1.1.1/",
        "http://[::1",
        "http://[fe80::1%25eth0]/",
    ),
    *(
        "http://-a/",
        "http://a..b/",
        "http://[1.2.3.4]/",
        "http://" + "a" * 300 + "/",
        "http://host/" + "a" * 9000,
    ),
    *("http://\u0661\u0662\u0667.0.0.1/", "http://127。0。0。1/", "http://*/"),
]


@pytest.mark.parametrize("number", PRIVATE)
def test_private_addresses(number):
    """Private, loopback, link-local, metadata, multicast, and what wraps one of them."""
    assert not address.public(ipaddress.ip_address(number))


@pytest.mark.parametrize("number", PUBLIC)
def test_public_addresses(number):
    """Public ones, wrapped or not."""
    assert address.public(ipaddress.ip_address(number))


@pytest.mark.parametrize("uri", WRONG)
def test_wrong_uris(uri):
    """Only http and https, no user, no odd spelling of a host."""
    with pytest.raises(Failed) as failed:
        address.parse(uri)
    assert "refused" == failed.value.kind


def test_a_uri_taken_apart():
    """Scheme, host, port, and a target in which every byte is allowed."""
    found = address.parse(" HTTPS://Www.Example.org.:8443/a b/ü.jpg?q=1&r=<#part ")

    assert ("https", "www.example.org", 8443) == (found.scheme, found.host, found.port)
    assert "/a%20b/%C3%BC.jpg?q=1&r=%3C" == found.target
    assert "https://www.example.org:8443" == found.origin
    assert "http://[2001:db8::1]/" == str(address.parse("http://[2001:DB8:0::1]:80"))
    assert "xn--bcher-kva.example" == address.parse("http://bücher.example/").host


def test_redirects_are_checked_again():
    """Relative ones stay, others are parsed like any URI."""
    here = address.parse("http://host/a/b.jpg")

    assert "http://host/a/c.jpg" == str(address.follow(here, "c.jpg"))
    assert "https://other/c.jpg" == str(address.follow(here, "https://other/c.jpg"))
    with pytest.raises(Failed, match="refused"):
        address.follow(here, "file:///etc/passwd")


@pytest.mark.parametrize(
    "numbers", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::1"], ["::ffff:10.1.1.1"]]
)
def test_a_name_is_refused_for_any_private_address(monkeypatch, numbers):
    """One private address among public ones is enough."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, 80)) for number in numbers]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: found)

    with pytest.raises(Failed, match="not a public address"):
        address.resolve(address.parse("http://example.org/"), private=False)
    assert numbers == address.resolve(address.parse("http://example.org/"), private=True)


def test_a_name_server_that_is_silent(monkeypatch, fetched):
    """The time limit of a request holds for its lookup, too."""
    end, begun = threading.Event(), time.monotonic()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: end.wait(9) and [])

    row = fetched({"a": "http://example.org/"}, tries=1, limits=Limits(5, 5, 0.2))["a"]

    assert ("timeout", True) == (row.kind, time.monotonic() - begun < 5)
    end.set()
    assert "its name was not found" in row.reason


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1/", "http://[::1]/", "http://localhost/", "http://a.localhost:8000/"]
)
def test_no_socket_is_opened(monkeypatch, fetched, uri):
    """A private address is refused before anything is sent."""
    monkeypatch.setattr(socket, "socket", None)

    assert "refused" == fetched({"a": uri}, private=False)["a"].kind


def test_one_lookup(monkeypatch, server, fetched):
    """The connection goes to the address that was checked: a second answer of the name service is never asked for."""
    asked = []
    real = socket.getaddrinfo

    def lookup(host, *args, **more):
        asked.append(host)
        return real("127.0.0.1" if host == "example.test" else host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    rows = fetched({"a": f"{server.url.replace('127.0.0.1', 'example.test')}/ok/1"})

    assert "ok" == rows["a"].kind
    assert 1 == asked.count("example.test")
    assert {f"example.test:{server.server_port}"} == {h["Host"] for h in server.headers}


def test_a_redirect_into_the_private_net(monkeypatch, server, fetched):
    """A server that is public may not send us to one that is not."""
    real, allowed = address.public, []

    def public(ip):  # the loopback server plays a public one, once for each of its connections
        allowed.append(str(ip))
        return "127.0.0.1" == str(ip) or real(ip)

    monkeypatch.setattr(address, "public", public)
    to = {
        "a": "http://127.0.0.2:9999/x",
        "b": "http://169.254.169.254/latest/meta-data/",
        "c": "http://[::1]/",
    }
    rows = fetched({k: f"{server.url}/to?url={v}" for k, v in to.items()}, private=False)

    assert ["refused"] * 3 == [rows[k].kind for k in to]
    assert {"127.0.0.1", "127.0.0.2", "169.254.169.254", "::1"} == set(allowed)
