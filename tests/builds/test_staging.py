"""The folder of a build: one build at a time, and a name only when it is whole."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cnlw_tools.builds.staging import locked_folder, shared_folder
from cnlw_tools.card.metadata import CARD, BuildCard, front_matter
from cnlw_tools.files import TEMPORARY_PREFIX, default_root
from cnlw_tools.files.locks import LOCK_FILE
from cnlw_tools.images.pixels import Storage

HOLDER = """
import sys
from pathlib import Path
from cnlw_tools.builds.staging import locked_folder
with locked_folder(Path(sys.argv[1])) as folder:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "x.parquet").write_text("x")
    print(folder, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def held(tmp_path):
    """Another process at work in tmp_path/out; a line on its stdin ends it."""
    env = {**os.environ, "PYTHONPATH": str(default_root())}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "out")], env=env, **pipes
    ) as process:
        process.stdout.readline()
        yield process
        process.kill()


@pytest.fixture
def build(tmp_path):
    """A build that stands in tmp_path/out."""
    out = tmp_path / "out"
    out.mkdir()
    (out / CARD).write_text(
        front_matter(BuildCard({"cnlw_tools": "0"}, "toy", Storage(), "shared"), {})
    )
    return out


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def fail(out, error=ValueError, shard=None):
    """Begin a build that fails, after a whole shard or before."""
    with locked_folder(out) as folder:
        if shard:
            (folder / "data").mkdir()
            (folder / "data" / shard).write_text("x")
        raise error("stop")


def test_new(tmp_path):
    """A new build bears its name when it is whole, not before."""
    out = tmp_path / "builds" / "out"

    with locked_folder(out) as folder:
        (folder / "x").write_text("x")
        assert not out.exists()

    assert files(tmp_path) == ["builds", "builds/out", "builds/out/x"]


def test_empty_folder(tmp_path):
    """A folder that is there and empty may be built in."""
    (tmp_path / "out").mkdir()

    with locked_folder(tmp_path / "out") as folder:
        (folder / "x").write_text("x")

    assert files(tmp_path) == ["out", "out/x"]


def test_standing(build):
    """A build that stands is built in as it is, and what was left aside is swept."""
    (build / f"{TEMPORARY_PREFIX}1-x").touch()

    with locked_folder(build) as folder:
        assert folder == build

    assert files(build) == [CARD]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_error(tmp_path, error):
    """An error before the first whole shard leaves nothing."""
    with pytest.raises(error):
        fail(tmp_path / "out", error)

    assert files(tmp_path) == []


def test_error_in_a_build(build):
    """An error in a build that stands leaves it."""
    with pytest.raises(ValueError, match="stop"):
        fail(build)

    assert files(build) == [CARD]


def test_error_after_a_shard(tmp_path):
    """Whole shards stay for the next run, which takes them over."""
    with pytest.raises(ValueError, match="stop"):
        fail(tmp_path / "out", shard="x.parquet")

    assert files(tmp_path) == ["out.partial", "out.partial/data", "out.partial/data/x.parquet"]
    with locked_folder(tmp_path / "out") as folder:
        assert (folder / "data" / "x.parquet").exists()
    assert files(tmp_path) == ["out", "out/data", "out/data/x.parquet"]


def test_unfinished_file(tmp_path):
    """A half-written file is not a whole shard."""
    with pytest.raises(ValueError, match="stop"):
        fail(tmp_path / "out", shard=f"{TEMPORARY_PREFIX}1-x.txt")

    assert files(tmp_path) == []


@pytest.mark.parametrize("name", ["notes.txt", CARD, "data/x.parquet"])
def test_something_else(tmp_path, name):
    """A folder that holds something else is refused, and stays as it is."""
    path = tmp_path / "out" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")

    with pytest.raises(FileExistsError, match=r"out is not a build: use another --out, or move"):
        fail(tmp_path / "out")
    assert path.read_text() == "mine"
    assert not (tmp_path / "out.partial").exists()


