"""Fetch with the workers of a cluster: they divide the sites, and only this process joins stores.

    this process    rows of the manifest without an outcome -> shards/rows-2.jsonl
    a worker        these rows -> a store of its own, shards/shard-2/
    this process    that store -> the store; rows that the worker left -> shards/left.jsonl
    this process    the rows that were left, since they lead to sites of other shards -> the store

Each site belongs to one shard, and a shard to one worker at a time, so the limits of sites hold
over all machines. The ledger of the store has one writer. If a worker dies, another one goes on
with the store of its shard. If this process is killed, the workers stop, and the next fetch takes
what they stored before it divides the rest.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

from cnlw_tools.executor import ClusterExecutor
from cnlw_tools.executor.lease import Lease, LeaseWatch
from cnlw_tools.executor.signals import StopRequest
from cnlw_tools.executor.work_shard import WorkShard
from cnlw_tools.fetch.options import FetchOptions
from cnlw_tools.fetch.remote_worker import make_picklable
from cnlw_tools.fetch.run import fetch, final_outcome, shard_key
from cnlw_tools.files.locks import lock_folder
from cnlw_tools.store.join import take_stores
from cnlw_tools.store.manifest import ManifestRow, Urls
from cnlw_tools.store.outcomes import Tally
from cnlw_tools.store.snapshot import write_snapshot
from cnlw_tools.store.store import Ledger, State, Store, is_store, open_ledger

SHARDS = "shards"  # in the folder of the store
LEFT = "left.jsonl"
SHARDS_PER_WORKER = 4  # so that a worker with small sites goes on with another shard
BLOCK_ROWS = 512  # read at a time
BUFFER_ROWS = 2_000  # of each shard, that are written together


class RowFile:
    """Rows of a manifest, one in each line of a file.

    Args:
        path: of the file
        n_rows: that it has
    """

    def __init__(self, path: Path, n_rows: int) -> None:
        self.path, self.n_rows = path, n_rows

    def __len__(self) -> int:
        return self.n_rows

    def read_blocks(self) -> Iterator[list[ManifestRow]]:
        """Yield the rows in order, a block at a time."""
        with self.path.open(encoding="utf-8") as lines:
            while block := list(islice(lines, BLOCK_ROWS)):
                yield [ManifestRow(**json.loads(line)) for line in block]


class RowFileWriter:
    """Appends rows to a file; the last ones are in memory until `close`."""

    def __init__(self, path: Path) -> None:
        self.path, self.n_rows = path, 0
        self.lines: list[str] = []

    def write(self, row: ManifestRow) -> None:
        """Append a row."""
        self.lines.append(json.dumps(asdict(row)) + "\n")
        self.n_rows += 1
        if len(self.lines) >= BUFFER_ROWS:
            self._flush()

    def close(self) -> RowFile:
        """Write the last rows, and return the file for reading."""
        self._flush()
        return RowFile(self.path, self.n_rows)

    def _flush(self) -> None:
        with self.path.open("a", encoding="utf-8") as file:  # many would be open at once
            file.writelines(self.lines)
        self.lines.clear()


@dataclass(frozen=True, slots=True)
class ShardJob:
    """What a worker is asked to fetch."""

    store: Path  # of the shard
    rows: RowFile
    options: FetchOptions
    n_requests: int
    retry: str | None
    lease: Path


@dataclass(frozen=True, slots=True)
class ShardResult:
    """What became of a shard."""

    job: ShardJob
    tally: Tally
    notices: Sequence[str] = ()  # what a user should read
    error: BaseException | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the worker has dealt with all rows."""
        return self.tally.counts.total() + self.tally.skipped == self.tally.total


