"""A cluster of Ray on loopback; what holds for every executor is in test_contract.py."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cnlw_tools.executor import Executor, futures, open_executor, remote
from cnlw_tools.executor import ray as engine
from cnlw_tools.files import default_root

pytestmark = pytest.mark.ray

LISTENS = "0A"  # in /proc/net/tcp
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


@pytest.fixture
def executor(ray_executor) -> Executor:
    """An executor of the cluster."""
    return ray_executor


def raise_odd_error(_: int) -> None:
    """Raise an error that pickles, but cannot be made again from its pickle."""
    raise OddError(1, 2)


class OddError(Exception):
    """Takes other arguments than it says."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__(a + b)


def test_an_error_that_cannot_be_read_back(executor):
    """Ends the run as any other does."""
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        list(executor.map(raise_odd_error, [0]))


def test_arrays_can_be_changed(executor):
    """Ray's own would be read-only, there and here."""
    (result,) = executor.map(np.ndarray.copy, [np.zeros(1000)])
    result += 1

    assert result.sum() == 1000


def test_one_connection_in_a_process(executor, ray):
    """A second one is refused, and the first goes on."""
    with pytest.raises(ValueError, match=r"is connected to Ray already.*: call"):
        open_executor(ray).__enter__()

    assert list(executor.map(abs, [-1])) == [1]


def test_versions_are_compared_before_the_work(executor, monkeypatch):
    """Workers with another Pillow get no task."""
    versions = {**remote.program_versions(), "pillow": "0.1"}
    monkeypatch.setattr(remote, "program_versions", lambda: versions)

    with pytest.raises(OSError, match=r"ray://h:1: worker on .* has pillow .* instead of 0\.1: "):
        engine._check_nodes("ray://h:1")


def test_the_folder_is_compared_before_the_work(executor, monkeypatch):
    """Workers that do not see the working folder get no task."""
    monkeypatch.setattr(engine, "describe_worker", describe_without_folder)

    with pytest.raises(OSError, match=r"ray://h:1: worker on .* does not see the files in /"):
        engine._check_nodes("ray://h:1")


def describe_without_folder(mark: Path) -> remote.WorkerState:
    """Return the state of a worker on another disk."""
    return remote.describe_worker(Path("/missing", mark.name))


def test_workers_without_the_package(executor, monkeypatch):
    """The error says what they lack."""
    monkeypatch.setattr(engine, "describe_worker", MissingModule())

    with pytest.raises(OSError, match=r"cannot run cnlw_tools \(No module named 'cnlw_missing'\)"):
        engine._check_nodes("ray://h:1")


class MissingModule:
    """Pickles as something from a module that is nowhere."""

    def __reduce__(self) -> tuple[object, ...]:
        return __import__, ("cnlw_missing",)


def test_machines_may_have_the_same_name(monkeypatch):
    """Containers often do; their addresses tell them apart, and each is asked."""
    ours = remote.program_versions()
    states = {
        "a": remote.WorkerState({**ours, "pillow": "0.1"}, sees_folder=True),
        "b": remote.WorkerState(ours, sees_folder=True),
    }
    nodes = []
    for node_id, address in (("a", "10.0.0.1"), ("b", "10.0.0.2")):
        names = {"NodeManagerHostname": "worker", "NodeManagerAddress": address}
        nodes.append({"NodeID": node_id, **names})
    monkeypatch.setattr(engine, "_ask_node", lambda node_id, _: states[node_id])

    with pytest.raises(OSError, match=r"worker on worker \(10\.0\.0\.1\) has pillow 0\.1"):
        engine._check_folder("ray://h:1", nodes, Path.cwd())


def test_a_cluster_without_processors(executor, monkeypatch):
    """One line that says how to start workers."""
    monkeypatch.setattr(engine, "_living_nodes", list)

    with pytest.raises(OSError, match=r"no processors: start some with `ray start --address"):
        engine._check_nodes("ray://h:1")


