"""One cluster of each engine for all tests of a session, on loopback: to start one takes seconds."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cnlw_tools.executor import Executor, open_executor

DEATHS = 1  # of workers, over which a task may run again; Dask's own default takes longer
CLIENT_PORT = 10001  # of Ray's client server
START_SECONDS = 120


@pytest.fixture(scope="session")
def dask() -> Iterator[str]:
    """The address of a cluster of Dask with two workers, as `--engine` takes it."""
    config = pytest.importorskip("dask.config", reason="needs the extra dask")
    with (
        config.set({"distributed.scheduler.allowed-failures": DEATHS}),
        open_executor("dask", 2) as executor,
    ):
        yield executor.client.scheduler.address.replace("tcp://", "dask://")


@pytest.fixture(scope="session")
def only_loopback() -> None:
    """Ray may listen on all interfaces, so its tests need a network of their own."""
    pytest.importorskip("ray", reason="needs the extra ray")
    names = [name for _, name in socket.if_nameindex()]
    if names != ["lo"]:
        pytest.skip(f"{names} are more than loopback: run `make test-engines`")


@pytest.fixture(scope="session")
def ray(only_loopback: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a cluster of Ray with two workers and a GPU that nobody uses, as `--engine` takes it."""
    folder = tmp_path_factory.mktemp("ray")
    environment = {**os.environ, "HOME": str(folder), "RAY_AUTH_MODE": "disabled"}
    command = [
        *(Path(sys.executable).with_name("ray"), "start", "--head", "--block"),
        *("--num-cpus", "2", "--num-gpus", "1"),
        *("--node-ip-address", "127.0.0.1", "--ray-client-server-port", str(CLIENT_PORT)),
        *("--include-dashboard", "false", "--disable-usage-stats", "--temp-dir", str(folder)),
        *("--object-store-memory", "100000000"),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        wait_for_port(CLIENT_PORT)
        yield f"ray://127.0.0.1:{CLIENT_PORT}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="session")
def ray_executor(ray: str) -> Iterator[Executor]:
    """An executor of the cluster of Ray: a process has one connection, and it takes seconds."""
    with open_executor(ray) as executor:
        yield executor


def wait_for_port(port: int) -> None:
    """Wait until something listens on a port of loopback."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port} after {START_SECONDS} s")
