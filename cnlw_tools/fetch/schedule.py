"""Who is asked next: hosts take turns, each as often as is polite; what failed comes again later.

A host is ready when it has work, fewer than `per_host` requests open, and no pause: its crawl delay, a Retry-After, or
a back-off. Ready hosts wait in a heap by the time from which they may be asked.
"""

import heapq
import itertools
import random
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from cnlw_tools.fetch.address import Address
from cnlw_tools.fetch.robots import Rules
from cnlw_tools.store.outcomes import Failed

HOSTS = 4096  # of which more is known than that they exist
STRIKES = 3  # failures in a row after which a host is left alone
PEACE = 60.0  # seconds for which it is
FIRST = 1.0  # seconds before the second try; each further one waits twice as long
LONGEST = 60.0


@dataclass(slots=True)
class Job:
    """One URL on its way."""

    image_id: str
    uri: str
    licence: str | None
    address: Address  # where it is now: the URI, or what it redirected to
    attempts: int = 0  # requests made so far, those of earlier runs too
    tries: int = 0  # that failed in this run, since the last redirect
    hops: int = 0
    dead: Failed | None = None  # what became of the URI itself: it is the archive that is asked now


@dataclass(slots=True)
class Host:
    """What is known of a site."""

    origin: str
    rules: Rules | None  # none: not asked yet
    most: float  # requests at a time
    jobs: deque[Job] = field(default_factory=deque)
    open: int = 0
    ready: float = 0.0  # not to be asked before
    listed: bool = False  # in the heap?
    mute: int = 0  # times that it could not say its rules
    strikes: int = 0  # failures in a row
    alone: float = 0.0  # left alone until
    why: str = ""
    why_kind: str = ""  # the class of that failure


class Schedule:
    """Jobs of many hosts, for many threads."""

    def __init__(self, per_host: int, rules: Rules | None = None, known: int = HOSTS) -> None:
        self.per_host, self.rules, self.known = per_host, rules, known
        self.hosts: dict[str, Host] = {}
        self.heap: list[tuple[float, int, Host]] = []
        self.later: list[tuple[float, int, Job]] = []
        self.count = itertools.count()
        self.ended = False
        self.changed = threading.Condition()

    def add(self, job: Job) -> None:
        """Take a job in."""
        with self.changed:
            self._queue(job)

    def stop(self) -> None:
        """Give out no job any more."""
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def take(self) -> tuple[Job, Host] | None:
        """Wait for a job that may be done now; none after the end."""
        with self.changed:
            while not self.ended:
                now = time.monotonic()
                self._due(now)
                if self._any(now):
                    if (found := self._first(now)) is not None:
                        if self._any(now):
                            self.changed.notify()  # there is work for one more; who has done a job comes by himself
                        return found
                    continue
                times = [entries[0][0] for entries in (self.heap, self.later) if entries]
                self.changed.wait(min(times) - now if times else None)
            return None

    def done(self, host: Host, again: Job | None = None, seconds: float = 0.0) -> None:
        """Give a host back; ``again``: its job is not final, and comes again after so many seconds."""
        with self.changed:
            host.open -= 1
            host.ready = max(
                host.ready, time.monotonic() + (host.rules.delay if host.rules else 0.0)
            )
            if again and seconds:
                heapq.heappush(self.later, (time.monotonic() + seconds, next(self.count), again))
            elif again:
                self._queue(again)
            self._list(host)
            idle = not (host.jobs or host.open or host.strikes) and host.ready <= time.monotonic()
            if idle and len(self.hosts) > self.known:
                self.hosts.pop(
                    host.origin, None
                )  # should it come again, its rules are asked for again

    def busy(self, host: Host, seconds: float) -> None:
        """Leave a host in peace for a while, and ask it by one at a time then."""
        with self.changed:
            host.ready = max(host.ready, time.monotonic() + seconds)
            host.most = 1.0

    def strike(self, host: Host, failed: Failed, seconds: float = 0.0) -> None:
        """Note that a host failed; after several times in a row it is left alone, or at once for so many seconds."""
        with self.changed:
            host.strikes += 1
            if seconds or host.strikes >= STRIKES:
                host.alone, host.why = time.monotonic() + (seconds or PEACE), failed.reason
                host.why_kind = failed.kind

    def well(self, host: Host) -> None:
        """Note that a host answered; bit by bit it is asked as much as before."""
        with self.changed:
            host.strikes, host.most = 0, min(self.per_host, host.most + 0.1)

    def _queue(self, job: Job) -> None:
        origin = job.address.origin
        host = self.hosts.get(origin) or Host(origin, self.rules, self.per_host)
        self.hosts[origin] = host
        host.jobs.append(job)
        self._list(host)
        self.changed.notify()

    def _list(self, host: Host) -> None:
        """Put a host in line if it can be asked; while nobody knows its rules, by one at a time."""
        most = 1 if host.rules is None or host.rules.delay else int(host.most)
        if host.jobs and host.open < most and not host.listed:
            host.listed = True
            heapq.heappush(self.heap, (host.ready, next(self.count), host))

    def _any(self, now: float) -> bool:
        """May a host be asked now?"""
        return bool(self.heap) and self.heap[0][0] <= now

    def _first(self, now: float) -> tuple[Job, Host] | None:
        """Take a job of the first host in line; none if that got a pause meanwhile."""
        host = heapq.heappop(self.heap)[2]
        host.listed, found = False, None
        if host.ready <= now:
            host.open += 1
            found = host.jobs.popleft(), host
        self._list(host)
        return found

    def _due(self, now: float) -> None:
        while self.later and self.later[0][0] <= now:
            self._queue(heapq.heappop(self.later)[2])


def back_off(tries: int) -> float:
    """Return the seconds to wait after so many failures: doubled each time, and spread so that clients do not meet."""
    return min(LONGEST, FIRST * 2.0 ** (tries - 1)) * random.uniform(0.5, 1.5)  # noqa: S311, no secret
