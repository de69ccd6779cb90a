"""What holds for every executor: a new entry of EXECUTORS inherits these tests.

Engines are met at the address of a cluster, which a fixture of their name starts once a session.
"""

import io
import math
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cnlw_tools.builds.build import build
from cnlw_tools.checks import collect_evidence
from cnlw_tools.dataset.tables import read_manifest
from cnlw_tools.executor import EXECUTORS, SERIAL, Executor, open_executor
from cnlw_tools.fetch import FetchOptions, fetch
from cnlw_tools.fetch.cluster import fetch_on_cluster
from cnlw_tools.ingest.thumbnails import make_thumbnails
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe
from cnlw_tools.store.manifest import Manifest
from cnlw_tools.store.store import open_ledger

Open = Callable[[], AbstractContextManager[Executor]]

MARKS = {"ray": pytest.mark.ray}  # of engines that not every run of the tests starts
ALL = [pytest.param(name, 2, marks=MARKS.get(name, ())) for name in EXECUTORS]

every = pytest.mark.parametrize(("name", "workers"), ALL)
every_and_serial = pytest.mark.parametrize(("name", "workers"), [("local", 1), *ALL])


@pytest.fixture
def open_engine(name: str, workers: int, request: pytest.FixtureRequest) -> Open:
    """Return what opens an executor of so many workers."""
    if name == "local":
        return partial(open_executor, name, workers)
    if name == "ray":  # is open
        return partial(nullcontext, request.getfixturevalue("ray_executor"))
    return partial(open_executor, request.getfixturevalue(name))


def process_id(_: int) -> int:
    """The process that a task runs in."""
    return os.getpid()


def make_slowly(folder: Path) -> None:
    """Make a folder, and take a while."""
    time.sleep(0.02)
    folder.mkdir()


@every_and_serial
@pytest.mark.parametrize("items", [[], [4], list(range(25))])
def test_every_item_gives_its_result(open_engine, workers, items):
    """In any order, by as many workers as were asked for."""
    with open_engine() as executor:
        assert executor.workers == workers
        assert sorted(executor.map(math.sqrt, items)) == [math.sqrt(n) for n in items]


def test_without_a_number_there_are_some_workers():
    """An executor of this machine knows how many."""
    with open_executor() as executor:
        assert executor.workers >= 1


@every_and_serial
def test_an_error_comes_out_as_it_is(open_engine):
    """And the executor can be used again."""
    with open_engine() as executor:
        with pytest.raises(ValueError, match=r"^(math domain error|expected a nonnegative input)"):
            list(executor.map(math.sqrt, [1, 4, -1, 9]))

        assert sorted(executor.map(math.sqrt, [1, 4])) == [1, 2]


@every_and_serial
def test_an_error_ends_the_run(open_engine, tmp_path):
    """After an error few more tasks are begun, of many, and none is at work any more."""
    missing = tmp_path / "missing"
    folders = [missing / "x", *(tmp_path / str(i) for i in range(200))]

    with open_engine() as executor:
        with pytest.raises(FileNotFoundError):
            list(executor.map(make_slowly, folders))

        made = list(tmp_path.iterdir())
        time.sleep(0.05)
        assert list(tmp_path.iterdir()) == made
    assert len(made) < 50


@every_and_serial
def test_a_caller_may_stop_listening(open_engine, tmp_path):
    """Few more tasks are begun, and the executor can be used again."""
    folders = [tmp_path / str(i) for i in range(200)]
    with open_engine() as executor:
        results = executor.map(os.mkdir, folders)
        next(results)
        results.close()

        assert sorted(executor.map(math.sqrt, [1, 4])) == [1, 2]

    assert len(list(tmp_path.iterdir())) < 50


@every_and_serial
def test_an_interrupt_leaves_no_task_behind(open_engine, tmp_path):
    """Ctrl-C while a caller waits: tasks that have not begun never do."""
    folders = [tmp_path / str(i) for i in range(200)]
    with open_engine() as executor:
        results = executor.map(make_slowly, folders)
        next(results)
        with pytest.raises(KeyboardInterrupt):
            results.throw(KeyboardInterrupt)

    made = list(tmp_path.iterdir())
    time.sleep(0.1)
    assert list(tmp_path.iterdir()) == made
    assert len(made) < 50


