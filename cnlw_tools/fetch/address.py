"""Addresses: what a URI may point to, and which IP addresses its host has.

A manifest is written by strangers. A URI is accepted only if it is plain http or https, and a host
only if *all* IP addresses of its name are public. The connection is then made to one of these
addresses, without a second lookup, whose answer could be different.
"""

import ipaddress
import re
import socket
import sys
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from cnlw_tools.files.machine_faults import FREE_MEMORY, MachineFault, find_fault
from cnlw_tools.store.outcomes import FetchError

if TYPE_CHECKING:
    from urllib3.util import Url

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_URI_CHARACTERS = 8192
MAX_HOST_CHARACTERS = 253
MAX_HOSTS = 4096  # whose spelling is remembered
HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
# what name resolvers accept as an IPv4 address, also in unusual spellings
NUMERIC_HOST = re.compile(r"(.*\.)?(\d+|0x[0-9a-f]*)")
# what urllib3 would only split, in five times as long: nothing in it is encoded or normalised
PLAIN_URI = re.compile(
    r"(https?)://([a-z0-9._-]+)(?::([1-9]\d{0,3}|[1-5]\d{4}))?(/[A-Za-z0-9._~!$&'()*+,;=:@/?-]*)"
)
CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # an IPv6 address that wraps an IPv4 address
NOT_PUBLIC = [  # networks that `is_global` does not know as private
    ipaddress.ip_network("::/96"),
    ipaddress.ip_network("192.0.0.0/24"),
    ipaddress.ip_network("192.88.99.0/24"),
    ipaddress.ip_network("168.63.129.16/32"),  # metadata of Azure, in a public network
]
SEVERAL_HOSTS = 3  # that are silent at the same time: hardly by chance
# errors of a lookup that no name server may have answered -> `FetchError.n_hosts`
UNANSWERED_LOOKUPS = {socket.EAI_AGAIN: 1, socket.EAI_FAIL: SEVERAL_HOSTS}
if sys.platform == "darwin":
    UNANSWERED_LOOKUPS[socket.EAI_NONAME] = SEVERAL_HOSTS  # what macOS says without a network, too


@dataclass(frozen=True, slots=True)
class Address:
    """A URI, split into its parts."""

    scheme: str  # http or https
    host: str  # a name, or an IP address without brackets
    port: int
    target: str  # path and query, percent-encoded

    @property
    def authority(self) -> str:
        """Return host and port as in the header `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.port == DEFAULT_PORTS[self.scheme]:
            return host
        return f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Return the part of the URI that identifies a host: it has one robots.txt."""
        return f"{self.scheme}://{self.authority}"

    def __str__(self) -> str:
        return self.origin + self.target

    def __reduce__(self) -> tuple[type, tuple[str, str, int, str]]:
        """Return what is pickled: this takes half the time of what dataclasses do."""
        return Address, (self.scheme, self.host, self.port, self.target)


def parse_uri(uri: str) -> Address:
    """Split a URI into its parts.

    Raises:
        FetchError: the URI may not be fetched
    """
    uri = uri.strip()
    if not uri or len(uri) > MAX_URI_CHARACTERS or CONTROL_CHARACTER.search(uri):
        raise _refusal("no URI, more than 8,192 characters, or control characters in it")
    plain = PLAIN_URI.fullmatch(uri)
    if plain and "/." not in uri:
        scheme, host, port_text, target = plain.groups()
        given_port = int(port_text) if port_text else None
    else:
        scheme, host, given_port, target = _split_uri(uri)
    host = _normalise_host(host)
    port = DEFAULT_PORTS[scheme] if given_port is None else given_port
    if port < 1024 and port not in DEFAULT_PORTS.values():
        raise _refusal(f"port {port} is not the port of a web server")
    return Address(scheme, host, port, target)


def _split_uri(uri: str) -> tuple[str, str, int | None, str]:
    """Return scheme, host, port, and percent-encoded path and query of any URI.

    Raises:
        FetchError: the URI may not be fetched
    """
    from urllib3.exceptions import LocationParseError  # most URIs are plain, and it imports much
    from urllib3.util import parse_url

    try:
        url = parse_url(uri)
    except (LocationParseError, UnicodeError) as error:
        raise _refusal(f"not a URI ({error})") from error
    _check_scheme_and_user(uri, url)
    return str(url.scheme), url.host or "", url.port, url.request_uri


def follow_redirect(address: Address, location: str) -> Address:
    """Return the address to which the header `Location` of a response from ``address`` leads.

    Raises:
        FetchError: this address may not be fetched
    """
    try:
        return parse_uri(urljoin(str(address), location.encode("latin-1").decode()))
    except ValueError as error:
        raise FetchError("redirect", f"to {location[:200]!r}, which is not an address") from error


