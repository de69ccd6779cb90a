"""The network of this machine: whether it is down, or only the host that failed.

A name that cannot be looked up, a route that is missing or a host that is silent can be either. It
is the host if any other host accepts a connection after the failure. If none does by itself, hosts
that gave an answer before are asked for a connection: those of the newest rows of the ledger, which
all processes of a fetch write.
"""

import threading
import time
from contextlib import suppress

from cnlw_tools.fetch.address import Address, parse_uri
from cnlw_tools.fetch.http import HttpClient
from cnlw_tools.store.outcomes import FetchError
from cnlw_tools.store.store import Ledger

GRACE = 0.5  # seconds in which a connection made by another thread settles the question
INTERVAL = 0.05  # seconds between two looks for such a connection
MAX_WITNESSES = 3  # hosts that are asked
MAX_ROWS = 200  # of the ledger, in which they are looked for
MAX_AGE = 60.0  # seconds for which they are remembered


class Network:
    """The network of this machine, as the threads of one process see it."""

    def __init__(self, http_client: HttpClient, ledger: Ledger) -> None:
        self.http_client = http_client
        self.ledger = ledger
        self.failed_at: dict[str, float] = {}  # by origin, since a host accepted a connection
        self.lock = threading.Lock()  # one thread at a time asks
        self.asked_at = 0.0  # when the witnesses were last asked
        self.witnesses: list[Address] = []  # a host each
        self.read_at = -MAX_AGE  # when they were read from the ledger

    def is_down(self, origin: str, error: FetchError) -> bool:
        """Return whether a failure is the network's. It takes a while, if no host answers.

        Args:
            origin: of the host that failed
            error: how it failed
        """
        if not error.n_hosts:
            return False
        failed_at = time.monotonic()
        self._count_failure(origin, failed_at)
        witnesses = [address for address in self._read_witnesses() if address.origin != origin]
        suspected = bool(witnesses) or len(self.failed_at) >= error.n_hosts
        if not suspected or self._is_answered_since(failed_at):
            return False
        with self.lock:
            if self.asked_at < failed_at:
                self._ask(witnesses)
        return self.http_client.connected_at < failed_at

    def _count_failure(self, origin: str, now: float) -> None:
        for other, failed_at in list(self.failed_at.items()):
            if failed_at < self.http_client.connected_at:
                self.failed_at.pop(other, None)
        self.failed_at[origin] = now

    def _is_answered_since(self, failed_at: float) -> bool:
        """Wait a little for a connection made by another thread; return whether there is one."""
        while time.monotonic() < failed_at + GRACE:
            if self.http_client.connected_at > failed_at:
                return True
            time.sleep(INTERVAL)
        return False

    def _ask(self, witnesses: list[Address]) -> None:
        """Ask hosts for a connection until one answers."""
        for address in witnesses:
            if self.http_client.answers(address):
                break
        self.asked_at = time.monotonic()

    def _read_witnesses(self) -> list[Address]:
        """Return addresses of hosts that gave an answer, in this run or before."""
        if not self.witnesses or time.monotonic() - self.read_at > MAX_AGE:
            by_origin: dict[str, Address] = {}
            for uri in self.ledger.answered_uris(MAX_ROWS):
                with suppress(FetchError):  # the ledger of another version may hold any text
                    address = parse_uri(uri)
                    by_origin.setdefault(address.origin, address)
            self.witnesses = list(by_origin.values())[:MAX_WITNESSES]
            self.read_at = time.monotonic()
        return self.witnesses
