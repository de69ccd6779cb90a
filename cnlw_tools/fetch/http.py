"""One request: to an address that was checked, within all limits, to headers and a body or a failure with a class.

Connections are urllib3's, made to the numeric address that `address.resolve` allowed, under the name of the host
(header `Host`, and the name that a certificate must have). No proxy of the environment is asked.
"""

import http.client
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPException
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

from cnlw_tools.fetch.address import Address, resolve
from cnlw_tools.fetch.deadline import Cuts
from cnlw_tools.store.outcomes import Failed

Judge = Callable[[int, HTTPHeaderDict], None]
ACCEPT = "image/jpeg,image/png,image/webp,image/*;q=0.8,*/*;q=0.5"
CHUNK = 1 << 16
IDLE = 128  # connections kept open for the next request
TRIED = 3  # addresses of one host


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes of one request."""

    connect: float = 5.0
    read: float = 10.0  # without a byte
    total: float = 30.0
    bytes: int = 32_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    headers: HTTPHeaderDict
    body: bytes


class Web:
    """What requests are made with; for many threads."""

    def __init__(self, agent: str, limits: Limits, private: bool = False) -> None:
        self.agent, self.limits, self.private = agent, limits, private
        self.idle: OrderedDict[str, list[HTTPConnection]] = (
            OrderedDict()
        )  # by origin, the least used first
        self.kept, self.lock, self.cuts = 0, threading.Lock(), Cuts()

    @cached_property
    def trust(self) -> ssl.SSLContext:
        """Return what certificates are proved with."""
        return ssl.create_default_context(cafile=where())

    def get(self, address: Address, judge: Judge, most: int | None = None) -> Answer:
        """Ask once; no redirect is followed. ``judge`` sees status and headers, and may fail before a body is read.

        Raises:
            Failed: there is no whole answer within the limits
        """
        end = time.monotonic() + self.limits.total
        connection = self._reused(address.origin) or self._connected(address, end)
        try:
            with self.cuts.after(connection, end):
                answer = self._answer(connection, address, judge, most or self.limits.bytes)
            if time.monotonic() > end:  # what was cut looks like an end
                raise TimeoutError
        except BaseException as error:
            connection.close()
            if not isinstance(error, Failed) and time.monotonic() > end:
                raise Failed("timeout", f"not done within {self.limits.total:g} s") from error
            if isinstance(error, (HTTPError, HTTPException, OSError, ValueError)):
                raise _failure(error, self.limits) from error
            raise
        self._keep(address.origin, connection)
        return answer

    def close(self) -> None:
        """Shut all connections."""
        self.cuts.all()
        with self.lock:
            for connection in chain.from_iterable(self.idle.values()):
                connection.close()
            self.idle.clear()

    def _connected(self, address: Address, end: float) -> HTTPConnection:
        failure = Failed("dns", f"{address.host} has no address")
        for number in resolve(address, self.private, end - time.monotonic())[:TRIED]:
            seconds = min(self.limits.connect, end - time.monotonic())
            if seconds <= 0:
                raise Failed(
                    "timeout",
                    f"no connection within {self.limits.total:g} s",
                    again=True,
                    host=True,
                )
            connection = self._new(address, number, seconds)
            try:
                connection.connect()
                connection.timeout = self.limits.read
                return connection
            except (HTTPError, OSError) as error:
                connection.close()
                failure = _unconnected(error, address, number, seconds)
        raise failure

    def _new(self, address: Address, number: str, seconds: float) -> HTTPConnection:
        if address.scheme == "http":
            return HTTPConnection(number, address.port, timeout=seconds)
        return HTTPSConnection(
            number,
            address.port,
            timeout=seconds,
            ssl_context=self.trust,
            server_hostname=address.host,
        )

    def _answer(
        self, connection: HTTPConnection, address: Address, judge: Judge, most: int
    ) -> Answer:
        headers = {
            "Host": address.authority,
            "User-Agent": self.agent,
            "Accept": ACCEPT,
            "Accept-Encoding": "identity",
        }
        connection.request(
            "GET", address.target, headers=headers, preload_content=False, decode_content=True
        )
        response = connection.getresponse()
        judge(response.status, response.headers)
        if response.status != 200:
            body = response.read(CHUNK)  # so that the connection can serve again
            if len(body) == CHUNK:
                connection.close()
        else:
            body = _body(response, most)
        return Answer(response.status, response.headers, body)

    def _reused(self, origin: str) -> HTTPConnection | None:
        with self.lock:
            connections = self.idle.get(origin, [])
            while connections:
                self.kept -= 1
                connection = connections.pop()
                if connection.is_connected:
                    return connection
                connection.close()
            self.idle.pop(origin, None)
        return None

    def _keep(self, origin: str, connection: HTTPConnection) -> None:
        if not connection.is_connected:
            return connection.close()
        with self.lock:
            self.idle.setdefault(origin, []).append(connection)
            self.idle.move_to_end(origin)
            self.kept += 1
            if self.kept > IDLE:
                oldest = next(iter(self.idle))
                self.idle[oldest].pop(0).close()
                self.kept -= 1
                if not self.idle[oldest]:
                    del self.idle[oldest]
        return None


def _body(response: BaseHTTPResponse, most: int) -> bytes:
    """Read a body; what counts is its size after it was unpacked."""
    if "," in response.headers.get("Content-Encoding", ""):
        raise Failed(
            "decode", "packed more than once"
        )  # a few bytes could become as many as they like
    announced = response.headers.get("Content-Length", "")
    if announced.isdecimal() and int(announced) > most:
        raise Failed("too_big", f"{int(announced):,} bytes announced; allowed are {most:,}")
    plain = (
        announced.isdecimal() and response.length_remaining is not None
    )  # not in chunks, which may be any number
    if plain and "Content-Encoding" not in response.headers:
        return response.read()
    parts, size = [], 0
    while part := response.read(CHUNK):
        parts.append(part)
        size += len(part)
        if size > most:
            raise Failed("too_big", f"more than {most:,} bytes")
    return b"".join(parts)


def _unconnected(error: Exception, address: Address, number: str, seconds: float) -> Failed:
    """Say why there is no connection."""
    where = f"{address.host}:{address.port} ({number})"
    late = isinstance(error, (ConnectTimeoutError, TimeoutError)) and not isinstance(
        error, NewConnectionError
    )
    if late:
        return Failed(
            "timeout", f"{where}: no connection within {seconds:g} s", again=True, host=True
        )
    if isinstance(error, (ssl.SSLError, SSLError)):
        return Failed("tls", f"{where}: {error}", host=True)
    return Failed("connect", f"{where}: {error}", again=True, host=True)


def _failure(error: Exception, limits: Limits) -> Failed:
    """Say why there is no answer, or not a whole one."""
    inner = error.args[-1] if isinstance(error, ProtocolError) else error
    if isinstance(inner, (IncompleteRead, http.client.IncompleteRead)):
        return Failed("truncated", str(inner), again=True)
    if isinstance(error, (ReadTimeoutError, TimeoutError)):
        return Failed("timeout", f"nothing came for {limits.read:g} s", again=True)
    if isinstance(error, DecodeError):
        return Failed("decode", f"its Content-Encoding: {error}")
    if isinstance(error, (ssl.SSLError, SSLError)):
        return Failed("tls", str(error))
    return Failed("connect", f"no valid answer: {error or type(error).__name__}", again=True)
