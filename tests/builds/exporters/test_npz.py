"""Arrays: numpy reads what `datasets` reads, pixel for pixel."""

import datasets
import numpy as np
import pytest
from PIL import Image

from cnlw_tools.builds.build import build
from cnlw_tools.builds.exporters import export
from cnlw_tools.builds.exporters.base import read_config
from cnlw_tools.builds.exporters.npz import export_npz
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe
from tests.builds.exporters.conftest import PLANNED, Pixels


@pytest.mark.parametrize("config", PLANNED)
def test_numpy_reads_what_datasets_reads(config, built, tmp_path):
    """Images, labels, ids and names of classes are equal, row by row, and no pickle is needed."""
    export("npz", built, config, tmp_path / "out")
    splits = datasets.load_dataset(str(built), config, cache_dir=str(tmp_path / "cache"))

    assert {path.stem for path in (tmp_path / "out").iterdir()} == {*splits}
    for split, loaded in splits.items():
        with np.load(tmp_path / "out" / f"{split}.npz", allow_pickle=False) as arrays:
            assert sorted(arrays) == ["classes", "image_ids", "images", "labels"]
            images, labels = arrays["images"], arrays["labels"]
            assert arrays["image_ids"].tolist() == loaded["image_id"][:]
            assert arrays["classes"].tolist() == loaded.features["label"].names
        assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
        assert labels.tolist() == loaded["label"][:]
        for pixels, image in zip(images, loaded["image"], strict=True):
            assert (pixels == np.asarray(image)).all()


class TwoSizes(Pixels):
    """Images that are as wide as their ids are long."""

    def read(self, image_id):
        return Image.new("RGB", (len(image_id), 1))


def test_images_of_two_sizes_are_refused(tmp_path):
    """The error names both and what to do."""
    source = TwoSizes(dict.fromkeys(["aa", "bbb", "cc"], 0), ("x", "y"))
    inputs = Inputs(tmp_path, source=source)
    build(Recipe("pixels", "blue", levels=(0,)), inputs, tmp_path / "build")
    config = read_config(tmp_path / "build", "blue_00")
    (tmp_path / "out").mkdir()

    with pytest.raises(ValueError, match=r"1 x 3.*1 x 2|1 x 2.*1 x 3") as error:
        export_npz(config, tmp_path / "out")
    assert "'bbb'" in str(error.value)
    assert "build with --size, or export webdataset or imagefolder" in str(error.value)