def resolve_host(address: Address, allow_private: bool, timeout: float = 30.0) -> list[str]:
    """Return the IP addresses of a host; all are public, unless private ones are allowed.

    Raises:
        FetchError: the name is unknown or not resolved within ``timeout`` seconds, or an IP address
            is not public
        MachineFault: this machine cannot look up any name
    """
    if _is_localhost(address.host) and not allow_private:
        raise _refusal("localhost is a private address")
    try:
        ips = _look_up(address, timeout)
    except (OSError, UnicodeError) as error:
        raise _explain_failed_lookup(address, error) from error
    for ip in ips:
        if not allow_private and not is_public(ipaddress.ip_address(ip)):
            raise _refusal(f"{address.host} has the address {ip}, which is not a public address")
    return ips


def names_private_host(uri: str) -> bool:
    """Return whether a URI has localhost or an IP address that is not public in it."""
    try:
        host = parse_uri(uri).host
        return _is_localhost(host) or not is_public(ipaddress.ip_address(host))
    except (FetchError, ValueError):  # a URI that is never requested, or the name of a host
        return False


def _is_localhost(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost")


def is_public(ip: IPAddress) -> bool:
    """Return whether an IP address, and any IPv4 address that it wraps, is public."""
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = ip.ipv4_mapped or ip.sixtofour
        if ip in NAT64:
            wrapped = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if wrapped is not None:
            return is_public(wrapped)
        if ip.scope_id is not None or ip.is_site_local:
            return False
    if ip.is_multicast or ip.is_reserved or ip.is_unspecified:
        return False
    if any(ip in network for network in NOT_PUBLIC):
        return False
    return ip.is_global


def _look_up(address: Address, timeout: float) -> list[str]:
    """Return the IP addresses of a host.

    The lookup runs in its own thread, because nothing can end a lookup that hangs. Where this
    machine has no thread left, it runs in this one: then the resolver's own time limit holds.
    """
    lookup: Future[list[str]] = Future()

    def look_up() -> None:
        try:
            lookup.set_result(_ask_resolver(address))
        except BaseException as error:  # noqa: BLE001, it is raised again where it is waited for
            lookup.set_exception(error)

    try:
        threading.Thread(target=look_up, daemon=True).start()
    except RuntimeError:
        look_up()
    try:
        return lookup.result(max(0.0, timeout))
    except TimeoutError:
        if lookup.done():  # a moment later, or the lookup itself ended with this error
            return lookup.result()
    reason = f"{address.host}: its name was not found within the time limit"
    raise FetchError("timeout", reason, retryable=True, host_wide=True, n_hosts=SEVERAL_HOSTS)


def _ask_resolver(address: Address) -> list[str]:
    """Return the IP addresses of a host, each once, in the order of the resolver."""
    entries = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    ips = (str(socket_address[0]) for *_, socket_address in entries)
    return list(dict.fromkeys(ips))


def _explain_failed_lookup(address: Address, error: OSError | UnicodeError) -> Exception:
    """Return why a host has no IP address: a fault of this machine, or a failure of the host."""
    if fault := find_fault(error):
        return fault
    number = error.errno if isinstance(error, socket.gaierror) else None
    if number == socket.EAI_MEMORY:
        return MachineFault(f"the lookup of a name: {error}: {FREE_MEMORY}")
    return FetchError(
        "dns",
        f"{address.host}: {error}",
        retryable=number == socket.EAI_AGAIN,
        host_wide=True,
        n_hosts=UNANSWERED_LOOKUPS.get(number or 0, 0),
    )


def _refusal(reason: str) -> FetchError:
    """Return the error for a URI that is not requested."""
    return FetchError("refused", reason)


def _check_scheme_and_user(uri: str, url: "Url") -> None:
    if url.scheme not in DEFAULT_PORTS or not uri.lower().startswith(f"{url.scheme}://"):
        raise _refusal("only http:// and https:// are fetched")
    after_scheme = uri.partition("://")[2]
    authority = re.split("[/?#]", after_scheme)[0]
    if "@" in authority or "\\" in authority:
        raise _refusal("a user name or password in the URI")


@lru_cache(MAX_HOSTS)
def _normalise_host(host: str) -> str:
    """Return the only accepted spelling of a host: a name in lower case, or an IP address."""
    host = host.lower().removesuffix(".")
    if host.startswith("["):
        if "%" in host:
            raise _refusal("a zone in an IPv6 address")
        return str(ipaddress.IPv6Address(host[1:-1]))
    if NUMERIC_HOST.fullmatch(host):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise _refusal(f"{host} is an address in an unusual spelling") from None
    if len(host) > MAX_HOST_CHARACTERS or not HOST_NAME.fullmatch(host):
        raise _refusal(f"{host[:80]!r} is not the name of a host")
    return host
