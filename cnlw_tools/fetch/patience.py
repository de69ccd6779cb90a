"""Patience: while this machine has a fault, every step that meets it is repeated later.

The waits grow from a second to a quarter of a minute. As soon as any URL of the process gets its
outcome, the fault counts as over. If none does for a stated time, the run ends with an
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
        """Start without a fault.

        Args:
            seconds: how long a fault may last in which no URL gets its outcome
            report: is called at each fault
        """
        self.seconds = seconds
        self.report = report
        self.stopped = threading.Event()
        self.fault_since: float | None = None  # monotonic time; None: there is no fault

    def run(self, step: Callable[[], Result]) -> Result:
        """Run a step, repeat it while this machine is at fault, and return its result.

        Raises:
            MachineFault: the fault lasted too long
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
        """Note that the fault is over: a URL got its outcome."""
        self.fault_since = None

    def stop(self) -> None:
        """End all waits."""
        self.stopped.set()

    def _wait(self, fault: MachineFault, n_faults: int) -> None:
        now = time.monotonic()
        self.fault_since = self.fault_since or now
        seconds_left = self.fault_since + self.seconds - now
        if seconds_left <= 0:
            raise MachineFault(
                f"{fault}. The fetch waited {self.seconds:g} s for that, and then stopped; "
                "run the same command again to continue"
            ) from fault
        self.report(
            Notice(f"paused: {fault}; it continues by itself, or stops after {self.seconds:g} s")
        )
        if self.stopped.wait(min(back_off(n_faults), MAX_WAIT, seconds_left)):
            raise Stopped
