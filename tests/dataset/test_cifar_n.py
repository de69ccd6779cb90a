"""CIFAR-10N and CIFAR-100N as their authors publish them: torch files and pickled arrays, without torch."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from cnlw_tools.dataset.side_table import read_side_table
from cnlw_tools.files.untrusted import BadFile

torch = pytest.importorskip("torch")

N = 500
RNG = np.random.default_rng(0)
TRUE = RNG.integers(0, 10, N)
NAMES = ("aggre_label", "worse_label", "random_label1", "random_label2", "random_label3")
LABELS = {"clean_label": TRUE, **{name: RNG.integers(0, 10, N) for name in NAMES}}
IDS = pa.chunked_array([[f"train-{i:05d}" for i in range(N)]])
ORDER = RNG.permutation(N)


def read(path):
    return read_side_table(path, IDS, pa.chunked_array([pa.array(TRUE, pa.int32())]))


def save_lists(path, arrays, save):
    """Save lists of NumPy's numbers, as the `ordered` files hold them."""
    save({name: list(values) for name, values in arrays.items()}, path)


WAYS = {
    "arrays.pt": lambda path: torch.save(LABELS, path),
    "arrays, older.pt": lambda path: torch.save(LABELS, path, _use_new_zipfile_serialization=False),
    "tensors.pt": lambda path: torch.save(
        {name: torch.tensor(values) for name, values in LABELS.items()}, path
    ),
    "tensors, older.pt": lambda path: torch.save(
        {name: torch.tensor(values) for name, values in LABELS.items()},
        path,
        _use_new_zipfile_serialization=False,
    ),
    "bytes.pt": lambda path: torch.save(
        {name: torch.tensor(values).to(torch.uint8) for name, values in LABELS.items()}, path
    ),
    "lists.pt": lambda path: torch.save(
        {name: values.tolist() for name, values in LABELS.items()}, path
    ),
    "arrays.npy": lambda path: np.save(path, LABELS, allow_pickle=True),
    "lists.npy": lambda path: save_lists(
        path, LABELS, lambda content, path: np.save(path, content, allow_pickle=True)
    ),
    "arrays.npz": lambda path: np.savez_compressed(path, **LABELS),
}


@pytest.mark.parametrize("name", WAYS)
def test_every_way_that_the_labels_are_published(tmp_path, name):
    """The same labels come of torch's and NumPy's files, old and new, of arrays, tensors, lists."""
    WAYS[name](tmp_path / name)

    side = read(tmp_path / name)

    assert sorted(["image_id", *LABELS]) == sorted(side.column_names)
    for column, values in LABELS.items():
        assert values.tolist() == side[column].to_pylist()


def test_rows_in_the_order_of_tensorflow(tmp_path):
    """Rows in another order are an error; with the authors' file of the order they are sorted."""
    path = tmp_path / "CIFAR-10_human_ordered.npy"
    np.save(path, {name: values[ORDER] for name, values in LABELS.items()}, allow_pickle=True)

    with pytest.raises(ValueError, match=r"the rows are in another order: use the \.pt file"):
        read(path)
    np.save(tmp_path / "image_order_c100.npy", RNG.permutation(N))  # of other labels
    with pytest.raises(ValueError, match="the rows are in another order"):
        read(path)

    np.save(tmp_path / "image_order_c10.npy", ORDER)

    for column, values in LABELS.items():
        assert values.tolist() == read(path)[column].to_pylist()


def test_torch_is_not_imported(tmp_path):
    """Building needs no torch, so neither do these files."""
    torch.save({"worse_label": torch.tensor([1, 2])}, tmp_path / "x.pt")
    program = (
        "import sys; from pathlib import Path; from cnlw_tools.files import pickles;"
        "print(pickles.to_arrays(pickles.read_torch(Path(sys.argv[1]))), 'torch' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "x.pt"], capture_output=True, text=True
    )

    assert "{'worse_label': array([1, 2])} False" == done.stdout.strip()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([1, 2], "it holds no dict with names"),
        ({1: [1]}, "it holds no dict with names"),
        ({"x": ["cat"]}, "x: list where numbers should be"),
        ({"x": [[1], [2]]}, "x: list where numbers should be"),
        ({"x": torch.zeros(3, 2).T}, "x: a tensor that is not a block of its storage"),
        ({"x": torch.nn.Linear(1, 1)}, r"it asks for torch\.nn\.modules\.linear\.Linear"),
        ({"x": np.array(["a"])}, "is not a type of numbers"),
    ],
)
def test_a_file_of_something_else(tmp_path, content, reason):
    """Anything but a dict of numbers is refused in one line."""
    torch.save(content, tmp_path / "x.pt")

    with pytest.raises(BadFile, match=rf"x\.pt cannot be read as .*{reason}"):
        read(tmp_path / "x.pt")
