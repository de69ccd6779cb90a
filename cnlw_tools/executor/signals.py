"""SIGTERM and Ctrl-C as a wish to stop at the next good moment; a second one stops at once."""

import signal
import threading
from types import FrameType


class Stop:
    """While in use, `asked` is the signal that came, or 0."""

    def __init__(self) -> None:
        self.asked = 0

    def __enter__(self) -> "Stop":
        self.before = {}
        if (
            threading.current_thread() is threading.main_thread()
        ):  # elsewhere Python lets nobody listen
            self.before = {s: signal.signal(s, self._note) for s in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = number
        signal.signal(
            number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler
        )
