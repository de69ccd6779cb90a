"""A share of a fetch: the sites that one process asks, its threads, and the rows that they write.

    work (N threads)   schedule -> one request -> image, redirect or failure -> ledger, or schedule again

A row is committed before its worker takes the next job, so a kill loses no more than the requests in flight. A site
belongs to one share, so that it is asked by no more than its limit; a job that is redirected out of it is handed back.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import fields, replace
from zlib import crc32

from cnlw_tools.fetch import client, robots, wayback
from cnlw_tools.fetch.address import Address
from cnlw_tools.fetch.http import Web
from cnlw_tools.fetch.options import Manners
from cnlw_tools.fetch.schedule import Host, Job, Schedule, back_off
from cnlw_tools.store.outcomes import Failed
from cnlw_tools.store.store import Ledger, Row

UNASKED = frozenset({"refused", "unreachable"})  # classes of URLs to which no request went
Said = (
    tuple[str, str] | Job | BaseException
)  # id and class of what is final; what belongs elsewhere; why all ends


def home(job: Job, manners: Manners, shares: int) -> int:
    """Return the share that asks for a job: that of its site, or any where sites have no limit."""
    return crc32((job.address.origin if manners.per_host else job.image_id).encode()) % shares


class Share:
    """The threads of one process."""

    def __init__(
        self,
        ledger: Ledger,
        manners: Manners,
        workers: int,
        say: Callable[[Said], None],
        which: tuple[int, int],
    ) -> None:
        self.ledger, self.manners, self.say = ledger, manners, say
        self.number, self.shares = which
        self.web = Web(manners.agent, manners.limits, manners.private)
        self.schedule = Schedule(
            manners.per_host or workers, None if manners.robots else robots.ALL
        )
        self.threads = [threading.Thread(target=self._guard, daemon=True) for _ in range(workers)]
        for thread in self.threads:
            thread.start()

    def add(self, job: Job) -> None:
        """Take a job in."""
        self.schedule.add(job)

    def stop(self) -> None:
        """Drop what is in flight, and wait for as long as a connection may take to see it."""
        self.schedule.stop()
        self.web.close()
        end = time.monotonic() + self.manners.limits.connect
        for thread in self.threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _guard(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001, raised again by who began the run
            self.say(error)

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

    def _ask(self, job: Job, host: Host) -> client.Image | Address:
        if host.alone > time.monotonic() and not job.tries:
            raise Failed("unreachable", f"{host.origin} failed several times in a row: {host.why}")
        if host.rules is None:
            host.rules = self._rules(job, host)
        if not host.rules.allow(job.address.target):
            raise Failed("robots", f"robots.txt does not allow {job.address}, or cannot be read")
        return client.image(self.web, job.address, self.manners.opt_out, self.manners.pixels)

    def _rules(self, job: Job, host: Host) -> robots.Rules:
        """Ask a site for its rules; if it cannot say, several times, nothing is allowed."""
        try:
            rules = client.rules(self.web, job.address)
            each = (
                1 if self.manners.per_host else self.shares
            )  # so many ask it, one after the other
            return replace(rules, delay=each * rules.delay)
        except Failed as failed:
            host.mute += failed.kind == "robots"
            if host.mute < self.manners.tries:
                raise
            return robots.NOTHING

    def _redirected(self, job: Job, host: Host, to: Address) -> None:
        job.hops += 1
        if job.hops > client.HOPS:
            self._failed(
                job, host, Failed("redirect", f"more than {client.HOPS}, the last to {to}")
            )
        else:
            job.address = to
            self._pass_on(job, host)

    def _pass_on(self, job: Job, host: Host) -> None:
        """Ask for a job at its new address, or let the share of that site do so."""
        if home(job, self.manners, self.shares) == self.number:
            return self.schedule.done(host, job)
        self.schedule.done(host)
        return self.say(job)

    def _failed(self, job: Job, host: Host, failed: Failed) -> None:
        if self.schedule.ended:
            return self.schedule.done(host)  # dropped: asked again in another run
        job.tries += 1
        job.attempts += failed.kind not in UNASKED
        seconds = max(failed.wait, back_off(job.tries))
        if failed.wait > client.LONGEST_WAIT:
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
        if found := wayback.capture(self.manners.archive, job, host, failed):
            job.address, job.dead, job.tries, job.hops = found, failed, 0, 0
            return self._pass_on(job, host)
        final = wayback.twice(job.dead, failed) if job.dead else failed
        self._note(self._row(job, final.kind, final.reason, final.status))
        return self.schedule.done(host)

    def _ok(self, job: Job, host: Host, image: client.Image) -> None:
        look = image.look
        mtime = self.ledger.write_image(job.image_id, look.format, image.data)
        job.attempts += 1
        source = "archive" if job.dead else "uri"
        row = replace(
            self._row(job, "ok", None, 200),
            **{f.name: getattr(look, f.name) for f in fields(look)},
            size=len(image.data),
            mtime=mtime,
            source=source,
        )
        self._note(row)
        self.schedule.done(host)

    def _row(self, job: Job, kind: str, reason: str | None, status: int | None) -> Row:
        at, final = time.time(), str(job.address)
        return Row(
            job.image_id, job.uri, kind, reason, job.attempts, at, final, status, job.licence
        )

    def _note(self, row: Row) -> None:
        """Write a row that is final."""
        self.ledger.write_row(row)
        self.say((row.image_id, row.kind))
