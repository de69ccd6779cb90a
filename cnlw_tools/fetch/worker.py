"""A worker: the threads of one process, which fetch from the hosts that belong to this worker.

    each thread    next job of the schedule -> one request -> image, redirect or failure
                   -> a row in the ledger, or back into the schedule

A thread writes a row before it takes the next job, so a kill loses only the requests in flight.
Each host belongs to one worker, so that its limit holds over all processes. A job that is
redirected to the host of another worker is handed back, and so is one that is redirected to a site
of another shard (`cnlw fetch --shard`).
"""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import NamedTuple
from zlib import crc32

from cnlw_tools.fetch import robots
from cnlw_tools.fetch.address import Address
from cnlw_tools.fetch.client import (
    MAX_REDIRECTS,
    MAX_RETRY_AFTER,
    FetchedImage,
    request_image,
    request_rules,
)
from cnlw_tools.fetch.http import HttpClient
from cnlw_tools.fetch.network import Network
from cnlw_tools.fetch.options import FetchOptions
from cnlw_tools.fetch.patience import Notice, Patience
from cnlw_tools.fetch.resources import FetchMemory, start_threads
from cnlw_tools.fetch.schedule import FetchJob, Host, Schedule, back_off
from cnlw_tools.fetch.wayback import archive_address, archive_failure
from cnlw_tools.files.machine_faults import MachineFault
from cnlw_tools.store.inspect import KeptFile
from cnlw_tools.store.outcomes import FetchError
from cnlw_tools.store.store import Ledger, Row

NETWORK_DOWN = "no host answers: connect this machine to the network, and check its name server"
NO_REQUEST = frozenset({"refused", "unreachable"})  # outcomes for which no request was made


class JobResult(NamedTuple):
    """A job is done: its row is in the ledger."""

    image_id: str
    outcome: str


# done | for another worker | for the user | the run must end
WorkerMessage = JobResult | FetchJob | Notice | BaseException
Report = Callable[[WorkerMessage], None]


@dataclass(frozen=True, slots=True)
class WorkerNumber:
    """Which of several workers this is."""

    index: int
    n_workers: int


def worker_index(job: FetchJob, options: FetchOptions, n_workers: int) -> int:
    """Return the index of the worker that does a job.

    It is the worker of the job's host, or, if hosts have no limit, any worker.
    """
    key = job.address.origin if options.per_host else job.image_id
    return crc32(key.encode()) % n_workers


def is_own_site(address: Address, image_id: str, options: FetchOptions) -> bool:
    """Return whether a request belongs to this fetch, or to that of another shard.

    All hosts of a site belong together: http and https, with www and without, and every port. If
    hosts have no limit, the image decides instead.
    """
    if options.work_shard.count == 1:
        return True
    key = address.host.removeprefix("www.") if options.per_host else image_id
    digest = sha256(key.encode()).digest()  # other than the hash of `worker_index`
    return options.work_shard.owns(int.from_bytes(digest[:8]))


