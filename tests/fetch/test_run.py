"""Many URLs: outcomes are final, and a killed run loses nothing."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cnlw_tools.fetch import FetchOptions, fetch, run
from cnlw_tools.fetch.worker import Worker
from cnlw_tools.files import TEMPORARY_PREFIX, default_root
from cnlw_tools.images.pixels import KeptPicture, Storage, encode_picture
from cnlw_tools.store.inspect import inspect_image
from cnlw_tools.store.manifest import Manifest
from cnlw_tools.store.store import LEDGER, Ledger, Store, open_ledger

FORKS = """
import os, sys
import cnlw_tools.fetch
from cnlw_tools.cli import main

for line in sys.stdin:
    out, *arguments = line.split()
    pid = os.fork()
    if not pid:
        os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        os.dup2(1, 2)
        main(["fetch", "--allow-private", *arguments])
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Command:
    """Runs `cnlw fetch` in forked processes, one after another: an import takes a second."""

    def __init__(self, out):
        env = {**os.environ, "PYTHONPATH": str(default_root())}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": env}
        self.out = out
        self.process = subprocess.Popen([sys.executable, "-c", FORKS], **pipes)

    def start(self, *arguments):
        self.process.stdin.write(" ".join(map(str, [self.out, *arguments])) + "\n")
        self.process.stdin.flush()
        self.pid = int(self.process.stdout.readline())

    def end(self, number=0):
        """Send a signal if one is given, wait, and return exit code and output."""
        if number:
            os.kill(self.pid, number)
        code = int(self.process.stdout.readline())
        return code, self.out.read_text()


@pytest.fixture
def command(tmp_path_factory):
    """Runs `cnlw fetch` in processes."""
    command = Command(tmp_path_factory.mktemp("out") / "output")
    with command.process:
        yield command
        command.process.stdin.close()


def test_outcomes_are_final(server, fetch_rows):
    """A second run makes no request at all."""
    paths = {
        "a": "/ok/1",
        "b": "/status/404",
        "c": "/body/html",
        "d": "/tag/noai",
        "e": "/short",
        "f": "/flaky/9",
    }
    uris = {image_id: server.url + path for image_id, path in paths.items()}
    uris |= {"g": "ftp://x/", "../h": f"{server.url}/ok/1"}
    first_rows = fetch_rows(uris)
    server.requests.clear()

    second_rows = fetch_rows(uris)

    assert first_rows == second_rows
    assert not server.requests


def test_retry(server, fetch_rows):
    """A retry requests the URLs with one outcome, or all failures with `failed`, but never ok."""
    paths = {"a": "/ok/1", "b": "/status/404", "c": "/flaky/4", "d": "/status/403"}
    uris = {image_id: server.url + path for image_id, path in paths.items()}
    fetch_rows(uris)
    server.requests.clear()
    server.requests["/flaky/4"] = 4  # now it succeeds

    rows = fetch_rows(uris | {"e": f"{server.url}/ok/2"}, retry="http_500")
    assert {"/flaky/4": 5} == server.images()
    assert ("ok", 4) == (rows["c"].outcome, rows["c"].attempts)
    assert "e" not in rows

    fetch_rows(uris, retry="failed")
    assert {"/flaky/4": 5, "/status/404": 1, "/status/403": 1} == server.images()


@pytest.mark.parametrize("offset", [-(10**6), -1, 1, 3600, 10**6])
def test_a_retry_does_not_look_at_the_clock(server, fetch_rows, monkeypatch, offset):
    """A retry requests its URLs once, also if the clock of the first run was ahead or behind."""
    uris = {"a": f"{server.url}/status/404", "b": f"{server.url}/flaky/1"}
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + offset)
    fetch_rows(uris, max_tries=1)
    monkeypatch.setattr(time, "time", clock)
    server.requests.clear()
    server.requests["/flaky/1"] = 1  # now it succeeds

    rows = fetch_rows(uris, retry="failed")

    assert {"/status/404": 1, "/flaky/1": 2} == server.images()
    assert "ok" == rows["b"].outcome


