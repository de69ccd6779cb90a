"""SIGTERM and Ctrl-C: a request to stop at the next good moment, or an exception at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType
from typing import Any, ClassVar, NoReturn, Self

Handler = Callable[[int, FrameType | None], Any] | int | None

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(KeyboardInterrupt):
    """A signal ended the work of this process.

    Args:
        signal_number: of the signal
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__()
        self.signal_number = signal_number

    @property
    def exit_code(self) -> int:
        """The exit code that a shell reports of a program which the signal ended."""
        return 128 + self.signal_number


@contextmanager
def raise_on_signal() -> Iterator[None]:
    """Raise an exception in the block on the first SIGTERM or Ctrl-C; a second one ends at once.

    Raises:
        Interrupted: the signal came
    """

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(number, signal.SIG_DFL)
        raise Interrupted(number)

    old_handlers = _set_handlers(stop)
    try:
        yield
    finally:
        _restore_handlers(old_handlers)


class StopRequest:
    """A context in which the first SIGTERM or Ctrl-C is only recorded; a second one stops at once.

    A request around this one learns of the signal; a block that raises on signals does not.
    """

    _open: ClassVar[list["StopRequest"]] = []

    def __init__(self) -> None:
        self.signal = 0  # number of the signal that came, if any
        self.old_handlers: dict[int, Handler] = {}

    def __enter__(self) -> Self:
        self.old_handlers = _set_handlers(self._record)
        self._open.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.remove(self)
        _restore_handlers(self.old_handlers)

    def _record(self, number: int, frame: FrameType | None) -> None:
        for request in self._open:
            request.signal = number
        if number == signal.SIGTERM:
            signal.signal(number, signal.SIG_DFL)
        else:
            signal.signal(number, signal.default_int_handler)


@contextmanager
def ignore_interrupts() -> Iterator[None]:
    """Keep Ctrl-C from this thread, and from the processes that it starts, for the block."""
    # It would otherwise start in the block, with the first process, and let Ctrl-C in again.
    resource_tracker.ensure_running()
    old_mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old_mask)


def _set_handlers(handler: Callable[[int, FrameType | None], Any]) -> dict[int, Handler]:
    """Let a function handle the signals, and return what did so before.

    In other threads than the main one Python lets nobody handle signals.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.signal(number, handler) for number in STOP_SIGNALS}


def _restore_handlers(handlers: dict[int, Handler]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