class Worker:
    """The threads of one process."""

    def __init__(
        self,
        ledger: Ledger,
        options: FetchOptions,
        n_threads: int,
        report: Report,
        number: WorkerNumber,
        memory: FetchMemory | None = None,
    ) -> None:
        """Start the threads.

        Args:
            ledger: the store to write to
            options: how to fetch
            n_threads: as many requests are made at once
            report: is called by the threads
            number: which of several workers this is
            memory: what large bodies and pictures borrow from; by default that of this worker

        Raises:
            MachineFault: this machine allows no thread
        """
        self.ledger = ledger
        self.options = options
        self.report = report
        self.number = number
        self.memory = memory or FetchMemory()
        self.http_client = HttpClient(
            options.user_agent, options.limits, options.allow_private, self.memory.bodies
        )
        self.network = Network(self.http_client, ledger)
        self.patience = Patience(options.patience, report)
        rules = None if options.obey_robots else robots.ALLOW_ALL
        self.schedule = Schedule(options.per_host or n_threads, rules)
        threads = [threading.Thread(target=self._run, daemon=True) for _ in range(n_threads)]
        self.threads = start_threads(threads)
        if len(self.threads) < n_threads:
            report(
                Notice(
                    f"{len(self.threads)} requests at once, not {n_threads}: this machine allows "
                    "no more threads; raise the limit with `ulimit -u` for more"
                )
            )

    def add(self, job: FetchJob) -> None:
        """Add a job."""
        self.schedule.add(job)

    def stop(self) -> None:
        """Abort the requests in flight, and wait for the threads, at most one connect timeout."""
        self.schedule.stop()
        self.patience.stop()
        self.http_client.close()
        deadline = time.monotonic() + self.options.limits.connect_timeout
        for thread in self.threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        try:
            self._do_jobs()
        except BaseException as error:  # noqa: BLE001, the main thread raises it again
            if not self.schedule.stopped:
                self.report(error)

    def _do_jobs(self) -> None:
        while job_and_host := self.schedule.next_job():
            job, host = job_and_host
            with ExitStack() as loan:
                self._do_job(job, host, loan)

    def _do_job(self, job: FetchJob, host: Host, loan: ExitStack) -> None:
        """Make the request of a job, and handle what comes of it.

        Args:
            job: the job
            host: its host
            loan: has the memory that a large body borrows until the image is written
        """
        try:
            answer = self._request_patiently(job, host, loan)
        except FetchError as error:
            self._handle_failure(job, host, error)
            return
        self.schedule.record_success(host)
        if isinstance(answer, Address):
            self._handle_redirect(job, host, answer)
        else:
            self._handle_image(job, host, answer)

    def _request_patiently(
        self, job: FetchJob, host: Host, loan: ExitStack
    ) -> FetchedImage | Address:
        """Make the request of a job as soon as this machine can."""

        def request() -> FetchedImage | Address:
            try:
                return self._request(job, host, loan)
            except FetchError as error:
                loan.close()
                if self.network.is_down(host.origin, error):
                    raise MachineFault(NETWORK_DOWN) from error
                raise
            except BaseException:
                loan.close()  # others go on while this thread waits
                raise

        return self.patience.run(request)

    def _request(self, job: FetchJob, host: Host, loan: ExitStack) -> FetchedImage | Address:
        """Request the image of a job, and before that the rules of its host if they are unknown."""
        if host.blocked_until > time.monotonic() and not job.failures:
            reason = f"{host.origin} failed several times in a row: {host.last_failure}"
            raise FetchError("unreachable", reason)
        if host.rules is None:
            host.rules = self._request_rules(job, host, loan)
        if not host.rules.allows(job.address.target):
            reason = f"robots.txt does not allow {job.address}, or cannot be read"
            raise FetchError("robots", reason)
        return request_image(
            self.http_client,
            job.address,
            loan,
            self.options.obey_opt_out,
            self.options.max_pixels,
            self.memory.pictures,
            self.options.keep,
        )

    def _request_rules(self, job: FetchJob, host: Host, loan: ExitStack) -> robots.Rules:
        """Request the rules of a host; if that fails several times, nothing is allowed."""
        try:
            rules = request_rules(self.http_client, job.address, loan)
        except FetchError as error:
            if error.outcome == "robots":
                host.robots_failures += 1
            if host.robots_failures < self.options.max_tries:
                raise
            return robots.ALLOW_NOTHING
        if self.options.per_host:
            return rules
        # all workers of all shards request this host, so each of them waits longer
        n_workers = self.number.n_workers * self.options.work_shard.count
        return replace(rules, delay=n_workers * rules.delay)

    def _handle_image(self, job: FetchJob, host: Host, image: FetchedImage) -> None:
        """Store an image."""
        job.attempts += 1
        inspection = image.inspection
        kept = inspection.kept
        file = image.data if kept is None else kept.data
        format_name = inspection.format if kept is None else kept.format
        mtime = self.patience.run(lambda: self.ledger.write_image(job.image_id, format_name, file))
        row = Row(
            job.image_id,
            job.uri,
            outcome="ok",
            reason=None,
            attempts=job.attempts,
            timestamp=time.time(),
            final_uri=str(job.address),
            status=200,
            licence=job.licence,
            sha256=inspection.sha256,
            size=len(image.data),
            format=inspection.format,
            width=inspection.width,
            height=inspection.height,
            fingerprint=inspection.fingerprint,
            mtime=mtime,
            source="archive" if job.dead_link else "uri",
        )
        self._finish(row if kept is None else _with_kept_file(row, kept))
        self.schedule.release(host)

    def _handle_redirect(self, job: FetchJob, host: Host, target: Address) -> None:
        """Request a job at its new address, unless there were too many redirects."""
        job.redirects += 1
        if job.redirects > MAX_REDIRECTS:
            reason = f"more than {MAX_REDIRECTS}, the last to {target}"
            self._handle_failure(job, host, FetchError("redirect", reason))
        else:
            self._move(job, host, target)

    def _move(self, job: FetchJob, host: Host, target: Address) -> None:
        """Queue a job at a new address, or report it if its new host is not of this worker."""
        job.address = target
        is_own = is_own_site(target, job.image_id, self.options)
        index = worker_index(job, self.options, self.number.n_workers)
        if is_own and index == self.number.index:
            self.schedule.release(host, retry=job)
        else:
            self.schedule.release(host)
            self.report(job)

    def _handle_failure(self, job: FetchJob, host: Host, error: FetchError) -> None:
        """Queue a job again, look for it in the archive, or write its failure."""
        if self.schedule.stopped:
            self.schedule.release(host)  # the request was aborted: another run makes it again
            return
        job.failures += 1
        if error.outcome not in NO_REQUEST:
            job.attempts += 1
        delay = max(error.retry_after, back_off(job.failures))
        is_final = not error.retryable or job.failures >= self.options.max_tries
        self._record_failure(host, error, delay, is_final)
        if not is_final and host.blocked_until < time.monotonic():
            self.schedule.release(host, retry=job, delay=delay)
        elif address := archive_address(self.options.archive, job, host, error):
            job.dead_link = error
            job.failures = 0
            job.redirects = 0
            self._move(job, host, address)
        else:
            self._write_failure(job, error)
            self.schedule.release(host)

    def _record_failure(self, host: Host, error: FetchError, delay: float, is_final: bool) -> None:
        """Tell the schedule what a failure says about the host."""
        if error.retry_after > MAX_RETRY_AFTER:
            self.schedule.record_failure(host, error, block_seconds=error.retry_after)
        elif error.rate_limited:
            self.schedule.throttle(host, delay)
        elif error.status:
            self.schedule.record_success(host)
        if error.host_wide and (is_final or not error.rate_limited):
            self.schedule.record_failure(host, error)

    def _write_failure(self, job: FetchJob, error: FetchError) -> None:
        if job.dead_link:
            error = archive_failure(job.dead_link, error)
        row = Row(
            job.image_id,
            job.uri,
            outcome=error.outcome,
            reason=error.reason,
            attempts=job.attempts,
            timestamp=time.time(),
            final_uri=str(job.address),
            status=error.status,
            licence=job.licence,
        )
        self._finish(row)

    def _finish(self, row: Row) -> None:
        """Write the row of a job that is done, and report it."""
        self.patience.run(lambda: self.ledger.write_row(row))
        self.patience.recover()
        self.report(JobResult(row.image_id, row.outcome))


def _with_kept_file(row: Row, kept: KeptFile) -> Row:
    """Return the row of an image whose file is not the original."""
    return replace(
        row,
        kept=kept.options,
        kept_sha256=sha256(kept.data).hexdigest(),
        kept_size=len(kept.data),
        kept_format=kept.format,
    )
