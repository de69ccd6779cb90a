"""Fetching many URLs: threads that take turns among the hosts, until every URL has its row in the ledger.

    feed (1 thread)    manifest -> rows of the ledger that are final are passed over -> schedule
    work (N threads)   schedule -> one request -> image, redirect or failure -> ledger, or schedule again

A row is committed before its worker takes the next job, so a kill loses no more than the requests in flight.
"""

import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from cnlw_tools.fetch import archive, get, robots
from cnlw_tools.fetch.address import Address, parse
from cnlw_tools.fetch.kinds import FAILED, Failed, Tally
from cnlw_tools.fetch.manifest import Entry, Manifest
from cnlw_tools.fetch.manners import Manners
from cnlw_tools.fetch.schedule import Host, Job, Schedule, back_off
from cnlw_tools.fetch.store import Ledger, Row, State
from cnlw_tools.fetch.web import Web
from cnlw_tools.stop import Stop

TICK = 0.2  # seconds between two reports of progress
UNASKED = frozenset({"refused", "unreachable"})  # classes of URLs to which no request went


def fetch(
    manifest: Manifest,
    ledger: Ledger,
    manners: Manners,
    workers: int = 64,
    retry: str | None = None,
    progress: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Bring every URL of a manifest to a final state.

    Args:
        manifest: the URLs
        ledger: the store
        manners: how to ask
        workers: requests at a time
        retry: a class (see `kinds.chosen`): ask again for these, and for nothing else
        progress: is told how far it has come

    Raises:
        OSError: the store cannot be written
        ValueError: the manifest is damaged
    """
    run = _Run(manifest, ledger, manners, workers, retry)
    with warnings.catch_warnings(), Stop() as stop:
        warnings.simplefilter("ignore")  # Pillow's, of odd pictures; what matters becomes a class
        run.start()
        while run.wait(TICK) and not stop.asked:
            progress(run.so_far())
        run.stop()
    if run.error:
        raise run.error
    ledger.copy()
    run.tally.stopped = stop.asked
    progress(run.tally)
    return run.tally


class _Run:
    """What the threads of one fetch share."""

    def __init__(self, manifest: Manifest, ledger: Ledger, manners: Manners, workers: int, retry: str | None) -> None:
        self.manifest, self.ledger, self.manners, self.retry = manifest, ledger, manners, retry
        self.web = Web(manners.agent, manners.limits, manners.private)
        self.schedule = Schedule(manners.per_host or workers, None if manners.robots else robots.ALL)
        self.tally, self.lock = Tally(len(manifest)), threading.Lock()
        self.flying: Counter[str] = Counter()  # rows of each id that is being fetched
        self.begun = time.time()
        self.error: BaseException | None = None
        tasks = [self._feed, *[self._work] * min(workers, max(1, len(manifest)))]
        self.threads = [threading.Thread(target=self._guard, args=(task,), daemon=True) for task in tasks]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait a little for the end; is there still work?"""
        end = time.monotonic() + seconds
        for thread in self.threads:
            thread.join(max(0.0, end - time.monotonic()))
        return any(thread.is_alive() for thread in self.threads)

    def so_far(self) -> Tally:
        """Return how far the run has come, now."""
        with self.lock:
            return replace(self.tally, counts=self.tally.counts.copy())

    def stop(self) -> None:
        """Drop what is in flight, and wait for as long as a connection may take to see it."""
        self.schedule.stop()
        self.web.close()
        self.wait(self.manners.limits.connect)

    def _guard(self, task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:  # noqa: BLE001, raised again by the main thread
            self.error = self.error or error
            self.schedule.stop()

    def _feed(self) -> None:
        for block in self.manifest.blocks():
            states = self.ledger.states([entry.image_id for entry in block])
            for entry in block:
                if not self._take_in(entry, states.get(entry.image_id)):
                    return
        self.schedule.end_of_jobs()

    def _take_in(self, entry: Entry, state: State | None) -> bool:
        """Pass over a row that is final, or schedule it; false when all has been stopped."""
        with self.lock:
            if entry.image_id in self.flying:
                self.flying[entry.image_id] += 1  # its id is on its way already
                return True
            final = self._final(state)
            if not final:  # done meanwhile, perhaps, for another row of the same id
                state = self.ledger.states([entry.image_id]).get(entry.image_id)
                final = self._final(state)
            if final:
                self.tally.counts[final] += 1
            elif state is None and self.retry:
                self.tally.waiting += 1
            else:
                self.flying[entry.image_id] += 1
        if final or (state is None and self.retry):
            return True
        attempts = state.attempts if state else 0
        try:
            if entry.wrong or not entry.uri:
                raise Failed("refused", entry.wrong or "no uri")
            job = Job(entry.image_id, entry.uri, entry.licence, parse(entry.uri), attempts)
        except Failed as failed:
            self._note(Row(entry.image_id, entry.uri, failed.kind, failed.reason, attempts, time.time()))
            return True
        return self.schedule.add(job)

    def _final(self, state: State | None) -> str | None:
        """Return the class that a row has for good, as far as this run is concerned."""
        if state is None or not state.believed:
            return None
        if self.retry and state.at < self.begun and self.retry in (state.kind, state.kind == "ok" or FAILED):
            return None
        return state.kind

    def _work(self) -> None:
        while taken := self.schedule.take():
            job, host = taken
            try:
                found = self._ask(job, host)
            except Failed as failed:
                self._failed(job, host, failed)
                continue
            self.schedule.well(host)
            if isinstance(found, Address):
                self._redirected(job, host, found)
            else:
                self._ok(job, host, found)

    def _ask(self, job: Job, host: Host) -> get.Image | Address:
        if host.alone > time.monotonic() and not job.tries:
            raise Failed("unreachable", f"{host.origin} failed several times in a row: {host.why}")
        if host.rules is None:
            host.rules = self._rules(job, host)
        if not host.rules.allow(job.address.target):
            raise Failed("robots", f"robots.txt does not allow {job.address}, or cannot be read")
        return get.image(self.web, job.address, self.manners.opt_out, self.manners.pixels)

    def _rules(self, job: Job, host: Host) -> robots.Rules:
        """Ask a site for its rules; if it cannot say, several times, nothing is allowed."""
        try:
            return get.rules(self.web, job.address)
        except Failed as failed:
            host.mute += failed.kind == "robots"
            if host.mute < self.manners.tries:
                raise
            return robots.NOTHING

    def _redirected(self, job: Job, host: Host, to: Address) -> None:
        job.hops += 1
        if job.hops > get.HOPS:
            self._failed(job, host, Failed("redirect", f"more than {get.HOPS}, the last to {to}"))
        else:
            job.address = to
            self.schedule.done(host, job)

    def _failed(self, job: Job, host: Host, failed: Failed) -> None:
        if self.schedule.ended:
            return self.schedule.done(host)  # dropped: asked again in another run
        job.tries += 1
        job.attempts += failed.kind not in UNASKED
        seconds = max(failed.wait, back_off(job.tries))
        if failed.wait > get.LONGEST_WAIT:
            self.schedule.strike(host, failed, failed.wait)
        elif failed.busy:
            self.schedule.busy(host, seconds)
        elif failed.status:
            self.schedule.well(host)
        last = not failed.again or job.tries >= self.manners.tries
        if failed.host and (last or not failed.busy):
            self.schedule.strike(host, failed)
        if not last and host.alone < time.monotonic():
            return self.schedule.done(host, job, seconds)
        if found := archive.capture(self.manners.archive, job, host, failed):
            job.address, job.dead, job.tries, job.hops = found, failed, 0, 0
            return self.schedule.done(host, job)
        final = archive.twice(job.dead, failed) if job.dead else failed
        self._note(self._row(job, final.kind, final.reason, final.status))
        return self.schedule.done(host)

    def _ok(self, job: Job, host: Host, image: get.Image) -> None:
        look = image.look
        mtime = self.ledger.keep(job.image_id, look.format, image.data)
        job.attempts += 1
        source = "archive" if job.dead else "uri"
        known = {name: getattr(look, name) for name in ("sha256", "format", "width", "height", "fingerprint")}
        self._note(replace(self._row(job, "ok", None, 200), size=len(image.data), mtime=mtime, source=source, **known))
        self.schedule.done(host)

    def _row(self, job: Job, kind: str, reason: str | None, status: int | None) -> Row:
        at, final = time.time(), str(job.address)
        return Row(job.image_id, job.uri, kind, reason, job.attempts, at, final, status, job.licence)

    def _note(self, row: Row) -> None:
        """Write a row that is final."""
        self.ledger.put(row)
        with self.lock:
            self.tally.counts[row.kind] += self.flying.pop(row.image_id)
            self.tally.fetched += 1
