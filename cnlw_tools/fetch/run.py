"""Fetch many URLs: a feeder reads the manifest, and workers fetch, until every URL has its row.

    feeder (1 thread)   rows of the manifest -> those without an outcome -> worker of their host
    workers             see worker.py; one runs in this process, several in processes of their own
                        (remote_worker.py)

Only a limited number of URLs is in memory, so memory does not grow with the manifest. One slow host
does not stop the others until its URLs fill the queue of its worker.
"""

import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from zlib import crc32

from cnlw_tools.executor.fork_server import PROCESSES
from cnlw_tools.executor.signals import StopRequest
from cnlw_tools.fetch.address import parse_uri
from cnlw_tools.fetch.options import FetchOptions
from cnlw_tools.fetch.patience import Notice, Patience, Stopped
from cnlw_tools.fetch.remote_worker import RemoteWorker, WorkerDied
from cnlw_tools.fetch.resources import FetchMemory, max_requests
from cnlw_tools.fetch.schedule import FetchJob
from cnlw_tools.fetch.worker import (
    Outcomes,
    Worker,
    WorkerMessage,
    WorkerNumber,
    is_own_site,
    site_key,
    worker_index,
)
from cnlw_tools.files.machine_faults import MachineFault, start_thread
from cnlw_tools.store.outcomes import FAILED, FetchError, Tally
from cnlw_tools.store.store import Ledger, Row, State

if TYPE_CHECKING:
    from cnlw_tools.store.manifest import ManifestRow, Urls

PROGRESS_INTERVAL = 0.2  # seconds between two reports
NOTICE_INTERVAL = 60.0  # seconds of silence after which a notice is shown again
MAX_QUEUED = 4096  # URLs that are handed to the workers and not done
# if hosts have no limit, any worker may do any job, and a short queue is enough
SHORT_QUEUE = 512  # URLs in the queue of a worker, if it makes few requests at once
QUEUED_PER_REQUEST = 4  # URLs in its queue, if it makes many
PIECE = 128  # URLs that a worker is given at a time


def fetch(
    manifest: "Urls",
    ledger: Ledger,
    options: FetchOptions,
    n_requests: int = 64,
    retry: str | None = None,
    progress: Callable[[Tally], None] = lambda tally: None,
    n_processes: int = 1,
    notify: Callable[[str], None] = lambda text: None,
    is_unwanted: Callable[[], bool] = lambda: False,
) -> Tally:
    """Bring every URL of a manifest to an outcome.

    URLs that have an outcome in the ledger are not requested again, whatever the outcome is.

    Args:
        manifest: the URLs
        ledger: the store
        options: how to fetch
        n_requests: how many requests are made at once
        retry: an outcome (see `outcomes.parse_outcome`): request the URLs with this outcome again,
            and no others
        progress: is called with the counts, several times per second
        n_processes: among which the hosts are divided; if 1, it is this process
        notify: is called with what a user should read at once: why the run waits, for example
        is_unwanted: is asked several times per second whether to stop, as after a signal

    Raises:
        OSError: the store cannot be written, this machine was at fault for too long, or a worker
            process died
        ValueError: the manifest is damaged, or the images in the store are of another kind than
            those that the options ask for
    """
    from cnlw_tools.store.snapshot import write_snapshot

    ledger.check_keep(options.keep)
    with warnings.catch_warnings(), StopRequest() as stop:
        warnings.simplefilter("ignore")  # Pillow warns of odd images; what matters is an outcome
        run = _Run(manifest, ledger, options, retry, notify)
        run.start(n_requests, n_processes)
        while run.wait(PROGRESS_INTERVAL) and not (stop.signal or is_unwanted()):
            progress(run.copy_tally())
        run.stop()
    killed_by_same_signal = bool(stop.signal) and isinstance(run.error, WorkerDied)
    if run.error and not killed_by_same_signal:
        raise run.error
    write_snapshot(ledger, run.tally.fetched > 0)
    run.tally.stop_signal = stop.signal
    progress(run.tally)
    return run.tally


def final_outcome(state: State | None, retry: str | None) -> str | None:
    """Return the outcome of an image that a fetch does not request again; None: it does.

    Args:
        state: of the image in the store
        retry: see `fetch`
    """
    if state is None or not state.file_intact or is_retried(state.outcome, retry):
        return None
    return state.outcome


