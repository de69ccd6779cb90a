"""SVHN, from MATLAB files."""

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from cnlw_tools.sources.svhn import Svhn, SvhnExtra


def test_pixels_and_labels(lay_out):
    """An image is one slice of X; the label 10 is the digit 0."""
    folder = lay_out("svhn")
    variables = loadmat(folder / "train_32x32.mat")
    source = Svhn(folder)
    rows = source.manifest().to_pylist()

    assert [row["label"] for row in rows[:20]] == [int(y) % 10 for y in variables["y"][:, 0]]
    assert rows[9]["label"] == 0
    assert np.array_equal(source.read("train-00007"), variables["X"][:, :, :, 7])


def test_extra(lay_out):
    """The extra digits are for training, and have ids of their own."""
    rows = SvhnExtra(lay_out("svhn")).manifest().to_pylist()

    assert [row["split"] for row in rows] == ["train"] * 31 + ["validation"] * 5
    assert [row["image_id"] for row in rows][19:22] == ["train-00019", "extra-00000", "extra-00001"]


X, Y = np.zeros((32, 32, 3, 4), np.uint8), np.ones((4, 1), np.uint8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"X": X, "y": 0 * Y}, "y does not contain labels from 1 to 10"),
        ({"X": X, "y": 11 * Y}, "y does not contain labels from 1 to 10"),
        ({"X": X, "y": Y[1:]}, r"X is uint8 \(32, 32, 3, 4\), which does not fit 3 labels"),
        ({"X": X.astype(float), "y": Y}, "X is float64"),
        ({"X": X}, "no variable 'y'"),
        (b"MATLAB 5.0", "cannot be read as a MATLAB file"),
        (b"", "cannot be read as a MATLAB file"),
    ],
)
def test_damaged(lay_out, content, message):
    """The error for another file, or a damaged one, names it."""
    folder = lay_out("svhn")
    path = folder / "train_32x32.mat"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        savemat(path, content)

    with pytest.raises(ValueError, match=rf"train_32x32.mat:? .*{message}"):
        Svhn(folder).manifest()


def test_truncated(lay_out):
    """The error for a file that is cut off anywhere names it."""
    path = lay_out("svhn") / "test_32x32.mat"
    data = path.read_bytes()

    for size in range(0, len(data), 500):
        path.write_bytes(data[:size])
        with pytest.raises(ValueError, match=r"test_32x32.mat:? "):
            Svhn(path.parent).load_part("test")
