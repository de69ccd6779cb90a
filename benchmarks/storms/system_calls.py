"""Letting the n-th writing call fail, by a small library in C that is loaded before all others."""

import ctypes
import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("failing_calls.c")
FAIL, HALF, KILL_BEFORE, KILL_HALF, KILL_AFTER = range(5)
ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS, errno.EDQUOT)
LOADED = "CNLW_FAILING_CALLS"  # set in the environment of a process that has the library


def restart_with_library(scratch: Path) -> None:
    """Compile the library and start this program anew with it.

    Raises:
        OSError: there is no C compiler
    """
    if os.environ.get(LOADED):
        return
    compiler = shutil.which("cc")
    if compiler is None:
        raise OSError("no C compiler, which failing calls need. Fix: install one, or give --only")
    library = scratch / "failing_calls.so"
    options = ["-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run([compiler, *options], check=True)
    environment = os.environ | {LOADED: "1", "LD_PRELOAD": str(library)}
    arguments = [sys.executable, "-m", "benchmarks.faults", *sys.argv[1:]]
    os.execve(sys.executable, arguments, environment)  # noqa: S606, it is this program


def arm(folder: Path, number: int, error: int, action: int, is_permanent: bool) -> None:
    """Let call ``number`` that writes below a folder fail; -1 counts the calls alone."""
    library = ctypes.CDLL(None)
    library.arm_fault(
        os.fsencode(folder) + b"/", ctypes.c_long(number), error, action, int(is_permanent)
    )


def disarm() -> None:
    """Let all calls pass again."""
    if os.environ.get(LOADED):
        ctypes.CDLL(None).disarm_fault()


def count() -> int:
    """Return how many calls wrote below the folder since `arm`."""
    return int(ctypes.CDLL(None).count_calls())
