"""Where work that grows with images runs: independent tasks through one function.

A command opens one executor, hands it down, and closes it:

    with open_executor("local", workers=4) as executor:
        for digest in executor.map(hash_file, paths): ...

An entry of `EXECUTORS` is a context manager in a file of its own, over anything that offers
`submit(task, item) -> Future`. `futures.map_futures` keeps the tasks in flight for all of them.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol
from urllib.parse import urlsplit

from cnlw_tools.executor.futures import SERIAL, ClusterExecutor, Executor, Serial
from cnlw_tools.registry import ImportOnUse, pick

__all__ = [
    "EXECUTORS",
    "LOCAL",
    "SERIAL",
    "ClusterExecutor",
    "Executor",
    "Progress",
    "Serial",
    "no_progress",
    "open_executor",
]

Progress = Callable[[str, int, int], None]  # stage, done, total


class Opener(Protocol):
    """Opens an executor."""

    def __call__(
        self, workers: int | None = None, address: str = "", modules: Sequence[str] = ()
    ) -> AbstractContextManager[Executor]:
        """Start workers on this machine, or connect to the cluster at HOST:PORT.

        Modules are what tasks need; workers import them before the first task, or with it.
        """
        ...


LOCAL = "local"  # the only entry whose executor is no `ClusterExecutor`
EXECUTORS: Mapping[str, Opener] = ImportOnUse(
    "cnlw_tools.executor",
    {
        LOCAL: "local:processes",  # processes of this machine
        "dask": "dask:cluster",
        "ray": "ray:cluster",
    },
)


def open_executor(
    engine: str = LOCAL, workers: int | None = None, modules: Sequence[str] = ()
) -> AbstractContextManager[Executor]:
    """Open an executor.

    Args:
        engine: a name of `EXECUTORS`, or NAME://HOST:PORT for a cluster that is there
        workers: how many to start here; none: one for each processor, if memory allows
        modules: that tasks need: processes of this machine begin to import them when the executor
            is opened, and keep the environment of this moment

    Raises:
        ValueError, LookupError: no such engine, no such address, or no such number of workers
        ModuleNotFoundError: its package is not installed
        OSError: nothing answers there
    """
    if not isinstance(engine, str):
        raise ValueError(f"engine {engine!r} is not allowed: give a text, such as {LOCAL!r}")
    if workers is not None and (type(workers) is not int or workers < 1):
        raise ValueError(f"workers {workers!r} is not allowed: give a whole number of at least 1")
    name, separator, address = engine.partition("://")
    opener = pick(EXECUTORS, name, "engine")
    if separator:
        _check_address(engine)
        if workers is not None:
            raise ValueError(
                f"--workers {workers} cannot be used together with --engine {engine}: the cluster "
                "determines how many workers there are: omit --workers"
            )
    return opener(workers, address, modules)


def _check_address(engine: str) -> None:
    """Raise if an engine that names a cluster is not NAME://HOST:PORT."""
    remedy = "give NAME://HOST:PORT, such as dask://127.0.0.1:8786 or ray://127.0.0.1:10001"
    try:
        parts = urlsplit(engine)
        is_address = bool(parts.hostname and parts.port)
    except ValueError as error:
        raise ValueError(f"--engine {engine}: {error}: {remedy}") from error
    if not is_address or parts.path or parts.query or parts.fragment or parts.username:
        raise ValueError(f"--engine {engine}: not the address of a cluster: {remedy}")


def no_progress(stage: str, done: int, total: int) -> None:
    """Show nothing."""
