"""One seam for work that grows with images: independent shards through one function.

`run(task, shards)` is all that a cluster engine would have to offer; here it is processes of this machine.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait as wait_for
from typing import TypeVar

Shard = TypeVar("Shard")
Result = TypeVar("Result")


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(
    task: Callable[[Shard], Result], shards: Sequence[Shard], workers: int, apart: bool = False
) -> Iterator[Result]:
    """Yield the results of ``task`` as they come, in any order; one worker is this process, unless ``apart``.

    The task and its shards must pickle. The first error ends the run, once the shards that are at work
    or handed out are done. Workers end when this process does, however it ends.

    Raises:
        OSError: a worker died, as it does when memory runs out
    """
    if workers == 1 and not apart:
        yield from map(task, shards)
        return
    todo, workers = iter(shards), max(1, min(workers, len(shards)))
    with ProcessPoolExecutor(
        workers, get_context("spawn"), follow if apart else _end_with_parent
    ) as pool:
        try:
            open_: set[Future[Result]] = {pool.submit(task, s) for s in islice(todo, 2 * workers)}
            while open_:
                done, open_ = wait(open_, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
                open_ |= {pool.submit(task, s) for s in islice(todo, len(done))}
        except BrokenProcessPool as error:
            raise OSError(
                "a worker process died: give fewer --workers if memory ran out, and call this from under "
                "`if __name__ == '__main__':` if you call it from a script"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def follow() -> None:
    """Be a worker: leave Ctrl-C, which a terminal sends to all processes, to the parent, and end when it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()


def _end_with_parent() -> None:
    """Leave at once when the parent is gone: a killed build leaves no worker behind."""

    def watch() -> None:
        if parent := parent_process():
            wait_for([parent.sentinel])
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
