"""One request, to an IP address that was checked, and within all limits.

Connections are those of urllib3, made to an IP address that `address.resolve_host` returned, under
the name of the host (in the header `Host`, and as the name that a certificate must have). Proxies
that are set in the environment are not used.
"""

import errno
import http.client
import socket
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPException
from io import BytesIO
from itertools import chain

from certifi import where
from urllib3 import BaseHTTPResponse, HTTPHeaderDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    HTTPError,
    IncompleteRead,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)

from cnlw_tools.fetch.address import SEVERAL_HOSTS, Address, resolve_host
from cnlw_tools.fetch.deadline import Deadline, DeadlineThread
from cnlw_tools.fetch.resources import BODY_BYTES, max_requests
from cnlw_tools.files.machine_faults import find_causes, find_fault
from cnlw_tools.store.memory import MemoryBudget
from cnlw_tools.store.outcomes import FetchError

HeaderCheck = Callable[[int, HTTPHeaderDict], None]  # sees status and headers; may raise FetchError

ACCEPT = "image/jpeg,image/png,image/webp,image/*;q=0.8,*/*;q=0.5"
SMALL_BODY = 1 << 18  # bytes of a body up to which its memory does not count
CHUNK = 1 << 16  # bytes read at a time
MAX_IDLE_CONNECTIONS = 128  # kept open for later requests
MAX_IPS = 3  # IP addresses of one host that are tried
HTTP_ERRORS = (HTTPError, HTTPException, OSError, ValueError)  # of a request or its response
TLS_ERRORS = (ssl.SSLError, SSLError)
# errors of a connection that need not be the host's -> `FetchError.n_hosts`
NETWORK_ERRORS = {
    errno.ENETDOWN: 1,
    errno.ENETUNREACH: 1,
    errno.EHOSTUNREACH: 1,
    errno.EADDRNOTAVAIL: 1,  # no address of our own, or no free port
    errno.EPERM: 1,  # a firewall on this machine
    errno.EACCES: 1,
    errno.ENETRESET: SEVERAL_HOSTS,
    errno.ECONNABORTED: SEVERAL_HOSTS,
    errno.ETIMEDOUT: SEVERAL_HOSTS,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one request."""

    connect_timeout: float = 5.0  # seconds
    read_timeout: float = 10.0  # seconds without a byte
    total_timeout: float = 30.0  # seconds
    max_bytes: int = 32_000_000  # of a body, after it was decompressed


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answered."""

    status: int
    headers: HTTPHeaderDict
    body: bytes


class HttpClient:
    """Makes requests, with a pool of connections, for many threads."""

    def __init__(
        self,
        user_agent: str,
        limits: Limits,
        allow_private: bool = False,
        memory: MemoryBudget | None = None,
    ) -> None:
        """Make a client.

        Args:
            user_agent: the header
            limits: of each request
            allow_private: request private addresses, too
            memory: of which large bodies borrow; by default that of this client
        """
        self.memory = memory or MemoryBudget(BODY_BYTES)
        self.user_agent = user_agent
        self.limits = limits
        self.allow_private = allow_private
        # open connections by origin; the origin that was used least recently comes first
        self.idle: OrderedDict[str, list[HTTPConnection]] = OrderedDict()
        self.n_idle = 0
        self.max_idle = min(MAX_IDLE_CONNECTIONS, max_requests())
        self.lock = threading.Lock()  # of both
        self.connected_at = 0.0  # when a host last accepted a connection, in monotonic time
        self.deadlines = DeadlineThread()

    @cached_property
    def ssl_context(self) -> ssl.SSLContext:
        """Return what certificates are checked with."""
        return ssl.create_default_context(cafile=where())

    def get(
        self,
        address: Address,
        check_headers: HeaderCheck,
        loan: ExitStack,
        max_bytes: int | None = None,
    ) -> Response:
        """Make one request; redirects are not followed.

        Args:
            address: what to request
            check_headers: is called before the body is read
            loan: gets the memory that a large body borrows; what it held before is given back
            max_bytes: of the body; by default those of the limits

        Raises:
            FetchError: there is no complete response within the limits
            MachineFault: this machine has no more memory, open files and so on
        """
        loan.close()
        deadline = Deadline(self.limits.total_timeout)
        connection = self._take_idle(address.origin) or self._connect(address, deadline)
        try:
            with self.deadlines.limit(connection, deadline):
                self._send_request(connection, address)
                memory = _Loan(self.memory, loan, deadline)
                response = _read_response(
                    connection, check_headers, max_bytes or self.limits.max_bytes, memory
                )
            if deadline.seconds_left < 0:  # a body that was cut off may look complete
                raise TimeoutError
        except BaseException as error:
            connection.close()
            if fault := find_fault(error):
                raise fault from error
            if not isinstance(error, FetchError) and deadline.seconds_left < 0:
                reason = f"not done within {self.limits.total_timeout:g} s"
                raise FetchError("timeout", reason, n_hosts=SEVERAL_HOSTS) from error
            if isinstance(error, HTTP_ERRORS):
                raise _explain_failed_request(error, self.limits) from error
            raise
        self._put_back(address.origin, connection)
        return response

    def answers(self, address: Address) -> bool:
        """Return whether a host accepts a connection, or at least refuses it itself."""
        try:
            self._connect(address, Deadline(self.limits.connect_timeout)).close()
        except FetchError as error:
            if error.n_hosts or error.outcome not in ("connect", "tls"):
                return False
            self.connected_at = time.monotonic()
        return True

    def close(self) -> None:
        """Close all connections; requests that are still made fail."""
        self.deadlines.close()
        self._close_idle()

    def _connect(self, address: Address, deadline: Deadline) -> HTTPConnection:
        """Connect to the first IP address of the host that accepts a connection."""
        ips = resolve_host(address, self.allow_private, deadline.seconds_left)
        failure = FetchError("dns", f"{address.host} has no address")
        for ip in ips[:MAX_IPS]:
            timeout = min(self.limits.connect_timeout, deadline.seconds_left)
            if timeout <= 0:
                reason = f"no connection within {self.limits.total_timeout:g} s"
                raise FetchError(
                    "timeout", reason, retryable=True, host_wide=True, n_hosts=SEVERAL_HOSTS
                )
            connection = self._make_connection(address, ip, timeout)
            try:
                connection.connect()
                connection.timeout = self.limits.read_timeout
                self.connected_at = time.monotonic()
                return connection
            except (HTTPError, OSError) as error:
                connection.close()
                if fault := find_fault(error):
                    self._close_idle()  # each of them is an open file
                    raise fault from error
                failure = _explain_failed_connection(error, address, ip, timeout)
        raise failure

    def _make_connection(self, address: Address, ip: str, timeout: float) -> HTTPConnection:
        if address.scheme == "http":
            return HTTPConnection(ip, address.port, timeout=timeout)
        return HTTPSConnection(
            ip,
            address.port,
            timeout=timeout,
            ssl_context=self.ssl_context,
            server_hostname=address.host,
        )

    def _send_request(self, connection: HTTPConnection, address: Address) -> None:
        headers = {
            "Host": address.authority,
            "User-Agent": self.user_agent,
            "Accept": ACCEPT,
            "Accept-Encoding": "identity",
        }
        connection.request(
            "GET",
            address.target,
            headers=headers,
            preload_content=False,
            decode_content=True,
        )

    def _take_idle(self, origin: str) -> HTTPConnection | None:
        """Return an open connection to an origin, if there is one."""
        with self.lock:
            connections = self.idle.get(origin, [])
            while connections:
                self.n_idle -= 1
                connection = connections.pop()
                if connection.is_connected:
                    return connection
                connection.close()
            self.idle.pop(origin, None)
        return None

    def _put_back(self, origin: str, connection: HTTPConnection) -> None:
        """Keep a connection open for the next request, if the server has not announced its end.

        Whether the server has closed it meanwhile is asked when it is taken again.
        """
        if connection.sock is None:
            return
        with self.lock:
            self.idle.setdefault(origin, []).append(connection)
            self.idle.move_to_end(origin)
            self.n_idle += 1
            if self.n_idle > self.max_idle:
                self._close_oldest()

    def _close_idle(self) -> None:
        with self.lock:
            for connection in chain.from_iterable(self.idle.values()):
                connection.close()
            self.idle.clear()
            self.n_idle = 0

    def _close_oldest(self) -> None:
        oldest_origin, connections = next(iter(self.idle.items()))
        connections.pop(0).close()
        self.n_idle -= 1
        if not connections:
            del self.idle[oldest_origin]


class _Loan:
    """The memory that one body borrows."""

    def __init__(self, memory: MemoryBudget, loan: ExitStack, deadline: Deadline) -> None:
        self.memory = memory
        self.loan = loan
        self.deadline = deadline

    def borrow(self, n_bytes: int) -> None:
        """Wait for the memory; this wait is not the server's fault."""
        with self.deadline.pause():
            self.loan.enter_context(self.memory.borrow(n_bytes))


def _read_response(
    connection: HTTPConnection, check_headers: HeaderCheck, max_bytes: int, memory: _Loan
) -> Response:
    response = connection.getresponse()
    check_headers(response.status, response.headers)
    if response.status == 200:
        body = _read_body(response, max_bytes, memory)
    else:
        body = response.read(CHUNK)  # otherwise the connection could not be used again
        if len(body) == CHUNK:
            connection.close()
    return Response(response.status, response.headers, body)


def _read_body(response: BaseHTTPResponse, max_bytes: int, memory: _Loan) -> bytes:
    """Read and decompress a body; the limit holds for its size after that.

    A large body borrows memory for all of it at once: if bodies borrowed bit by bit, all of them
    could wait for each other.
    """
    if "," in response.headers.get("Content-Encoding", ""):
        # a few bytes that are compressed twice can become any number of bytes in one step
        raise FetchError("decode", "compressed more than once")
    content_length = response.headers.get("Content-Length", "")
    if content_length.isdecimal() and int(content_length) > max_bytes:
        n_bytes = int(content_length)
        raise FetchError("too_big", f"{n_bytes:,} bytes announced; {max_bytes:,} are allowed")
    is_chunked = response.length_remaining is None  # then there may be any number of bytes
    is_compressed = "Content-Encoding" in response.headers
    is_announced = content_length.isdecimal() and not is_chunked and not is_compressed
    if is_announced and int(content_length) <= SMALL_BODY:
        return response.read()
    body = BytesIO()
    n_borrowed = 0
    while chunk := response.read(CHUNK):
        body.write(chunk)
        n_bytes = body.tell()
        if n_bytes > max_bytes:
            raise FetchError("too_big", f"more than {max_bytes:,} bytes")
        if n_bytes > SMALL_BODY and not n_borrowed:
            n_borrowed = int(content_length) if is_announced else max_bytes
            memory.borrow(n_borrowed)
    return body.getvalue()


def _explain_failed_connection(
    error: Exception, address: Address, ip: str, timeout: float
) -> FetchError:
    """Return why there is no connection."""
    server = f"{address.host}:{address.port} ({ip})"
    is_timeout = isinstance(error, (ConnectTimeoutError, TimeoutError))
    if is_timeout and not isinstance(error, NewConnectionError):
        reason = f"{server}: no connection within {timeout:g} s"
        return FetchError("timeout", reason, retryable=True, host_wide=True, n_hosts=SEVERAL_HOSTS)
    reason = f"{server}: {error}"
    if isinstance(error, TLS_ERRORS):
        return FetchError("tls", reason, host_wide=True)
    n_hosts = _count_suspect_hosts(error)
    return FetchError("connect", reason, retryable=True, host_wide=True, n_hosts=n_hosts)


def _explain_failed_request(error: Exception, limits: Limits) -> FetchError:
    """Return why there is no complete response."""
    cause = error.args[-1] if isinstance(error, ProtocolError) else error
    if isinstance(cause, (IncompleteRead, http.client.IncompleteRead)):
        return FetchError("truncated", str(cause), retryable=True)
    if isinstance(error, (ReadTimeoutError, TimeoutError)):
        reason = f"no byte for {limits.read_timeout:g} s"
        return FetchError("timeout", reason, retryable=True, n_hosts=SEVERAL_HOSTS)
    if isinstance(error, DecodeError):
        return FetchError("decode", f"its Content-Encoding: {error}")
    if isinstance(error, TLS_ERRORS):
        return FetchError("tls", str(error))
    text = str(error) or type(error).__name__
    n_hosts = _count_suspect_hosts(error)
    return FetchError("connect", f"no valid response: {text}", retryable=True, n_hosts=n_hosts)


def _count_suspect_hosts(error: Exception) -> int:
    """Return how many hosts must fail like this before the network is to blame; 0: it never is."""
    for cause in find_causes(error):
        if isinstance(cause, socket.gaierror):
            return 1  # we connect to IP addresses: there is no name that could be unknown
        if isinstance(cause, OSError) and cause.errno in NETWORK_ERRORS:
            return NETWORK_ERRORS[cause.errno]
    return 0
