"""A worker: the threads of one process, which fetch from the hosts that belong to this worker.

    thread of requests    next jobs of the schedule -> requests over idle connections, many at once
                          -> image -> a row in the ledger
    threads for images    do the last of these steps, where there are several processors for each
                          process
    other threads         all that may wait: robots.txt, a new connection, a redirect, a failure
                          -> a row in the ledger, or back into the schedule

Most images pass the first two only. Each thread of Python that is busy slows the others down: with
one processor for each process, two threads that take turns take 0.04 to 0.1 ms more per image than
one. So there are as many threads for images as there are processors, and as many others as
requests.

The row of a job is written before the next job takes its place, so a kill loses only the requests
in flight. Each host belongs to one worker, so that its limit holds over all processes. A job that
is redirected to the host of another worker is handed back, and so is one that is redirected to a
site of another shard (`cnlw fetch --shard`).
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from queue import Empty, SimpleQueue
from zlib import crc32

from cnlw_tools.executor.limits import cores
from cnlw_tools.fetch import robots
from cnlw_tools.fetch.address import Address
from cnlw_tools.fetch.client import (
    MAX_REDIRECTS,
    MAX_RETRY_AFTER,
    FetchedImage,
    accept_all,
    check_opt_out,
    read_answer,
    request_rules,
)
from cnlw_tools.fetch.http import HttpClient
from cnlw_tools.fetch.network import Network
from cnlw_tools.fetch.options import FetchOptions
from cnlw_tools.fetch.patience import Notice, Patience
from cnlw_tools.fetch.resources import FetchMemory, start_threads
from cnlw_tools.fetch.schedule import FetchJob, Host, Schedule, back_off
from cnlw_tools.fetch.transfer import Transfer
from cnlw_tools.fetch.wayback import archive_address, archive_failure
from cnlw_tools.files.machine_faults import MachineFault
from cnlw_tools.store.outcomes import FetchError
from cnlw_tools.store.store import Ledger, Row

NETWORK_DOWN = "no host answers: connect this machine to the network, and check its name server"
MAX_ROWS = 32  # that are written together
MAX_ABSENCE = 0.02  # seconds after which the thread of requests interrupts the work on images
NO_REQUEST = frozenset({"refused", "unreachable"})  # outcomes for which no request was made


Outcomes = dict[str, str]  # image id -> outcome, of jobs that are done: their rows are written
# done | for another worker | for the user | the run must end
WorkerMessage = Outcomes | FetchJob | Notice | BaseException
Answer = FetchedImage | Address  # to a request
Report = Callable[[WorkerMessage], None]


@dataclass(frozen=True, slots=True)
class WorkerNumber:
    """Which of several workers this is."""

    index: int
    n_workers: int


def worker_index(address: Address, n_workers: int) -> int:
    """Return the index of the worker that makes all requests to a host, if hosts have a limit."""
    return crc32(address.origin.encode()) % n_workers


def site_key(address: Address, image_id: str, options: FetchOptions) -> int:
    """Return the number by which sites are divided among shards.

    All hosts of a site belong together: http and https, with www and without, and every port. If
    hosts have no limit, the image decides instead.
    """
    key = address.host.removeprefix("www.") if options.per_host else image_id
    digest = sha256(key.encode()).digest()  # other than the hash of `worker_index`
    return int.from_bytes(digest[:8])


def is_own_site(address: Address, image_id: str, options: FetchOptions) -> bool:
    """Return whether a request belongs to this fetch, or to that of another shard."""
    if options.work_shard.count == 1:
        return True
    return options.work_shard.owns(site_key(address, image_id, options))


@dataclass(slots=True)
class Task:
    """A job that the schedule has handed out."""

    job: FetchJob
    host: Host
    transfer: Transfer | None = None  # its request, if that is over; None: it is still to be made
    # has the memory that a large body borrows until the image is written
    loan: ExitStack = field(default_factory=ExitStack)
    # what is known already, where another thread goes on
    answer: Answer | None = None  # to the request
    failure: FetchError | None = None  # there is no image
    row: Row | None = None  # the file of the image is written


Tasks = SimpleQueue[Task | None]  # None ends the thread that takes it


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
        import simplejpeg  # noqa: F401, it decodes; later, no further file may be open

        self.ledger = ledger
        self.options = options
        self.report = report
        self.number = number
        self.memory = memory or FetchMemory()
        self.http_client = HttpClient(
            options.user_agent, options.limits, options.allow_private, self.memory.bodies
        )
        self.check_headers = check_opt_out if options.obey_opt_out else accept_all
        self.network = Network(self.http_client, ledger)
        self.patience = Patience(options.patience, report)
        rules = None if options.obey_robots else robots.ALLOW_ALL
        self.schedule = Schedule(options.per_host or n_threads, rules, n_threads)
        self.images: Tasks = SimpleQueue()  # responses that should be images, and need no wait
        self.others: Tasks = SimpleQueue()
        n_cores = cores() // number.n_workers
        self.n_image_threads = n_cores if n_cores > 1 else 0
        self.threads = self._start_threads(n_threads)

    def _start_threads(self, n_requests: int) -> list[threading.Thread]:
        """Start the threads, for as many requests at once as this machine allows."""
        targets: list[Callable[[], None]] = [self._run_requests]
        run_images = partial(self._run, partial(self._do_tasks, self.images, MAX_ROWS))
        targets += self.n_image_threads * [run_images]
        n_needed = len(targets) + 1
        targets += n_requests * [partial(self._run, partial(self._do_tasks, self.others, 1))]
        threads = [threading.Thread(target=target, daemon=True) for target in targets]
        running = start_threads(threads, n_needed)
        if len(running) < len(threads):
            n_possible = len(running) - n_needed + 1
            self.schedule.n_requests = n_possible
            self.report(
                Notice(
                    f"{n_possible} requests at once, not {n_requests}: this machine allows "
                    "no more threads; raise the limit with `ulimit -u` for more"
                )
            )
        return running

    def add(self, jobs: Sequence[FetchJob]) -> None:
        """Add jobs."""
        self.schedule.add(jobs)

    def stop(self) -> None:
        """Abort the requests in flight, and wait for the threads, at most one connect timeout."""
        self.schedule.stop()
        self.patience.stop()
        for _ in self.threads:
            self.images.put(None)
            self.others.put(None)
        deadline = time.monotonic() + self.options.limits.connect_timeout
        for thread in self.threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run_requests(self) -> None:
        self._run(self._make_requests)
        self.http_client.close()  # the schedule has stopped, so what fails now has no outcome

    def _run(self, work: Callable[[], None]) -> None:
        """Do the work of a thread; an error ends the whole run."""
        try:
            work()
        except BaseException as error:  # noqa: BLE001, the main thread raises it again
            if not self.schedule.stopped:
                self.schedule.stop()
                self.report(error)

    def _make_requests(self) -> None:
        """Make requests over idle connections, and those of all other threads."""
        while not self.schedule.stopped:
            self._start_requests()
            self.http_client.turn()
            if self.n_image_threads or not self._do_images():
                self.http_client.wait()

    def _start_requests(self) -> None:
        """Start as many requests as the schedule allows."""
        while job_and_host := self.schedule.next_job():
            task = Task(*job_and_host)
            if self._is_ready(task):
                transfer = self._make_transfer(task)
                self.http_client.start(transfer, partial(self._sort, task, transfer))
            else:
                self.others.put(task)

    def _is_ready(self, task: Task) -> bool:
        """Return whether it is known that the image of a task may be requested now."""
        host = task.host
        if host.rules is None or host.blocked_until > time.monotonic():
            return False
        return host.rules.allows(task.job.address.target)

    def _make_transfer(self, task: Task) -> Transfer:
        return Transfer(
            task.job.address,
            self.check_headers,
            task.loan,
            self.options.limits,
            self.memory.bodies,
        )

    def _sort(self, task: Task, transfer: Transfer) -> None:
        """Hand a task on when its request is over.

        A compressed body waits for memory, which other bodies have until they are decoded. So no
        thread that decodes these may wait for it.
        """
        if not transfer.lacks_connection:
            task.transfer = transfer
        has_image = transfer.status == 200 and not (transfer.error or transfer.is_compressed)
        (self.images if has_image else self.others).put(task)

    def _do_images(self) -> bool:
        """Do the images that have come, for a moment; return whether there was one.

        This thread must not wait, since the requests that it ends free memory and files. So a task
        is left to another thread if this machine is at fault, and so is every failure.
        """
        done: list[Task] = []
        end = time.monotonic() + MAX_ABSENCE
        n_tasks = 0
        while not self.images.empty() and time.monotonic() < end:
            if task := self.images.get():
                n_tasks += 1
                if self._try_image(task):
                    done.append(task)
                else:
                    self.others.put(task)
        if done and not self._try_rows(done):
            for task in done:
                self.others.put(task)
        return n_tasks > 0

    def _try_image(self, task: Task) -> bool:
        """Store an image, and return whether that was possible without a wait."""
        try:
            answer = self._request(task)
        except FetchError as error:
            task.failure = copy(error)  # without the traceback, which keeps the body in memory
            task.loan.close()
            return False
        except (OSError, MemoryError):
            task.loan.close()
            return False
        task.answer = answer
        if isinstance(answer, Address):
            return False
        self.schedule.record_success(task.host)
        try:
            task.row = self._store_image(task.job, answer)
        except OSError:
            return False
        task.loan.close()
        return True

    def _try_rows(self, done: list[Task]) -> bool:
        """Write the rows of images, and return whether that was possible without a wait."""
        rows = [task.row for task in done if task.row]
        try:
            self.ledger.write_rows(rows)
        except OSError:
            return False
        self._report_rows(rows)
        for task in done:
            self.schedule.release(task.host)
        return True

    def _do_tasks(self, tasks: Tasks, max_rows: int) -> None:
        """Do the tasks of a queue until it has a None.

        Args:
            tasks: the queue
            max_rows: of so many images the rows are written together, if no task must wait for it
        """
        done: list[tuple[Row, Host]] = []
        while task := self._next_task(tasks, done):
            with task.loan:
                row = task.row or self._do_task(task)
            if row:
                done.append((row, task.host))
            if len(done) >= max_rows:
                self._finish_images(done)
        self._finish_images(done)

    def _next_task(self, tasks: Tasks, done: list[tuple[Row, Host]]) -> Task | None:
        """Return the next task; if it is not there yet, finish what is done before waiting."""
        if done:
            with suppress(Empty):
                return tasks.get_nowait()
            self._finish_images(done)
        return tasks.get()

    def _do_task(self, task: Task) -> Row | None:
        """Make the request of a task, if that has not been done, and handle what came of it.

        Returns:
            the row of an image, which is to be written
        """
        job = task.job
        host = task.host
        if task.failure:
            self._handle_failure(job, host, task.failure)
            return None
        try:
            answer = task.answer or self._request_patiently(task)
        except FetchError as error:
            self._handle_failure(job, host, error)
            return None
        self.schedule.record_success(host)
        if isinstance(answer, Address):
            self._handle_redirect(job, host, answer)
            return None
        return self.patience.run(partial(self._store_image, job, answer))

    def _request_patiently(self, task: Task) -> Answer:
        """Return the answer to a request, which is made as soon as this machine can."""

        def request() -> Answer:
            try:
                return self._request(task)
            except FetchError as error:
                task.loan.close()
                if self.network.is_down(task.host.origin, error):
                    raise MachineFault(NETWORK_DOWN) from error
                raise
            except BaseException:
                task.loan.close()  # others go on while this thread waits
                raise

        return self.patience.run(request)

    def _request(self, task: Task) -> Answer:
        """Return the answer to a request that is over; or make it, after that for the rules."""
        job = task.job
        transfer = task.transfer
        task.transfer = None  # after a fault of this machine, the request is made again
        if transfer:
            response = transfer.response()
        else:
            self._check_host(task)
            response = self.http_client.get(job.address, self.check_headers, task.loan)
        options = self.options
        return read_answer(
            job.address, response, options.max_pixels, self.memory.pictures, options.keep
        )

    def _check_host(self, task: Task) -> None:
        """Check that the host is not blocked, and that its rules allow the request."""
        job = task.job
        host = task.host
        if host.blocked_until > time.monotonic() and not job.failures:
            reason = f"{host.origin} failed several times in a row: {host.last_failure}"
            raise FetchError("unreachable", reason)
        if host.rules is None:
            host.rules = self._request_rules(job, host, task.loan)
        if not host.rules.allows(job.address.target):
            reason = f"robots.txt does not allow {job.address}, or cannot be read"
            raise FetchError("robots", reason)

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

    def _store_image(self, job: FetchJob, image: FetchedImage) -> Row:
        """Write the file of an image, and return its row."""
        inspection = image.inspection
        kept = inspection.kept
        file = image.data if kept is None else kept.data
        format_name = inspection.format if kept is None else kept.format
        mtime = self.ledger.write_image(job.image_id, format_name, file)
        job.attempts += 1
        return Row(
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
            kept=kept.options if kept else None,
            kept_sha256=sha256(kept.data).hexdigest() if kept else None,
            kept_size=len(kept.data) if kept else None,
            kept_format=kept.format if kept else None,
        )

    def _finish_images(self, done: list[tuple[Row, Host]]) -> None:
        """Write the rows of images, and empty the list."""
        if done:
            self._write_rows([row for row, _ in done])
            for _, host in done:
                self.schedule.release(host)
            done.clear()

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
        if is_own and self._is_own_host(target):
            self.schedule.release(host, retry=job)
        else:
            self.schedule.release(host)
            self.report(job)

    def _is_own_host(self, address: Address) -> bool:
        """Return whether this worker may request a host; if hosts have no limit, any worker may."""
        if not self.options.per_host:
            return True
        return worker_index(address, self.number.n_workers) == self.number.index

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
        self._write_rows([row])

    def _write_rows(self, rows: list[Row]) -> None:
        """Write the rows of jobs that are done, and report them."""
        self.patience.run(lambda: self.ledger.write_rows(rows))
        self._report_rows(rows)

    def _report_rows(self, rows: list[Row]) -> None:
        """Report jobs whose rows are written."""
        self.patience.recover()
        self.report({row.image_id: row.outcome for row in rows})
