"""Fetching many URLs: a feeder, and shares of threads that take turns among the hosts, until every URL has its row.

    feed (1 thread)    manifest -> rows of the ledger that are final are passed over -> the share of its site
    shares             see worker.py; one is in this process, several are in processes of their own (remote_worker.py)

Only some URLs are held at a time, so memory does not grow with the manifest, and one slow host does not stop the
others before it has filled half of the places.
"""

import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from cnlw_tools.executor.signals import Stop
from cnlw_tools.fetch.address import parse
from cnlw_tools.fetch.options import Manners
from cnlw_tools.fetch.remote_worker import Away, Died
from cnlw_tools.fetch.schedule import Job
from cnlw_tools.fetch.worker import Said, Share, home
from cnlw_tools.store.outcomes import FAILED, Failed, Tally
from cnlw_tools.store.store import Ledger, Row, State

if TYPE_CHECKING:
    from cnlw_tools.store.manifest import Entry, Manifest

TICK = 0.2  # seconds between two reports of progress
AHEAD = 4096  # URLs held at a time


def fetch(
    manifest: "Manifest",
    ledger: Ledger,
    manners: Manners,
    workers: int = 64,
    retry: str | None = None,
    progress: Callable[[Tally], None] = lambda tally: None,
    processes: int = 1,
) -> Tally:
    """Bring every URL of a manifest to a final state.

    Args:
        manifest: the URLs
        ledger: the store
        manners: how to ask
        workers: requests at a time
        retry: a class (see `kinds.chosen`): ask again for these, and for nothing else
        progress: is told how far it has come
        processes: among which the sites are divided; this one holds none if there are several

    Raises:
        OSError: the store cannot be written, or a process died
        ValueError: the manifest is damaged
    """
    from cnlw_tools.store import snapshot

    with warnings.catch_warnings(), Stop() as stop:
        warnings.simplefilter("ignore")  # Pillow's, of odd pictures; what matters becomes a class
        run = _Run(manifest, ledger, manners, retry)
        run.start(workers, processes)
        while run.wait(TICK) and not stop.asked:
            progress(run.so_far())
        run.stop()
    if run.error and not (
        stop.asked and isinstance(run.error, Died)
    ):  # of the signal that may have reached all
        raise run.error
    snapshot.write(ledger, run.tally.fetched > 0)
    run.tally.stopped = stop.asked
    progress(run.tally)
    return run.tally


class _Run:
    """What one fetch knows."""

    def __init__(
        self, manifest: "Manifest", ledger: Ledger, manners: Manners, retry: str | None
    ) -> None:
        self.manifest, self.ledger, self.manners, self.retry = manifest, ledger, manners, retry
        self.tally, self.changed = Tally(len(manifest)), threading.Condition()
        self.flying: Counter[str] = Counter()  # rows of each id that is being fetched
        self.recent: set[str] = (
            set()
        )  # ids that became final since the ledger was asked for a block
        self.shares: list[Share | Away] = []
        self.feeder = threading.Thread(target=self._guard, daemon=True)
        self.held: list[int] = []  # jobs of each share that are not done,
        self.most = AHEAD  # and how many of them there may be
        self.begun = time.time()
        self.fed, self.ended = False, False
        self.error: BaseException | None = None

    def start(self, workers: int, processes: int) -> None:
        workers = min(workers, max(1, len(self.manifest)))
        n = min(processes, workers)
        self.held, self.most = [0] * n, AHEAD // n
        for i in range(n):
            many, say, which = workers // n + (i < workers % n), partial(self._said, i), (i, n)
            if n == 1:
                self.shares.append(Share(self.ledger, self.manners, many, say, which))
            else:
                self.shares.append(Away(self.ledger.folder, self.manners, many, say, which))
        self.feeder.start()

    def wait(self, seconds: float) -> bool:
        """Wait a little for the end; is there still work?"""
        with self.changed:
            return not self.changed.wait_for(
                lambda: self.ended or (self.fed and not any(self.held)), seconds
            )

    def so_far(self) -> Tally:
        """Return how far the run has come, now."""
        with self.changed:
            return replace(self.tally, counts=self.tally.counts.copy())

    def stop(self) -> None:
        """Let all shares end; what is in flight is dropped."""
        with self.changed:
            self.ended = True
            self.changed.notify_all()
        threads = [threading.Thread(target=share.stop) for share in self.shares]
        for thread in threads:
            thread.start()
        for thread in (*threads, self.feeder):
            thread.join()

    def _guard(self) -> None:
        try:
            self._feed()
        except BaseException as error:  # noqa: BLE001, raised again by the main thread
            self._said(0, error)

    def _feed(self) -> None:
        for block in self.manifest.blocks():
            self.recent.clear()
            states = self.ledger.states([entry.image_id for entry in block])
            for entry in block:
                if job := self._take_in(entry, states.get(entry.image_id)):
                    self._wait_for_room(job)
                if self.ended:
                    return
        with self.changed:
            self.fed = True
            self.changed.notify_all()

    def _take_in(self, entry: "Entry", state: State | None) -> Job | None:
        """Pass over a row that is final, or return what is to be done."""
        with self.changed:
            if entry.image_id in self.flying:
                self.flying[entry.image_id] += 1  # its id is on its way already
                return None
            final = self._final(state)
            if (
                not final and entry.image_id in self.recent
            ):  # done meanwhile for another row of the same id
                state = self.ledger.states([entry.image_id]).get(entry.image_id)
                final = self._final(state)
            if final:
                self.tally.counts[final] += 1
            elif state is None and self.retry:
                self.tally.waiting += 1
            else:
                self.flying[entry.image_id] += 1
        if final or (state is None and self.retry):
            return None
        attempts = state.attempts if state else 0
        try:
            if entry.wrong or not entry.uri:
                raise Failed("refused", entry.wrong or "no uri")
            return Job(entry.image_id, entry.uri, entry.licence, parse(entry.uri), attempts)
        except Failed as failed:
            self.ledger.write_row(
                Row(entry.image_id, entry.uri, failed.kind, failed.reason, attempts, time.time())
            )
            with self.changed:
                self._count(entry.image_id, failed.kind)
            return None

    def _final(self, state: State | None) -> str | None:
        """Return the class that a row has for good, as far as this run is concerned."""
        if state is None or not state.believed:
            return None
        if (
            self.retry
            and state.at < self.begun
            and self.retry in (state.kind, state.kind == "ok" or FAILED)
        ):
            return None
        return state.kind

    def _wait_for_room(self, job: Job) -> None:
        """Give a job to its share as soon as that has room."""
        i = home(job, self.manners, len(self.shares))
        with self.changed:
            self.changed.wait_for(lambda: self.held[i] < self.most or self.ended)
            self.held[i] += 1
        self.shares[i].add(job)

    def _said(self, i: int, said: Said) -> None:
        """Hear what a share says; who waits is not woken each time, since that takes time from who works."""
        with self.changed:
            if isinstance(said, BaseException):
                self.error, self.ended = self.error or said, True
            else:
                self.held[i] -= 1
            if isinstance(said, Job):
                self.held[home(said, self.manners, len(self.shares))] += 1
            elif isinstance(said, tuple):
                self._count(*said)
            if self.ended or self.held[i] in (0, self.most // 2):
                self.changed.notify_all()
        if isinstance(said, Job):
            self.shares[home(said, self.manners, len(self.shares))].add(said)

    def _count(self, image_id: str, kind: str) -> None:
        self.tally.counts[kind] += self.flying.pop(image_id)
        self.tally.fetched += 1
        self.recent.add(image_id)
