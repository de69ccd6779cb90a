"""A server for the pages: on this computer alone, at a random port, until Ctrl-C or SIGTERM."""

import logging
import os
import secrets
import socket
from types import TracebackType
from typing import Self
from zlib import crc32

import flask
import waitress

from cnlw_tools.browser.app import EVERY_ADDRESS, MAX_BODY, make_app
from cnlw_tools.executor.signals import raise_on_signal

LOOPBACK = "127.0.0.1"
OWN_NAMES = frozenset({LOOPBACK, "localhost", "::1"})
OUTSIDE = {  # addresses that nobody has: the system says from which one it would call them
    "0.0.0.0": (socket.AF_INET, "192.0.2.1"),  # noqa: S104
    "::": (socket.AF_INET6, "2001:db8::1"),
}
N_THREADS = 16  # a browser opens six connections at once, and votes wait for the disk
MAX_CONNECTIONS = 800  # a browser keeps six, and a process may open 1024 files
IDLE_SECONDS = 60  # until a connection without a request is closed
TOKEN_BYTES = 16
FIRST_USUAL_PORT, N_USUAL_PORTS = 20_000, 12_000  # below those that systems give away


class PageServer:
    """A server of pages. It accepts connections from the start, and answers them in ``run``.

    Use it as a context, which closes it.

    Args:
        pages: routes, relative to the address with the token
        host: address or name of this computer at which to listen
        port: 0: a free one

    Raises:
        OSError: there is no such host, or the port is in use
    """

    def __init__(self, pages: flask.Blueprint, host: str = LOOPBACK, port: int = 0) -> None:
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a full queue is no fault
        token = secrets.token_urlsafe(TOKEN_BYTES)
        listener = _listen(host, port)
        app = make_app(pages, token, host_names(host))
        self.port: int = listener.getsockname()[1]
        addresses = [f"http://{name}:{self.port}/{token}/" for name in _printed_hosts(host)]
        self.address, *self.other_addresses = addresses
        self._server = waitress.create_server(
            app,
            sockets=[listener],
            threads=N_THREADS,
            max_request_body_size=MAX_BODY,
            connection_limit=MAX_CONNECTIONS,
            channel_timeout=IDLE_SECONDS,
            asyncore_use_poll=True,  # select() takes no more than 1024
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for channel in list(self._server.active_channels.values()):
            channel.handle_close()
        self._server.close()

    def run(self) -> None:
        """Answer requests until Ctrl-C or SIGTERM, which is how it ends; a second one kills."""
        with raise_on_signal():
            self._server.run()  # it returns when a signal raises


def host_names(host: str) -> frozenset[str]:
    """Return the names by which requests may call a server that listens at a host."""
    if host in EVERY_ADDRESS:
        return OWN_NAMES | {host, socket.gethostname().lower()}
    if host in OWN_NAMES:
        return OWN_NAMES
    return frozenset({host.lower()})


def usual_port(purpose: str) -> int:
    """Return a port for a purpose, the same one each time.

    A browser keeps what a page stores, such as votes that could not be sent, by port.
    """
    return FIRST_USUAL_PORT + crc32(os.fsencode(purpose)) % N_USUAL_PORTS


def open_server(pages: flask.Blueprint, host: str, port: int | None, purpose: str) -> PageServer:
    """Open a server of pages.

    Args:
        pages: routes, relative to the address with the token
        host: address or name of this computer at which to listen
        port: 0: a free one; none: the usual one of the purpose, or a free one if that is in use
        purpose: what the pages are for

    Raises:
        OSError: there is no such host, or the port is in use
    """
    if port is not None:
        return PageServer(pages, host, port)
    try:
        return PageServer(pages, host, usual_port(purpose))
    except OSError:
        return PageServer(pages, host, 0)


def is_private(host: str) -> bool:
    """Tell whether only programs on this computer can reach a server that listens at a host."""
    return host in OWN_NAMES


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        OSError: there is no such host, or the port is in use
    """
    try:
        candidates = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, _, _, _, address = candidates[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _no_listener(host, port, error) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _no_listener(host, port, error) from error
    return listener


def _no_listener(host: str, port: int, error: OSError) -> OSError:
    return OSError(
        f"--host {host} --port {port}: the page cannot be served there ({error.strerror}): give "
        "an address of this computer, and a port that is free, or 0 for any free one"
    )


def _printed_hosts(host: str) -> list[str]:
    """Return a host as addresses have it.

    A server that listens on all addresses has two: the numeric one, which a phone understands, and
    the name of this computer.
    """
    if host not in EVERY_ADDRESS:
        return [_bracketed(host)]
    numeric = _numeric_address(host)
    name = socket.gethostname()
    return [name] if numeric is None else [_bracketed(numeric), name]


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _numeric_address(host: str) -> str | None:
    """Return the address of this computer in its network, if it is in one; nothing is sent."""
    family, peer = OUTSIDE[host]
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((peer, 9))
            address: str = probe.getsockname()[0]
    except OSError:
        return None
    return address
