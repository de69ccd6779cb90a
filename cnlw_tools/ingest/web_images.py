"""A fetch of web images, or the joining of stores, by one call."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import cast

from cnlw_tools.executor import LOCAL, ClusterExecutor, open_executor
from cnlw_tools.executor.signals import Interrupted
from cnlw_tools.executor.work_shard import WHOLE, parse_work_shard
from cnlw_tools.fetch import fetch
from cnlw_tools.fetch.choices import FetchChoices, to_options
from cnlw_tools.files.storage import local_path
from cnlw_tools.ingest.web_places import check_place, check_shard, choose_n_processes
from cnlw_tools.store.join import check_stores, find_stores, join_stores, mark_shard
from cnlw_tools.store.manifest import Manifest
from cnlw_tools.store.outcomes import Tally, parse_outcome
from cnlw_tools.store.placeholders import add_placeholders
from cnlw_tools.store.writer import open_writer


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
        mark_shard(writer.ledger.place, work_shard or WHOLE)
        if choices.placeholders is not None:
            add_placeholders(local_path(choices.placeholders), writer.ledger.folder)
        show = writer.watch(progress, notify)
        tally = run(manifest, writer.ledger, options, retry=retry, progress=show, notify=notify)
        writer.finish()
    if tally.stop_signal:
        raise Interrupted(tally.stop_signal)
    return tally


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
