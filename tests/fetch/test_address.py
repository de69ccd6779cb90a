"""No private address is requested, however it is spelled; this is checked before any connection."""

import ipaddress
import re
import socket
import threading
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cnlw_tools.fetch import Limits, address
from cnlw_tools.store.outcomes import FetchError

PRIVATE = [
    "127.0.0.1",
    "127.9.9.9",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.1",
    "255.255.255.255",
    "224.0.0.1",
    "240.0.0.1",
    "192.0.0.192",
    "198.18.0.1",
    "168.63.129.16",
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "fec0::1",
    "2001:db8::1",
    "2001::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "64:ff9b::7f00:1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::1",
    "fe80::1%eth0",
    "2001:4860:4860::8888%1",
]
PUBLIC = [
    "8.8.8.8",
    "93.184.216.34",
    "2001:4860:4860::8888",
    "::ffff:8.8.8.8",
    "2002:808:808::1",
    "64:ff9b::8.8.8.8",
]
REFUSED = [
    "",
    " ",
    "a.jpg",
    "//host/a.jpg",
    "ftp://host/a.jpg",
    "file:///etc/passwd",
    "data:image/png;base64,AA",
    "http:",
    "http://",
    "http:///a",
    "http:a.jpg",
    "javascript:alert(1)",
    "gopher://host/",
    "HTTP//host",
    "http//host/x",
    "http://user@host/",
    "http://user:word@host/",
    "http://host\\@127.0.0.1/",
    "http://a b/",
    "http://host:0/",
    "http://host:22/",
    "http://host:99999/",
    "http://host:x/",
    "http://ho\nst/",
    "http://host/\r\nX: y",
    "http://%31/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://0x7f.0.0.1/",
    "http://1.2.3.4.5/",
    "http://256.1.1.1/",
    "http://[::1",
    "http://[fe80::1%25eth0]/",
    "http://-a/",
    "http://a..b/",
    "http://[1.2.3.4]/",
    "http://" + "a" * 300 + "/",
    "http://host/" + "a" * 9000,
    "http://\u0661\u0662\u0667.0.0.1/",
    "http://127。0。0。1/",
    "http://*/",
]


@pytest.mark.parametrize("ip", PRIVATE)
def test_private_addresses(ip):
    """Private, loopback, link-local, metadata and multicast addresses, and those that wrap them."""
    assert not address.is_public(ipaddress.ip_address(ip))


@pytest.mark.parametrize("ip", PUBLIC)
def test_public_addresses(ip):
    """Public addresses, wrapped or not."""
    assert address.is_public(ipaddress.ip_address(ip))


def test_private_hosts_are_known_without_a_lookup():
    """Addresses and localhost are; the name of a host, and what is no URI, count as public."""
    private = ["http://127.0.0.1:8000/a.jpg", "http://[::1]/a", "https://localhost/a"]
    public = ["http://8.8.8.8/a", "http://example.org/a", "nothing", ""]

    assert [True] * 3 == [address.names_private_host(uri) for uri in private]
    assert [False] * 4 == [address.names_private_host(uri) for uri in public]


@pytest.mark.parametrize("uri", REFUSED)
def test_refused_uris(uri):
    """Only http and https are allowed, without a user, and with the usual spelling of a host."""
    with pytest.raises(FetchError) as info:
        address.parse_uri(uri)
    assert "refused" == info.value.outcome


def test_parts_of_a_uri():
    """A URI has a scheme, a host, a port, and a percent-encoded target."""
    parts = address.parse_uri(" HTTPS://Www.Example.org.:8443/a b/ü.jpg?q=1&r=<#part ")

    assert ("https", "www.example.org", 8443) == (parts.scheme, parts.host, parts.port)
    assert "/a%20b/%C3%BC.jpg?q=1&r=%3C" == parts.target
    assert "https://www.example.org:8443" == parts.origin
    assert "http://[2001:db8::1]/" == str(address.parse_uri("http://[2001:DB8:0::1]:80"))
    assert "xn--bcher-kva.example" == address.parse_uri("http://bücher.example/").host


def test_redirects():
    """A relative redirect stays on its host; an absolute one is checked like any URI."""
    start = address.parse_uri("http://host/a/b.jpg")

    assert "http://host/a/c.jpg" == str(address.follow_redirect(start, "c.jpg"))
    assert "https://other/c.jpg" == str(address.follow_redirect(start, "https://other/c.jpg"))
    with pytest.raises(FetchError, match="refused"):
        address.follow_redirect(start, "file:///etc/passwd")


