"""Shares in processes of their own: to sites and ledger they are as one."""

import os
import pickle
import signal
import threading
import time
from dataclasses import replace
from multiprocessing import Pipe

import pytest

from cnlw_tools.fetch import Limits, Manners, fetch
from cnlw_tools.fetch.address import parse
from cnlw_tools.fetch.remote_worker import Away, Post, _portable
from cnlw_tools.fetch.run import _Run
from cnlw_tools.fetch.schedule import Job
from cnlw_tools.fetch.worker import Share, home
from cnlw_tools.store.manifest import Manifest
from cnlw_tools.store.outcomes import Failed
from cnlw_tools.store.store import open_ledger

PATHS = ["/ok/1", "/ok/2", "/status/404", "/body/html", "/hop/3", "/tag/noai", "/private/x"]


def job(uri):
    return Job("a", uri, None, parse(uri))


def test_the_share_of_a_site():
    """A site belongs to one share; where sites have no limit, its images are divided."""
    jobs = [
        Job(str(i), f"http://h{i % 9}/{i}", None, parse(f"http://h{i % 9}/{i}")) for i in range(90)
    ]
    shares = {(j.address.host, home(j, Manners(), 3)) for j in jobs}

    assert 9 == len(shares)
    assert {0, 1, 2} == {share for _, share in shares}
    assert {0, 1, 2} == {home(j, Manners(per_host=0), 3) for j in jobs if j.address.host == "h0"}


def test_what_goes_to_another_process():
    """A job comes back whole, what became of its URI included."""
    dead = Failed("http_404", "HTTP 404", again=True, wait=3.0)

    came = pickle.loads(pickle.dumps(replace(job("http://a/b"), dead=dead)))

    assert ("http_404: HTTP 404", vars(dead)) == (str(came.dead), vars(came.dead))


def test_a_pause_of_a_site_that_all_ask(server, tmp_path):
    """Shares that ask one site wait longer each, so that together they ask as often as it wants."""
    server.robots = 200, "User-agent: *\nCrawl-delay: 2"
    with open_ledger(tmp_path / "s") as ledger:
        for per_host, seconds in ((4, 2.0), (0, 6.0)):
            share = Share(
                ledger, Manners(per_host=per_host, private=True), 1, lambda said: None, (0, 3)
            )
            one = replace(job(server.url), image_id="a")
            share.add(one)
            while not (host := share.schedule.hosts[one.address.origin]).rules:
                time.sleep(0.01)
            share.stop()
            assert seconds == host.rules.delay


def test_what_is_sent_together():
    """All of it in its order, in few messages, and then none; nobody waits for one who does not read."""
    here, there = Pipe()
    post = Post(there)
    for i in range(1000):
        post.put(i)
    post.end(10.0)
    came = list(iter(here.recv, None))

    assert list(range(1000)) == [letter for letters in came for letter in letters]
    assert len(came) < 500
    deaf = Post(there)
    deaf.put(b"x" * 10_000_000)
    deaf.end(0.1)
    here.close()
    deaf.thread.join(10.0)
    assert not deaf.thread.is_alive()


class Odd(Exception):
    """An error that comes back from a message as no error: it wants two arguments."""

    def __init__(self, one, two):
        super().__init__(f"{one} {two}")


def test_an_error_that_cannot_be_sent():
    """Its text can; what can be sent goes as it is."""
    full = OSError(28, "No space left on device")

    assert "Odd: a b" == str(_portable(Odd("a", "b")))
    assert full is _portable(full)
    assert ("a", "ok") == _portable(("a", "ok"))


@pytest.mark.slow
def test_processes_are_as_one(server, other, table, tmp_path):
    """The same rows as of one process; every site is asked for its rules once, though sites redirect to each other."""
    server.robots = other.robots = 200, "User-agent: *\nDisallow: /private"
    uris = {
        f"{i}{path}": site.url + path for i, site in enumerate((server, other)) for path in PATHS
    }
    uris |= {f"to{i}": f"{server.url}/to/?url={other.url}/ok/{i}" for i in range(5)}
    uris |= {f"back{i}": f"{other.url}/to/?url={server.url}/ok/{i}" for i in range(5)} | {
        "none": "ftp://x"
    }
    manners, rows = Manners(private=True, limits=Limits(2, 1, 3, 1_000_000)), []

    for n in (1, 2):
        server.seen.clear(), other.seen.clear()
        with open_ledger(tmp_path / f"s{n}") as ledger:
            tally = fetch(Manifest(table(uris)), ledger, manners, 8, None, processes=n)
            ask = (
                "SELECT image_id, class, reason, attempts, final_uri, sha256 FROM ledger ORDER BY 1"
            )
            rows.append(list(ledger.query(ask)))
        assert len(uris) == tally.counts.total()
        assert 1 == server.seen["/robots.txt"] == other.seen["/robots.txt"]

    assert rows[0] == rows[1]


@pytest.mark.slow
def test_a_process_that_dies(server, table, tmp_path):
    """The run ends with an error that says what to do, and what it had is there."""
    uris = {f"s{i}": f"{server.url}/slow/{i}" for i in range(2)} | {"a": f"{server.url}/ok/1"}
    with open_ledger(tmp_path / "s") as ledger:
        run = _Run(Manifest(table(uris)), ledger, Manners(per_host=0, private=True), None)
        run.start(8, 2)
        while not run.so_far().counts:
            assert run.wait(0.01)
        for share in run.shares:
            assert isinstance(share, Away)
            os.kill(share.process.pid, signal.SIGKILL)
        while run.wait(0.01):
            pass
        run.stop()

        assert "give fewer --processes" in str(run.error)
        assert {"ok": 1} == run.tally.counts
    assert not [
        thread
        for thread in threading.enumerate()
        if "_read" in thread.name or "_send" in thread.name
    ]
