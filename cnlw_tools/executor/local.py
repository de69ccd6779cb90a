"""Processes of this machine. They end when this process does, however it ends.

When one of them dies, all of them are replaced, and tasks without a result run again; `RETRIES`
says how often. Processes that die before any of them can work are not replaced: the next ones would
die, too.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import wait as wait_for
from multiprocessing.synchronize import Event
from typing import Generic, TypeVar

from cnlw_tools.executor import limits
from cnlw_tools.executor.fork_server import choose_processes
from cnlw_tools.executor.futures import SERIAL, Executor, map_futures
from cnlw_tools.executor.signals import ignore_interrupts
from cnlw_tools.files.machine_faults import start_thread

Item = TypeVar("Item")
Result = TypeVar("Result")

RETRIES = 3  # after deaths of processes
DEAD_WORKER = (
    "a worker process died: give fewer --workers if memory ran out; in a script, call this "
    "function only under `if __name__ == '__main__':`"
)


@contextmanager
def processes(
    workers: int | None = None, address: str = "", modules: Sequence[str] = ()
) -> Iterator[Executor]:
    """Open an executor of processes of this machine; one worker is this process.

    Args:
        workers: how many processes; none: one for each processor, if memory allows
        address: must be empty
        modules: that tasks need; see `isolated`

    Raises:
        ValueError: there is an address
    """
    if address:
        raise ValueError(
            f"--engine local://{address}: local stands for this machine and has no address: "
            "give --engine local"
        )
    if workers == 1:
        yield SERIAL
        return
    with isolated(workers or limits.workers(), modules, RETRIES) as executor:
        yield executor


@contextmanager
def isolated(workers: int, modules: Sequence[str] = (), retries: int = 0) -> Iterator[Executor]:
    """Open an executor of other processes, never this one.

    They ignore Ctrl-C; when this process is interrupted, they are killed.

    Args:
        workers: how many processes
        modules: that tasks need: where this is safe, one process begins to import them now, and the
            workers will be copies of it
        retries: how often tasks run again whose processes died
    """
    executor = Processes(workers, begin_work, modules, retries)
    try:
        yield executor
    except KeyboardInterrupt:
        executor.kill()
        raise
    finally:
        executor.close()


class Processes:
    """An executor of processes that begin when they are needed, and anew after one of them died."""

    def __init__(
        self,
        workers: int,
        initializer: Callable[[], None],
        modules: Sequence[str] = (),
        retries: int = 0,
    ) -> None:
        self.workers, self.initializer, self.retries = workers, initializer, retries
        self.context = choose_processes(modules)
        self.pool: ProcessPoolExecutor | None = None
        self.can_work: Event  # is set by the first process of the pool that is ready for a task

    def map(self, task: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Yield the result of the task for each item as it comes, in any order.

        Raises:
            OSError: workers died again and again, as they do when memory runs out
        """
        done: set[int] = set()
        for deaths in range(1 + self.retries):
            undone = ((place, item) for place, item in enumerate(items) if place not in done)
            try:
                for place, result in map_futures(self, self.workers, _Placed(task), undone):
                    done.add(place)
                    yield result
                return
            except (BrokenProcessPool, BrokenPipeError) as error:  # dead, or dead before it began
                self.close()
                if deaths == self.retries or not self.can_work.is_set():
                    raise OSError(DEAD_WORKER) from error

    def submit(self, task: Callable[[Item], Result], item: Item, /) -> Future[Result]:
        """Begin a task as soon as there is a process for it."""
        if self.pool is None:
            self.can_work = self.context.Event()
            begin = (self.initializer, self.can_work)
            self.pool = ProcessPoolExecutor(self.workers, self.context, _begin, begin)
        with ignore_interrupts():  # a process that begins cannot ignore Ctrl-C yet
            return self.pool.submit(task, item)

    def kill(self) -> None:
        """Kill the processes; what they were writing is a draft, which the next run deletes."""
        if self.pool is not None:
            for process in list((self.pool._processes or {}).values()):
                process.kill()

    def close(self) -> None:
        """End the processes."""
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)
            self.pool = None


@dataclass(frozen=True, slots=True)
class _Placed(Generic[Item, Result]):
    """A task whose result says which item it is of."""

    task: Callable[[Item], Result]

    def __call__(self, placed: tuple[int, Item]) -> tuple[int, Result]:
        """Run the task.

        Args:
            placed: the place of an item among all, and the item
        """
        place, item = placed
        return place, self.task(item)


def _begin(initializer: Callable[[], None], can_work: Event) -> None:
    """Prepare a worker process, and say that it can work."""
    initializer()
    can_work.set()


def begin_work() -> None:
    """Follow the parent, and keep out pandas, which takes longer than all other imports."""
    from cnlw_tools.files.arrow import keep_pandas_out  # here: a fetch's processes need no Arrow

    follow_parent()
    keep_pandas_out()


def follow_parent() -> None:
    """Ignore Ctrl-C, which a terminal sends to all processes, and end when the parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()


def _end_with_parent() -> None:
    """Leave at once when the parent is gone: a killed build leaves no worker behind."""

    def watch() -> None:
        if parent := parent_process():
            wait_for([parent.sentinel])
            os._exit(1)

    start_thread(threading.Thread(target=watch, daemon=True))
