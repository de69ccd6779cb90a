"""CIFAR-100, from batches that are pickled like its author's."""

import pickle

import numpy as np
import pytest

from cnlw_tools.noise.asymmetric import SUPERCLASSES
from cnlw_tools.sources.cifar100 import Cifar100, Cifar100Coarse


def test_labels(lay_out):
    """One kind of label is the label, the other a column; pixels are those of the file."""
    folder = lay_out("cifar100")
    batch = pickle.loads((folder / "cifar-100-python/test").read_bytes())
    fine = Cifar100(folder).manifest()[20:]
    coarse = Cifar100Coarse(folder).manifest()[20:]

    assert (
        fine["image_id"].to_pylist()
        == [f"test-{i:05d}" for i in range(5)]
        == coarse["image_id"].to_pylist()
    )
    assert fine["label"].to_pylist() == batch["fine_labels"] == coarse["fine_label"].to_pylist()
    assert coarse["label"].to_pylist() == batch["coarse_labels"] == fine["coarse_label"].to_pylist()
    assert np.array_equal(
        Cifar100(folder).read("test-00002"), batch["data"][2].reshape(3, 32, 32).transpose(1, 2, 0)
    )


def test_the_class_lists_agree_with_the_superclasses_of_asymmetric_noise(lay_out):
    """Row k of the map of asymmetric noise is the k-th coarse class, as spot checks show."""
    folder = lay_out("cifar100")
    fine, coarse = Cifar100(folder).classes(), Cifar100Coarse(folder).classes()
    named = {coarse[k]: {fine[c] for c in row} for k, row in enumerate(SUPERCLASSES)}

    assert (len(fine), len(coarse)) == (100, 20)
    assert list(fine) == sorted(fine)
    assert named["people"] == {"baby", "boy", "girl", "man", "woman"}
    assert named["trees"] == {"maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"}
    assert named["vehicles_2"] == {"lawn_mower", "rocket", "streetcar", "tank", "tractor"}


@pytest.mark.parametrize(
    ("key", "value"), [("fine_labels", 100), ("coarse_labels", 20), ("coarse_labels", None)]
)
def test_wrong_batch(lay_out, key, value):
    """The error for a label out of range, or a missing kind of label, names file and remedy."""
    path = lay_out("cifar100") / "cifar-100-python/train"
    batch = pickle.loads(path.read_bytes())
    if value is None:
        del batch[key]
    else:
        batch[key] = [value] * 20
    path.write_bytes(pickle.dumps(batch, 2))

    with pytest.raises(
        ValueError, match=r"python/train:? .*label.*: unpack cifar-100-python.tar.gz again"
    ):
        Cifar100(path.parent).manifest()
