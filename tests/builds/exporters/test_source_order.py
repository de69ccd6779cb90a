"""The order of a source: torchvision counts the same images in the same order."""

import pyarrow as pa
import pytest
from PIL import Image

from cnlw_tools.builds.exporters.source_order import source_order
from cnlw_tools.dataset.dataset import empty_dataset
from cnlw_tools.dataset.tables import ManifestInfo, with_info
from cnlw_tools.sources import SOURCES
from cnlw_tools.sources.base import make_manifest


def order_of(name, classes, base, info=None):
    """Return the ids and the parts of a manifest in the order of its source."""
    if info is not None:
        base = with_info(base, info.as_block())
    order = source_order(empty_dataset(name, classes).with_base(base, "test"))
    return order.image_ids.to_pylist(), order.parts.tolist()


def test_image_folder_counts_alike(tmp_path):
    """Class folders by name, then folders, then files, where paths alone sort otherwise."""
    pytest.importorskip("torch")
    from torchvision.datasets import ImageFolder

    for path in ("a-b/1", "a/2", "a/10", "a/sub/1", "a/sub-b/1", "a/z", "10/x", "9/x"):
        file = tmp_path / "train" / f"{path}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (1, 1)).save(file)
    source = SOURCES["folder"](tmp_path)
    ids, _ = order_of("folder", source.classes(), source.manifest())
    loaded = ImageFolder(tmp_path / "train")

    assert ids == [path.removeprefix(f"{tmp_path}/") for path, _ in loaded.samples]
    assert ids != sorted(ids)


def test_image_folder_counts_images_that_an_import_moved(tmp_path):
    """An image that an import moved to validation keeps its place among the images of its folder."""
    pytest.importorskip("torch")
    from torchvision.datasets import ImageFolder

    for path in ("a/1", "a/2", "a/3", "b/1", "b/2", "b/3"):
        file = tmp_path / f"{path}.png"
        file.parent.mkdir(exist_ok=True)
        Image.new("RGB", (1, 1)).save(file)
    loaded = [path.removeprefix(f"{tmp_path}/") for path, _ in ImageFolder(tmp_path).samples]
    splits = ["validation", "train", "train", "train", "validation", "train"]
    base = make_manifest(loaded, [0, 0, 0, 1, 1, 1], splits)

    ids, parts = order_of("folder", ("a", "b"), base, ManifestInfo("folder", validation=30))

    assert ids == loaded
    assert parts == ["train"] * 6


def test_arrays_stay_in_the_order_of_their_files():
    """As the manifest lists them, the parts one after another."""
    ids = ["train-00001", "train-00000", "extra-00000", "test-00000"]
    base = make_manifest(ids, [0, 1, 0, 1], ["train", "train", "train", "validation"])

    assert order_of("svhn_extra", ("0", "1"), base) == (
        ids,
        ["train", "train", "train", "validation"],
    )


def test_a_validation_split_that_an_import_made_is_of_train():
    """A loader of the training images counts them, too."""
    base = make_manifest(["0", "1", "2"], [0, 0, 0], ["train", "validation", "train"])

    _, parts = order_of("hf", ("x",), base, ManifestInfo("hf", validation=30))
    assert parts == ["train", "train", "train"]


def test_images_from_elsewhere_have_no_place():
    """Nor does an id that is in another split's table alone."""
    base = make_manifest(["b", "a"], [0, 0], ["train", "train"])
    order = source_order(empty_dataset("hf", ("x",)).with_base(base, "test"))

    assert order.places(pa.chunked_array([["a", "web"], ["b"]])).tolist() == [1, -1, 0]
