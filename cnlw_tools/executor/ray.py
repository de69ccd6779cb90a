"""Ray: a cluster whose client server is at HOST:PORT, or one that is started on this machine.

A task whose worker dies runs again on another one, as often as `RETRIES` says. Ray cancels a task
that has begun with a KeyboardInterrupt, which our tasks ignore: they are waited for.

Tasks, items and results travel as pickles, as they do between the processes of one machine. Ray
itself would make arrays read-only, and an exception a text about its workers.
"""

import logging
import os
import pickle
import signal
import socket
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from cnlw_tools.executor import limits
from cnlw_tools.executor.futures import ClusterExecutor, Executor, map_futures
from cnlw_tools.executor.remote import (
    DEAD_WORKER,
    Absence,
    RemoteTask,
    WorkerState,
    check_workers,
    describe_worker,
    marked_folder,
)
from cnlw_tools.executor.signals import ignore_interrupts
from cnlw_tools.files.untrusted import first_line

Item = TypeVar("Item")
Result = TypeVar("Result")

LOOPBACK = "127.0.0.1"
CONNECT_SECONDS = 10
RETRIES = 3  # of a task whose worker died
STORE_BYTES = 200_000_000  # memory for tasks and results of a cluster on this machine
START_WORKERS = "start some with `ray start --address HOST:6379`"
CHECK_CLUSTER = (
    "check the address, that `ray start --head` runs there with the same versions of Python and "
    "Ray, and that RAY_AUTH_MODE and RAY_AUTH_TOKEN are the same here and there"
)


@contextmanager
def cluster(
    workers: int | None = None, address: str = "", modules: Sequence[str] = ()
) -> Iterator[ClusterExecutor]:
    """Open an executor of Ray; a process has one at a time.

    Args:
        workers: processes to start on this machine; none: one for each processor, if memory allows
        address: HOST:PORT of the client server of a cluster; none: start one here, on loopback
        modules: that tasks need; a worker imports them with its first task

    Raises:
        ValueError: this process is connected to Ray already
        OSError: no cluster answers, or it has no workers that may do the work
    """
    import ray

    if ray.is_initialized():
        raise ValueError(
            "--engine ray: this process is connected to Ray already, and Ray allows one "
            "connection: call ray.shutdown() first"
        )
    with _quiet_ray():
        try:
            if address:
                _connect(address)
            else:
                _start(workers or limits.workers())
            engine = f"ray://{address}" if address else "ray"
            yield Cluster(engine, _check_nodes(engine), is_local=not address)
        finally:
            ray.shutdown()


