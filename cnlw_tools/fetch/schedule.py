"""The schedule: which host is next, and when. Hosts take turns, each as often as is polite.

A host is ready when it has a job, fewer requests in flight than its limit, and no pause: its crawl
delay, a Retry-After, or a back-off. Ready hosts wait in a heap, ordered by the time from which they
may be requested. A job that failed is queued again after its delay.

All times are those of `time.monotonic`.
"""

import heapq
import itertools
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any

from cnlw_tools.fetch.address import Address
from cnlw_tools.fetch.robots import Rules
from cnlw_tools.store.outcomes import FetchError

MAX_IDLE_HOSTS = 4096  # if there are more hosts than this, idle ones are forgotten
MAX_FAILURES = 3  # in a row; then a host is blocked
COOLDOWN = 60.0  # seconds for which it is blocked
FIRST_BACK_OFF = 1.0  # seconds before the second attempt; doubled before each further attempt
MAX_BACK_OFF = 60.0
RECOVERY = 0.1  # by which each success raises the limit of a host that was throttled


@dataclass(slots=True)
class FetchJob:
    """One URL to fetch."""

    image_id: str
    uri: str
    licence: str | None
    address: Address  # where to request it now: at the URI, or where that redirects to
    attempts: int = 0  # requests so far, in all runs
    failures: int = 0  # in this run, since the last redirect
    redirects: int = 0
    dead_link: FetchError | None = None  # the failure of the URI, if an archive is requested now

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        """Return what is pickled: this takes two thirds of the time of what dataclasses do."""
        return FetchJob, _job_values(self)


_job_values = attrgetter(*(field.name for field in fields(FetchJob)))


@dataclass(slots=True)
class Host:
    """The state of a host; here that is a scheme, a name and a port."""

    origin: str
    rules: Rules | None  # None: its robots.txt was not requested yet
    limit: float  # requests in flight at once, rounded down
    jobs: deque[FetchJob] = field(default_factory=deque)
    in_flight: int = 0  # requests
    ready_at: float = 0.0  # no request before this time
    queued: bool = False  # whether it is in the heap
    robots_failures: int = 0  # failed requests of its robots.txt
    failures: int = 0  # in a row
    blocked_until: float = 0.0
    last_failure: str = ""  # the reason why it is blocked
    last_outcome: str = ""  # the outcome of that failure


