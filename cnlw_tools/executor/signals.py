"""SIGTERM and Ctrl-C as a request to stop at the next good moment; a second one stops at once."""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

Handler = Callable[[int, FrameType | None], Any] | int | None

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """A context in which the first SIGTERM or Ctrl-C is only recorded."""

    def __init__(self) -> None:
        self.signal = 0  # number of the signal that came, if any
        self.old_handlers: dict[int, Handler] = {}

    def __enter__(self) -> Self:
        # In other threads Python lets nobody handle signals.
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                self.old_handlers[number] = signal.signal(number, self._record)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.old_handlers.items():
            signal.signal(number, handler)

    def _record(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        if number == signal.SIGTERM:
            signal.signal(number, signal.SIG_DFL)
        else:
            signal.signal(number, signal.default_int_handler)