def die_once(mark: Path) -> str:
    """Kill this process, unless the mark says that it was done."""
    if mark.exists():
        return "done"
    mark.touch()
    signal.raise_signal(signal.SIGKILL)
    return "alive"


@every
def test_a_task_runs_again_when_its_worker_dies(open_engine, tmp_path):
    """A worker may die; another one does its work, and no result is lost."""
    marks = [tmp_path / str(n) for n in range(6)]
    for mark in marks[1:]:
        mark.touch()
    with open_engine() as executor:
        assert list(executor.map(die_once, marks)) == ["done"] * 6


@every
def test_a_killed_worker_is_an_error_with_a_remedy(open_engine):
    """An OSError, as when memory runs out; the next tasks have new workers."""
    with open_engine() as executor:
        assert os.getpid() not in executor.map(process_id, range(4))
        with pytest.raises(OSError, match=r"worker process(es)? died.*: give \w+"):
            list(executor.map(signal.raise_signal, [signal.SIGKILL]))

        assert sorted(executor.map(math.sqrt, [1, 4])) == [1, 2]


@every
def test_a_build_has_the_same_bytes(open_engine, tiny, tmp_path, contents):
    """Wherever its images are encoded and its shards are written."""
    inputs = Inputs(tiny(tmp_path / "root"))
    recipe = Recipe("shapes", "blue", levels=(0, 40), size=16, shard_rows=60)
    build(recipe, inputs, tmp_path / "expected", SERIAL)
    with open_engine() as executor:
        build(recipe, inputs, tmp_path / "actual", executor)

    assert contents(tmp_path / "actual") == contents(tmp_path / "expected")


@every
def test_a_check_and_features_are_the_same(open_engine, tiny, tmp_path):
    """Wherever images are read, checks say the same of a build, and thumbnails are the same."""
    inputs = Inputs(tiny(tmp_path / "root"))
    recipe = Recipe("shapes", "blue", levels=(40,), size=16, shard_rows=60)
    build(recipe, inputs, tmp_path / "build", SERIAL)
    base = read_manifest(tmp_path / "root/manifests/shapes/base.parquet", 10)
    results = []
    for opener in (open_engine(), nullcontext(SERIAL)):
        with opener as executor:
            evidence = collect_evidence(tmp_path / "build", inputs, executor)
            features = make_thumbnails("shapes", inputs, base["image_id"], 4, executor)
        images = sorted(map(str, evidence.images.to_pylist()))
        results.append((images, evidence.image_errors, features))

    assert results[0] == results[1]
    assert results[0][0]


class ImageHandler(BaseHTTPRequestHandler):
    """Answers each path with an image of its own."""

    def log_message(self, *args: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        file = io.BytesIO()
        Image.new("RGB", (20, 20), (len(self.path), 0, 0)).save(file, "PNG")
        self.send_response(404 if self.path == "/robots.txt" else 200)
        self.send_header("Content-Length", str(file.tell()))
        self.end_headers()
        self.wfile.write(file.getvalue())


@pytest.mark.parametrize(
    ("name", "workers"), [parameters for parameters in ALL if parameters.values[0] != "local"]
)
def test_a_fetch_has_the_same_images(open_engine, tmp_path, contents):
    """Those that this machine fetches, of two sites; workers must see the folder of the store."""
    with ThreadingHTTPServer(("127.0.0.1", 0), ImageHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        hosts = [f"http://{host}:{server.server_port}" for host in ("127.0.0.1", "localhost")]
        uris = [host + "/" + "x" * n for host in hosts for n in range(1, 6)]
        table = pa.table({"image_id": [str(n) for n in range(len(uris))], "uri": uris})
        pq.write_table(table, tmp_path / "urls.parquet")
        urls, options = Manifest(tmp_path / "urls.parquet"), FetchOptions(allow_private=True)
        with open_ledger(tmp_path / "expected") as ledger:
            expected = fetch(urls, ledger, options, 4)
        with open_engine() as executor, open_ledger(tmp_path / "actual") as ledger:
            tally = fetch_on_cluster(urls, ledger, options, executor, 4)
        server.shutdown()

    assert {"ok": len(uris)} == expected.counts == tally.counts
    assert contents(tmp_path / "actual/images") == contents(tmp_path / "expected/images")
