"""The one time limit that holds against a server which sends byte after byte: from outside the connection is shut."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from urllib3.connection import HTTPConnection

TICK = 0.1  # seconds between two looks at the clock


class Cuts(threading.Thread):
    """Shuts connections whose time is over."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.open: dict[HTTPConnection, float] = {}
        self.ended = False  # from then on whatever begins is shut
        self.start()

    def run(self) -> None:
        """Look at the clock, to the end."""
        while not self.ended:
            time.sleep(TICK)
            now = time.monotonic()
            for connection, end in list(self.open.items()):
                if now > end:
                    shut(connection)

    @contextmanager
    def after(self, connection: HTTPConnection, end: float) -> Iterator[None]:
        """Shut the connection if the block takes longer."""
        self.open[connection] = end
        try:
            if self.ended:
                shut(connection)
            yield
        finally:
            self.open.pop(connection, None)

    def all(self) -> None:
        """Shut every connection, now and from now on."""
        self.ended = True
        for connection in list(self.open):
            shut(connection)


def shut(connection: HTTPConnection) -> None:
    """Let whoever reads from the connection see its end at once."""
    with suppress(OSError, TypeError):  # it has ended by itself
        socket.socket.shutdown(
            connection.sock, socket.SHUT_RDWR
        )  # not that of TLS, which would wait for an answer
