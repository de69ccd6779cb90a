"""The web images of a dataset: where their manifest and their store are, and a fetch of them."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import cast

from cnlw_tools.dataset.dataset import dataset_root, require_dataset
from cnlw_tools.executor import LOCAL, ClusterExecutor, open_executor
from cnlw_tools.executor.signals import Interrupted
from cnlw_tools.executor.work_shard import parse_work_shard
from cnlw_tools.fetch import fetch
from cnlw_tools.fetch.choices import FetchChoices, choose_n_processes, to_options
from cnlw_tools.files.storage import is_address, local_path
from cnlw_tools.store.join import check_stores, find_stores, join_stores, mark_shard
from cnlw_tools.store.manifest import Manifest
from cnlw_tools.store.outcomes import Tally, parse_outcome
from cnlw_tools.store.placeholders import add_placeholders
from cnlw_tools.store.store import usual_store
from cnlw_tools.store.writer import open_writer

NOTHING_TO_FETCH = "nothing to fetch: give --dataset D, or --manifest FILE.parquet and --store DIR"


def find_store(dataset: str | None, store: Path | str | None) -> Path | str:
    """Return the folder or address of a store, or the folder of the web images of a dataset.

    Raises:
        ValueError: neither is given
    """
    if store is not None:
        return str(store) if is_address(store) else Path(store)
    if dataset is not None:
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
            f"--store {store} with --engine {engine}: the workers of an engine need a folder that "
            f"all of them see: fetch into one, then add it with `cnlw fetch --store {store} --join "
            "FOLDER`"
        )


@contextmanager
def open_fetcher(
    store: Path | str, n_urls: int, n_requests: int, engine: str, workers: int | None
) -> Iterator[Callable[..., Tally]]:
    """Yield what fetches: processes of this machine, or workers that see the folder of the store.

    Args:
        store: folder or address of the store
        n_urls: of the manifest
        n_requests: requests at once
        engine, workers: as for `open_executor`

    Raises:
        ValueError, LookupError, OSError: as for `open_executor`; or workers do not see the store
    """
    opener = open_executor(engine, workers)
    if engine == LOCAL:
        n_processes = choose_n_processes(n_urls, n_requests, workers)
        yield partial(fetch, n_requests=n_requests, n_processes=n_processes)
        return
    from cnlw_tools.fetch.cluster import check_workers, fetch_on_cluster

    with opener as executor:
        cluster = cast(ClusterExecutor, executor)
        check_workers(cluster, Path(store))
        yield partial(fetch_on_cluster, cluster=cluster, n_requests=n_requests)


def fetch_into(
    store: Path | str,
    manifest_path: Path,
    choices: FetchChoices,
    shard: str | None = None,
    engine: str = LOCAL,
    workers: int | None = None,
    progress: Callable[[Tally], None] = lambda tally: None,
    notify: Callable[[str], None] = lambda text: None,
) -> Tally:
    """Fetch the URLs of a manifest into a store.

    Args:
        store: folder or address of the store
        manifest_path: of the manifest
        choices: how to fetch
        shard: the sites of one of several fetches; none: all sites
        engine, workers: as for `open_fetcher`
        progress: is told the counts
        notify: is told what a person may want to know

    Raises:
        ValueError, LookupError, OSError: the message says what is wrong, where, and how to fix it
        Interrupted: a signal stopped it
    """
    check_place(store, engine)
    check_shard(shard, engine)
    work_shard = None if shard is None else parse_work_shard(shard)
    options = to_options(choices, work_shard)
    retry = None if choices.retry is None else parse_outcome(choices.retry)
    manifest = Manifest(manifest_path)
    with (
        open_fetcher(store, len(manifest), choices.requests, engine, workers) as run,
        open_writer(store, shard or "") as writer,
    ):
        if work_shard:
            mark_shard(writer.ledger.folder, work_shard)
        if choices.placeholders is not None:
            add_placeholders(local_path(choices.placeholders), writer.ledger.folder)
        show = writer.watch(progress, notify)
        tally = run(manifest, writer.ledger, options, retry=retry, progress=show, notify=notify)
        writer.finish()
    if tally.stop_signal:
        raise Interrupted(tally.stop_signal)
    return tally


def check_shard(shard: str | None, engine: str) -> None:
    """Raise if the sites would be divided twice.

    Raises:
        ValueError: with both options
    """
    if shard is not None and engine != LOCAL:
        raise ValueError(
            f"--shard {shard} with --engine {engine}: the workers of an engine divide the sites "
            "themselves: drop one of the two"
        )


def join_into(
    store: Path | str,
    places: Sequence[Path | str],
    progress: Callable[[Tally], None] = lambda tally: None,
    notify: Callable[[str], None] = lambda text: None,
) -> tuple[Counter[str], Tally]:
    """Take what other stores hold into a store.

    Args:
        store: folder or address of the store
        places: folders or addresses of other stores, or folders with such
        progress: is told the counts
        notify: is told what a person may want to know

    Returns:
        the outcomes in the store; what was taken

    Raises:
        ValueError, OSError: stores do not fit together, or cannot be read or written
    """
    others = find_stores(places, store)
    check_stores(others)  # before a new store is made
    with open_writer(store) as writer:
        tally = join_stores(others, writer.ledger, writer.watch(progress, notify))
        writer.finish()
        return writer.contents().count_outcomes(), tally
