"""Files are whole or not at all."""

import hashlib
import os
import subprocess
import sys

import pytest

from cnlw_tools import files


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_root():
    """The root holds the manifests."""
    assert (files.default_root() / "manifests" / "cifar10" / "classes.csv").is_file()


def test_aside(tmp_path):
    """What is written aside bears the name when the block has ended, and nothing else is left."""
    path = tmp_path / "a" / "b" / "x.txt"

    with files.atomic_write(path) as draft:
        draft.write_text("new")
        assert not path.exists()

    assert path.read_text() == "new"
    assert names(path.parent) == ["x.txt"]


def test_aside_replaces(tmp_path):
    """A file that stands is replaced at once, not before."""
    path = tmp_path / "x.txt"
    path.write_text("old")

    with files.atomic_write(path) as draft:
        draft.write_text("new")
        assert path.read_text() == "old"

    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_aside_error(tmp_path, error):
    """An error leaves what stood as it was, and no draft."""
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


def test_aside_without_file(tmp_path):
    """A block that writes nothing makes no file."""
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
    """A killed writer leaves no half file under the name, and `sweep` takes away what it left."""
    path = tmp_path / "data" / "x.txt"
    env = {**os.environ, "PYTHONPATH": str(files.default_root())}

    done = subprocess.run([sys.executable, "-c", KILLED, path], env=env)

    assert done.returncode == -9
    assert not path.exists()
    assert [name.startswith(files.TEMPORARY_PREFIX) for name in names(path.parent)] == [True]
    files.remove_leftovers(tmp_path)
    assert names(path.parent) == []


def test_sweep_spares(tmp_path):
    """Only drafts are swept."""
    (tmp_path / "x.parquet").touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / f"{files.TEMPORARY_PREFIX}1-x").touch()

    files.remove_leftovers(tmp_path)

    assert names(tmp_path) == ["sub", "x.parquet"]
    assert names(tmp_path / "sub") == []


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1])
def test_digest(tmp_path, size):
    """The digest is the sha256 of the bytes, whatever the size."""
    raw = bytes(i % 251 for i in range(size))
    (tmp_path / "x").write_bytes(raw)

    assert hashlib.sha256(raw).hexdigest() == files.digest(tmp_path / "x")
