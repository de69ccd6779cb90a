"""Memory that threads borrow, so that all of them together never hold more than is there."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from multiprocessing.context import BaseContext
from multiprocessing.sharedctypes import RawValue
from typing import Any

from cnlw_tools.executor import limits

NOTHING = nullcontext()  # what a small picture holds


class MemoryBudget:
    """Some bytes, shared by all threads of a process, or of several processes."""

    def __init__(self, n_bytes: int, context: BaseContext | None = None) -> None:
        """Make a budget of which nothing is borrowed.

        Args:
            n_bytes: how much there is, at most a quarter of what this process may use
            context: starts the processes that share it; without one, it belongs to this process
        """
        self.n_bytes = min(n_bytes, limits.memory() // 4)
        self.borrowed = RawValue("q", 0)
        self.changed: Any = context.Condition() if context else threading.Condition()

    def borrow(self, n_bytes: int) -> AbstractContextManager[None]:
        """Hold a part of the budget during the block, and wait for it before that.

        More than the budget is lent to one at a time, while nobody else holds anything. Nothing is
        lent at once.
        """
        return self._hold(n_bytes) if n_bytes else NOTHING

    @contextmanager
    def _hold(self, n_bytes: int) -> Iterator[None]:
        with self.changed:
            self.changed.wait_for(lambda: self._has_room(n_bytes))
            self.borrowed.value += n_bytes
        try:
            yield
        finally:
            self.give_back(n_bytes)

    def try_borrow(self, n_bytes: int) -> bool:
        """Borrow a part of the budget if it is free, without a wait; return whether it was.

        The borrower must call `give_back`.
        """
        with self.changed:
            if not self._has_room(n_bytes):
                return False
            self.borrowed.value += n_bytes
            return True

    def give_back(self, n_bytes: int) -> None:
        """Give back what was borrowed."""
        with self.changed:
            self.borrowed.value -= n_bytes
            self.changed.notify_all()

    def _has_room(self, n_bytes: int) -> bool:
        borrowed = self.borrowed.value
        return not borrowed or bool(borrowed + n_bytes <= self.n_bytes)