@pytest.mark.parametrize(
    "ips", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::1"], ["::ffff:10.1.1.1"]]
)
def test_hosts_with_a_private_address(monkeypatch, ips):
    """A host is refused if any of its addresses is private, unless private ones are allowed."""
    entries = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 80)) for ip in ips]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: entries)
    host = address.parse_uri("http://example.org/")

    with pytest.raises(FetchError, match="not a public address"):
        address.resolve_host(host, allow_private=False)
    assert ips == address.resolve_host(host, allow_private=True)


def test_silent_name_server(monkeypatch, fetch_rows):
    """The time limit of a request includes the lookup of its host."""
    end, start = threading.Event(), time.monotonic()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: end.wait(9) and [])

    row = fetch_rows({"a": "http://example.org/"}, max_tries=1, limits=Limits(5, 5, 0.2))["a"]

    assert ("timeout", True) == (row.outcome, time.monotonic() - start < 5)
    end.set()
    assert "its name was not found" in row.reason


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1/", "http://[::1]/", "http://localhost/", "http://a.localhost:8000/"]
)
def test_private_addresses_get_no_request(monkeypatch, fetch_rows, uri):
    """A private address is refused before anything is sent."""
    monkeypatch.setattr(socket, "socket", None)

    assert "refused" == fetch_rows({"a": uri}, allow_private=False)["a"].outcome


def test_one_lookup(monkeypatch, server, fetch_rows):
    """A host is looked up once, and the connection goes to the address that was checked."""
    hosts = []
    getaddrinfo = socket.getaddrinfo

    def look_up(host, *args, **options):
        hosts.append(host)
        return getaddrinfo("127.0.0.1" if host == "example.test" else host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    rows = fetch_rows({"a": f"{server.url.replace('127.0.0.1', 'example.test')}/ok/1"})

    assert "ok" == rows["a"].outcome
    assert 1 == hosts.count("example.test")
    assert {f"example.test:{server.server_port}"} == {h["Host"] for h in server.headers}


def test_redirects_to_private_addresses(monkeypatch, server, fetch_rows):
    """A public server may not redirect us to a private address."""
    is_public, ips = address.is_public, []

    def is_public_or_loopback(ip):  # the loopback server plays a public one
        ips.append(str(ip))
        return "127.0.0.1" == str(ip) or is_public(ip)

    monkeypatch.setattr(address, "is_public", is_public_or_loopback)
    targets = {
        "a": "http://127.0.0.2:9999/x",
        "b": "http://169.254.169.254/latest/meta-data/",
        "c": "http://[::1]/",
    }
    uris = {image_id: f"{server.url}/to?url={target}" for image_id, target in targets.items()}

    rows = fetch_rows(uris, allow_private=False)

    assert ["refused"] * 3 == [rows[image_id].outcome for image_id in targets]
    assert {"127.0.0.1", "127.0.0.2", "169.254.169.254", "::1"} == set(ips)


URI_PARTS = [
    "a",
    "Z",
    "9",
    "é",
    "%41",
    "%zz",
    "%",
    "/",
    "?",
    "#",
    ":",
    "..",
    ".",
    "@",
    "\\",
    "~",
    "=",
]


@given(
    st.sampled_from(["http", "https", "HTTP", "ftp"]),
    st.sampled_from(
        ["a.b", "A.b", "a_.b", "a..b", "-a.b", "8.8.8.8", "010.1", "[::8]", "u@a.b", ""]
    ),
    st.sampled_from(["", ":", ":80", ":081", ":8080", ":59999", ":60000", ":70000", ":22", ":x"]),
    st.lists(st.sampled_from(URI_PARTS), max_size=9),
)
@example("http", "a.b", "", ["/", "/", "a", "?"])
@example("http", "a.b", "", ["/", "a", "?", "/", ".", ".", "/", "?"])
def test_plain_uris(scheme, host, port, parts):
    """A URI in which nothing is to be normalised is split as urllib3 splits it."""
    uri = f"{scheme}://{host}{port}/{''.join(parts)}"

    found = split_or_reason(uri)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(address, "PLAIN_URI", re.compile("never"))
        assert found == split_or_reason(uri)


def split_or_reason(uri):
    try:
        return address.parse_uri(uri)
    except FetchError as error:
        return str(error)
