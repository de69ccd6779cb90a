"""What a container allows, read from files as Linux writes them."""

import os
from pathlib import Path

import pytest

from cnlw_tools.executor import limits
from cnlw_tools.store.memory import MemoryBudget

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
MEGABYTE = 1 << 20
NO_LIMIT = "9223372036854771712"  # what version 1 writes


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Return a function that writes a file below a folder in the place of /; 64 processors."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)

    def write(path: str, text: str) -> Path:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n", encoding="utf-8")
        return tmp_path

    return write


def test_this_machine():
    """There is at least one processor, and no more than the machine has; memory alike."""
    assert 1 <= limits.workers() <= limits.cores() <= os.cpu_count()
    assert 0 < limits.memory() <= MACHINE


def test_without_control_groups(tmp_path, system):
    """All of the machine."""
    system("proc/other", "")

    assert limits.memory(tmp_path) == MACHINE
    assert limits.cores(tmp_path) == 64


@pytest.mark.parametrize("path", ["/", "/docker/5f", "/../outside"])
def test_version_2(system, path):
    """A container sees the limits of its own group at the top."""
    system("proc/self/cgroup", f"0::{path}")
    system("sys/fs/cgroup/cpu.max", "150000 100000")
    folder = system("sys/fs/cgroup/memory.max", str(700 * MEGABYTE))

    assert limits.memory(folder) == 700 * MEGABYTE
    assert limits.cores(folder) == 2
    assert limits.workers(folder) == 1


def test_the_least_limit_of_all_groups_counts(system):
    """A group may be given more than the one above it has."""
    system("proc/self/cgroup", "0::/user/session")
    system("sys/fs/cgroup/user/memory.max", str(3000 * MEGABYTE))
    system("sys/fs/cgroup/user/session/memory.max", str(5000 * MEGABYTE))
    system("sys/fs/cgroup/user/cpu.max", "max 100000")
    folder = system("sys/fs/cgroup/user/session/cpu.max", "400000 100000")

    assert limits.memory(folder) == 3000 * MEGABYTE
    assert limits.cores(folder) == 4


def test_version_1(system):
    """Each controller has folders of its own; a line may name several."""
    system("proc/self/cgroup", "9:name=systemd:/\n4:memory:/docker/5f\n2:cpu,cpuacct:/docker/5f")
    system("sys/fs/cgroup/memory/memory.limit_in_bytes", NO_LIMIT)
    system("sys/fs/cgroup/memory/docker/5f/memory.limit_in_bytes", str(2048 * MEGABYTE))
    system("sys/fs/cgroup/cpu/docker/5f/cpu.cfs_quota_us", "50000")
    folder = system("sys/fs/cgroup/cpu/docker/5f/cpu.cfs_period_us", "100000")

    assert limits.memory(folder) == 2048 * MEGABYTE
    assert limits.cores(folder) == 1


def test_version_1_inside_a_container(system):
    """The path is that of the host, and the container sees its group at the top."""
    system("proc/self/cgroup", "4:memory:/docker/5f\n2:cpuacct,cpu:/docker/5f")
    system("sys/fs/cgroup/memory/memory.limit_in_bytes", str(900 * MEGABYTE))
    system("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1")
    folder = system("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000")

    assert limits.memory(folder) == 900 * MEGABYTE
    assert limits.cores(folder) == 64


@pytest.mark.parametrize("text", ["max", "", "what is this"])
def test_no_limit(system, text):
    """Words are no limits."""
    system("proc/self/cgroup", "0::/")
    system("sys/fs/cgroup/cpu.max", text)
    folder = system("sys/fs/cgroup/memory.max", text)

    assert limits.memory(folder) == MACHINE
    assert limits.cores(folder) == 64


def test_workers(system, monkeypatch):
    """One a processor, fewer if memory has no room for so many, and never none."""
    folder = system("proc/self/cgroup", "0::/")
    for n_bytes, n_workers in ((10 * MEGABYTE, 1), (2048 * MEGABYTE, 4), (1 << 50, 64)):
        monkeypatch.setattr(limits, "memory", lambda _, n_bytes=n_bytes: n_bytes)

        assert limits.workers(folder) == n_workers


def test_a_budget_is_at_most_a_quarter_of_the_memory(monkeypatch):
    """So many bytes are never borrowed at once, whatever a budget was made for."""
    monkeypatch.setattr(limits, "memory", lambda: 400)

    assert MemoryBudget(1000).n_bytes == 100
    assert MemoryBudget(10).n_bytes == 10
