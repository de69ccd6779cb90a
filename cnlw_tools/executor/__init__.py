"""Where work that grows with images runs: independent tasks through one function.

A command opens one executor, hands it down, and closes it:

    with EXECUTORS["local"](workers=4) as executor:
        for digest in executor.map(hash_file, paths): ...

An entry of `EXECUTORS` is a context manager in a file of its own, over anything that offers
`submit(task, item) -> Future`. `futures.map_futures` keeps the tasks in flight for all of them.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from cnlw_tools.executor import local
from cnlw_tools.executor.futures import SERIAL, Executor, Serial

__all__ = ["EXECUTORS", "SERIAL", "Executor", "Progress", "Serial", "no_progress"]

Progress = Callable[[str, int, int], None]  # stage, done, total

EXECUTORS: Mapping[str, Callable[[int | None], AbstractContextManager[Executor]]] = {
    "local": local.processes,  # processes of this machine
}


def no_progress(stage: str, done: int, total: int) -> None:
    """Show nothing."""
