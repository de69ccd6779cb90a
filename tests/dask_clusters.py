"""Clusters of Dask in the process of a test, which start at once."""

import logging
from typing import Any


def in_process_cluster(workers: int, threads: int = 1, gpus: int = 0) -> Any:
    """Return a cluster in this process.

    Args:
        workers: how many
        threads: of each worker
        gpus: that each says it owns
    """
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=workers,
        threads_per_worker=threads,
        resources={"GPU": gpus} if gpus else None,
        processes=False,
        protocol="tcp",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        worker_dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    )


def address_of(cluster: Any) -> str:
    """Return what `--engine` takes."""
    address: str = cluster.scheduler_address.replace("tcp://", "dask://")
    return address
