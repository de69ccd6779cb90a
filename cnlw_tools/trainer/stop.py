"""SIGTERM and Ctrl-C as a wish to stop at the next good moment; a second one stops at once."""

import signal
import threading
from types import FrameType


class Stopped(Exception):
    """Training was asked to stop, and has saved where it was; the message says how to go on."""


class Stop:
    """While in use, `asked` says whether a signal came."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> "Stop":
        self.before = {}
        if threading.current_thread() is threading.main_thread():  # elsewhere Python lets nobody listen
            self.before = {s: signal.signal(s, self._note) for s in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler)
