"""Processes of this machine; what holds for every executor is in test_contract.py."""

import ast
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from cnlw_tools.executor import fork_server, local
from cnlw_tools.files import default_root


def test_order():
    """One worker goes item by item, and begins none that is not asked for."""
    begun = []
    with local.processes(1) as executor:
        results = executor.map(begun.append, "abc")
        next(results)

    assert begun == ["a"]


def test_dead_worker(monkeypatch):
    """A worker that always dies is an OSError that says what to try; the next tasks have new workers."""
    monkeypatch.setattr(local, "RETRIES", 1)
    with local.processes(2) as executor:
        with pytest.raises(OSError, match="a worker process died: give fewer --workers"):
            list(executor.map(os._exit, [3, 3]))

        assert sorted(executor.map(math.sqrt, [1, 4])) == [1, 2]


def test_each_result_comes_once_when_workers_die(tmp_path):
    """A process that dies ends the others, too; only tasks without a result run again."""
    items = [tmp_path / str(n) for n in range(20)]
    with local.processes(2) as executor:
        results = list(executor.map(die_at_seven_and_fourteen, items))

    assert sorted(results) == sorted(items)


def die_at_seven_and_fourteen(path: Path) -> Path:
    """Return the path; kill this process at the first attempt at two of them."""
    if path.name in ("7", "14") and not path.exists():
        path.touch()
        signal.raise_signal(signal.SIGKILL)
    return path


UNGUARDED = """
import math, sys
from cnlw_tools.executor import local
print("begun", flush=True)
try:
    with local.processes(2) as executor:
        list(executor.map(math.sqrt, [1, 4]))
except OSError as error:
    print(error)
"""


def test_processes_that_die_before_they_can_work_are_not_replaced(tmp_path):
    """A script without a guard runs once more in each of the two processes, not in six others."""
    script = tmp_path / "unguarded.py"
    script.write_text(UNGUARDED)
    env = {**os.environ, "PYTHONPATH": str(default_root())}
    command = [sys.executable, str(script)]
    lines = subprocess.run(command, env=env, text=True, capture_output=True).stdout.splitlines()

    assert 2 <= lines.count("begun") <= 3
    assert local.DEAD_WORKER in lines


def test_a_process_of_its_own_is_not_replaced(tmp_path):
    """A run of a sweep that crashes is a failed run, and does not train again."""
    with local.isolated(1) as executor, pytest.raises(OSError, match="a worker process died"):
        list(executor.map(die_at_seven_and_fourteen, [tmp_path / "7"]))


def test_given_up():
    """A caller that stops listening ends the tasks, and the workers go when it closes the executor."""
    others = set(children(os.getpid()))  # of a cluster that other tests share
    with local.processes(2) as executor:
        results = executor.map(math.sqrt, range(1000))
        next(results)
        results.close()

        assert len(set(children(os.getpid())) - others) == 2

    assert set(children(os.getpid())) <= others


def test_workers_are_kept():
    """Tasks of one executor run in the same processes, whichever call brought them."""
    with local.processes(2) as executor:
        before = set(executor.map(process_id, range(4)))
        after = set(executor.map(process_id, range(4)))

    assert os.getpid() not in before | after
    assert len(before | after) <= 2


def test_a_worker_that_dies_before_it_begins(monkeypatch):
    """Its pipe breaks, which is not the end of whoever reads our output: that would be silent."""

    def submit(*_):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(local.ProcessPoolExecutor, "submit", submit)
    with (
        local.processes(2) as executor,
        pytest.raises(OSError, match="a worker process died: give fewer --workers"),
    ):
        list(executor.map(process_id, [0]))


def process_id(_: int) -> int:
    """The process that a task runs in."""
    return os.getpid()


def test_one_worker_is_this_process(monkeypatch):
    """One worker starts no other process."""
    monkeypatch.delattr(local, "ProcessPoolExecutor")
    with local.processes(1) as executor:
        assert list(executor.map(process_id, [0])) == [os.getpid()]


def test_isolated():
    """A task may have a process of its own even where one worker is asked for; it leaves Ctrl-C to this one."""
    with local.isolated(1) as executor:
        assert list(executor.map(signal.getsignal, [signal.SIGINT])) == [signal.SIG_IGN]


def test_no_worker_waits_for_pandas():
    """Arrow would import it in each process, with the first value that it makes."""
    with local.isolated(1) as executor:
        assert list(executor.map(imports_pandas, [0])) == [False]


def imports_pandas(value: int) -> bool:
    """Make a value of Arrow, and return whether pandas is there."""
    pa.scalar(value)
    return "pandas" in sys.modules


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
    with local.processes(2) as executor:
        list(executor.map(time.sleep, [600] * 4))
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


COPIES = """
import sys
from cnlw_tools.executor import local
from cnlw_tools.executor.fork_server import BUILD_MODULES, CHECK_MODULES, IS_USED

def look(_: int) -> tuple[list[bool], bool]:
    modules = [name in sys.modules for name in (*BUILD_MODULES, *CHECK_MODULES)]
    return modules, "pandas" in sys.modules

if __name__ == "__main__":
    assert IS_USED
    with local.processes(2, modules=sys.argv[1:]) as executor:
        assert not {*BUILD_MODULES, *CHECK_MODULES} & {*sys.modules}
        print(list(executor.map(look, [0, 1])))
"""
SLEEPING_COPIES = SLEEPERS.replace("processes(2)", "processes(2, modules=['json'])")


@pytest.mark.skipif(not fork_server.IS_USED, reason="processes are fresh ones here")
@pytest.mark.parametrize("modules", [fork_server.BUILD_MODULES, fork_server.CHECK_MODULES])
def test_workers_are_copies_that_have_imported_what_tasks_need(tmp_path, modules):
    """The names of the modules are right, and none of these imports pandas."""
    script = tmp_path / "copies.py"
    script.write_text(COPIES)
    env = {**os.environ, "PYTHONPATH": str(default_root())}
    command = [sys.executable, str(script), *modules]
    output = subprocess.check_output(command, env=env, text=True)

    for are_imported, has_pandas in ast.literal_eval(output):
        names = [*fork_server.BUILD_MODULES, *fork_server.CHECK_MODULES]
        assert are_imported[names.index(modules[0])]
        assert not has_pandas


@pytest.mark.skipif(not fork_server.IS_USED, reason="processes are fresh ones here")
def test_copies_end_with_the_process_that_began_them(tmp_path):
    """So do the server and the workers, even if the process is killed."""
    script = tmp_path / "sleepers.py"
    script.write_text(SLEEPING_COPIES)
    env = {**os.environ, "PYTHONPATH": str(default_root())}
    parent = subprocess.Popen(
        [sys.executable, str(script)], env=env, stderr=subprocess.DEVNULL, start_new_session=True
    )
    until = time.monotonic() + 20
    while len(members(parent.pid)) < 5 and time.monotonic() < until:
        time.sleep(0.05)
    n_processes = len(members(parent.pid))

    parent.kill()
    parent.wait()
    until = time.monotonic() + 10
    while members(parent.pid) and time.monotonic() < until:
        time.sleep(0.05)

    assert n_processes == 5  # the tracker of resources, the server and two workers, too
    assert members(parent.pid) == []


def members(session: int) -> list[int]:
    """The living processes of a session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(folder.name))
    return found
