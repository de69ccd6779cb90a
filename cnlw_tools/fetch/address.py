"""Addresses: what a URI may point at, and at which numeric addresses its host really is.

A manifest is written by strangers. A URI counts only if it is plain http or https, and a host only if *all* the
addresses that its name resolves to are public; the connection is then made to one of those addresses, without a
second lookup whose answer could be another.
"""

import ipaddress
import re
import socket
import threading
from dataclasses import dataclass
from urllib.parse import urljoin

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from cnlw_tools.store.outcomes import Failed

IP = ipaddress.IPv4Address | ipaddress.IPv6Address
PORTS = {"http": 80, "https": 443}
LONGEST = 8192  # characters of a URI
NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
NUMBER = re.compile(
    r"(.*\.)?(\d+|0x[0-9a-f]*)"
)  # what resolvers take for an IPv4 address, however spelled
NAT64 = ipaddress.ip_network("64:ff9b::/96")
AZURE = "168.63.129.16/32"  # where it keeps metadata, in the midst of public addresses
CLOSED = [ipaddress.ip_network(n) for n in ("::/96", "192.0.0.0/24", "192.88.99.0/24", AZURE)]


@dataclass(frozen=True, slots=True)
class Address:
    """A URI, taken apart."""

    scheme: str
    host: str  # a name, or a numeric address without brackets
    port: int
    target: str  # path and query, percent-encoded

    @property
    def authority(self) -> str:
        """Return host and port as the header `Host` has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Return what shares one robots.txt."""
        return f"{self.scheme}://{self.authority}"

    def __str__(self) -> str:
        return self.origin + self.target


def refused(why: str) -> Failed:
    """Return the failure of a URI that is not asked for."""
    return Failed("refused", why)


def parse(uri: str) -> Address:
    """Take a URI apart.

    Raises:
        Failed: it is none that may be fetched
    """
    uri = uri.strip()
    if not uri or len(uri) > LONGEST or any(ord(c) < 32 or ord(c) == 127 for c in uri):
        raise refused("no URI, one of more than 8,192 characters, or one with control characters")
    try:
        url = parse_url(uri)
        if url.scheme not in PORTS or not uri.lower().startswith(f"{url.scheme}://"):
            raise refused("only http:// and https:// are fetched")
        authority = re.split("[/?#]", uri.partition("://")[2])[0]
        if "@" in authority or "\\" in authority:
            raise refused("a user name or password in a URI")
        host = _host(url.host or "")
    except (LocationParseError, UnicodeError) as error:
        raise refused(f"not a URI ({error})") from error
    port = PORTS[url.scheme] if url.port is None else url.port
    if port < 1024 and port not in PORTS.values():
        raise refused(f"port {port} is no web server's")
    return Address(url.scheme, host, port, url.request_uri)


def follow(address: Address, location: str) -> Address:
    """Return where a redirect leads.

    Raises:
        Failed: somewhere that may not be fetched
    """
    try:
        return parse(urljoin(str(address), location.encode("latin-1").decode()))
    except ValueError as error:
        raise Failed("redirect", f"to {location[:200]!r}, which is no address") from error


def resolve(address: Address, private: bool, seconds: float = 30.0) -> list[str]:
    """Return the numeric addresses of a host, all of them checked unless private ones are allowed.

    Raises:
        Failed: the name is not known, not within so many seconds, or not for the public
    """
    if not private and (address.host == "localhost" or address.host.endswith(".localhost")):
        raise refused("localhost is a private address")
    try:
        found = _looked_up(address, seconds)
    except (OSError, UnicodeError) as error:
        again = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
        raise Failed("dns", f"{address.host}: {error}", again=again, host=True) from error
    for number in found:
        if not private and not public(ipaddress.ip_address(number)):
            raise refused(f"{address.host} is at {number}, which is not a public address")
    return found


def public(ip: IP) -> bool:
    """Is this an address of the public internet, and so are those that it wraps?"""
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return public(inner)
        if ip.scope_id is not None or ip.is_site_local:
            return False
    odd = (
        ip.is_multicast
        or ip.is_reserved
        or ip.is_unspecified
        or any(ip in network for network in CLOSED)
    )
    return ip.is_global and not odd


def _looked_up(address: Address, seconds: float) -> list[str]:
    """Ask for the numeric addresses of a host in a thread of its own, as nothing can end a question that hangs."""
    found: list[str] = []
    errors: list[Exception] = []

    def ask() -> None:
        try:
            entries = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
            found.extend(dict.fromkeys(str(entry[4][0]) for entry in entries))
        except (OSError, UnicodeError) as error:
            errors.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(max(0.0, seconds))
    if thread.is_alive():
        raise Failed(
            "timeout",
            f"{address.host}: its name was not found within the time",
            again=True,
            host=True,
        )
    if errors:
        raise errors[0]
    return found


def _host(host: str) -> str:
    """Return a host in its one spelling."""
    host = host.lower().removesuffix(".")
    if host.startswith("["):
        if "%" in host:
            raise refused("a zone in an IPv6 address")
        return str(ipaddress.IPv6Address(host[1:-1]))
    if NUMBER.fullmatch(host):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise refused(f"{host} is an address in an unusual spelling") from None
    if len(host) > 253 or not NAME.fullmatch(host):
        raise refused(f"{host[:80]!r} is no name of a host")
    return host