def test_a_file(tmp_path):
    """A file in place of the folder is refused."""
    (tmp_path / "out").write_text("mine")

    with pytest.raises(FileExistsError, match="is not a build"):
        fail(tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("name", ["out.partial", "out.partial/thesis.txt"])
def test_foreign_draft(tmp_path, name):
    """Something else under the draft's name is refused, and stays."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")

    with pytest.raises(FileExistsError, match=re.escape("out.partial is not an unfinished build")):
        fail(tmp_path / "out")
    assert path.read_text() == "mine"


def test_two_at_once(tmp_path, held):
    """A second build of the same folder is refused while the first is at work, and does it no harm."""
    with pytest.raises(
        BlockingIOError, match=r"out.partial: another build is at work here: wait for it, or use"
    ):
        fail(tmp_path / "out")

    held.communicate("\n")
    assert held.returncode == 0
    assert files(tmp_path) == ["out", "out/data", "out/data/x.parquet"]


def test_two_at_once_in_a_build(build, held):
    """A build that stands is locked as well."""
    with pytest.raises(BlockingIOError, match="another build is at work here"):
        fail(build)

    held.communicate("\n")
    with locked_folder(build) as folder:
        assert folder == build


def fail_as_a_shard(out, while_at_work=None):
    """Begin to write shards, let another process try its luck, and fail."""
    with shared_folder(out) as folder:
        if while_at_work:
            while_at_work()
            assert files(folder) == [LOCK_FILE]
        raise ValueError("stop")


def test_shards_share_a_folder(tmp_path):
    """Several may work in one folder; a build that writes the card waits for all of them."""
    out = tmp_path / "out"

    with shared_folder(out) as first, shared_folder(out) as second:
        assert first == second == tmp_path / "out.partial"
        with pytest.raises(BlockingIOError, match="another build is at work here"):
            fail(out)
    assert files(tmp_path) == ["out.partial"]
    with locked_folder(out), pytest.raises(BlockingIOError, match="another build is at work"):
        fail_as_a_shard(out)
    assert files(tmp_path) == ["out"]


def test_a_shard_that_fails_leaves_the_folder_to_those_at_work_there(tmp_path):
    """The last to fail deletes it, if nobody has written a file of images."""
    out = tmp_path / "out"

    def fail_too():
        with pytest.raises(ValueError, match="stop"):
            fail_as_a_shard(out)

    with pytest.raises(ValueError, match="stop"):
        fail_as_a_shard(out, while_at_work=fail_too)

    assert files(tmp_path) == []


def test_killed(tmp_path, held):
    """What a killed build leaves is taken over, without a wait."""
    held.send_signal(signal.SIGKILL)
    held.wait()

    with locked_folder(tmp_path / "out") as folder:
        assert files(folder) == [LOCK_FILE, "data", "data/x.parquet"]
    assert files(tmp_path) == ["out", "out/data", "out/data/x.parquet"]


def test_won_race(tmp_path, monkeypatch):
    """Where another build ends between the look and the lock, this one does not overwrite it."""
    module = sys.modules[locked_folder.__module__]
    lock = module._lock

    def late(folder):
        folder.rename(tmp_path / "out")  # the other one ends now
        (tmp_path / "out" / CARD).write_text(
            front_matter(BuildCard({"cnlw_tools": "0"}, "toy", Storage(), "shared"), {})
        )
        return lock(folder)

    monkeypatch.setattr(module, "_lock", late)

    with pytest.raises(OSError, match=r"out.partial"):
        fail(tmp_path / "out")
    assert files(tmp_path) == ["out", f"out/{CARD}"]


def test_relative(tmp_path, monkeypatch):
    """A relative folder is the one it was when the build began."""
    monkeypatch.chdir(tmp_path)

    with locked_folder(Path("out")) as folder:
        (folder / "x").write_text("x")

    assert files(tmp_path) == ["out", "out/x"]
