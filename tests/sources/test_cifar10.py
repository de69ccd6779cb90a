"""CIFAR-10, from batches that are pickled as Python 2 did."""

import hashlib
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cnlw_tools.dataset.tables import MANIFEST
from cnlw_tools.sources.cifar10 import CIFAR10, Cifar10, read_batch


def read_pickle(parent, name):
    return pickle.loads((parent / CIFAR10.folder / name).read_bytes(), encoding="latin1")


def expected_pixels(parent, name, row):
    return read_pickle(parent, name)["data"][row].reshape(3, 32, 32).transpose(1, 2, 0)


def test_manifest(cifar):
    """Rows are in the official order with a hash of pixels; the test batch is validation."""
    table = Cifar10(cifar).manifest()
    rows = table.to_pylist()

    assert table.schema == MANIFEST
    assert [row["image_id"] for row in rows] == [f"train-{i:05d}" for i in range(300)] + [
        f"test-{i:05d}" for i in range(60)
    ]
    assert [row["split"] for row in rows] == ["train"] * 300 + ["validation"] * 60
    assert [row["label"] for row in rows[60:120]] == read_pickle(cifar, "data_batch_2")["labels"]
    assert (
        rows[61]["sha256"]
        == hashlib.sha256(expected_pixels(cifar, "data_batch_2", 1).tobytes()).hexdigest()
    )


@pytest.mark.parametrize(
    ("image_id", "name", "row"),
    [
        ("train-00000", "data_batch_1", 0),
        ("train-00059", "data_batch_1", 59),
        ("train-00060", "data_batch_2", 0),
        ("train-00299", "data_batch_5", 59),
        ("test-00007", "test_batch", 7),
    ],
)
def test_read(cifar, image_id, name, row):
    """An image has the pixels of its row, in red, green and blue."""
    assert np.array_equal(Cifar10(cifar).read(image_id), expected_pixels(cifar, name, row))


@pytest.mark.parametrize(
    "image_id", ["train-00300", "test-00060", "train", "train-", "train--1", "val-00000", "", "-"]
)
def test_no_such_id(cifar, image_id):
    """The error for an unknown id says which ids there are."""
    with pytest.raises(
        LookupError, match=f"no image '{image_id}'; ids start at train-00000 and test-00000"
    ):
        Cifar10(cifar).read(image_id)


def test_folder_or_parent(cifar):
    """The folder itself may be given, or its parent."""
    assert Cifar10(cifar).folder == Cifar10(cifar / CIFAR10.folder).folder


def test_no_folder(tmp_path):
    """Without the folder, the error names the archive."""
    with pytest.raises(
        FileNotFoundError,
        match=rf"no folder '{CIFAR10.folder}' here: unpack cifar-10-python.tar.gz here",
    ):
        Cifar10(tmp_path)
    with pytest.raises(ValueError, match="cifar10 needs --data-dir"):
        Cifar10(None)


def test_missing_batch(cifar, tmp_path):
    """The error for a missing batch names it."""
    shutil.copytree(cifar, tmp_path / "x")
    (tmp_path / "x" / CIFAR10.folder / "data_batch_4").unlink()

    with pytest.raises(FileNotFoundError, match=r"data_batch_4: the file is missing: unpack"):
        Cifar10(tmp_path / "x").manifest()


@pytest.mark.parametrize("size", [0, 1, 30, 100, 4000, -1])
def test_truncated(cifar, tmp_path, size):
    """The error for a truncated batch names it."""
    (tmp_path / "b").write_bytes((cifar / CIFAR10.folder / "data_batch_1").read_bytes()[:size])

    with pytest.raises(
        ValueError,
        match=r"b cannot be read as a batch of CIFAR-10 .*: unpack cifar-10-python.tar.gz",
    ):
        read_batch(tmp_path / "b")


@example(394, 255)  # a length of gigabytes
@example(199, 1)  # a module that does not exist
@given(st.integers(0, 10**6), st.integers(1, 255))
def test_flipped(cifar, tmp_path_factory, position, bits):
    """A batch with a wrong byte is read or refused; it never raises another error."""
    data = bytearray((cifar / CIFAR10.folder / "data_batch_1").read_bytes())
    # The structure of the pickle is at its ends, the pixels between them.
    position = position % 400 if position % 2 else -1 - position % 4000
    data[position] ^= bits
    path = tmp_path_factory.mktemp("flipped") / "b"
    path.write_bytes(data)

    try:
        batch = read_batch(path)
    except ValueError as error:
        assert str(path) in str(error)  # noqa: PT017
    else:
        assert batch.pixels.shape == (len(batch.labels), 32, 32, 3)


class Malicious:
    """Runs a command when a careless reader unpickles it."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("run",)


@pytest.mark.parametrize("protocol", range(6))
def test_malicious_pickle(tmp_path, monkeypatch, protocol):
    """A pickle that would run a command is refused without running it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b").write_bytes(pickle.dumps({"data": Malicious(), "labels": []}, protocol))

    with pytest.raises(ValueError, match=r"it asks for posix.mkdir, which no numbers need"):
        read_batch(tmp_path / "b")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"labels": [1]},
        {"data": np.zeros((1, 3072), np.uint8)},
        {"data": np.zeros((2, 3072), np.uint8), "labels": [1]},
        {"data": np.zeros((1, 3072)), "labels": [1]},
        {"data": np.zeros((1, 3073), np.uint8), "labels": [1]},
        {"data": "x", "labels": [1]},
        {"data": np.zeros((1, 3072), np.uint8), "labels": 1},
    ],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_other_pickle(tmp_path, content, protocol):
    """The error for a pickle of something else names the file."""
    (tmp_path / "b").write_bytes(pickle.dumps(content, protocol))

    with pytest.raises(ValueError, match=r"b:? .*: unpack cifar-10-python.tar.gz again"):
        read_batch(tmp_path / "b")


def test_official_opcodes(cifar):
    """The test batches are pickled like the official ones: protocol 2, byte strings, old names."""
    data = (cifar / CIFAR10.folder / "test_batch").read_bytes()

    assert data.startswith(b"\x80\x02}")
    assert b"cnumpy.core.multiarray\n_reconstruct\n" in data
    assert b"_codecs" not in data


@pytest.mark.parametrize("label", ["cat", 1.5, None, True, -1, 10, 1 << 70])
def test_odd_labels(cifar, tmp_path, label):
    """A label that is not a class is refused and not rounded; the error names the file."""
    folder = shutil.copytree(cifar / CIFAR10.folder, tmp_path / CIFAR10.folder)
    content = pickle.loads((folder / "data_batch_2").read_bytes(), encoding="latin1")
    content["labels"] = [label] * len(content["labels"])
    (folder / "data_batch_2").write_bytes(pickle.dumps(content, protocol=2))

    with pytest.raises(ValueError, match=r"data_batch_2:? .*label"):
        Cifar10(folder).manifest()


def test_from_inside_the_folder(cifar, monkeypatch):
    """--data-dir . works from inside the official folder."""
    monkeypatch.chdir(cifar / CIFAR10.folder)

    assert len(Cifar10(Path()).manifest())
