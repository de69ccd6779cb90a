"""One request in the hands of libcurl, and what comes of it."""

import errno
import os
import socket
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from typing import NamedTuple

import pycurl

from cnlw_tools.fetch.address import SEVERAL_HOSTS, Address
from cnlw_tools.files.machine_faults import find_fault
from cnlw_tools.store.memory import MemoryBudget
from cnlw_tools.store.outcomes import FetchError

SMALL_BODY = 1 << 18  # bytes of a body up to which its memory does not count
CHUNK = 1 << 16  # bytes that are read of a body without use, so that the connection can stay open
IDENTITY = "identity"
WBITS = {IDENTITY: 0, "gzip": 31, "x-gzip": 31, "deflate": 15}  # Content-Encoding -> that of zlib
TLS_ERRORS = frozenset(
    {
        pycurl.E_SSL_CONNECT_ERROR,
        pycurl.E_PEER_FAILED_VERIFICATION,
        pycurl.E_SSL_CIPHER,
        pycurl.E_SSL_ISSUER_ERROR,
    }
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one request."""

    connect_timeout: float = 5.0  # seconds
    read_timeout: float = 10.0  # seconds without a byte
    total_timeout: float = 30.0  # seconds
    max_bytes: int = 32_000_000  # of a body, after it was decompressed


class Headers:
    """The headers of a response; upper case in a name does not count."""

    def __init__(self) -> None:
        self.values: dict[str, list[str]] = {}  # by name in lower case

    def add(self, name: str, value: str) -> None:
        """Add a header, which may be one of several with its name."""
        self.values.setdefault(name.lower(), []).append(value)

    def get_all(self, name: str) -> Sequence[str]:
        """Return the values of all headers with a name in lower case."""
        return self.values.get(name, ())

    def get(self, name: str, default: str = "") -> str:
        """Return the value under a name in lower case: of several headers, with commas between."""
        values = self.get_all(name)
        return ", ".join(values) if values else default


HeaderCheck = Callable[[int, Headers], None]  # sees status and headers; may raise FetchError


class Response(NamedTuple):
    """What a server answered."""

    status: int
    headers: Headers
    body: bytes


class Transfer:
    """One request; its methods are called by the thread that makes all requests."""

    def __init__(
        self,
        address: Address,
        check_headers: HeaderCheck,
        loan: ExitStack,
        limits: Limits,
        memory: MemoryBudget,
        connection: socket.socket | None = None,
    ) -> None:
        """Describe a request; its time starts now.

        Args:
            address: what to request
            check_headers: is called before the body is read
            loan: holds the memory that a large body borrows
            limits: of the request
            memory: of which a large body borrows
            connection: a new one to the host; None: there must be an idle one
        """
        self.address = address
        self.check_headers = check_headers
        self.loan = loan
        self.limits = limits
        self.memory = memory
        self.connection = connection
        self.on_end: Callable[[], None] = _do_nothing
        self.connection_given = False
        self.lacks_connection = False  # libcurl wanted another connection
        self.deadline = time.monotonic() + limits.total_timeout
        self.heard_at = time.monotonic()  # when something had come at the last look
        self.n_heard = 0  # lines and bytes that had come by then
        self.lines: list[bytes] = []  # of the headers
        self.status = 0
        self.headers: Headers | None = None
        self.encoding = IDENTITY  # how the body is compressed
        self.body = BytesIO()
        self.n_bytes = 0  # of the body
        self.n_unchecked = 0  # bytes of the body that are taken without a check
        self.n_wanted = 0  # bytes of memory that the body borrows if it is large
        self.is_waiting = False  # for this memory
        self.error: Exception | None = None

    @property
    def is_compressed(self) -> bool:
        """Return whether the server compressed the body; then `response` may wait for memory."""
        return WBITS.get(self.encoding, 0) != 0

    def response(self) -> Response:
        """Return what the server answered, after the end.

        Raises:
            FetchError: there is no complete response within the limits
            MachineFault: this machine has no more memory
        """
        if self.error is None:
            headers = self.headers or Headers()
            return Response(self.status, headers, self._decompress())
        if fault := find_fault(self.error):
            raise fault from self.error
        raise self.error

    def give_connection(self, purpose: int, address: object) -> socket.socket | int:
        """Return the new connection, but only once."""
        if self.connection is None or self.connection_given:
            self.lacks_connection = True
            return int(pycurl.SOCKET_BAD)
        self.connection_given = True
        return self.connection

    def receive_line(self, line: bytes) -> None:
        """Take a line of the headers. Those of a preliminary response (1xx) are forgotten."""
        if line.startswith(b"HTTP/"):
            self.lines.clear()
        self.lines.append(line)

    def receive(self, chunk: bytes) -> int | None:
        """Take a part of the body; return None, or what libcurl must do instead of going on."""
        n_bytes = self.n_bytes + len(chunk)
        if n_bytes <= self.n_unchecked:
            self.n_bytes = n_bytes
            self.body.write(chunk)
            return None
        return self._check_and_receive(chunk, n_bytes)

    def _check_and_receive(self, chunk: bytes, n_bytes: int) -> int | None:
        """Do the same where the headers have not been read yet, or the body is not a small one."""
        try:
            self._read_headers()
            if self.status == 200 and self._must_wait(n_bytes):
                return int(pycurl.WRITEFUNC_PAUSE)
        except (FetchError, MemoryError) as error:
            self.error = error
            return -1
        self.n_bytes = n_bytes
        if self.status == 200:
            self.body.write(chunk)
        elif n_bytes >= CHUNK:
            return -1
        return None

    def borrow(self) -> bool:
        """Borrow the memory of a large body, if it is free; return whether it was."""
        if not self.memory.try_borrow(self.n_wanted):
            return False
        self.loan.callback(self.memory.give_back, self.n_wanted)
        self.n_wanted = 0
        self.excuse(time.monotonic() - self.heard_at)
        self.is_waiting = False
        return True

    def excuse(self, seconds: float) -> None:
        """Do not count some time that is no fault of the server."""
        self.deadline += seconds
        self.heard_at += seconds

    def check_time(self, now: float) -> bool:
        """Return whether the request may go on; otherwise it has an error now."""
        n_heard = len(self.lines) + self.n_bytes
        if n_heard > self.n_heard:
            self.n_heard = n_heard
            self.heard_at = now
        if now > self.deadline:
            reason = f"not done within {self.limits.total_timeout:g} s"
            self.error = FetchError("timeout", reason, n_hosts=SEVERAL_HOSTS)
        elif now > self.heard_at + self.limits.read_timeout:
            reason = f"no byte for {self.limits.read_timeout:g} s"
            self.error = FetchError("timeout", reason, retryable=True, n_hosts=SEVERAL_HOSTS)
        return self.error is None

    def end(self, code: int = 0, text: str = "") -> None:
        """Note how libcurl ended the request: with which error, if any."""
        if self.connection:
            self.connection.close()  # libcurl has a copy
        try:
            if not code and not self.error:
                self._read_headers()  # there may have been no body
        except (FetchError, MemoryError) as error:
            self.error = error
        if code == pycurl.E_COULDNT_CONNECT and self.connection:
            self.error = OSError(errno.EMFILE, os.strerror(errno.EMFILE))  # for the copy
        elif code and not self.error and code != pycurl.E_WRITE_ERROR:
            self.error = _explain(code, text)
        if self.error:
            self.body = BytesIO()
        on_end = self.on_end
        self.on_end = _do_nothing  # which may hold this object: such a cycle stays in memory
        on_end()

    def _read_headers(self) -> None:
        """Parse and check the headers, if this has not been done yet."""
        if self.headers is not None:
            return
        self.headers = Headers()
        self.status = int(self.lines[0].split()[1])
        for line in self.lines[1:]:
            name, colon, value = line.decode("latin-1").partition(":")
            if colon:
                self.headers.add(name, value.strip())
        self.check_headers(self.status, self.headers)
        if self.status == 200:
            self._read_length(self.headers)

    def _read_length(self, headers: Headers) -> None:
        """Find out how much memory the body may need.

        A large body borrows memory for all of it at once: if bodies borrowed bit by bit, all of
        them could wait for each other.
        """
        encoding = headers.get("content-encoding", IDENTITY).strip().lower()
        if encoding not in WBITS:  # a body that is compressed twice has two names
            raise FetchError("decode", f"its Content-Encoding is {encoding!r}")
        self.encoding = encoding
        self.n_unchecked = min(SMALL_BODY, self.limits.max_bytes)
        self.n_wanted = self.limits.max_bytes
        if WBITS[encoding]:
            self.n_wanted *= 2  # for both forms
        length = headers.get("content-length")
        if not length.isdecimal():
            return
        n_bytes = int(length)
        if n_bytes > self.limits.max_bytes:
            allowed = f"{self.limits.max_bytes:,} are allowed"
            raise FetchError("too_big", f"{n_bytes:,} bytes announced; {allowed}")
        if "transfer-encoding" not in headers.values and not WBITS[encoding]:
            self.n_wanted = n_bytes

    def _decompress(self) -> bytes:
        """Return the body as it was before a server compressed it, although nobody asked for that.

        This is not left to libcurl: while it waits for memory, it keeps what a few bytes become.
        """
        body = self.body.getvalue()
        self.body = BytesIO()  # libcurl knows this object until its handle makes another request
        wbits = WBITS[self.encoding] if body else 0
        if not wbits:
            return body
        if self.n_wanted:  # it was small, so nothing is borrowed yet
            self.loan.enter_context(self.memory.borrow(self.limits.max_bytes))
        decoder = zlib.decompressobj(wbits)
        try:
            plain = decoder.decompress(body, self.limits.max_bytes + 1)
        except zlib.error as error:
            raise FetchError("decode", f"its Content-Encoding: {error}") from error
        is_too_big = len(plain) > self.limits.max_bytes
        if decoder.eof and not is_too_big:
            return plain
        del plain  # the traceback of the error would keep it after its memory was given back
        if is_too_big:
            raise FetchError("too_big", f"more than {self.limits.max_bytes:,} bytes")
        raise FetchError("truncated", "its compressed data end early", retryable=True)

    def _must_wait(self, n_bytes: int) -> bool:
        """Return whether a body of so many bytes needs memory that it has not borrowed yet."""
        if n_bytes > self.limits.max_bytes:
            raise FetchError("too_big", f"more than {self.limits.max_bytes:,} bytes")
        self.is_waiting = n_bytes > SMALL_BODY and bool(self.n_wanted)
        return self.is_waiting


def _do_nothing() -> None:
    """Do nothing at the end of a request."""


def _explain(code: int, text: str) -> FetchError | MemoryError:
    """Return why there is no complete response."""
    if code == pycurl.E_OUT_OF_MEMORY:
        return MemoryError(text)
    if code == pycurl.E_PARTIAL_FILE:
        return FetchError("truncated", text, retryable=True)
    if code in TLS_ERRORS:
        return FetchError("tls", text, host_wide=True)
    if code == pycurl.E_OPERATION_TIMEDOUT:  # of TLS: a connection was made before
        return FetchError("timeout", text, retryable=True, host_wide=True, n_hosts=SEVERAL_HOSTS)
    return FetchError("connect", f"no valid response: {text}", retryable=True)
