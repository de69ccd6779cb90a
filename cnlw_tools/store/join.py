"""Several stores become one: `cnlw fetch --shard` on each of several machines, then `--join`.

A store of a shard has an empty file that names the shard, such as `shard-2-of-5`, so that stores
whose sites were divided in different ways are not taken for parts of one. If the shards share an
address, it has such a file for each.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

from cnlw_tools.executor.work_shard import WHOLE, WorkShard
from cnlw_tools.files.locks import lock
from cnlw_tools.files.storage import RemoteFolder, is_address
from cnlw_tools.files.untrusted import BadFile
from cnlw_tools.registry.counts import join_words
from cnlw_tools.store.outcomes import Tally
from cnlw_tools.store.pack import SHARD_FILE, PackedStore, is_pack
from cnlw_tools.store.placeholders import FILE_NAME, add_placeholders
from cnlw_tools.store.snapshot import write_snapshot
from cnlw_tools.store.store import ChangedImage, Ledger, Row, State, Store, is_store

BLOCK_ROWS = 500  # compared at a time

Place = Path | str  # a folder, or an address


def mark_shard(place: Place, work_shard: WorkShard) -> None:
    """Note in a store which sites it is for; a fetch of all sites ends the shards at an address.

    Raises:
        ValueError: it has those of a shard of another number of shards
        OSError: the address cannot be read or written
    """
    name = f"shard-{work_shard.number}-of-{work_shard.count}"
    if is_address(place):
        remote = RemoteFolder(place)
        marks = list(filter(SHARD_FILE.fullmatch, remote.list_files()))
        if work_shard == WHOLE:
            for mark in marks:
                remote.delete(mark)
            return
        _check_counts(place, _read_counts(marks) | {work_shard.count})
        remote.write(name, Path.touch)
    elif work_shard != WHOLE:
        check_shard(Path(place), work_shard)
        (Path(place) / name).touch()


def check_shard(folder: Path, work_shard: WorkShard) -> None:
    """Raise if a store has sites of a shard of another number of shards.

    Raises:
        ValueError: with both numbers
    """
    _check_counts(folder, read_counts(folder) | {work_shard.count})


def read_counts(folder: Path) -> set[int]:
    """Return among how many shards the sites of a store were divided; none if they were not."""
    return _read_counts([path.name for path in folder.glob("shard-*")])


def _read_counts(names: Iterable[str]) -> set[int]:
    """Return among how many shards sites were divided, by the names of files."""
    counts = set()
    for name in names:
        match = SHARD_FILE.fullmatch(name)
        if match:
            counts.add(int(match[2]))
    return counts


def _check_counts(folder: Place, counts: set[int]) -> None:
    if len(counts) > 1:
        numbers = join_words([str(count) for count in sorted(counts)])
        raise ValueError(
            f"{folder}: the fetches into this store were divided in different ways, into {numbers} "
            "parts: give every fetch the same number, or another --store"
        )


def find_stores(places: Sequence[Place], target: Place) -> list[Place]:
    """Return the stores that are at, or lie in, some places, each once, and without one of them.

    Args:
        places: stores, packs, folders with such, or addresses of packs
        target: the store that is left out

    Raises:
        FileNotFoundError: a folder is no store and holds none
    """
    stores: dict[str, Place] = {}
    for place in places:
        for store in _stores_at(place):
            stores.setdefault(_identify(store), store)
    stores.pop(_identify(target), None)
    return list(stores.values())


def _stores_at(place: Place) -> list[Place]:
    """Return a store, or those in a folder.

    Raises:
        FileNotFoundError: there is none
    """
    if is_address(place) or is_pack(place) or is_store(Path(place)):
        return [place]
    folders = sorted(Path(place).glob("*"))
    stores: list[Place] = [folder for folder in folders if is_store(folder) or is_pack(folder)]
    if not stores:
        raise FileNotFoundError(
            f"{place}: there is no image store here: give one, or a folder that holds stores"
        )
    return stores


def _identify(place: Place) -> str:
    """Return a text that is the same for all ways to name a place."""
    return RemoteFolder(place).address if is_address(place) else str(Path(place).resolve())


def join_stores(
    places: Sequence[Place],
    ledger: Ledger,
    progress: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Take the outcomes and images of other stores, which do not change, into a store.

    An image is preferred to a failure, and of two failures the later one. Files are linked where
    they are on the same disk, and copied otherwise. Files that are damaged are left out.

    Args:
        places: of the other stores, in folders or at addresses
        ledger: the store to write to
        progress: is called with the counts after each block

    Returns:
        counts of the rows that were taken, by outcome; rows whose file is damaged are skipped

    Raises:
        ValueError: the sites were divided in different ways, or images are of different kinds
        OSError: a fetch is running in one of the stores, or a disk cannot be read or written
    """
    tally = take_stores(places, ledger, progress)
    write_snapshot(ledger, tally.fetched > 0)
    return tally