def is_retried(outcome: str, retry: str | None) -> bool:
    """Return whether images with an outcome are requested again."""
    if retry == FAILED:
        return outcome != "ok"
    return outcome == retry


def shard_key(row: "ManifestRow", options: FetchOptions) -> int:
    """Return the number by which rows are divided among shards: that of their site.

    A row without a site belongs to one shard, too, which says why it was refused.
    """
    try:
        address = parse_uri(row.uri or "")
    except FetchError:
        return crc32(row.image_id.encode())
    return site_key(address, row.image_id, options)


class _Run:
    """The state of one fetch."""

    def __init__(
        self,
        manifest: "Urls",
        ledger: Ledger,
        options: FetchOptions,
        retry: str | None,
        notify: Callable[[str], None],
    ) -> None:
        self.manifest = manifest
        self.ledger = ledger
        self.options = options
        self.retry = retry
        self.notify = notify
        self.patience = Patience(options.patience, self._receive_notice)  # of the feeder
        self.memory = FetchMemory()
        self.workers: list[Worker | RemoteWorker] = []
        self.feeder = threading.Thread(target=self._run_feeder, daemon=True)
        self.started = threading.Event()  # whether there are workers to feed
        # the condition guards all that follows
        self.changed = threading.Condition()
        self.tally = Tally(len(manifest))
        self.in_flight: Counter[str] = (
            Counter()
        )  # image id -> rows of the manifest that wait for it
        self.failed_again: set[str] = set()  # ids that this run tried again, and may not again
        self.recent: set[str] = set()  # ids that became final since the states were read last
        self.queued: list[int] = []  # jobs of each worker that are not done
        self.max_queued = MAX_QUEUED  # of one worker
        self.manifest_read = False
        self.ended = False
        self.error: BaseException | None = None
        self.notices: dict[str, float] = {}  # when each came last, in monotonic time

    def start(self, n_requests: int, n_processes: int) -> None:
        """Start the feeder and the workers.

        Raises:
            MachineFault: this machine does not let us start a thread
        """
        n_requests = min(n_requests, max(1, len(self.manifest)))
        n_workers = min(n_processes, n_requests)
        n_requests = self._limit_requests(n_requests, n_workers)
        start_thread(self.feeder)  # first, since the workers may take all threads there are
        try:
            self._start_workers(n_requests, n_workers)
        except MachineFault:
            self.stop()
            raise

    def _limit_requests(self, n_requests: int, n_workers: int) -> int:
        """Return how many requests can be made at once with the files that may be open."""
        n_possible = n_workers * max_requests()
        if n_requests <= n_possible:
            return n_requests
        self.notify(
            f"{n_possible:,} requests at once, not {n_requests:,}: this machine allows few open "
            f"files; raise the limit with `ulimit -n` for more"
        )
        return n_possible

    def _start_workers(self, n_requests: int, n_workers: int) -> None:
        """Start the workers; where no process can be started, one in this process."""
        self.queued = [0] * n_workers
        self.max_queued = self._limit_queue(n_requests, n_workers)
        try:
            if n_workers > 1:
                self.memory = FetchMemory(PROCESSES)
            for index in range(n_workers):
                n_threads = n_requests // n_workers + (index < n_requests % n_workers)
                self.workers.append(self._start_worker(n_threads, WorkerNumber(index, n_workers)))
        except OSError as error:
            if n_workers == 1:
                raise
            self.notify(f"one process, not {n_workers}: no other could be started ({error})")
            self._stop_workers()
            self.workers.clear()
            self._start_workers(n_requests, n_workers=1)
        else:
            self.started.set()

    def _limit_queue(self, n_requests: int, n_workers: int) -> int:
        """Return how many URLs the queue of a worker holds at most.

        Long queues hold many hosts. Short ones let all workers end at nearly the same time.
        """
        longest = MAX_QUEUED // n_workers
        if self.options.per_host:
            return longest
        return min(longest, max(SHORT_QUEUE, QUEUED_PER_REQUEST * n_requests // n_workers))

    def wait(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds for the end; return whether there is still work."""
        with self.changed:
            return not self.changed.wait_for(self._is_done, timeout)

    def copy_tally(self) -> Tally:
        """Return the counts as they are now."""
        with self.changed:
            return replace(self.tally, counts=self.tally.counts.copy())

    def stop(self) -> None:
        """Stop all workers; requests in flight are aborted."""
        with self.changed:
            self.ended = True
            self.changed.notify_all()
        self.patience.stop()
        self.started.set()
        self._stop_workers()
        self.feeder.join()

    def _stop_workers(self) -> None:
        """Stop the workers, all at the same time as far as there are threads for that."""
        threads = []
        for worker in self.workers:
            thread = threading.Thread(target=worker.stop)
            try:
                thread.start()
            except RuntimeError:
                worker.stop()
            else:
                threads.append(thread)
        for thread in threads:
            thread.join()

    def _start_worker(self, n_threads: int, number: WorkerNumber) -> Worker | RemoteWorker:
        report = partial(self._receive, number.index)
        if number.n_workers == 1:
            return Worker(self.ledger, self.options, n_threads, report, number)
        folder = self.ledger.folder
        return RemoteWorker(folder, self.options, n_threads, report, number, self.memory)

    def _is_done(self) -> bool:
        return self.ended or (self.manifest_read and not any(self.queued))

    def _run_feeder(self) -> None:
        try:
            self._feed()
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001, the main thread raises it again
            self._receive(0, error)

    def _feed(self) -> None:
        """Hand the rows of the manifest that are not final to the workers."""
        self.started.wait()
        for block in self.manifest.read_blocks():
            self.recent.clear()
            states = self._read_states([row.image_id for row in block])
            jobs = []
            for row, attempts in self._claim_rows(block, states):
                if job := self._make_job(row, attempts):
                    jobs.append(job)
            if self.options.per_host:
                self._queue_by_host(jobs)
            else:
                self._queue_anywhere(jobs)
            if self.ended:
                return
        with self.changed:
            self.manifest_read = True
            self.changed.notify_all()

    def _claim_rows(
        self, rows: "Sequence[ManifestRow]", states: Mapping[str, State]
    ) -> "list[tuple[ManifestRow, int]]":
        """Return the rows that are to be fetched, with the attempts in earlier runs.

        The others are counted.
        """
        claimed = []
        with self.changed:
            for row in rows:
                if not self._is_own(row):
                    self.tally.skipped += 1
                    self.tally.of_other_shards += 1
                    continue
                attempts = self._claim(row.image_id, states.get(row.image_id))
                if attempts is not None:
                    claimed.append((row, attempts))
        return claimed

    def _is_own(self, row: "ManifestRow") -> bool:
        """Return whether this fetch requests a row, or that of another shard."""
        work_shard = self.options.work_shard
        return work_shard.count == 1 or work_shard.owns(shard_key(row, self.options))

    def _read_states(self, image_ids: list[str]) -> Mapping[str, State]:
        return self.patience.run(lambda: self.ledger.read_states(image_ids))

    def _claim(self, image_id: str, state: State | None) -> int | None:
        """Decide whether to fetch a row of the manifest, and count it if not.

        Args:
            image_id: that of the row
            state: that of the image id when the block was read

        Returns:
            the number of attempts in earlier runs; None: do not fetch it
        """
        if image_id in self.in_flight:
            self.in_flight[image_id] += 1  # another row with this id is being fetched
            return None
        outcome = self._final_outcome(image_id, state)
        if not outcome and image_id in self.recent:
            # another row with this id was fetched since the states were read
            state = self._read_states([image_id]).get(image_id)
            outcome = self._final_outcome(image_id, state)
        if outcome:
            self.tally.counts[outcome] += 1
            return None
        if state is None and self.retry:
            self.tally.skipped += 1
            return None
        self.in_flight[image_id] += 1
        return state.attempts if state else 0

    def _final_outcome(self, image_id: str, state: State | None) -> str | None:
        """Return the outcome of a row that this run does not fetch again; None: it does."""
        retry = None if image_id in self.failed_again else self.retry
        return final_outcome(state, retry)

    def _make_job(self, row: "ManifestRow", attempts: int) -> FetchJob | None:
        """Return the job of a row; none if its id or URI is invalid: its failure is written."""
        try:
            if row.problem or not row.uri:
                raise FetchError("refused", row.problem or "no uri")
            address = parse_uri(row.uri)
        except FetchError as error:
            failure = Row(row.image_id, row.uri, error.outcome, error.reason, attempts, time.time())
            self.patience.run(lambda: self.ledger.write_row(failure))
            self.patience.recover()
            with self.changed:
                self._count(row.image_id, error.outcome)
            return None
        return FetchJob(row.image_id, row.uri, row.licence, address, attempts)

    def _queue_by_host(self, jobs: list[FetchJob]) -> None:
        """Give each job to the worker that makes all requests to its host."""
        jobs_of_workers: list[list[FetchJob]] = [[] for _ in self.workers]
        for job in jobs:
            jobs_of_workers[worker_index(job.address, len(self.workers))].append(job)
        for index, jobs_of_worker in enumerate(jobs_of_workers):
            self._queue(index, jobs_of_worker)

    def _queue_anywhere(self, jobs: list[FetchJob]) -> None:
        """Give jobs to the workers with the shortest queues, so that all end at the same time."""
        for start in range(0, len(jobs), PIECE):
            with self.changed:
                self.changed.wait_for(lambda: min(self.queued) < self.max_queued or self.ended)
                index = self.queued.index(min(self.queued))
            self._queue(index, jobs[start : start + PIECE])

    def _queue(self, index: int, jobs: list[FetchJob]) -> None:
        """Give jobs to a worker as soon as its queue has room, as many at a time as there is."""
        while jobs and not self.ended:
            with self.changed:
                self.changed.wait_for(lambda: self.queued[index] < self.max_queued or self.ended)
                n_free = max(0, self.max_queued - self.queued[index])
                self.queued[index] += min(n_free, len(jobs))
            self.workers[index].add(jobs[:n_free])
            jobs = jobs[n_free:]

    def _receive(self, index: int, message: WorkerMessage) -> None:
        """Handle a message of a worker.

        Waiting threads are not woken at every message, since that takes time from the workers.
        """
        if isinstance(message, BaseException):
            self._receive_error(message)
        elif isinstance(message, FetchJob):
            self._receive_job(index, message)
        elif isinstance(message, Notice):
            self._receive_notice(message)
        else:
            self._receive_outcomes(index, message)

    def _receive_error(self, error: BaseException) -> None:
        with self.changed:
            self.error = self.error or error
            self.ended = True
            self.changed.notify_all()

    def _receive_notice(self, notice: Notice) -> None:
        """Show a notice, unless it came a moment ago: each thread of each worker sends it."""
        now = time.monotonic()
        with self.changed:
            is_new = now - self.notices.get(notice.text, -NOTICE_INTERVAL) >= NOTICE_INTERVAL
            self.notices[notice.text] = now
        if is_new and not self.ended:
            self.notify(notice.text)

    def _receive_job(self, index: int, job: FetchJob) -> None:
        """Hand a job that was redirected from one worker to another.

        If it leads to a site of another shard, it has no outcome yet: only one fetch at a time may
        be polite to a site.
        """
        if not is_own_site(job.address, job.image_id, self.options):
            with self.changed:
                n_rows = self.in_flight.pop(job.image_id)
                self.tally.skipped += n_rows
                self.tally.redirected += n_rows
                self._take_from_queue(index)
            return
        new_index = worker_index(job.address, len(self.workers))
        with self.changed:
            self.queued[new_index] += 1
            self._take_from_queue(index)
        self.workers[new_index].add([job])

    def _receive_outcomes(self, index: int, outcomes: Outcomes) -> None:
        with self.changed:
            for image_id, outcome in outcomes.items():
                self._count(image_id, outcome)
            self._take_from_queue(index, len(outcomes))

    def _take_from_queue(self, index: int, n_jobs: int = 1) -> None:
        n_before = self.queued[index]
        self.queued[index] -= n_jobs
        has_room = self.queued[index] <= self.max_queued // 2 < n_before
        if self.ended or has_room or not self.queued[index]:
            self.changed.notify_all()

    def _count(self, image_id: str, outcome: str) -> None:
        self.tally.counts[outcome] += self.in_flight.pop(image_id)
        self.tally.fetched += 1
        if is_retried(outcome, self.retry):
            self.failed_again.add(image_id)
        self.recent.add(image_id)
