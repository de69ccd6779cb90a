"""Many URLs: what is final stays final, what is killed is not lost."""

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

from cnlw_tools.fetch import Manners, fetch
from cnlw_tools.files import TEMPORARY_PREFIX, default_root
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
    """`cnlw fetch` in processes of its own, one after the other; a fork each, as to import takes a second."""

    def __init__(self, out):
        env = {**os.environ, "PYTHONPATH": str(default_root())}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": env}
        self.out, self.process = out, subprocess.Popen([sys.executable, "-c", FORKS], **pipes)

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
    """Processes of `cnlw fetch`."""
    command = Command(tmp_path_factory.mktemp("out") / "said")
    with command.process:
        yield command
        command.process.stdin.close()


def test_final_rows_are_not_asked_again(server, fetched):
    """A second run sends nothing at all."""
    rows = {
        "a": "/ok/1",
        "b": "/status/404",
        "c": "/body/html",
        "d": "/tag/noai",
        "e": "/short",
        "f": "/flaky/9",
    }
    uris = {k: server.url + path for k, path in rows.items()} | {
        "g": "ftp://x/",
        "../h": f"{server.url}/ok/1",
    }
    first = fetched(uris)
    server.seen.clear()

    again = fetched(uris)

    assert first == again
    assert not server.seen


def test_retry_asks_for_a_class_alone(server, fetched):
    """Of the failures those that are named, and all with `failed`; what is ok is left."""
    uris = {"a": "/ok/1", "b": "/status/404", "c": "/flaky/4", "d": "/status/403"}
    uris = {k: server.url + path for k, path in uris.items()}
    fetched(uris)
    server.seen.clear()
    server.seen["/flaky/4"] = 4  # so that it goes well now

    rows = fetched(uris | {"e": f"{server.url}/ok/2"}, retry="http_500")
    assert {"/flaky/4": 5} == server.images()
    assert ("ok", 4) == (rows["c"].kind, rows["c"].attempts)
    assert "e" not in rows

    fetched(uris, retry="failed")
    assert {"/flaky/4": 5, "/status/404": 1, "/status/403": 1} == server.images()


def test_damage_is_fetched_again(server, fetched, tmp_path):
    """A file that is not what was fetched is fetched again, the others are not."""
    uris = {str(i): f"{server.url}/ok/{i}" for i in range(3)}
    rows = fetched(uris)
    server.seen.clear()
    with Store(tmp_path / "store") as store:
        store.path("1", "jpeg").write_bytes(b"half")

    fetched(uris)

    assert {"/ok/1": 1} == server.images()
    with Store(tmp_path / "store") as store:
        assert rows["1"].sha256 == sha256(store.read("1")).hexdigest()


def test_every_row_is_counted(server, table, tmp_path):
    """Rows of one id are fetched once and counted each; so are rows without an id."""
    path = table({"a": f"{server.url}/ok/1", None: "http://x/", "": "http://x/", "b": None})
    twice = pa.concat_tables([pq.read_table(path)] * 2)
    pq.write_table(twice, path)

    for _ in range(2):
        with open_ledger(tmp_path / "store") as ledger:
            tally = fetch(Manifest(path), ledger, Manners(private=True), 4)
        assert {"ok": 2, "refused": 6} == tally.counts
    assert 1 == server.images().total()


def test_one_id_in_many_places(server, tmp_path):
    """Rows of one id, near or far from each other in the table, are fetched once."""
    ids = [str(i % 40) for i in range(1500)]
    pq.write_table(
        pa.table({"image_id": ids, "uri": [f"{server.url}/ok/{i}" for i in ids]}),
        tmp_path / "m.parquet",
    )

    with open_ledger(tmp_path / "s") as ledger:
        tally = fetch(Manifest(tmp_path / "m.parquet"), ledger, Manners(private=True), 4)

    assert ({"ok": 1500}, 40) == (tally.counts, server.images().total())


