"""What this machine lets one process have: open files and threads."""

import resource
import sys
import threading

from cnlw_tools.store.faults import MachineFault

RESERVED_FILES = 48  # of a process, for libraries, the ledger, pipes and so on
FILES_PER_REQUEST = 3  # its connection, one kept for later, and a lookup or the file of an image

SPARE_THREADS = 8  # of a process, for others
ALLOW_THREADS = "end other programs, or raise the limit of processes with `ulimit -u`"


def max_requests() -> int:
    """Return how many requests a process can make at once with the files that it may open."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return sys.maxsize
    return max(1, (limit - RESERVED_FILES) // FILES_PER_REQUEST)


def start_thread(thread: threading.Thread) -> None:
    """Start a thread.

    Raises:
        MachineFault: this machine allows no further thread
    """
    try:
        thread.start()
    except RuntimeError as error:
        raise MachineFault(f"{error}: {ALLOW_THREADS}") from error


def start_threads(threads: list[threading.Thread]) -> list[threading.Thread]:
    """Start as many threads as this machine allows, at least one, and return those that run.

    Some threads are left for others: Arrow, for example, needs them to read a manifest.

    Raises:
        MachineFault: it does not allow one and those for others
    """
    end = threading.Event()
    spare_threads = [threading.Thread(target=end.wait, daemon=True) for _ in range(SPARE_THREADS)]
    n_started = 0
    try:
        for thread in (*spare_threads, threads[0]):
            start_thread(thread)
        for n_started in range(1, len(threads)):
            threads[n_started].start()
    except RuntimeError:
        return threads[:n_started]
    finally:
        end.set()
    return threads
