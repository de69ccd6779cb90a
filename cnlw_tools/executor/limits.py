"""The memory and the processors of the machine that this process may use, as its container allows.

Linux keeps the limits of a container in files below /sys/fs/cgroup, in the folder of its control
group and in those above it; /proc/self/cgroup names that folder.

    version 2      memory.max                       bytes, or max
                   cpu.max                          quota and period in microseconds, or max
    version 1      memory/memory.limit_in_bytes     bytes; huge if there is no limit
                   cpu/cpu.cfs_quota_us             -1 if there is no limit
                   cpu/cpu.cfs_period_us
"""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

GROUPS_OF_PROCESS = Path("proc/self/cgroup")
GROUPS = Path("sys/fs/cgroup")
BYTES_PER_WORKER = 512 << 20  # a process that builds takes less


def memory(system: Path = Path("/")) -> int:
    """Return the memory that this process may use, in bytes: the machine's, or the container's.

    Args:
        system: the folder of proc/ and sys/
    """
    n_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for folder in _group_folders("memory", system):
        for name in ("memory.max", "memory.limit_in_bytes"):
            for limit in _read_numbers(folder / name):
                n_bytes = min(n_bytes, limit)
    return n_bytes


def cores(system: Path = Path("/")) -> int:
    """Return how many processors this process may use, at least 1.

    Args:
        system: the folder of proc/ and sys/
    """
    n_cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        n_cores = len(os.sched_getaffinity(0))
    for folder in _group_folders("cpu", system):
        quota = _read_numbers(folder / "cpu.max")
        if not quota:
            quota = [
                *_read_numbers(folder / "cpu.cfs_quota_us"),
                *_read_numbers(folder / "cpu.cfs_period_us"),
            ]
        if len(quota) == 2 and min(quota) > 0:
            n_cores = min(n_cores, math.ceil(quota[0] / quota[1]))
    return max(1, n_cores)


def workers(system: Path = Path("/")) -> int:
    """Return the default number of worker processes: one for each processor, if memory allows.

    Args:
        system: the folder of proc/ and sys/
    """
    return max(1, min(cores(system), memory(system) // BYTES_PER_WORKER))


def _group_folders(controller: str, system: Path) -> Iterator[Path]:
    """Yield the folders of the control groups of this process, each with those above it."""
    text = ""
    with suppress(OSError):  # not Linux
        text = (system / GROUPS_OF_PROCESS).read_text(encoding="utf-8")
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        top = system / GROUPS
        if controllers:
            if controller not in controllers.split(","):
                continue
            top = top / controller
        yield top
        parts = Path(path).parts[1:]
        if ".." not in parts:  # a group outside the container, which sees its own as the top
            for i in range(len(parts)):
                yield top.joinpath(*parts[: i + 1])


def _read_numbers(path: Path) -> list[int]:
    """Return the numbers in a file; none if it does not exist or holds the word max."""
    with suppress(OSError, ValueError):
        return [int(word) for word in path.read_text(encoding="utf-8").split()]
    return []
