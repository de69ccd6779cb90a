"""Before a fetch: its manifest, its store, and the number of its processes.

This imports little, so that `cnlw fetch` can start processes before it imports the rest.
"""

from pathlib import Path

from cnlw_tools.executor import LOCAL, limits
from cnlw_tools.files.storage import is_address

NOTHING_TO_FETCH = "nothing to fetch: give --dataset D, or --manifest FILE.parquet and --store DIR"
URLS_PER_PROCESS = 1_000  # for fewer URLs another process is not worth its start
REQUESTS_PER_PROCESS = 8  # likewise


def find_store(dataset: str | None, store: Path | str | None) -> Path | str:
    """Return the folder or address of a store, or the folder of the web images of a dataset.

    Raises:
        ValueError: neither is given
    """
    if store is not None:
        return str(store) if is_address(store) else Path(store)
    if dataset is not None:
        from cnlw_tools.store.store import usual_store

        return usual_store(dataset)
    raise ValueError(NOTHING_TO_FETCH)


def find_manifest(dataset: str | None, manifest: Path | None, root: Path) -> Path:
    """Return the path of a manifest, or that of the web images of a dataset.

    Raises:
        LookupError: there is no such dataset
        FileNotFoundError: the dataset has no web images
        ValueError: neither is given
    """
    if dataset is not None:
        from cnlw_tools.dataset.dataset import dataset_root, require_dataset

        require_dataset(dataset, root)
    if manifest is not None:
        return manifest
    if dataset is None:
        raise ValueError(NOTHING_TO_FETCH)
    path = dataset_root(dataset, root) / "manifests" / dataset / "web.parquet"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: there is no such file, so {dataset} has no candidates to fetch: "
            f"add some with `cnlw import candidates FILE --as {dataset}`, or give --manifest "
            "FILE.parquet"
        )
    return path


def check_place(store: Path | str, engine: str) -> None:
    """Raise if an engine cannot fetch into a store.

    Raises:
        ValueError: the store is at an address, and workers of a cluster need a folder
    """
    if is_address(store) and engine != LOCAL:
        raise ValueError(
            f"--store {store} cannot be used together with --engine {engine}: the workers of a "
            "cluster need a folder that all of them see: fetch into one, then add it with "
            f"`cnlw fetch --store {store} --join FOLDER`"
        )


def check_shard(shard: str | None, engine: str) -> None:
    """Raise if the sites would be divided twice.

    Raises:
        ValueError: with both options
    """
    if shard is not None and engine != LOCAL:
        raise ValueError(
            f"--shard {shard} cannot be used together with --engine {engine}: the workers of a "
            "cluster divide the sites themselves: omit one of the two"
        )


def choose_n_processes(n_urls: int, n_requests: int, n_processes: int | None = None) -> int:
    """Return how many processes of this machine fetch.

    Args:
        n_urls: of the manifest
        n_requests: at once
        n_processes: that the user wants at most; none: the number of processors decides
    """
    if n_processes is not None:
        return min(n_processes, n_requests, max(1, n_urls))
    by_urls = 1 + n_urls // URLS_PER_PROCESS
    by_requests = 1 + n_requests // REQUESTS_PER_PROCESS
    return min(limits.workers(), by_urls, by_requests)