def fetch_on_cluster(
    manifest: Urls,
    ledger: Ledger,
    options: FetchOptions,
    cluster: ClusterExecutor,
    n_requests: int = 64,
    retry: str | None = None,
    progress: Callable[[Tally], None] = lambda tally: None,
    notify: Callable[[str], None] = lambda text: None,
) -> Tally:
    """Do what `fetch` does, with the workers of a cluster, which see the folder of the store.

    The arguments that are not listed are those of `fetch`.

    Args:
        cluster: whose workers fetch
        n_requests: how many requests all workers make at once; each makes at least one
        progress: is called with the counts whenever a shard is done

    Raises:
        OSError: a worker does not see the folder, cannot fetch, or died again and again; or the
            store cannot be written
        ValueError: as in `fetch`
    """
    ledger.check_keep(options.keep)
    check_workers(cluster, ledger.folder)
    n_joined = _take_leftovers(ledger)
    folder = ledger.folder / SHARDS
    with StopRequest() as stop, Lease(folder, stop) as lease:
        n_shards = SHARDS_PER_WORKER * cluster.workers
        tally, row_files = _divide(manifest, ledger, options, retry, n_shards)
        progress(tally)
        jobs = []
        for number, rows in row_files.items():
            shard_options = replace(options, work_shard=WorkShard(n_shards, number))
            per_worker = max(1, n_requests // cluster.workers)
            store = _make_shard_store(folder / f"shard-{number}", rows, ledger)
            jobs.append(ShardJob(store, rows, shard_options, per_worker, retry, lease.path))
        run = _ShardsRun(ledger, lease, tally, progress, notify)
        run.fetch(cluster, jobs)
        if run.error is None and not stop.signal:
            left = run.left.close()
            _add(tally, fetch(left, ledger, options, n_requests, retry, notify=notify))
    write_snapshot(ledger, tally.fetched + n_joined > 0)
    if run.error:
        raise run.error
    shutil.rmtree(folder)
    tally.stop_signal = tally.stop_signal or stop.signal
    progress(tally)
    return tally


class _ShardsRun:
    """Takes what the workers fetch, as it comes.

    Args:
        ledger: the store
        lease: of the workers
        tally: to add to
        progress: is called with the tally whenever a shard is done
        notify: is called with what a user should read
    """

    def __init__(
        self,
        ledger: Ledger,
        lease: Lease,
        tally: Tally,
        progress: Callable[[Tally], None],
        notify: Callable[[str], None],
    ) -> None:
        self.ledger, self.lease, self.tally = ledger, lease, tally
        self.progress, self.notify = progress, notify
        self.left = RowFileWriter(ledger.folder / SHARDS / LEFT)  # what leads to other shards
        self.error: BaseException | None = None  # the first one

    def fetch(self, cluster: ClusterExecutor, jobs: Sequence[ShardJob]) -> None:
        """Run all jobs; after an error, those that have begun are asked to stop."""
        for result in cluster.map(fetch_shard, jobs):
            _add(self.tally, result.tally)
            self.progress(self.tally)
            for text in result.notices:
                self.notify(text)
            self.error = self.error or _find_error(result, self.lease.stop)
            if self.error:
                self.lease.end()
            else:
                _take_shard(result.job, self.ledger, self.left)


def check_workers(cluster: ClusterExecutor, store: Path) -> None:
    """Raise if a worker does not see the folder that a store is, or will be, in.

    Raises:
        OSError: with the name of the worker
    """
    folder = store.resolve()
    while not folder.is_dir():
        folder = folder.parent
    cluster.check_folder(folder)


def fetch_shard(job: ShardJob) -> ShardResult:
    """Fetch the rows of a shard into its store, as long as the command wants it."""
    watch = LeaseWatch(job.lease)
    notices: list[str] = []
    tally = Tally(len(job.rows))
    if watch.has_ended():
        return ShardResult(job, tally)
    message = f"{job.store}: another worker is at work here: run the same command again"
    try:
        with lock_folder(job.store, message), open_ledger(job.store, exclusive=True) as ledger:
            tally = fetch(
                job.rows,
                ledger,
                job.options,
                job.n_requests,
                job.retry,
                notify=notices.append,
                is_unwanted=watch.has_ended,
            )
    except (OSError, ValueError) as error:
        return ShardResult(job, tally, notices, make_picklable(error))
    return ShardResult(job, tally, notices)


def _find_error(result: ShardResult, stop: StopRequest) -> BaseException | None:
    """Return why a shard that was not asked to stop is not complete."""
    if result.error or result.is_complete or stop.signal:
        return result.error
    return OSError(
        f"{result.job.store.name}: its worker was asked to stop: run the same command again"
    )


def _divide(
    manifest: Urls, ledger: Ledger, options: FetchOptions, retry: str | None, n_shards: int
) -> tuple[Tally, dict[int, RowFile]]:
    """Divide the rows that are to be requested among shards.

    Returns:
        the counts of the other rows, and the rows of each shard that has some
    """
    tally = Tally(len(manifest))
    writers: dict[int, RowFileWriter] = {}
    for block in manifest.read_blocks():
        states = ledger.read_states([row.image_id for row in block])
        for row in block:
            state = states.get(row.image_id)
            outcome = final_outcome(state, retry)
            if outcome:
                tally.counts[outcome] += 1
            elif state is None and retry:
                tally.skipped += 1
            else:
                number = shard_key(row, options) % n_shards + 1
                if number not in writers:
                    path = ledger.folder / SHARDS / f"rows-{number}.jsonl"
                    writers[number] = RowFileWriter(path)
                writers[number].write(row)
    return tally, {number: writer.close() for number, writer in writers.items()}


def _make_shard_store(folder: Path, rows: RowFile, ledger: Ledger) -> Path:
    """Make the store of a shard, which knows earlier outcomes of its rows; return its folder."""
    with open_ledger(folder, exclusive=True) as shard_ledger:
        for block in rows.read_blocks():
            ids = [row.image_id for row in block]
            known = ledger.read_states(ids)
            shard_ledger.write_rows([ledger.read_row(image_id) for image_id in known])
    return folder


def _take_shard(job: ShardJob, ledger: Ledger, left: RowFileWriter) -> None:
    """Take what a worker stored into the store, and note the rows that it left."""
    with Store(job.store) as store:
        for block in job.rows.read_blocks():
            ids = [row.image_id for row in block]
            before, after = ledger.read_states(ids), store.read_states(ids)
            for row in block:
                if not _is_new(after.get(row.image_id), before.get(row.image_id)):
                    left.write(row)
    _take_store(job.store, ledger)


def _is_new(state: State | None, earlier_state: State | None) -> bool:
    """Return whether a worker brought an image to an outcome."""
    if state is None or earlier_state is None:
        return state is not None
    return state.timestamp != earlier_state.timestamp


def _take_leftovers(ledger: Ledger) -> int:
    """Take what the workers of a killed fetch stored; return the number of rows.

    Raises:
        BlockingIOError: a worker is still at work
    """
    folder = ledger.folder / SHARDS
    if not folder.is_dir():
        return 0
    n_joined = 0
    for store in filter(is_store, sorted(folder.iterdir())):
        n_joined += _take_store(store, ledger)
    shutil.rmtree(folder)
    return n_joined


def _take_store(folder: Path, ledger: Ledger) -> int:
    """Take what the store of a shard has; return the number of rows, and delete it."""
    message = f"{folder}: a worker of an earlier fetch is at work here: wait a minute"
    with lock_folder(folder, message):
        tally = take_stores([folder], ledger)
    shutil.rmtree(folder)
    return tally.fetched


def _add(tally: Tally, other: Tally) -> None:
    """Add the counts of rows that were fetched."""
    tally.counts += other.counts
    tally.fetched += other.fetched
    tally.stop_signal = other.stop_signal
