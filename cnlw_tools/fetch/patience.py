"""Patience: while this machine has a fault, every step that meets it is taken again, later.

The waits grow from a second to a quarter of a minute. As soon as any URL of the process is brought
to its outcome, the machine counts as well again. If none is for a stated time, the run ends with an
error, and the URLs keep the state they had.
"""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from cnlw_tools.fetch.schedule import back_off
from cnlw_tools.files.machine_faults import MachineFault, find_fault

MAX_WAIT = 15.0  # seconds between two tries

Result = TypeVar("Result")


class Notice(NamedTuple):
    """What a user should read while the run goes on."""

    text: str


class Stopped(Exception):
    """The run ended while a step was waiting."""


class Patience:
    """The patience of one process, for all of its threads."""

    def __init__(self, seconds: float, report: Callable[[Notice], None]) -> None:
        """Make the patience.

        Args:
            seconds: how long no URL may be brought to its outcome, once there is a fault
            report: is called at each fault
        """
        self.seconds = seconds
        self.report = report
        self.stopped = threading.Event()
        self.ill_since: float | None = None  # monotonic time of the first fault; None: all is well

    def take(self, step: Callable[[], Result]) -> Result:
        """Take a step, again and again while this machine is at fault, and return its result.

        Raises:
            MachineFault: it took too long
            Stopped: the run ended meanwhile
        """
        n_faults = 0
        while True:
            try:
                return step()
            except (OSError, MemoryError) as error:
                fault = find_fault(error)
                if fault is None:
                    raise
                n_faults += 1
                self._wait(fault, n_faults)

    def recover(self) -> None:
        """Note that all is well: a URL was brought to its outcome."""
        self.ill_since = None

    def stop(self) -> None:
        """End all waits."""
        self.stopped.set()

    def _wait(self, fault: MachineFault, n_faults: int) -> None:
        now = time.monotonic()
        self.ill_since = ill_since = self.ill_since or now
        seconds_left = ill_since + self.seconds - now
        if seconds_left <= 0:
            raise MachineFault(
                f"{fault}. The fetch waited {self.seconds:g} s for that, and then stopped; "
                "the same command goes on where it was"
            ) from fault
        self.report(
            Notice(f"paused: {fault}; goes on by itself, or stops after {self.seconds:g} s")
        )
        if self.stopped.wait(min(back_off(n_faults), MAX_WAIT, seconds_left)):
            raise Stopped
