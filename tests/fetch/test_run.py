"""Many URLs: what is final stays final, what is killed is not lost."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from hashlib import sha256
from pathlib import Path

import pytest

from cnlw_tools.fetch import Manifest, Manners, Store, fetch, schedule, writing
from cnlw_tools.files import root
from cnlw_tools.lookup import suggest  # noqa: F401


def command(*arguments):
    """Start `cnlw fetch` in a process of its own."""
    env = {**os.environ, "PYTHONPATH": str(root())}
    line = [sys.executable, "-m", "cnlw_tools", "fetch", "--allow-private", *map(str, arguments)]
    return subprocess.Popen(line, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_final_rows_are_not_asked_again(server, fetched):
    """A second run sends nothing at all."""
    rows = {"a": "/ok/1", "b": "/status/404", "c": "/body/html", "d": "/tag/noai", "e": "/short", "f": "/flaky/9"}
    uris = {k: server.url + path for k, path in rows.items()} | {"g": "ftp://x/", "../h": f"{server.url}/ok/1"}
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
    server.seen["/flaky/4"] = 4

    rows = fetched(uris | {"e": f"{server.url}/ok/2"}, retry="http_500")
    assert {"/flaky/4": 1} == server.images() - {"/flaky/4": 4}
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
    import pyarrow as pa
    import pyarrow.parquet as pq

    twice = pa.concat_tables([pq.read_table(path)] * 2)
    pq.write_table(twice, path)

    for _ in range(2):
        with writing(tmp_path / "store") as ledger:
            tally = fetch(Manifest(path), ledger, Manners(private=True), 4)
        assert {"ok": 2, "refused": 6} == tally.counts
    assert 1 == server.images().total()


def test_a_slow_host_does_not_stop_the_others(server, fetched, monkeypatch):
    """While one host is silent, all images of another arrive."""
    silent = server.url.replace("127.0.0.1", "127.0.0.2")  # another host to us, if not to the system
    uris = {f"s{i}": f"http://127.0.0.1:{server.server_port}/slow/{i}" for i in range(4)}
    seen = []
    real = Store.path
    monkeypatch.setattr(Store, "path", lambda self, *args: seen.append(time.monotonic()) or real(self, *args))

    rows = fetched(uris | {str(i): f"{server.url}/ok/{i}".replace("127.0.0.1", "localhost") for i in range(20)}, tries=1)

    assert silent
    assert {"timeout"} == {rows[k].kind for k in uris}
    assert all(rows[str(i)].kind == "ok" and rows[str(i)].at < min(rows[k].at for k in uris) for i in range(20))


def test_a_store_that_cannot_be_written_ends_the_run(server, fetched, monkeypatch):
    """A full disk is an error of the run, not of a URL."""
    from cnlw_tools.fetch.store import Ledger

    def full(self, row):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Ledger, "put", full)

    with pytest.raises(OSError, match="No space left"):
        fetched({str(i): f"{server.url}/ok/{i}" for i in range(20)})


def test_two_processes(server, table, tmp_path):
    """A second fetch on a store is refused, with a word; the first is not disturbed."""
    path = table({"a": f"{server.url}/slow"})
    with command("--manifest", path, "--store", tmp_path / "s", "--tries", 1, "--read-timeout", 2, "--json") as first:
        wait_for(server, 1)
        with command("--manifest", path, "--store", tmp_path / "s") as second:
            out, err = second.communicate()
        said, _ = first.communicate()

    assert (1, "") == (second.returncode, out)
    assert "another fetch is at work here" in err
    assert {"ok": 0, "errors": {"timeout": 1}} == json.loads(said)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_cleanly(server, table, tmp_path, number):
    """The run ends soon, says how to go on, and what it had is there."""
    slow = {f"s{i}": f"{server.url}/slow/{i}" for i in range(3)}
    path = table({str(i): f"{server.url}/ok/{i}" for i in range(5)} | slow)
    with command("--manifest", path, "--store", tmp_path / "s", "--per-host", 9) as run:
        wait_for(server, 9)
        begun = time.monotonic()
        run.send_signal(number)
        _, err = run.communicate()

    assert (128 + number, "stopped: the same command goes on from here\n") == (run.returncode, err)
    assert time.monotonic() - begun < 2
    with Store(tmp_path / "s") as store:
        assert {"ok": 5} == store.counts()


@pytest.mark.slow
def test_kill_storm(server, table, tmp_path):
    """Killed 20 times at random moments, a fetch loses nothing: what the ledger calls ok is never asked for again."""
    draw = random.Random(1)
    uris = {str(i): f"{server.url}/ok/{i}" for i in range(900)}
    path, store, kills = table(uris), tmp_path / "s", 0
    asked = {}
    while kills < 20:
        held = oks(store)
        before = dict(server.seen)
        with command("--manifest", path, "--store", store, "--workers", 4, "--per-host", 4) as run:
            wait_for(server, sum(before.values()) + 1, run)
            time.sleep(draw.uniform(0, 0.08))
            run.kill()
            run.communicate()
        assert run.returncode == -signal.SIGKILL
        kills += 1
        asked = {i for i in held if server.seen[f"/ok/{i}"] > before.get(f"/ok/{i}", 0)}
        assert not asked
        assert held <= oks(store)
    with command("--manifest", path, "--store", store, "--json") as last:
        out, _ = last.communicate()

    assert {"ok": 900, "errors": {}} == json.loads(out)
    again = sum(n - 1 for route, n in server.seen.items() if route.startswith("/ok/"))
    assert again <= kills * 4  # what was in flight
    with Store(store) as held:
        assert all(held.read(i) for i in uris)
    assert [] == list((store / "drafts").iterdir())
    assert {store, path} == set(tmp_path.iterdir())


def oks(store: Path) -> set[str]:
    """Return the ids that a ledger calls ok."""
    if not (store / "ledger.sqlite").exists():
        return set()
    with Store(store) as held:
        there = held.query("SELECT name FROM sqlite_master WHERE name = 'ledger'")
        return {i for (i,) in held.query("SELECT image_id FROM ledger WHERE class = 'ok'")} if list(there) else set()


def wait_for(server, n, run=None):
    """Wait until a server was asked so often."""
    end = time.monotonic() + 10
    while sum(server.seen.values()) < n and time.monotonic() < end and (run is None or run.poll() is None):
        time.sleep(0.005)


def test_threads_end(server, fetched):
    """A run leaves no thread behind but the clock's."""
    fetched({"a": f"{server.url}/ok/1"})

    assert not [t for t in threading.enumerate() if "_guard" in t.name]
    assert schedule
