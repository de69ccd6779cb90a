"""Ranks on this machine as `torchrun` starts them, but forked from one process that imports torch.

A program that only imports and then forks saves most of the seconds that new processes take.
"""

import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable

import torch._dynamo  # noqa: F401, every optimiser imports it in its first step, for seconds

LOOPBACK = "127.0.0.1"


def run_ranks(size: int, work: Callable[[], None]) -> None:
    """Run a function in processes that find what `torchrun` tells its ranks, and wait for them.

    Call it before this process has threads of its own, which a fork would lose.

    Raises:
        SystemExit: a rank failed; the others are killed
    """
    port = _free_port()
    ranks = [_fork_rank(rank, size, port, work) for rank in range(size)]
    while ranks:
        pid, status = os.wait()
        ranks.remove(pid)
        if status:
            for other in ranks:
                os.kill(other, signal.SIGKILL)
            sys.exit(f"a rank ended with {os.waitstatus_to_exitcode(status)}")


def _fork_rank(rank: int, size: int, port: int, work: Callable[[], None]) -> int:
    """Return the id of a new process that does the work as one rank."""
    pid = os.fork()
    if pid:
        return pid
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
    os.environ |= {"LOCAL_WORLD_SIZE": str(size), "GLOO_SOCKET_IFNAME": "lo"}
    os.environ |= {"MASTER_ADDR": LOOPBACK, "MASTER_PORT": str(port)}
    exit_code = 1
    try:
        work()
        exit_code = 0
    except BaseException:  # noqa: BLE001, nothing of the parent may go on here
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)


def _free_port() -> int:
    with socket.socket() as server:
        server.bind((LOOPBACK, 0))
        port: int = server.getsockname()[1]
        return port
