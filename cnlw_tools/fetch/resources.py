"""What a fetch may use of this machine: open files, threads, and memory.

Small bodies and small pictures do not count, so that most images need not wait: 64 requests hold at
most 64 times a quarter of a megabyte, and decoders, one for each processor, 8 MB each.
"""

import ctypes
import resource
import sys
import threading
from multiprocessing.context import BaseContext

from cnlw_tools.files.machine_faults import MachineFault, hold_threads, start_thread
from cnlw_tools.store.inspect import PICTURE_BYTES
from cnlw_tools.store.memory import MemoryBudget

RESERVED_FILES = 48  # of a process, for libraries, the ledger, pipes and so on
FILES_PER_REQUEST = 3  # its connection, one kept for later, and a lookup or the file of an image

BODY_BYTES = 64_000_000  # of all large bodies together
LARGE_BLOCK = 1 << 18  # bytes
M_MMAP_THRESHOLD = -3  # of mallopt: the size from which on a block is one of the system's


class FetchMemory:
    """The memory for large bodies and pictures, shared by all requests of all processes."""

    def __init__(self, context: BaseContext | None = None) -> None:
        """Make the budgets; ``context`` starts the processes that share them."""
        self.bodies = MemoryBudget(BODY_BYTES, context)
        self.pictures = MemoryBudget(PICTURE_BYTES, context)


def return_freed_memory() -> None:
    """Let this process give large blocks back to the system as soon as they are freed.

    Otherwise glibc keeps up to 32 MB for each thread. Call it only where the process is our own.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # elsewhere than in glibc there is no need
        libc.mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)


def max_requests() -> int:
    """Return how many requests a process can make at once with the files that it may open."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return sys.maxsize
    return max(1, (limit - RESERVED_FILES) // FILES_PER_REQUEST)


def start_threads(threads: list[threading.Thread], n_needed: int) -> list[threading.Thread]:
    """Start as many threads as this machine allows, and return those that run.

    Some threads are left for others: Arrow, for example, needs them to read a manifest.

    Args:
        threads: the most important ones first
        n_needed: of these

    Raises:
        MachineFault: it allows fewer than are needed and those for others
    """
    with hold_threads():
        for n_started, thread in enumerate(threads):
            try:
                start_thread(thread)
            except MachineFault:
                if n_started < n_needed:
                    raise
                return threads[:n_started]
    return threads
