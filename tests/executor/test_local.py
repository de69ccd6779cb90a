"""The engine: independent shards through one function, in this process or in others."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cnlw_tools.executor import local
from cnlw_tools.files import default_root

workers = pytest.mark.parametrize("workers", [1, 2])


@workers
@pytest.mark.parametrize("shards", [[], [4], list(range(25))])
def test_results(workers, shards):
    """Every shard gives its result, in any order."""
    assert sorted(local.run(math.sqrt, shards, workers)) == [math.sqrt(n) for n in shards]


@workers
def test_error(workers):
    """An error of the task comes out as it is."""
    with pytest.raises(ValueError, match=r"math domain error|expected a nonnegative input"):
        list(local.run(math.sqrt, [1, 4, -1, 9], workers))


def test_order():
    """One worker goes shard by shard, and begins none that is not asked for."""
    begun = []
    results = local.run(begun.append, "abc", 1)
    next(results)

    assert begun == ["a"]


def test_error_stops(tmp_path):
    """After an error few more shards are begun, of many."""
    missing = tmp_path / "missing"
    folders = [missing / "x", *(tmp_path / str(i) for i in range(200))]

    with pytest.raises(FileNotFoundError):
        list(local.run(os.mkdir, folders, 2))

    assert len(list(tmp_path.iterdir())) < 50


def test_dead_worker():
    """A worker that dies is an OSError that says what to try."""
    with pytest.raises(OSError, match="a worker process died: give fewer --workers"):
        list(local.run(os._exit, [3, 3], 2))


def test_killed_worker():
    """A worker that is killed, as when memory runs out, is the same error."""
    with pytest.raises(OSError, match="a worker process died"):
        list(local.run(signal.raise_signal, [signal.SIGKILL], 2))


def test_given_up():
    """A caller that stops listening ends the workers."""
    results = local.run(math.sqrt, range(1000), 2)
    next(results)
    results.close()

    assert children(os.getpid()) == []


def children(pid: int) -> list[int]:
    """The living workers of a process; its tracker of resources apart."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        state, parent = stat(folder.name)
        if parent == pid and state != "Z" and b"spawn_main" in (folder / "cmdline").read_bytes():
            found.append(int(folder.name))
    return found


def stat(pid: int | str) -> tuple[str, int]:
    """The state of a process and its parent; a Z where it is gone, and nobody has asked how it ended."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return "Z", 0
    return state, int(parent)


SLEEPERS = """
import time
from cnlw_tools.executor import local
if __name__ == "__main__":
    list(local.run(time.sleep, [600] * 4, 2))
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_killed_parent(tmp_path):
    """Workers at work end when the process that began them is killed."""
    script = tmp_path / "sleepers.py"
    script.write_text(SLEEPERS)
    env = {**os.environ, "PYTHONPATH": str(default_root())}
    parent = subprocess.Popen([sys.executable, str(script)], env=env, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 20
    while len(found := children(parent.pid)) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)  # the workers are up; now they begin to sleep

    parent.kill()
    parent.wait()
    until = time.monotonic() + 10
    while any(stat(pid)[0] != "Z" for pid in found) and time.monotonic() < until:
        time.sleep(0.05)

    assert len(found) == 2
    assert [pid for pid in found if stat(pid)[0] != "Z"] == []


def test_cores():
    """There is at least one processor, and no more than the machine has."""
    assert 1 <= local.cores() <= os.cpu_count()