def take_stores(
    places: Sequence[Place],
    ledger: Ledger,
    progress: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Do what `join_stores` does, but leave the snapshot of the ledger as it is."""
    with ExitStack() as stack:
        stores = [stack.enter_context(_locked_store(place)) for place in places]
        _check_stores(stores, dict.fromkeys(ledger.read_kept(), ledger.place))
        tally = Tally(sum(store.count_outcomes().total() for store in stores))
        for store in stores:
            rows = store.rows_as_stored()
            while block := list(islice(rows, BLOCK_ROWS)):
                _join_rows(block, store, ledger, tally)
                progress(tally)
            if (store.folder / FILE_NAME).is_file():
                add_placeholders(store.folder / FILE_NAME, ledger.folder)
    return tally


def check_stores(places: Sequence[Place]) -> None:
    """Raise if stores cannot be joined with each other.

    Raises:
        ValueError, OSError: as for `join_stores`
    """
    with ExitStack() as stack:
        _check_stores([stack.enter_context(_locked_store(place)) for place in places], {})


@contextmanager
def _locked_store(place: Place) -> Iterator[Store]:
    """Open a store for reading while no fetch writes to it; a pack needs no lock."""
    if is_address(place) or is_pack(place):
        with PackedStore(place) as pack:
            yield pack
        return
    folder = Path(place)
    handle = lock(folder, f"{folder}: a fetch is running here: join its store when it has ended")
    try:
        with Store(folder) as store:
            yield store
    finally:
        os.close(handle)


def _check_stores(stores: Sequence[Store], kept: dict[str | None, Place]) -> None:
    """Raise if stores do not fit together.

    Args:
        stores: to join
        kept: kinds of images of the store that they are joined to, and where it is
    """
    counts: set[int] = set()
    for store in stores:
        if isinstance(store, PackedStore):
            counts |= _read_counts(store.file_names)
        else:
            counts |= read_counts(store.folder)
        _check_counts(store.place, counts)
        for option in store.read_kept():
            kept.setdefault(option, store.place)
    if len(kept) > 1:
        kinds = [f"{folder} ({option or 'originals'})" for option, folder in kept.items()]
        raise ValueError(
            f"{join_words(kinds)}: these stores hold images of different kinds: join stores "
            "that were fetched "
            "with the same --keep, --resize and --quality"
        )


def _join_rows(rows: Sequence[Row], store: Store, ledger: Ledger, tally: Tally) -> None:
    """Take some rows and their files into a store."""
    states = ledger.read_states([row.image_id for row in rows])
    for row in rows:
        if not is_better(row, states.get(row.image_id)):
            continue
        if row.outcome == "ok":
            mtime = _join_file(row, store, ledger)
            if mtime is None:
                tally.skipped += 1
                continue
            row = replace(row, mtime=mtime)
        ledger.write_row(row)
        tally.counts[row.outcome] += 1
        tally.fetched += 1


def is_better(row: Row, state: State | None) -> bool:
    """Return whether a row is to replace what a store has of its image."""
    if state is None or not state.file_intact:
        return True
    if "ok" in (row.outcome, state.outcome):
        return state.outcome != "ok"
    return row.timestamp > state.timestamp


def _join_file(row: Row, store: Store, ledger: Ledger) -> int | None:
    """Take the file of an image; return its modification time, or none if it is damaged."""
    try:
        store.read(row.image_id)
    except (ChangedImage, FileNotFoundError, BadFile):
        return None
    path = ledger.image_path(row.image_id, str(row.file_format))
    store.copy_image(row, path)
    return path.stat().st_mtime_ns
