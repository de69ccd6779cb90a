"""Arrays on the disk are the same arrays, take no memory, and leave no file behind."""

import errno
import os
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cnlw_tools.files import mapped
from cnlw_tools.files.mapped import MappedFile, release_pages, store_numbers, zeros

ARRAYS = [
    pa.array(["a", None, "ccc"]),
    pa.array([], pa.string()),
    pa.array([True, None, False]).slice(1),
    pa.array([[1], [], [2, 3]], pa.list_(pa.int64())),
    pa.array([{"bytes": b"x", "path": None}]),
    pa.array(["x", "y", "x"]).dictionary_encode(),
    pa.array([b"1" * 32, None], pa.binary(32)),
    pa.nulls(3),
]


@pytest.fixture(autouse=True)
def everything_on_the_disk(monkeypatch):
    monkeypatch.setattr(mapped, "IN_MEMORY", 0)


def test_small_tables_open_no_file(monkeypatch):
    """There may be thousands of them, and a process may open a thousand files."""
    monkeypatch.setattr(mapped, "IN_MEMORY", 1 << 12)
    monkeypatch.setattr(tempfile, "TemporaryFile", None)
    arrays = [MappedFile().add(pa.array([number])) for number in range(3)]

    assert [[0], [1], [2]] == [array.to_pylist() for array in arrays]


def test_an_array_is_the_same_on_the_disk(monkeypatch):
    """Of any type, in small blocks and large ones, also after pages were released."""
    monkeypatch.setattr(mapped, "FIRST_BLOCK", 1 << 12)
    monkeypatch.setattr(mapped, "RELEASE_BYTES", 1 << 10)
    file = MappedFile()
    large = pa.array(np.arange(10_000))
    arrays = [*ARRAYS, large, *ARRAYS]
    stored = [file.add(array) for array in arrays]
    release_pages()

    for array, copy in zip(arrays, stored, strict=True):
        assert array.equals(copy)
        copy.validate(full=True)


def test_an_array_outlives_its_file():
    """The file is deleted with the last array in it, not before."""
    copy = MappedFile().add(pa.array([1, 2]))

    assert [1, 2] == copy.to_pylist()


def test_arrays_on_the_disk_take_no_memory():
    """Of Arrow, that is; the pages are the system's."""
    file = MappedFile()
    array = pa.array(np.arange(1 << 20))
    before = pa.total_allocated_bytes()
    copies = [file.add(array) for _ in range(4)]

    assert 4 == len(copies)
    assert pa.total_allocated_bytes() - before < array.nbytes / 10


@pytest.mark.parametrize("n", [0, 1, 1000, 3000])
def test_numbers_on_the_disk_can_be_written(monkeypatch, n):
    """They are zeros at first, and stay as they were written when their pages are released."""
    monkeypatch.setattr(mapped, "FIRST_BLOCK", 1 << 12)
    numbers = zeros(n, np.int32)
    first = numbers.tolist()
    numbers[:] = np.arange(n)
    release_pages()

    assert [0] * n == first
    assert list(range(n)) == numbers.tolist()


def test_stored_numbers_are_the_same(monkeypatch):
    """Of the same type or a shorter one, in blocks."""
    monkeypatch.setattr(mapped, "BLOCK_NUMBERS", 7)
    values = np.arange(100) * 3

    assert values.tolist() == store_numbers(values).tolist()
    assert (values.dtype, np.int16) == (
        store_numbers(values).dtype,
        store_numbers(values, "i2").dtype,
    )
    assert values.tolist() == store_numbers(values, np.int16).tolist()


def test_numbers_on_the_disk_take_no_memory_of_the_process():
    """All 64 MB are pages of a file, which the system may take back."""
    anonymous = own_memory()
    numbers = zeros(1 << 23, np.int64)
    numbers[:] = 1

    assert own_memory() - anonymous < numbers.nbytes / 10


def own_memory():
    """Return the bytes of this process that are no pages of files."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition("RssAnon:")[2].split()[0]) * 1024


def test_nothing_is_left_in_the_folder_of_temporary_files(tmp_path, monkeypatch):
    """The file has no name, so a process that is killed leaves nothing."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    file = MappedFile()
    copy = file.add(pa.array([1]))

    assert [] == [*tmp_path.iterdir()]
    assert [1] == copy.to_pylist()


@pytest.mark.parametrize("call", ["pwrite", "open"])
def test_a_full_disk_is_named_with_a_remedy(tmp_path, monkeypatch, call):
    """The folder of temporary files, and that it can be another one."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def fail(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    if call == "pwrite":
        monkeypatch.setattr(os, "pwrite", fail)
    else:
        monkeypatch.setattr(tempfile, "TemporaryFile", fail)

    with pytest.raises(OSError, match=f"{tmp_path}: No space left on device: .*TMPDIR"):
        MappedFile().add(pa.array([1]))
    with pytest.raises(OSError, match=f"{tmp_path}: No space left on device: .*TMPDIR"):
        zeros(1, np.int64)