class Schedule:
    """The jobs of many hosts, as many at once as there may be requests."""

    def __init__(
        self,
        per_host: int,
        rules: Rules | None = None,
        n_requests: int = sys.maxsize,
        max_idle_hosts: int = MAX_IDLE_HOSTS,
    ) -> None:
        """Make an empty schedule.

        Args:
            per_host: requests in flight to one host at once
            rules: of every host; None: they are not known and must be requested
            n_requests: requests in flight at once
            max_idle_hosts: if there are more hosts than this, idle ones are forgotten
        """
        self.per_host = per_host
        self.rules = rules
        self.n_requests = n_requests
        self.max_idle_hosts = max_idle_hosts
        self.hosts: dict[str, Host] = {}  # by origin
        # of both heaps: time, a counter that decides ties, and what to do then
        self.ready_hosts: list[tuple[float, int, Host]] = []
        self.delayed_jobs: list[tuple[float, int, FetchJob]] = []
        self.counter = itertools.count()
        self.in_flight = 0  # requests
        self.stopped = False
        self.lock = threading.Lock()

    def add(self, jobs: Iterable[FetchJob]) -> None:
        """Add jobs to the queues of their hosts."""
        with self.lock:
            for job in jobs:
                self._enqueue_job(job)

    def stop(self) -> None:
        """Hand out no more jobs."""
        self.stopped = True

    def next_job(self) -> tuple[FetchJob, Host] | None:
        """Return a job that may be done now, with its host; None if there is none.

        The caller must hand the host back with `release`.
        """
        with self.lock:
            now = time.monotonic()
            self._enqueue_due_jobs(now)
            while not self.stopped and self.in_flight < self.n_requests:
                if not self._has_ready_host(now):
                    break
                if job_and_host := self._take_from_next_host(now):
                    self.in_flight += 1
                    return job_and_host
            return None

    def release(self, host: Host, retry: FetchJob | None = None, delay: float = 0.0) -> None:
        """Hand a host back after a job.

        Args:
            host: as returned by `next_job`
            retry: the job, if it is to be queued again
            delay: seconds before it is queued again
        """
        with self.lock:
            now = time.monotonic()
            crawl_delay = host.rules.delay if host.rules else 0.0
            host.in_flight -= 1
            self.in_flight -= 1
            host.ready_at = max(host.ready_at, now + crawl_delay)
            if retry and delay:
                heapq.heappush(self.delayed_jobs, (now + delay, next(self.counter), retry))
            elif retry:
                self._enqueue_job(retry)
            self._enqueue_host(host)
            if len(self.hosts) > self.max_idle_hosts and self._is_idle(host):
                self.hosts.pop(host.origin, None)  # its robots.txt is requested again if it returns

    def throttle(self, host: Host, seconds: float) -> None:
        """Pause a host; then allow one request at a time, and slowly more with each success."""
        with self.lock:
            host.ready_at = max(host.ready_at, time.monotonic() + seconds)
            host.limit = 1.0

    def record_failure(self, host: Host, error: FetchError, block_seconds: float = 0.0) -> None:
        """Count a failure of a host, and block it after several in a row.

        Args:
            host: the host
            error: the failure
            block_seconds: if given, block the host at once, for this time
        """
        with self.lock:
            host.failures += 1
            if block_seconds or host.failures >= MAX_FAILURES:
                host.blocked_until = time.monotonic() + (block_seconds or COOLDOWN)
                host.last_failure = error.reason
                host.last_outcome = error.outcome

    def record_success(self, host: Host) -> None:
        """Forget the failures of a host that answered, and raise a limit that was throttled."""
        with self.lock:
            host.failures = 0
            host.limit = min(self.per_host, host.limit + RECOVERY)

    def _enqueue_job(self, job: FetchJob) -> None:
        origin = job.address.origin
        host = self.hosts.get(origin)
        if host is None:
            host = Host(origin, self.rules, self.per_host)
            self.hosts[origin] = host
        host.jobs.append(job)
        self._enqueue_host(host)

    def _enqueue_host(self, host: Host) -> None:
        """Put a host into the heap if it has a job and its limit allows another request.

        A host whose rules are unknown, or which asks for a delay, gets one request at a time.
        """
        limit = 1 if host.rules is None or host.rules.delay else int(host.limit)
        if host.jobs and host.in_flight < limit and not host.queued:
            host.queued = True
            heapq.heappush(self.ready_hosts, (host.ready_at, next(self.counter), host))

    def _enqueue_due_jobs(self, now: float) -> None:
        while self.delayed_jobs and self.delayed_jobs[0][0] <= now:
            _, _, job = heapq.heappop(self.delayed_jobs)
            self._enqueue_job(job)

    def _has_ready_host(self, now: float) -> bool:
        return bool(self.ready_hosts) and self.ready_hosts[0][0] <= now

    def _take_from_next_host(self, now: float) -> tuple[FetchJob, Host] | None:
        """Take a job from the first host in the heap; None if that host was paused meanwhile."""
        _, _, host = heapq.heappop(self.ready_hosts)
        host.queued = False
        job = None
        if host.ready_at <= now:
            host.in_flight += 1
            job = host.jobs.popleft()
        self._enqueue_host(host)
        return (job, host) if job else None

    def _is_idle(self, host: Host) -> bool:
        if host.jobs or host.in_flight or host.failures:
            return False
        return host.ready_at <= time.monotonic()


def back_off(failures: int) -> float:
    """Return the seconds to wait after this many failures: doubled each time, then varied by half.

    The variation is random, so that clients that failed together do not return together.
    """
    seconds = FIRST_BACK_OFF * 2.0 ** (failures - 1)
    factor = random.uniform(0.5, 1.5)  # noqa: S311, no secret
    return min(MAX_BACK_OFF, seconds) * factor
