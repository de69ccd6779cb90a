"""MNIST, from idx files, compressed or not."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from cnlw_tools.sources.mnist import Mnist

REAL = Path(__file__).parents[3] / "shared/data/mnist"


def test_pixels_and_labels(lay_out):
    """An image has the bytes of its row in three channels; the test set is validation."""
    folder = lay_out("mnist")
    data = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    source = Mnist(folder)
    rows = source.manifest().to_pylist()[20:]

    assert [(row["image_id"], row["label"], row["split"]) for row in rows[:2]] == [
        ("test-00000", 0, "validation"),
        ("test-00001", 1, "validation"),
    ]
    image = np.asarray(source.read("test-00003"))
    assert image.shape == (28, 28, 3)
    assert image[:, :, 1].tobytes() == data[3 * 784 : 4 * 784]


def test_a_plan_needs_only_the_files_of_labels(lay_out):
    """Without the two files of images, there are no hashes."""
    folder = lay_out("mnist")
    columns = ["image_id", "label", "split"]
    manifest = Mnist(folder).manifest().select(columns)
    for path in folder.glob("*images*"):
        path.unlink()

    assert Mnist(folder).manifest().select(columns) == manifest
    assert Mnist(folder).manifest()["sha256"].null_count == len(manifest)
    with pytest.raises(FileNotFoundError, match="there is no train-images-idx3-ubyte here"):
        Mnist(folder).read("train-00000")


@pytest.mark.parametrize("inner", ["MNIST/raw", "raw"])
def test_layouts(lay_out, inner):
    """The files may lie where torchvision puts them, and have dots in their names."""
    folder = lay_out("mnist")
    manifest = Mnist(folder).manifest()
    (folder / inner).mkdir(parents=True)
    for path in list(folder.glob("*ubyte*")):
        path.rename(folder / inner / path.name.replace("-idx", ".idx"))

    assert Mnist(folder).manifest() == manifest


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t10k-labels-idx1-ubyte", b"", "cannot be read as an idx file"),
        (
            "t10k-labels-idx1-ubyte",
            struct.pack(">HBBI", 0, 8, 1, 6) + bytes(6),
            "5 images, and .* holds 6 labels",
        ),
        (
            "t10k-labels-idx1-ubyte",
            struct.pack(">HBBI", 0, 8, 1, 5) + bytes([0, 1, 2, 3, 10]),
            "labels from 0 to 10; there must be",
        ),
        (
            "t10k-labels-idx1-ubyte",
            struct.pack(">HBBI", 0, 8, 1, 6) + bytes(5),
            "5 bytes where its header says 6",
        ),
        (
            "t10k-labels-idx1-ubyte",
            struct.pack(">HBBI", 0, 9, 1, 5) + bytes(5),
            "cannot be read as an idx file of bytes in 1",
        ),
        (
            "t10k-images-idx3-ubyte.gz",
            gzip.compress(bytes(300), mtime=0)[:-20],
            "cannot be read as an idx file",
        ),
        ("t10k-images-idx3-ubyte.gz", b"not zipped", "cannot be read as an idx file"),
    ],
)
def test_damaged(lay_out, name, content, message):
    """The error for a damaged file names it, or its pair, and the remedy."""
    folder = lay_out("mnist")
    (folder / name).write_bytes(content)

    with pytest.raises(ValueError, match=rf"t10k-.*{message}.*: copy (this file|both files) again"):
        Mnist(folder).manifest()


def test_missing(lay_out):
    """The error for a missing file names it, and says which files are needed."""
    folder = lay_out("mnist")
    (folder / "train-labels-idx1-ubyte").unlink()

    with pytest.raises(
        FileNotFoundError,
        match=r"there is no train-labels-idx1-ubyte here; mnist needs train-images",
    ):
        Mnist(folder).manifest()


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the official files in ../shared/data/mnist")
def test_real():
    """The official test set has 10,000 digits, as many of each as its authors publish."""
    part = Mnist(REAL).load_part("test")

    assert part.pixels.shape == (10_000, 28, 28)
    assert np.bincount(part.labels).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]