def test_a_slow_host_does_not_stop_the_others(server, fetched, monkeypatch):
    """While one host is silent, all images of another arrive."""
    uris = {f"s{i}": f"{server.url}/slow/{i}" for i in range(4)}
    other = server.url.replace("127.0.0.1", "localhost")

    rows = fetched(uris | {str(i): f"{other}/ok/{i}" for i in range(20)}, tries=1)

    assert {"timeout"} == {rows[k].kind for k in uris}
    assert all(
        rows[str(i)].kind == "ok" and rows[str(i)].at < min(rows[k].at for k in uris)
        for i in range(20)
    )


def test_a_store_that_cannot_be_written_ends_the_run(server, fetched, monkeypatch):
    """A full disk is an error of the run, not of a URL."""

    def full(self, row):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Ledger, "write_row", full)

    with pytest.raises(OSError, match="No space left"):
        fetched({str(i): f"{server.url}/ok/{i}" for i in range(20)})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_cleanly(server, table, tmp_path, command, number):
    """The run ends soon, says how to go on, and what it had is there."""
    slow = {f"s{i}": f"{server.url}/slow/{i}" for i in range(3)}
    path = table({str(i): f"{server.url}/ok/{i}" for i in range(5)} | slow)
    command.start("--manifest", path, "--store", tmp_path / "s", "--per-host", 9, "--json")
    wait_for(server, 9)
    begun = time.monotonic()

    code, said = command.end(number)

    assert time.monotonic() - begun < 4  # the server would be silent for longer
    assert 128 + number == code
    assert '{"ok": 5, "errors": {}}\nstopped: the same command goes on from here\n' == said
    assert 5 == len(oks(tmp_path / "s"))


@pytest.mark.slow
def test_kill_storm(server, table, tmp_path, command):
    """Killed 20 times at random moments, a fetch loses nothing: what the ledger calls ok is never asked for again."""
    draw, kills, n, workers = np.random.default_rng(1), 20, 700, 4
    path, store = table({str(i): f"{server.url}/ok/{i}" for i in range(n)}), tmp_path / "s"
    call = ["--manifest", path, "--store", store, "--workers", workers, "--json"]
    for i in range(kills):
        held, before = oks(store), server.seen.copy()
        command.start(*call, "--processes", 1 + i % 2)
        wait_for(server, before.total() + draw.integers(2))
        time.sleep(draw.uniform(0, 0.06))
        assert command.end(signal.SIGKILL)[0] == -signal.SIGKILL
        assert not [i for i in held if server.seen[f"/ok/{i}"] > before[f"/ok/{i}"]]
        assert held <= oks(store)
    assert 0 < len(oks(store)) < n

    command.start(*call)

    assert (0, {"ok": n, "errors": {}}) == (command.end()[0], json.loads(command.out.read_text()))
    assert server.images().total() <= n + kills * workers  # twice at most what was in flight
    with Store(store) as held:
        assert all(
            held.row(str(i)).sha256 == sha256(held.read(str(i))).hexdigest() for i in range(n)
        )
    assert [] == list((store / "drafts").iterdir())
    assert {store, path} == set(tmp_path.iterdir())
    assert not [p for p in store.iterdir() if p.name.startswith(TEMPORARY_PREFIX)]


def oks(folder):
    """Return the ids that a ledger calls ok; none where a kill came before there was one."""
    if not (folder / LEDGER).exists():
        return set()
    with Store(folder) as store:
        there = list(store.query("SELECT 1 FROM sqlite_master WHERE name = 'ledger'"))
        return (
            {i for (i,) in store.query("SELECT image_id FROM ledger WHERE class = 'ok'")}
            if there
            else set()
        )


def wait_for(server, n):
    """Wait until a server was asked so often."""
    end = time.monotonic() + 10
    while server.seen.total() < n and time.monotonic() < end:
        time.sleep(0.005)


def test_threads_end(server, fetched):
    """A run leaves no thread behind but those of the clock."""
    fetched({"a": f"{server.url}/ok/1"})

    assert not [thread for thread in threading.enumerate() if "_guard" in thread.name]
