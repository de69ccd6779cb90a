"""Deadlines of requests: a thread that shuts down connections whose time is over.

A timeout of a socket restarts with every byte. So only a shutdown from outside ends a request to a
server that sends one byte after another.
"""

import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from urllib3.connection import HTTPConnection

from cnlw_tools.files.machine_faults import start_thread

INTERVAL = 0.1  # seconds between two checks


class Deadline:
    """When a request must be done."""

    def __init__(self, seconds: float) -> None:
        """Set the deadline some seconds from now."""
        self.time = time.monotonic() + seconds

    @property
    def seconds_left(self) -> float:
        """Return the seconds until then; negative if it is over."""
        return self.time - time.monotonic()

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Do not count the time that the block takes."""
        seconds_left = self.seconds_left
        self.time = math.inf
        try:
            yield
        finally:
            self.time = time.monotonic() + seconds_left


class DeadlineThread(threading.Thread):
    """Shuts down connections that are in use after their deadline."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.deadlines: dict[HTTPConnection, Deadline] = {}  # of connections in use
        self.closed = False  # if True, every connection is shut down as soon as it is used
        start_thread(self)

    def run(self) -> None:
        """Check the deadlines until `close` is called."""
        while not self.closed:
            time.sleep(INTERVAL)
            now = time.monotonic()
            for connection, deadline in list(self.deadlines.items()):
                if now > deadline.time:
                    shut_down(connection)

    @contextmanager
    def limit(self, connection: HTTPConnection, deadline: Deadline) -> Iterator[None]:
        """Shut the connection down if the block is not done by the deadline."""
        self.deadlines[connection] = deadline
        try:
            if self.closed:
                shut_down(connection)
            yield
        finally:
            self.deadlines.pop(connection, None)

    def close(self) -> None:
        """Shut down every connection in use, and from now on every connection that is used."""
        self.closed = True
        for connection in list(self.deadlines):
            shut_down(connection)


def shut_down(connection: HTTPConnection) -> None:
    """End the connection, so that a thread that reads from it sees the end at once."""
    # The method of `socket.socket`, because that of a TLS socket would wait for an answer. There is
    # an error if the connection has ended by itself.
    with suppress(OSError, TypeError):
        socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)
