"""Fetch on a cluster, whose tasks run in this process; tests/executor/test_contract.py has real ones."""

import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from cnlw_tools.executor.lease import LeaseWatch
from cnlw_tools.fetch import FetchOptions, cluster, fetch
from cnlw_tools.fetch.cluster import SHARDS, ShardJob, fetch_on_cluster, fetch_shard
from cnlw_tools.store.manifest import Manifest
from cnlw_tools.store.store import FIELDS, Store, open_ledger

TIMES = {"timestamp", "mtime"}  # fields of a row that differ from run to run


class FakeCluster:
    """Runs tasks in this process, one after the other."""

    workers = 2
    gpus = 0

    def __init__(self) -> None:
        self.folders: list[Path] = []
        self.before: Callable[[ShardJob], object] = lambda job: None  # what happens before a task

    def map(self, task: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        """Yield the results in order."""
        for item in items:
            self.before(item)
            yield task(item)

    def with_gpus(self) -> "FakeCluster":
        """Return itself."""
        return self

    def check_folder(self, folder: Path) -> None:
        """Note the folder."""
        self.folders.append(folder)


@pytest.fixture
def workers() -> FakeCluster:
    """A cluster of two workers."""
    return FakeCluster()


@pytest.fixture
def run(tmp_path, write_manifest, workers):
    """Fetch URIs into a store by name; return the counts and the rows by id, without times."""

    def run(uris, name="store", on_cluster=True, retry=None, notify=lambda text: None):
        manifest = Manifest(write_manifest(uris))
        options = FetchOptions(allow_private=True)
        with open_ledger(tmp_path / name) as ledger:
            if on_cluster:
                tally = fetch_on_cluster(
                    manifest, ledger, options, workers, 4, retry, notify=notify
                )
            else:
                tally = fetch(manifest, ledger, options, 4, retry)
        return tally, rows_of(tmp_path / name)

    return run


def rows_of(folder):
    """The rows of a ledger by id, without times."""
    with Store(folder) as store:
        rows = {row.image_id: asdict(row) for row in store.rows()}
    return {
        id: {name: row[name] for name in FIELDS if name not in TIMES} for id, row in rows.items()
    }


@pytest.fixture
def uris(server):
    """Images and failures at two sites, some of which lead to the other one."""
    other = server.url.replace("127.0.0.1", "localhost")
    uris = {f"a{i}": f"{server.url}/ok/{i}" for i in range(5)}
    uris |= {f"b{i}": f"{other}/ok/{i}" for i in range(5)}
    uris |= {"to": f"{server.url}/to?url={other}/ok/9", "back": f"{other}/to?url={server.url}/ok/8"}
    uris |= {"gone": f"{server.url}/status/404", "html": f"{other}/body/html"}
    return uris | {"wrong": "mailto:x", "": f"{server.url}/ok/1", "empty": None}


def test_a_store_is_the_same(run, uris, tmp_path, contents):
    """Ledger, images and counts are those of a fetch by this machine; nothing else is left."""
    expected, expected_rows = run(uris, "expected", on_cluster=False)
    tally, rows = run(uris)

    assert expected_rows == rows
    assert (expected.counts, expected.fetched, 0) == (tally.counts, tally.fetched, tally.skipped)
    assert contents(tmp_path / "expected" / "images") == contents(tmp_path / "store" / "images")
    names = [{path.name for path in (tmp_path / name).iterdir()} for name in ("expected", "store")]
    assert names[0] == names[1]


def test_what_has_an_outcome_is_not_requested_again(run, uris, server):
    """By no worker, whichever fetch brought it there."""
    run(dict(list(uris.items())[:6]), on_cluster=False)
    server.requests.clear()
    first, rows = run(uris)
    before = server.images()
    second, _ = run(uris)

    assert {"/ok/0", "/ok/4"} & {path for path, n in before.items() if n > 1} == set()
    assert before == server.images()
    assert (0, first.counts) == (second.fetched, second.counts)
    assert rows["a0"]["attempts"] == 1


def test_a_site_has_one_worker(run, uris, workers):
    """All rows of a site are in one shard, and each shard is handed out once."""
    sites: list[set[str]] = []

    def note(job):
        rows = [row for block in job.rows.read_blocks() for row in block]
        sites.append({(row.uri or "").split("/")[2] for row in rows if "//" in (row.uri or "")})

    workers.before = note
    run(uris)
    found = [site for group in sites for site in group]

    assert len(found) == len(set(found)) == 2


def test_retried_are_the_named_outcomes(run, server):
    """Requests of earlier runs count as attempts, and a failure that stays is not requested twice."""
    uris = {"a": f"{server.url}/flaky/3", "b": f"{server.url}/status/404"}
    run(uris)
    tally, rows = run(uris | {"c": f"{server.url}/ok/1"}, retry="failed")

    assert ({"ok": 1, "http_404": 1}, 2, 1) == (tally.counts, tally.fetched, tally.skipped)
    assert (4, 2) == (rows["a"]["attempts"], rows["b"]["attempts"])
    assert {"/flaky/3": 4, "/status/404": 2} == server.images()


def test_a_damaged_image_is_fetched_again(run, server, tmp_path):
    """As by a fetch of this machine."""
    uris = {"a": f"{server.url}/ok/1"}
    run(uris)
    (path,) = (tmp_path / "store").glob("images/*/*")
    path.write_bytes(b"damaged")
    tally, _ = run(uris)

    assert (1, {"ok": 1}) == (tally.fetched, tally.counts)
    with Store(tmp_path / "store") as store:
        assert store.read("a")


def test_a_worker_that_died_is_replaced(run, uris, workers, server):
    """The other worker goes on in the store of the shard: nothing is requested twice."""

    def die(job):
        options = replace(job.options, patience=0)
        with open_ledger(job.store, exclusive=True) as ledger:
            half = next(iter(job.rows.read_blocks()))[:3]
            fetch(Half(half), ledger, options, 1)

    workers.before = die
    tally, _ = run(uris)

    assert len(uris) == tally.counts.total()
    assert {1} == {server.requests[f"/ok/{i}"] for i in (8, 9)}
    assert {2} == {server.requests[f"/ok/{i}"] for i in (0, 2, 3, 4)}  # once by each site


class Half:
    """Rows of a manifest."""

    def __init__(self, rows) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def read_blocks(self):
        """Yield all rows."""
        yield self.rows


def test_a_killed_fetch_goes_on(run, uris, workers, server, tmp_path):
    """What its workers stored is joined, and only the rest is requested."""

    class Killed(BaseException):
        pass

    jobs = []

    def kill(job):
        jobs.append(job)
        if len(jobs) == 2:
            raise Killed

    workers.before = kill
    with pytest.raises(Killed):
        run(uris)
    assert list((tmp_path / "store" / SHARDS).glob("shard-*"))
    workers.before = lambda job: None
    tally, _ = run(uris)

    assert len(uris) == tally.counts.total()
    assert {2} == {server.requests[f"/ok/{i}"] for i in (0, 2, 3, 4)}
    assert not (tmp_path / "store" / SHARDS).exists()


def test_a_signal_ends_all_shards(run, uris, workers):
    """What is there is joined, and no further shard begins."""
    seen = []

    def stop(job):
        seen.append(job)
        if len(seen) == 2:
            signal.raise_signal(signal.SIGTERM)
            watch = LeaseWatch(job.lease)
            while not watch.has_ended():
                pass

    workers.before = stop
    tally, rows = run(uris)

    assert signal.SIGTERM == tally.stop_signal
    assert 0 < tally.counts.total() < len(uris)
    assert len(rows) == tally.counts.total()


def test_an_error_of_a_worker_ends_the_fetch(run, uris, monkeypatch):
    """It is raised here as it is, after what is there was joined."""

    def fail(*args, **choices):
        raise OSError("the disk is full")

    monkeypatch.setattr(cluster, "fetch", fail)
    with pytest.raises(OSError, match=r"^the disk is full$"):
        run(uris)


def test_a_worker_that_is_stopped_from_outside_is_an_error(run, uris, monkeypatch):
    """Its shard is not complete, so the fetch is not."""

    def stop(manifest, *args, **choices):
        return cluster.Tally(len(manifest), stop_signal=signal.SIGTERM)

    monkeypatch.setattr(cluster, "fetch", stop)
    with pytest.raises(OSError, match=r"shard-\d: its worker was asked to stop: run the same"):
        run(uris)


def test_notices_of_workers_are_shown(run, uris, monkeypatch):
    """With the result of the shard."""

    def notify(manifest, *args, notify, **choices):
        notify("paused")
        return fetch(manifest, *args, **choices)

    notices: list[str] = []
    monkeypatch.setattr(cluster, "fetch", notify)
    run(uris, notify=notices.append)

    assert {"paused"} == set(notices)


def test_workers_must_see_the_store(run, uris, workers, tmp_path):
    """Or, before there is one, the folder that it will be in."""
    run(uris)
    cluster.check_workers(workers, tmp_path / "new" / "store")

    assert [tmp_path / "store", tmp_path] == workers.folders


def test_a_shard_is_not_begun_without_a_lease(tmp_path):
    """The command has ended."""
    rows = cluster.RowFileWriter(tmp_path / "rows").close()
    job = ShardJob(tmp_path / "s", rows, FetchOptions(), 1, None, tmp_path / "lease")

    assert 0 == fetch_shard(job).tally.fetched
    assert not (tmp_path / "s").exists()