def test_a_retry_requests_repeated_ids_once(server, tmp_path):
    """A row with the same id, in a later block of the manifest, is not a second retry."""
    ids = [str(i % 40) for i in range(1500)]
    table = pa.table({"image_id": ids, "uri": [f"{server.url}/status/404?{i}" for i in ids]})
    pq.write_table(table, tmp_path / "m.parquet")
    options = FetchOptions(allow_private=True)

    for retry in (None, "http_404"):
        server.requests.clear()
        with open_ledger(tmp_path / "s") as ledger:
            tally = fetch(Manifest(tmp_path / "m.parquet"), ledger, options, 4, retry)
        assert ({"http_404": 1500}, 40) == (tally.counts, server.images().total())


def test_damaged_files(server, fetch_rows, tmp_path):
    """A file that has changed is fetched again, the others are not."""
    uris = {str(i): f"{server.url}/ok/{i}" for i in range(3)}
    rows = fetch_rows(uris)
    server.requests.clear()
    with Store(tmp_path / "store") as store:
        store.image_path("1", "jpeg").write_bytes(b"half")

    fetch_rows(uris)

    assert {"/ok/1": 1} == server.images()
    with Store(tmp_path / "store") as store:
        assert rows["1"].sha256 == sha256(store.read("1")).hexdigest()


def test_kept_images(server, fetch_rows, tmp_path, bodies, encode):
    """A store keeps what a build of the size stores; its ledger describes the originals."""
    paths = {"jpeg": "/ok/1", "png": "/body/png", "gif": "/body/gif", "cut": "/body/cut-jpeg"}
    uris = {name: server.url + path for name, path in paths.items()}
    originals = bodies | {"jpeg": encode("JPEG", 1)}
    keep = Storage(16, "crop", 80)

    rows = fetch_rows(uris, keep=keep)

    assert "truncated" == rows.pop("cut").outcome
    with Store(tmp_path / "store") as store:
        for name, row in rows.items():
            original = originals[name]
            expected = inspect_image(original)
            data = encode_picture(original, keep)
            assert data == store.read(name)
            assert KeptPicture(data, keep.options, row.sha256) == store.read_picture(name)
            assert (expected.sha256, len(original), name) == (row.sha256, row.size, row.format)
            assert (expected.width, expected.height) == (row.width, row.height)
            assert len(data) == row.kept_size
        n_files = sum(path.is_file() for path in (tmp_path / "store" / "images").rglob("*"))
    assert len(rows) == n_files


def test_a_fetch_of_kept_images_goes_on(server, fetch_rows, tmp_path):
    """A second run requests the damaged file, a retry the failure; other files may not join."""
    uris = {"a": f"{server.url}/ok/1", "b": f"{server.url}/ok/2", "c": f"{server.url}/flaky/1"}
    keep = Storage(16)
    rows = fetch_rows(uris, keep=keep, max_tries=1)
    with Store(tmp_path / "store") as store:
        store.image_path("b", "jpeg").write_bytes(b"half")
    server.requests.clear()

    assert rows["b"].kept_sha256 == fetch_rows(uris, keep=keep)["b"].kept_sha256
    assert {"/ok/2": 1} == server.images()
    server.requests["/flaky/1"] = 1  # now it succeeds
    assert "ok" == fetch_rows(uris, keep=keep, retry="failed")["c"].outcome
    for other in (None, Storage(17), Storage(16, "pad"), Storage(16, quality=94)):
        with pytest.raises(ValueError, match="give --keep 16 --resize squash --quality 95, or ano"):
            fetch_rows(uris, keep=other)
    assert {"/ok/2": 1, "/flaky/1": 2} == server.images()


