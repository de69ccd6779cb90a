"""One cluster for all tests of a session, on loopback: to start one takes seconds."""

from collections.abc import Iterator

import pytest

from cnlw_tools.executor import open_executor

DEATHS = 1  # of workers, over which a task may run again; Dask's own default takes longer


@pytest.fixture(scope="session")
def dask() -> Iterator[str]:
    """The address of a cluster of Dask with two workers, as `--engine` takes it."""
    config = pytest.importorskip("dask.config", reason="needs the extra dask")
    with (
        config.set({"distributed.scheduler.allowed-failures": DEATHS}),
        open_executor("dask", 2) as executor,
    ):
        yield executor.client.scheduler.address.replace("tcp://", "dask://")