def test_workers_that_go_and_do_not_return(executor, monkeypatch):
    """The work does not wait without end: one line says how to start workers."""
    monkeypatch.setattr(futures, "WATCH_SECONDS", 0.05)
    monkeypatch.setattr(remote, "NO_WORKER_SECONDS", 0.2)
    monkeypatch.setattr(engine, "_living_nodes", list)

    with pytest.raises(
        OSError, match=r"ray://.*: the cluster had no worker for 0\.2 seconds: start some with"
    ):
        list(executor.map(time.sleep, [1.0] * 1000))


def visible_gpus(_: int) -> str:
    """The GPUs that a task sees."""
    return os.environ["CUDA_VISIBLE_DEVICES"]


def test_tasks_may_have_a_gpu_each(executor):
    """The cluster has one, or says so."""
    with_gpus = executor.with_gpus()

    assert (executor.gpus, with_gpus.workers) == (1, 1)
    assert list(with_gpus.map(visible_gpus, range(3))) == ["0"] * 3


def test_nobody_answers(only_loopback):
    """One line that says what to check."""
    message = r"ray://127\.0\.0\.1:1: no cluster of Ray answers \(.*\): check the address"
    with pytest.raises(OSError, match=message):
        engine._connect("127.0.0.1:1")


def test_a_server_that_fails(only_loopback, monkeypatch):
    """The error has what Ray says in the end, and not the traceback before it."""
    text = "Initialization failure from server:\nTraceback:\n  raise\nRuntimeError: it failed.\n"
    monkeypatch.setattr("ray.init", raise_connection_error(text))
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(OSError, match="no cluster of Ray answers") as caught:
            engine._connect(address)

    expected = f"ray://{address}: no cluster of Ray answers (RuntimeError: it failed.): check"
    assert str(caught.value).startswith(expected)


def raise_connection_error(text: str) -> Callable[..., None]:
    """Return what raises an error of Ray's client."""

    def init(*_: object, **__: object) -> None:
        raise ConnectionError(text)

    return init


def test_what_ray_says_is_said_in_our_words(only_loopback):
    """Dead workers and a cluster that is gone are errors with a remedy."""
    from ray import exceptions

    dead = engine._translate("ray", exceptions.WorkerCrashedError())
    gone = engine._translate("ray://h:1", ConnectionError("lost\nat ..."))

    assert isinstance(dead, OSError)
    assert str(dead) == remote.DEAD_WORKER
    assert str(gone) == (
        "ray://h:1: the cluster of Ray is gone (lost): start it, and run the same command again"
    )


def listening_addresses() -> set[str]:
    """The addresses on which anything listens, in hexadecimal digits."""
    found = set()
    for name in ("tcp", "tcp6"):
        for line in Path("/proc/net", name).read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            if state == LISTENS:
                found.add(local.partition(":")[0])
    return found


SCRIPT = """
import os, signal, sys, time
from pathlib import Path
from cnlw_tools.executor import open_executor
from tests.executor.test_ray import listening_addresses, LOOPBACK
handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
with open_executor("ray", 2) as executor:
    assert executor.workers == 2
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers
    assert os.getpid() not in executor.map(os.getpgid, [0])
    assert listening_addresses() <= LOOPBACK, listening_addresses()
    results = executor.map(time.sleep, [0.01] + [600.0] * 20)
    next(results)
    try:
        results.throw(KeyboardInterrupt)
    except KeyboardInterrupt:
        print("interrupted")
children = Path("/proc/thread-self/children").read_text().split()
names = [Path("/proc", pid, "comm").read_text() for pid in children]
print([name for name in names if "ray" in name or "gcs" in name])
"""


def test_a_cluster_on_this_machine(only_loopback, tmp_path):
    """It listens on loopback alone, leaves signals as they were, and ends at once after Ctrl-C."""
    env = {**os.environ, "PYTHONPATH": str(default_root()), "HOME": str(tmp_path)}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, env=env, check=False, capture_output=True, text=True)

    assert done.stdout.splitlines() == ["interrupted", "[]"], done.stderr