def test_every_row_is_counted(server, write_manifest, tmp_path):
    """Rows with the same id are fetched once, but each is counted; so are rows without an id."""
    path = write_manifest(
        {"a": f"{server.url}/ok/1", None: "http://x/", "": "http://x/", "b": None}
    )
    table = pq.read_table(path)
    pq.write_table(pa.concat_tables([table, table]), path)

    for _ in range(2):
        with open_ledger(tmp_path / "store") as ledger:
            tally = fetch(Manifest(path), ledger, FetchOptions(allow_private=True), 4)
        assert {"ok": 2, "refused": 6} == tally.counts
    assert 1 == server.images().total()


def test_repeated_ids(server, tmp_path):
    """Rows with the same id are fetched once, whether they are near or far from each other."""
    ids = [str(i % 40) for i in range(1500)]
    table = pa.table({"image_id": ids, "uri": [f"{server.url}/ok/{i}" for i in ids]})
    pq.write_table(table, tmp_path / "m.parquet")

    with open_ledger(tmp_path / "s") as ledger:
        tally = fetch(Manifest(tmp_path / "m.parquet"), ledger, FetchOptions(allow_private=True), 4)

    assert ({"ok": 1500}, 40) == (tally.counts, server.images().total())


def test_a_slow_host_does_not_delay_others(server, fetch_rows):
    """While one host is silent, all images of another arrive."""
    slow_uris = {f"s{i}": f"{server.url}/slow/{i}" for i in range(4)}
    other_url = server.url.replace("127.0.0.1", "localhost")

    fast_uris = {f"f{i}": f"{other_url}/ok/{i}" for i in range(20)}

    rows = fetch_rows(slow_uris | fast_uris, max_tries=1)

    assert {"timeout"} == {rows[image_id].outcome for image_id in slow_uris}
    assert {"ok"} == {rows[image_id].outcome for image_id in fast_uris}
    last_fast = max(rows[image_id].timestamp for image_id in fast_uris)
    first_slow = min(rows[image_id].timestamp for image_id in slow_uris)
    assert last_fast < first_slow


