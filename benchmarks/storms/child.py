"""Commands in child processes that can be killed, armed with a fault, and looked at afterwards.

A child is forked from this process, which has imported everything and started no thread: a trial
costs a fork, and not the second that imports take.
"""

import ctypes
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.storms import system_calls

POLL_SECONDS = 0.005
ORPHAN_SECONDS = 5.0  # how long processes of a killed command may need to leave


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a child ended."""

    exit_code: int  # of a child that a signal ended: minus its number
    output: str
    seconds: float
    peak_bytes: int
    timed_out: bool = False

    @property
    def last_lines(self) -> str:
        """The end of the output, for a report."""
        return " | ".join(self.output.strip().splitlines()[-3:])[-600:]


class Child:
    """A forked process with a session of its own, so that its processes can be found."""

    def __init__(
        self,
        run: Callable[[], int | None],
        folder: Path,
        set_up: Callable[[], None] | None = None,
    ) -> None:
        """Start a child in a folder.

        Args:
            run: what it runs; it returns the exit code
            folder: its working folder; its output goes to a file beside it
            set_up: what it does first, such as arming a fault
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder.with_name(folder.name + ".log")
        self.log.write_bytes(b"")  # a child may be killed before it opens it
        self.start = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _live_as_child(run, folder, self.log, set_up)

    def signal(self, number: int) -> None:
        """Send a signal to the child alone, as `kill PID` does."""
        os.kill(self.pid, number)

    def wait(self, seconds: float) -> Outcome:
        """Wait for the end; kill the child and all its processes if it takes longer."""
        timed_out = False
        while True:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                break
            if not timed_out and time.monotonic() - self.start > seconds:
                timed_out = True
                os.killpg(self.pid, signal.SIGKILL)
            time.sleep(POLL_SECONDS)
        elapsed = time.monotonic() - self.start
        output = self.log.read_text(errors="replace")
        code = os.waitstatus_to_exitcode(status)
        return Outcome(code, output, elapsed, usage.ru_maxrss * 1024, timed_out)

    def orphans(self) -> list[int]:
        """Return the processes of the child that are still there some seconds after its end."""
        deadline = time.monotonic() + ORPHAN_SECONDS
        while processes := _processes_of_session(self.pid):
            if time.monotonic() > deadline:
                for pid in processes:
                    os.kill(pid, signal.SIGKILL)
                return processes
            time.sleep(POLL_SECONDS)
        return []


def _live_as_child(
    run: Callable[[], int | None],
    folder: Path,
    log: Path,
    set_up: Callable[[], None] | None,
) -> None:
    """Run, and end the process without the clean-up of its parent."""
    code = 70
    try:
        os.setsid()
        os.chdir(folder)
        descriptor = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_APPEND, 0o644)
        for stream in (1, 2):
            os.dup2(descriptor, stream)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        temporary = folder.with_name(folder.name + ".tmp")
        temporary.mkdir(exist_ok=True)
        os.environ["TMPDIR"] = str(temporary)
        if set_up:
            set_up()
        code = run() or 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:  # noqa: BLE001, whatever it is: the trial has to see it
        import traceback

        traceback.print_exc()
        code = 70
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        system_calls.disarm()
        _end_workers()
        os._exit(code)


def _end_workers() -> None:
    """Do what the interpreter does at its end for processes that this one started."""
    from multiprocessing import util

    util._exit_function()


def _processes_of_session(session: int) -> list[int]:
    """Return the ids of the living processes of a session."""
    processes = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        state, owner = fields[0], int(fields[3])
        if owner == session and state != "Z":
            processes.append(int(entry.name))
    return processes


def run_cnlw(line: str) -> Callable[[], int | None]:
    """Return what runs `cnlw` with these words."""

    def run() -> int | None:
        from cnlw_tools import cli

        arguments = shlex.split(line)
        sys.argv = ["cnlw", *arguments]
        ctypes.CDLL(None)  # the handle that arms faults, opened before descriptors run out
        cli.main(args=arguments, prog_name="cnlw")
        return 0

    return run


def run_in_child(
    run: Callable[[], int | None],
    folder: Path,
    set_up: Callable[[], None] | None = None,
    seconds: float = 120.0,
) -> Outcome:
    """Run something to its end."""
    return Child(run, folder, set_up).wait(seconds)
