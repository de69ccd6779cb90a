"""Requests over connections to IP addresses that were checked.

libcurl makes all requests, in the one thread that calls `HttpClient.turn`. It opens no connection:
it is given those that `HttpClient.get` makes, to an IP address that `address.resolve_host`
returned, and keeps them open for later requests to the same host. So it looks up no name either.
It does not use the proxies that are set in the environment.
"""

import errno
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from queue import Empty, SimpleQueue

import pycurl
from certifi import where

from cnlw_tools.fetch.address import SEVERAL_HOSTS, Address, resolve_host
from cnlw_tools.fetch.resources import BODY_BYTES, max_requests
from cnlw_tools.fetch.transfer import HeaderCheck, Limits, Response, Transfer
from cnlw_tools.files.machine_faults import find_fault
from cnlw_tools.store.memory import MemoryBudget
from cnlw_tools.store.outcomes import FetchError

ACCEPT = "image/jpeg,image/png,image/webp,image/*;q=0.8,*/*;q=0.5"
BUFFER = 1 << 17  # bytes that are read at a time
MAX_IDLE_CONNECTIONS = 128  # kept open for later requests
MAX_IPS = 3  # IP addresses of one host that are tried
INTERVAL = 0.01  # seconds between two looks for new requests
CHECK_INTERVAL = 0.05  # seconds between two looks at time and memory
NOWHERE = "::192.0.2.1:"  # libcurl believes that every host has this address, so it asks for none
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


