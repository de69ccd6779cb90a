"""Workers in processes of their own: for hosts and for the ledger they are like one worker."""

import os
import pickle
import signal
import threading
import time
from dataclasses import replace
from multiprocessing import Pipe

import pytest

from cnlw_tools.fetch import FetchOptions, Limits, fetch
from cnlw_tools.fetch.address import parse_uri
from cnlw_tools.fetch.remote_worker import Outbox, RemoteWorker, make_picklable
from cnlw_tools.fetch.run import _Run
from cnlw_tools.fetch.schedule import FetchJob
from cnlw_tools.fetch.worker import Worker, WorkerNumber, worker_index
from cnlw_tools.store.manifest import Manifest
from cnlw_tools.store.outcomes import FetchError
from cnlw_tools.store.store import open_ledger

PATHS = ["/ok/1", "/ok/2", "/status/404", "/body/html", "/hop/3", "/tag/noai", "/private/x"]


def make_job(uri, image_id="a"):
    return FetchJob(image_id, uri, None, parse_uri(uri))


def test_worker_index():
    """A host belongs to one worker, and each worker has hosts."""
    addresses = [parse_uri(f"http://h{i % 9}/{i}") for i in range(90)]

    indices = {(address.host, worker_index(address, 3)) for address in addresses}

    assert 9 == len(indices)
    assert {0, 1, 2} == {index for _, index in indices}


def test_jobs_can_be_pickled():
    """A job keeps all of its attributes, those of the failure of its dead link included."""
    dead_link = FetchError("http_404", "HTTP 404", retryable=True, retry_after=3.0)

    job = pickle.loads(pickle.dumps(replace(make_job("http://a/b"), dead_link=dead_link)))

    assert "http_404: HTTP 404" == str(job.dead_link)
    assert vars(dead_link) == vars(job.dead_link)


def test_crawl_delay_of_a_host_that_all_workers_request(server, tmp_path):
    """Three workers wait three times as long each, so together they keep the crawl delay."""
    server.robots = 200, "User-agent: *\nCrawl-delay: 2"
    with open_ledger(tmp_path / "s") as ledger:
        for per_host, seconds in ((4, 2.0), (0, 6.0)):
            options = FetchOptions(per_host=per_host, allow_private=True)
            worker = Worker(ledger, options, 1, lambda message: None, WorkerNumber(0, 3))
            job = make_job(server.url)
            worker.add([job])
            while not (host := worker.schedule.hosts[job.address.origin]).rules:
                time.sleep(0.01)
            worker.stop()
            assert seconds == host.rules.delay


def test_outbox():
    """Messages are sent in order, many at a time; a reader that does not read is not waited for."""
    receiver, sender = Pipe()
    outbox = Outbox(sender)
    for i in range(0, 1000, 2):
        outbox.put([i, i + 1])
    outbox.close(10.0)
    batches = list(iter(receiver.recv, None))

    assert list(range(1000)) == [message for batch in batches for message in batch]
    assert len(batches) < 500
    blocked = Outbox(sender)
    blocked.put([b"x" * 10_000_000])
    blocked.close(0.1)
    receiver.close()
    blocked.thread.join(10.0)
    assert not blocked.thread.is_alive()


class TwoArgumentError(Exception):
    """An error that cannot be unpickled, because it wants two arguments."""

    def __init__(self, a, b):
        super().__init__(f"{a} {b}")


def test_errors_that_cannot_be_pickled():
    """An error that cannot be pickled is replaced by its text; other messages do not change."""
    disk_full = OSError(28, "No space left on device")
    outcomes = {"a": "ok"}

    assert "TwoArgumentError: a b" == str(make_picklable(TwoArgumentError("a", "b")))
    assert disk_full is make_picklable(disk_full)
    assert outcomes is make_picklable(outcomes)


@pytest.mark.slow
def test_two_processes_are_like_one(server, other_server, write_manifest, tmp_path):
    """Both give the same rows and request each robots.txt once, also if a site redirects."""
    server.robots = other_server.robots = 200, "User-agent: *\nDisallow: /private"
    uris = {"none": "ftp://x"}
    for path in PATHS:
        uris[f"0{path}"] = server.url + path
        uris[f"1{path}"] = other_server.url + path
    for i in range(5):
        uris[f"to{i}"] = f"{server.url}/to/?url={other_server.url}/ok/{i}"
        uris[f"back{i}"] = f"{other_server.url}/to/?url={server.url}/ok/{i}"
    options = FetchOptions(allow_private=True, limits=Limits(2, 1, 3, 1_000_000))
    manifest = write_manifest(uris)
    columns = ["image_id", "class", "reason", "attempts", "final_uri", "sha256"]
    rows = []

    for n in (1, 2):
        server.requests.clear()
        other_server.requests.clear()
        with open_ledger(tmp_path / f"s{n}") as ledger:
            tally = fetch(Manifest(manifest), ledger, options, 8, None, n_processes=n)
            rows.append(list(ledger.select(columns)))
        assert len(uris) == tally.counts.total()
        assert 1 == server.requests["/robots.txt"] == other_server.requests["/robots.txt"]

    assert rows[0] == rows[1]


@pytest.mark.slow
def test_a_process_that_dies(server, write_manifest, tmp_path):
    """The run ends with an error that says what to do, and the images so far are in the store."""
    uris = {f"s{i}": f"{server.url}/slow/{i}" for i in range(2)} | {"a": f"{server.url}/ok/1"}
    options = FetchOptions(per_host=0, allow_private=True)
    with open_ledger(tmp_path / "s") as ledger:
        run = _Run(Manifest(write_manifest(uris)), ledger, options, None, print)
        run.start(8, 2)
        while not run.copy_tally().counts:
            assert run.wait(0.01)
        for worker in run.workers:
            assert isinstance(worker, RemoteWorker)
            os.kill(worker.process.pid, signal.SIGKILL)
        while run.wait(0.01):
            pass
        run.stop()

        assert "give fewer --workers" in str(run.error)
        assert {"ok": 1} == run.tally.counts
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if "_read" in name or "_send" in name]
