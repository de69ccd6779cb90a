"""What an executor is, the serial one, and the window of tasks in flight that all others share."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

IN_FLIGHT = 2  # tasks for each worker: one to work on, and one to go on with
WATCH_SECONDS = 2.0  # without a result, after which a run asks whether one can still come


class Executor(Protocol):
    """Something that runs independent tasks."""

    @property
    def workers(self) -> int:
        """How many tasks run at once."""
        ...

    def map(self, task: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Yield the result of the task for each item as it comes, in any order.

        Where tasks run in other processes, the task, its items and its results must pickle. The
        first error ends the run, once the tasks that are being worked on are done.

        Raises:
            OSError: a worker died, as it does when memory runs out
        """
        ...


class ClusterExecutor(Executor, Protocol):
    """An executor whose workers may be on other machines, and may offer GPUs."""

    @property
    def gpus(self) -> int:
        """How many tasks with a GPU each run at once."""
        ...

    def with_gpus(self) -> Executor:
        """Return an executor of the same workers, each of whose tasks has a GPU of its own."""
        ...

    def check_folder(self, folder: Path) -> None:
        """Compare a folder, which may be written, with what the workers see under its path.

        Raises:
            OSError: a worker does not see it, or cannot do the work of this process
        """
        ...


class Serial:
    """Runs tasks in this process, each when its result is asked for."""

    workers = 1

    def map(self, task: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Yield the result of the task for each item, in order."""
        yield from map(task, items)


SERIAL = Serial()


class Pool(Protocol):
    """Something that runs a task somewhere else."""

    def submit(self, task: Callable[[Item], Result], item: Item, /) -> Future[Result]:
        """Begin a task as soon as there is a worker for it."""
        ...


def watch_nothing() -> None:
    """Trust that a result will come."""


def map_futures(
    pool: Pool,
    workers: int,
    task: Callable[[Item], Result],
    items: Iterable[Item],
    watch: Callable[[], object] = watch_nothing,
) -> Iterator[Result]:
    """Yield the results of a task as they come, with a few tasks for each worker in flight.

    Tasks that have not begun when a task fails, or when the caller stops listening, are cancelled;
    those that have begun are waited for, except after Ctrl-C.

    Args:
        pool: runs the tasks
        workers: of the pool
        task: from an item to a result
        items: of the tasks
        watch: is called now and then while no result comes; what it raises ends the run
    """
    remaining = iter(items)
    futures = {pool.submit(task, item) for item in islice(remaining, IN_FLIGHT * workers)}
    try:
        while futures:
            finished, futures = wait(futures, WATCH_SECONDS, FIRST_COMPLETED)
            if not finished:
                watch()
            for future in finished:
                yield future.result()
            futures |= {pool.submit(task, item) for item in islice(remaining, len(finished))}
    except KeyboardInterrupt:
        for future in futures:
            future.cancel()
        futures = set()
        raise
    finally:
        wait([future for future in futures if not future.cancel()])