class HttpClient:
    """Makes requests for many threads; one of them must call `turn` again and again."""

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
        self.user_agent = user_agent
        self.limits = limits
        self.allow_private = allow_private
        self.memory = memory or MemoryBudget(BODY_BYTES)
        self.connected_at = 0.0  # when a host last accepted a connection, in monotonic time
        self.closed = False
        self.started: SimpleQueue[Transfer] = SimpleQueue()  # that libcurl does not have yet
        # what follows is touched only by the thread that calls `turn`
        self.transfers: dict[pycurl.Curl, Transfer] = {}
        self.idle_handles: list[pycurl.Curl] = []
        self.checked_at = 0.0
        self.turned_at = time.monotonic()  # when the last turn ended
        self.multi = pycurl.CurlMulti()
        self.multi.setopt(pycurl.M_MAXCONNECTS, min(MAX_IDLE_CONNECTIONS, max_requests()))

    def start(self, transfer: Transfer, on_end: Callable[[], None]) -> None:
        """Make a request soon, and call ``on_end`` when it is over."""
        transfer.on_end = on_end
        self.started.put(transfer)
        if self.closed:
            self._end_started()

    def get(
        self,
        address: Address,
        check_headers: HeaderCheck,
        loan: ExitStack,
        max_bytes: int | None = None,
    ) -> Response:
        """Make one request, and wait for its end; redirects are not followed.

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
        limits = replace(self.limits, max_bytes=max_bytes or self.limits.max_bytes)
        transfer = Transfer(address, check_headers, loan, limits, self.memory)
        self._make(transfer)
        if transfer.lacks_connection:
            connection = self._connect(address, transfer.deadline)
            transfer = Transfer(address, check_headers, loan, limits, self.memory, connection)
            self._make(transfer)
        return transfer.response()

    def _make(self, transfer: Transfer) -> None:
        """Make a request, and wait for its end."""
        ended = threading.Event()
        self.start(transfer, ended.set)
        ended.wait()

    def answers(self, address: Address) -> bool:
        """Return whether a host accepts a connection, or at least refuses it itself."""
        try:
            self._connect(address, time.monotonic() + self.limits.connect_timeout).close()
        except FetchError as error:
            if error.n_hosts or error.outcome != "connect":
                return False
            self.connected_at = time.monotonic()
        return True

    def turn(self) -> None:
        """Do what is to be done for the requests now."""
        while not self.started.empty():
            self._add(self.started.get())
        now = time.monotonic()
        if now > self.turned_at + CHECK_INTERVAL:  # the thread did something else for long
            for transfer in self.transfers.values():
                transfer.excuse(now - self.turned_at)
        self.multi.perform()
        self._remove_ended()
        now = time.monotonic()
        if now > self.checked_at + CHECK_INTERVAL:
            self.checked_at = now
            self._check(now)
        self.turned_at = now

    def wait(self) -> None:
        """Wait a little until there is something to do for the requests."""
        if any(not transfer.is_waiting for transfer in self.transfers.values()):
            self.multi.select(INTERVAL)
        else:
            self._wait_for_start()

    def close(self) -> None:
        """Abort all requests; those that are still started fail. No thread may call `turn`."""
        self.closed = True
        for curl, transfer in list(self.transfers.items()):
            self._remove(curl)
            transfer.end(pycurl.E_ABORTED_BY_CALLBACK, "the run ended")
        self._end_started()
        self.multi.close()

    def _end_started(self) -> None:
        while True:
            try:
                transfer = self.started.get_nowait()
            except Empty:
                return
            transfer.end(pycurl.E_ABORTED_BY_CALLBACK, "the run ended")

    def _wait_for_start(self) -> None:
        with suppress(Empty):
            self._add(self.started.get(timeout=INTERVAL))

    def _add(self, transfer: Transfer) -> None:
        """Hand a request to libcurl."""
        curl = self.idle_handles.pop() if self.idle_handles else self._make_handle()
        curl.setopt(pycurl.URL, str(transfer.address))
        curl.setopt(pycurl.FRESH_CONNECT, transfer.connection is not None)
        curl.setopt(pycurl.OPENSOCKETFUNCTION, transfer.give_connection)
        curl.setopt(pycurl.HEADERFUNCTION, transfer.receive_line)
        curl.setopt(pycurl.WRITEFUNCTION, transfer.receive)
        self.transfers[curl] = transfer
        self.multi.add_handle(curl)

    def _remove(self, curl: pycurl.Curl) -> Transfer:
        """Take a request out of libcurl; its connection is closed if it is not at its end."""
        self.multi.remove_handle(curl)
        self.idle_handles.append(curl)
        return self.transfers.pop(curl)

    def _remove_ended(self) -> None:
        n_left = 1
        while n_left:
            n_left, done, failed = self.multi.info_read()
            for curl in done:
                self._remove(curl).end()
            for curl, code, text in failed:
                self._remove(curl).end(code, text)

    def _check(self, now: float) -> None:
        """End requests whose time is over, and continue those for which there is memory again."""
        for curl, transfer in list(self.transfers.items()):
            if transfer.is_waiting:
                if transfer.borrow():
                    self._continue(curl)
            elif not transfer.check_time(now):
                self._remove(curl).end()

    def _continue(self, curl: pycurl.Curl) -> None:
        """Hand over the part of a body that had to wait."""
        try:
            curl.pause(pycurl.PAUSE_CONT)
        except pycurl.error as error:  # this part was refused
            self._remove(curl).end(*error.args)

    def _make_handle(self) -> pycurl.Curl:
        """Return a handle of libcurl with the options that all requests share."""
        curl = pycurl.Curl()
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        curl.setopt(pycurl.PROXY, "")
        curl.setopt(pycurl.CONNECT_TO, [NOWHERE])
        curl.setopt(pycurl.SOCKOPTFUNCTION, lambda *_: pycurl.SOCKOPT_ALREADY_CONNECTED)
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, int(1000 * self.limits.connect_timeout))  # of TLS
        curl.setopt(pycurl.CAINFO, str(where()))
        curl.setopt(pycurl.PATH_AS_IS, 1)
        curl.setopt(pycurl.USERAGENT, self.user_agent)
        curl.setopt(pycurl.HTTPHEADER, [f"Accept: {ACCEPT}", "Accept-Encoding: identity"])
        curl.setopt(pycurl.BUFFERSIZE, BUFFER)
        return curl

    def _connect(self, address: Address, deadline: float) -> socket.socket:
        """Connect to the first IP address of the host that accepts a connection."""
        ips = resolve_host(address, self.allow_private, deadline - time.monotonic())
        failure = FetchError("dns", f"{address.host} has no address")
        for ip in ips[:MAX_IPS]:
            timeout = min(self.limits.connect_timeout, deadline - time.monotonic())
            if timeout <= 0:
                reason = f"no connection within {self.limits.total_timeout:g} s"
                raise FetchError(
                    "timeout", reason, retryable=True, host_wide=True, n_hosts=SEVERAL_HOSTS
                )
            try:
                connection = _open_connection(ip, address.port, timeout)
                self.connected_at = time.monotonic()
                return connection
            except OSError as error:
                if fault := find_fault(error):
                    raise fault from error
                failure = _explain_failed_connection(error, address, ip, timeout)
        raise failure


def _open_connection(ip: str, port: int, timeout: float) -> socket.socket:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect((ip, port))
        connection.setblocking(False)
    except OSError:
        connection.close()
        raise
    return connection


def _explain_failed_connection(
    error: OSError, address: Address, ip: str, timeout: float
) -> FetchError:
    """Return why there is no connection."""
    server = f"{address.host}:{address.port} ({ip})"
    if isinstance(error, TimeoutError) and error.errno is None:
        reason = f"{server}: no connection within {timeout:g} s"
        return FetchError("timeout", reason, retryable=True, host_wide=True, n_hosts=SEVERAL_HOSTS)
    n_hosts = NETWORK_ERRORS.get(error.errno or 0, 0)
    if isinstance(error, socket.gaierror):
        n_hosts = 1  # we connect to IP addresses: there is no name that could be unknown
    return FetchError(
        "connect", f"{server}: {error}", retryable=True, host_wide=True, n_hosts=n_hosts
    )
