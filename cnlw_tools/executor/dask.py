"""Dask: a cluster whose scheduler is at HOST:PORT, or one that is started on this machine.

A task whose worker dies runs again on another one; `distributed.scheduler.allowed-failures` of the
configuration of Dask, 3 unless you change it, says how often.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from cnlw_tools.executor import limits
from cnlw_tools.executor.futures import ClusterExecutor, Executor, map_futures
from cnlw_tools.executor.remote import (
    DEAD_WORKER,
    SAME_VERSIONS,
    Absence,
    RemoteTask,
    check_workers,
    describe_difference,
    describe_worker,
    marked_folder,
    program_versions,
)
from cnlw_tools.executor.signals import ignore_interrupts

Item = TypeVar("Item")
Result = TypeVar("Result")

LOOPBACK = "127.0.0.1"
CONNECT_SECONDS = 10
POLL_SECONDS = 0.05  # how often a run that ends asks for the tasks that are being worked on
GPU = "GPU"  # the resource of a worker that owns one
START_WORKERS = "start them with `dask worker HOST:PORT --nworkers auto --nthreads 1`"


@contextmanager
def cluster(
    workers: int | None = None, address: str = "", modules: Sequence[str] = ()
) -> Iterator[ClusterExecutor]:
    """Open an executor of Dask.

    Args:
        workers: processes to start on this machine; none: one for each processor, if memory allows
        address: HOST:PORT of the scheduler of a cluster; none: start one here, on loopback
        modules: that tasks need; a worker imports them with its first task

    Raises:
        OSError: no scheduler answers, or it has no workers that may do the work
    """
    if address:
        with _connect(f"dask://{address}", f"tcp://{address}", is_local=False) as executor:
            yield executor
        return
    with (
        _local_cluster(workers or limits.workers()) as local_cluster,
        _connect("dask", local_cluster.scheduler_address, is_local=True) as executor,
    ):
        yield executor


@contextmanager
def _local_cluster(workers: int) -> Iterator[Any]:
    """Start workers on this machine, which listen on loopback; they end with the block."""
    from distributed import LocalCluster

    with ignore_interrupts():  # so does the thread that starts workers, and so do they
        local_cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host=LOOPBACK,
            dashboard_address=f"{LOOPBACK}:0",
            worker_dashboard_address=f"{LOOPBACK}:0",
            silence_logs=logging.CRITICAL,  # what a task raises is told by this process
        )
    with local_cluster:
        yield local_cluster


@contextmanager
def _connect(engine: str, address: str, is_local: bool) -> Iterator[ClusterExecutor]:
    """Open an executor of a cluster that is there.

    Args:
        engine: as the user gave it
        address: of the scheduler, as Dask writes it
        is_local: this process started it
    """
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise OSError(
            f"{engine}: no scheduler of Dask answers ({error}): check the address, and that "
            "`dask scheduler` runs there"
        ) from error
    with client, _quiet_client():
        yield Cluster(engine, client, _count_workers(engine, client), is_local)


@contextmanager
def _quiet_client() -> Iterator[None]:
    """Keep the client from printing what becomes an error of ours.

    It also prints that a task has failed which was cancelled in the same moment.
    """
    levels = {}
    for name in ("distributed.client", "tornado.application"):
        logger = logging.getLogger(name)
        levels[logger] = logger.level
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def _count_workers(engine: str, client: Any) -> int:
    """Return the number of workers, each of which may do the work.

    Raises:
        OSError: there is none, or one may not, or the scheduler has other versions
    """
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except TimeoutError as error:
        raise OSError(f"{engine}: the scheduler has no workers: {START_WORKERS}") from error
    threads = client.nthreads()
    crowded = [name for name, n_threads in threads.items() if n_threads > 1]
    if crowded:
        raise OSError(
            f"{engine}: worker {crowded[0]} runs {threads[crowded[0]]} tasks at once in one "
            f"process, but only one task of a process may read an archive: {START_WORKERS}"
        )
    _check_folder(engine, client, Path.cwd())
    _check_scheduler(engine, client)
    return len(threads)


def _check_folder(engine: str, client: Any, folder: Path) -> None:
    """Raise if a worker does not see a folder of this process, or has other versions.

    Raises:
        OSError: with the name of the worker
    """
    with marked_folder(folder) as mark:
        check_workers(engine, client.run(describe_worker, mark, on_error="return"), folder)


def _check_scheduler(engine: str, client: Any) -> None:
    """Raise if the scheduler cannot read the tasks that it distributes, or has other versions.

    Raises:
        OSError: with what is different
    """
    try:
        versions = client.run_on_scheduler(program_versions)
    except Exception as error:  # it may be any Python, with any packages
        raise OSError(
            f"{engine}: the scheduler cannot run cnlw_tools ({error}): {SAME_VERSIONS}"
        ) from error
    difference = describe_difference(program_versions(), versions)
    if difference:
        raise OSError(f"{engine}: the scheduler has {difference}: {SAME_VERSIONS}")


class Cluster:
    """An executor of a cluster of Dask.

    Args:
        engine: as the user gave it
        client: of the scheduler
        workers: how many there are
        is_local: they were started by this process, and end with it
        resources: that each task needs
    """

    def __init__(
        self,
        engine: str,
        client: Any,
        workers: int,
        is_local: bool,
        resources: Mapping[str, int] | None = None,
    ) -> None:
        self.engine, self.client = engine, client
        self.workers, self.is_local = workers, is_local
        self.resources = resources
        self.address = client.scheduler.address
        self.pool = client.get_executor(pure=False, resources=resources)

    @property
    def gpus(self) -> int:
        """How many workers own a GPU, which they say with `--resources GPU=1`."""
        return len(self._find_workers({GPU: 1}))

    def with_gpus(self) -> Executor:
        """Return an executor of the workers that own a GPU."""
        return Cluster(self.engine, self.client, self.gpus, self.is_local, {GPU: 1})

    def check_folder(self, folder: Path) -> None:
        """Compare a folder, which may be written, with what the workers see under its path.

        Raises:
            OSError: a worker does not see it, or cannot do the work of this process
        """
        _check_folder(self.engine, self.client, folder.resolve())

    def map(self, task: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Yield the result of the task for each item as it comes, in any order.

        Raises:
            OSError: workers died over a task again and again, or none is left, or the scheduler is
                gone
        """
        from distributed import KilledWorker

        run = _Run(self.pool)
        absence = Absence(self.engine, self._count_workers, START_WORKERS)
        try:
            yield from map_futures(run, self.workers, RemoteTask(task), items, absence.check)
        except KilledWorker as error:
            raise OSError(DEAD_WORKER) from error
        except KeyboardInterrupt:
            if self.is_local:  # what is being worked on ends with the workers, right now
                self.client.close()
            raise
        except CancelledError as error:
            raise self._scheduler_is_gone() from error
        finally:
            self._wait_for(run.prefix)

    def _count_workers(self) -> int:
        """Return how many workers could do the work now."""
        return len(self._find_workers(self.resources or {}))

    def _find_workers(self, resources: Mapping[str, int]) -> list[str]:
        """Return the addresses of the workers that have resources."""
        try:
            workers = self.client.scheduler_info(n_workers=-1)["workers"]
        except OSError as error:
            raise self._scheduler_is_gone() from error
        found = []
        for name, worker in workers.items():
            if all(worker["resources"].get(key, 0) >= n for key, n in resources.items()):
                found.append(name)
        return found

    def _scheduler_is_gone(self) -> OSError:
        return OSError(
            f"the scheduler of Dask at {self.address} is gone: start it, and run the same command "
            "again"
        )

    def _wait_for(self, prefix: str) -> None:
        """Wait for the tasks of a run that are being worked on; all others are cancelled by now."""
        while self.client.status == "running":
            try:
                # A worker that does not answer is dead, and works on nothing.
                answers = self.client.run(_is_at_work, prefix, on_error="ignore")
            except OSError:  # the scheduler is gone, and nobody can be asked
                return
            if not any(answers.values()):
                return
            time.sleep(POLL_SECONDS)


class _Run:
    """The tasks of one call of `map`, whose keys have a prefix of their own."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self.prefix = f"cnlw-{uuid4().hex}"
        self.n_tasks = 0

    def submit(self, task: Callable[[Item], Result], item: Item, /) -> Future[Result]:
        """Begin a task as soon as there is a worker for it."""
        self.n_tasks += 1
        future: Future[Result] = self.pool.submit(task, item, key=f"{self.prefix}-{self.n_tasks}")
        return future


def _is_at_work(prefix: str, dask_worker: Any) -> bool:
    """Return whether a worker works on a task whose key has a prefix."""
    return any(str(state.key).startswith(prefix) for state in dask_worker.state.executing)
