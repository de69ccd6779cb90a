"""Files are written completely or not at all."""

import hashlib
import os
import subprocess
import sys

import pytest

from cnlw_tools import files


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_default_root():
    """The default root holds the manifests."""
    assert (files.default_root() / "manifests" / "cifar10" / "classes.csv").is_file()


def test_atomic_write(tmp_path):
    """The file has its name only after the block, and no temporary file remains."""
    path = tmp_path / "a" / "b" / "x.txt"

    with files.atomic_write(path) as draft:
        draft.write_text("new")
        assert not path.exists()

    assert path.read_text() == "new"
    assert names(path.parent) == ["x.txt"]


def test_atomic_write_replaces(tmp_path):
    """An existing file is replaced when the block ends, not before."""
    path = tmp_path / "x.txt"
    path.write_text("old")

    with files.atomic_write(path) as draft:
        draft.write_text("new")
        assert path.read_text() == "old"

    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_atomic_write_with_error(tmp_path, error):
    """After an error the existing file is unchanged, and no temporary file remains."""
    path = tmp_path / "x.txt"
    path.write_text("old")

    def fail():
        with files.atomic_write(path) as draft:
            draft.write_text("half of the n")
            raise error

    with pytest.raises(error):
        fail()

    assert path.read_text() == "old"
    assert names(tmp_path) == ["x.txt"]


def test_an_empty_file_may_be_written(tmp_path):
    """A text of no letters is a text."""
    with files.atomic_write(tmp_path / "x.txt") as draft:
        draft.write_text("")

    assert (tmp_path / "x.txt").read_text() == ""


def test_atomic_write_without_file(tmp_path):
    """A block that writes nothing is an error and makes no file."""
    with pytest.raises(OSError, match="cannot be written"), files.atomic_write(tmp_path / "x.txt"):
        pass

    assert names(tmp_path) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from cnlw_tools import files
with files.atomic_write(Path(sys.argv[1])) as draft:
    draft.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_killed(tmp_path):
    """A killed writer leaves no incomplete file, only a temporary one that can be removed."""
    path = tmp_path / "data" / "x.txt"
    env = {**os.environ, "PYTHONPATH": str(files.default_root())}

    process = subprocess.run([sys.executable, "-c", KILLED, path], env=env)

    assert process.returncode == -9
    assert not path.exists()
    assert [name.startswith(files.TEMPORARY_PREFIX) for name in names(path.parent)] == [True]
    files.remove_drafts_below(tmp_path)
    assert names(path.parent) == []


def test_remove_drafts_below(tmp_path):
    """Only temporary files are removed."""
    (tmp_path / "x.parquet").touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / f"{files.TEMPORARY_PREFIX}1-x").touch()

    files.remove_drafts_below(tmp_path)

    assert names(tmp_path) == ["sub", "x.parquet"]
    assert names(tmp_path / "sub") == []


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1])
def test_digest(tmp_path, size):
    """The digest is the sha256 of all bytes, whatever the size of the file."""
    raw = bytes(i % 251 for i in range(size))
    (tmp_path / "x").write_bytes(raw)

    assert hashlib.sha256(raw).hexdigest() == files.digest(tmp_path / "x")