@contextmanager
def _quiet_ray() -> Iterator[None]:
    """Keep Ray from printing what becomes an error of ours."""
    logger = logging.getLogger("ray")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _start(workers: int) -> None:
    """Start a cluster on this machine, which listens on loopback.

    Raises:
        OSError: Ray cannot start
    """
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report to its makers
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with ignore_interrupts():
            ray.init(
                "local",
                num_cpus=workers,
                _node_ip_address=LOOPBACK,
                include_dashboard=False,
                object_store_memory=STORE_BYTES,
                configure_logging=False,
                log_to_driver=False,
            )
    except (RuntimeError, ValueError, ray.exceptions.RayError) as error:
        reason = _last_line(error)
        raise OSError(f"ray cannot be started on this machine ({reason}): see {_log()}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray has set its own


def _connect(address: str) -> None:
    """Connect to a cluster that is there.

    Raises:
        OSError: it does not answer
    """
    import ray

    engine = f"ray://{address}"
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
        ray.init(engine, logging_level=logging.CRITICAL)
    except (OSError, RuntimeError, ray.exceptions.RayError) as error:
        reason = _last_line(error)
        raise OSError(f"{engine}: no cluster of Ray answers ({reason}): {CHECK_CLUSTER}") from error


def _log() -> str:
    return "/tmp/ray/session_latest/logs"  # noqa: S108, Ray's own


def _check_nodes(engine: str) -> int:
    """Return the number of tasks that run at once; all machines may do the work.

    Raises:
        OSError: there is no worker, or one may not
    """
    nodes = _living_nodes()
    if not nodes:
        raise OSError(f"{engine}: the cluster has no processors: {START_WORKERS}")
    _check_folder(engine, nodes, Path.cwd())
    return _count("CPU", nodes)


def _check_folder(engine: str, nodes: Sequence[dict[str, Any]], folder: Path) -> None:
    """Raise if a machine does not see a folder of this process, or has other versions.

    Raises:
        OSError: with the name of the machine
    """
    with marked_folder(folder) as mark:
        payload = pickle.dumps((describe_worker, mark))
        states = {}
        for node in nodes:
            name = f"on {node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
            states[name] = _ask_node(node["NodeID"], payload)
    check_workers(engine, states, folder)


def _living_nodes() -> list[dict[str, Any]]:
    """Return the machines of the cluster that have processors for tasks."""
    import ray

    return [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]


def _count(resource: str, nodes: Sequence[dict[str, Any]]) -> int:
    """Return how many CPUs or GPUs machines have."""
    return sum(int(node["Resources"].get(resource, 0)) for node in nodes)


def _ask_node(node_id: str, payload: bytes) -> WorkerState | BaseException:
    """Return the state of the workers of a machine, or why it is not known."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    only_there = NodeAffinitySchedulingStrategy(node_id, soft=False)
    task = ray.remote(_run_pickled).options(num_cpus=0, scheduling_strategy=only_there)
    answer: WorkerState | BaseException
    try:
        state, error = pickle.loads(ray.get(task.remote(payload)))  # noqa: S301, our own
        answer = error or state
    except ray.exceptions.RayTaskError as failure:  # the worker could not even begin
        answer = failure.cause or failure
    except ray.exceptions.RayError as failure:
        answer = OSError(_last_line(failure))
    return answer


class Cluster:
    """An executor of the cluster that this process is connected to.

    Args:
        engine: as the user gave it
        workers: how many tasks run at once
        is_local: it was started by this process, and ends with it
        has_gpus: each task has a GPU of its own
    """

    def __init__(self, engine: str, workers: int, is_local: bool, has_gpus: bool = False) -> None:
        self.engine, self.workers = engine, workers
        self.is_local, self.has_gpus = is_local, has_gpus

    @property
    def gpus(self) -> int:
        """How many GPUs the machines of the cluster have."""
        return self._count("GPU")

    def with_gpus(self) -> Executor:
        """Return an executor each of whose tasks sees one GPU."""
        return Cluster(self.engine, self.gpus, self.is_local, has_gpus=True)

    def check_folder(self, folder: Path) -> None:
        """Compare a folder, which may be written, with what the workers see under its path.

        Raises:
            OSError: a worker does not see it, or cannot do the work of this process
        """
        _check_folder(self.engine, _living_nodes(), folder.resolve())

    def map(self, task: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Yield the result of the task for each item as it comes, in any order.

        Raises:
            OSError: workers died over a task again and again, or none is left, or the cluster is
                gone
        """
        import ray

        run = _Run(self.engine, int(self.has_gpus))
        absence = Absence(self.engine, self._count_workers, START_WORKERS)
        try:
            yield from map_futures(run, self.workers, RemoteTask(task), items, absence.check)
        except KeyboardInterrupt:
            if self.is_local:  # what is being worked on ends with the workers, right now
                ray.shutdown()
                run.futures.clear()
            raise
        finally:
            wait(list(run.futures))

    def _count_workers(self) -> int:
        """Return how many tasks could run now."""
        return self._count("GPU" if self.has_gpus else "CPU")

    def _count(self, resource: str) -> int:
        try:
            return _count(resource, _living_nodes())
        except OSError as error:
            raise _cluster_is_gone(self.engine, error) from error


class _Run:
    """The tasks of one call of `map`.

    Args:
        engine: as the user gave it
        gpus: of each task
    """

    def __init__(self, engine: str, gpus: int) -> None:
        import ray

        self.engine = engine
        needs = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES)
        self.function = needs(_run_pickled)
        self.futures: set[Future[Any]] = set()  # of tasks that are not done

    def submit(self, task: Callable[[Item], Result], item: Item, /) -> Future[Result]:
        """Begin a task as soon as there is a worker for it."""
        reference = self.function.remote(pickle.dumps((task, item)))
        future: _TaskFuture = _TaskFuture(self.engine, reference)
        self.futures.add(future)
        future.add_done_callback(self.futures.discard)
        return future


class _TaskFuture(Future[Any]):
    """The result of a task of Ray.

    Args:
        engine: as the user gave it
        reference: Ray's own, to the pickled result
    """

    def __init__(self, engine: str, reference: Any) -> None:
        super().__init__()
        self.engine, self.reference = engine, reference
        reference.future().add_done_callback(self._receive)

    def cancel(self) -> bool:
        """Cancel the task unless it has begun; Ray says later which, so wait for it."""
        import ray

        if not self.done():
            ray.cancel(self.reference)
        return False

    def _receive(self, pickled: Future[bytes]) -> None:
        """Take the result, or what went wrong, from a thread of Ray."""
        try:
            result, error = pickle.loads(pickled.result())  # noqa: S301, our own
        except Exception as failure:  # noqa: BLE001, whoever waits for the result raises it
            self.set_exception(_translate(self.engine, failure))
            return
        if error is None:
            self.set_result(result)
        else:
            self.set_exception(error)


def _run_pickled(payload: bytes) -> bytes:
    """Run a task in this worker.

    Args:
        payload: the pickle of the task and its item

    Returns:
        the pickle of the result and the error, one of which is None
    """
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        task, item = pickle.loads(payload)  # noqa: S301, our own
        return pickle.dumps((task(item), None))
    except Exception as error:  # noqa: BLE001, the process that waits raises it
        error.add_note(traceback.format_exc())
        return pickle.dumps((None, error))
    finally:
        signal.signal(signal.SIGINT, handler)


def _translate(engine: str, error: Exception) -> Exception:
    """Return what an error of Ray is to a user."""
    from ray import exceptions

    deaths = (
        exceptions.WorkerCrashedError,
        exceptions.OutOfMemoryError,
        exceptions.NodeDiedError,
    )
    translated: Exception = error
    if isinstance(error, deaths):
        translated = OSError(DEAD_WORKER)
    elif isinstance(error, exceptions.RayTaskError):  # the worker could not even begin
        translated = error.cause or error
    elif isinstance(error, exceptions.TaskCancelledError):
        pass
    elif isinstance(error, exceptions.RayError | OSError):
        translated = _cluster_is_gone(engine, error)
    return translated


def _cluster_is_gone(engine: str, error: Exception) -> OSError:
    return OSError(
        f"{engine}: the cluster of Ray is gone ({first_line(error)}): start it, and run the "
        "same command again"
    )


def _last_line(error: Exception) -> str:
    """Return what an error says in the end: Ray puts tracebacks of its servers before it."""
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