def test_full_disk(server, fetch_rows, monkeypatch):
    """A disk that stays full ends the run with an error; it is not an outcome of a URL."""

    def fail(self, rows):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Ledger, "write_rows", fail)

    with pytest.raises(OSError, match="No space left"):
        fetch_rows({str(i): f"{server.url}/ok/{i}" for i in range(20)}, patience=0.1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals(server, write_manifest, tmp_path, command, number):
    """A signal ends the run soon; it says how to continue, and keeps the images so far."""
    slow = {f"s{i}": f"{server.url}/slow/{i}" for i in range(3)}
    path = write_manifest({str(i): f"{server.url}/ok/{i}" for i in range(5)} | slow)
    command.start("--manifest", path, "--store", tmp_path / "s", "--per-host", 9, "--json")
    wait_for(server, 9)
    start = time.monotonic()

    code, output = command.end(number)

    assert time.monotonic() - start < 4  # the server would be silent for longer
    assert 128 + number == code
    assert '{"ok": 5, "errors": {}}\nstopped: run the same command again to continue\n' == output
    assert 5 == len(stored_ids(tmp_path / "s"))


@pytest.mark.slow
def test_kill_storm(server, write_manifest, tmp_path, command):
    """A fetch that is killed ten times at random moments never requests a stored image again."""
    n_kills, n_images, n_requests = 10, 350, 4
    rng = np.random.default_rng(1)
    path = write_manifest({str(i): f"{server.url}/ok/{i}" for i in range(n_images)})
    store_path = tmp_path / "s"
    arguments = ["--manifest", path, "--store", store_path, "--requests", n_requests, "--json"]
    for i in range(n_kills):
        stored = stored_ids(store_path)
        old_requests = server.requests.copy()
        command.start(*arguments, "--workers", 1 + i % 2)
        wait_for(server, old_requests.total() + rng.integers(2))
        time.sleep(rng.uniform(0, 0.06))
        assert command.end(signal.SIGKILL)[0] == -signal.SIGKILL
        for image_id in stored:
            route = f"/ok/{image_id}"
            assert server.requests[route] == old_requests[route]
        assert stored <= stored_ids(store_path)
    assert 0 < len(stored_ids(store_path)) < n_images

    command.start(*arguments)

    assert 0 == command.end()[0]
    assert {"ok": n_images, "errors": {}} == json.loads(command.out.read_text())
    # each kill loses at most the requests in flight
    assert server.images().total() <= n_images + n_kills * n_requests
    with Store(store_path) as store:
        for i in range(n_images):
            digest = sha256(store.read(str(i))).hexdigest()
            assert digest == store.read_row(str(i)).sha256
    assert [] == list((store_path / "drafts").iterdir())
    assert {store_path, path} == set(tmp_path.iterdir())
    assert not [p for p in store_path.iterdir() if p.name.startswith(TEMPORARY_PREFIX)]


def stored_ids(folder):
    """Return the ids of the images in a store; none if a kill came before the store was made."""
    if not (folder / LEDGER).exists():
        return set()
    with Store(folder) as store:
        if not list(store.query("SELECT 1 FROM sqlite_master WHERE name = 'ledger'")):
            return set()
        return set(store.image_ids())


def wait_for(server, n):
    """Wait until a server has received n requests."""
    deadline = time.monotonic() + 10
    while server.requests.total() < n and time.monotonic() < deadline:
        time.sleep(0.005)


def test_threads(server, fetch_rows):
    """All threads of a run end with it."""
    fetch_rows({"a": f"{server.url}/ok/1"})

    assert not [thread for thread in threading.enumerate() if "_run" in thread.name]


def test_a_full_queue(server, fetch_rows, monkeypatch):
    """A worker is given new jobs as others are done, and never more than its queue may hold."""
    monkeypatch.setattr(run, "MAX_QUEUED", 4)
    add = Worker.add
    n_added = []

    def note_number(worker, jobs):
        n_added.append(len(jobs))
        add(worker, jobs)

    monkeypatch.setattr(Worker, "add", note_number)
    uris = {str(i): f"{server.url}/ok/{i % 9}" for i in range(30)}

    rows = fetch_rows(uris, per_host=0)

    assert ["ok"] * 30 == [row.outcome for row in rows.values()]
    assert 30 == sum(n_added)
    assert max(n_added) <= 4


def test_workers_end_together(server, write_manifest, tmp_path, monkeypatch):
    """Where hosts have no limit, a worker that does nothing is given no more than its queue."""
    n = 2_000
    monkeypatch.setattr(run, "MAX_QUEUED", 400)  # of both workers
    manifest = write_manifest({str(i): f"{server.url}/ok/{i}" for i in range(n)})
    n_jobs = [0, 0]

    class FakeWorker:
        def __init__(self, folder, options, n_threads, report, number, memory):
            self.index = number.index
            self.report = report

        def add(self, jobs):
            n_jobs[self.index] += len(jobs)
            if self.index == 1:
                self.report({job.image_id: "ok" for job in jobs})

        def stop(self):
            pass

    monkeypatch.setattr(run, "RemoteWorker", FakeWorker)
    options = FetchOptions(per_host=0, allow_private=True)
    with open_ledger(tmp_path / "store") as ledger:
        fetch(
            Manifest(manifest),
            ledger,
            options,
            n_requests=4,
            n_processes=2,
            is_unwanted=lambda: sum(n_jobs) == n,
        )

    assert n == sum(n_jobs)
    assert n_jobs[0] <= 200


@pytest.mark.parametrize(
    ("per_host", "n_requests", "n_workers", "expected"),
    [(0, 64, 2, 512), (0, 64, 32, 128), (0, 1000, 2, 2000), (4, 64, 2, 2048)],
)
def test_the_length_of_queues(
    server, write_manifest, tmp_path, per_host, n_requests, n_workers, expected
):
    """Where hosts have no limit, queues are short, but hold enough for each request."""
    manifest = Manifest(write_manifest({"a": f"{server.url}/ok/1"}))
    options = FetchOptions(per_host=per_host)
    with open_ledger(tmp_path / "store") as ledger:
        state = run._Run(manifest, ledger, options, None, print)

    assert expected == state._limit_queue(n_requests, n_workers)
