"""Tar files: the library webdataset reads what `datasets` reads."""

import tarfile

import datasets
import numpy as np
import pytest
import webdataset

from cnlw_tools.builds.exporters import export
from cnlw_tools.builds.exporters.webdataset import export_webdataset
from tests.builds.exporters.conftest import PLANNED


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # by the library itself
@pytest.mark.parametrize("config", PLANNED)
def test_webdataset_reads_what_datasets_reads(config, built, tmp_path):
    """Images, labels and ids are equal, in the same order over all files of a split."""
    export("webdataset", built, config, tmp_path / "out", {"shard_rows": 50})
    splits = datasets.load_dataset(str(built), config, cache_dir=str(tmp_path / "cache"))

    for split, loaded in splits.items():
        paths = sorted(map(str, (tmp_path / "out").glob(f"{split}-*.tar")))
        assert len(paths) == -(-loaded.num_rows // 50)
        samples = webdataset.WebDataset(paths, shardshuffle=False).decode("rgb8")
        read = list(samples.to_tuple("png", "cls", "json"))
        assert [label for _, label, _ in read] == loaded["label"][:]
        assert [facts["image_id"] for _, _, facts in read] == loaded["image_id"][:]
        for (pixels, _, _), image in zip(read, loaded["image"], strict=True):
            assert (pixels == np.asarray(image)).all()


def test_a_file_has_no_time_and_no_owner(built, tmp_path):
    """So the bytes depend on nothing but the build."""
    export("webdataset", built, "red_00_t40_probe2", tmp_path / "out")
    with tarfile.open(tmp_path / "out" / "train-000000.tar") as archive:
        members = archive.getmembers()

    assert {(member.mtime, member.uid, member.gid, member.uname) for member in members} == {
        (0, 0, 0, "")
    }
    assert [member.name for member in members[:4]] == [
        "000000000.png",
        "000000000.cls",
        "000000000.json",
        "000000001.png",
    ]


def test_an_order_that_tells_who_is_noisy_is_noted(built, tmp_path):
    """Where noisy and clean rows are in different files, a buffer does not mix them."""
    noted = export("webdataset", built, "red_40_t40_probe2", tmp_path / "red")
    mixed = export("webdataset", built, "dilution_a2.5", tmp_path / "dilution")

    assert mixed == []
    assert len(noted) == 1
    assert noted[0].startswith("train: noisy and clean rows are in different files: shuffle all")


def test_a_file_has_at_least_one_sample(pixels_config, tmp_path):
    """A size of 0 would never end."""
    config = pixels_config({"x": 0, "y": 1})

    with pytest.raises(ValueError, match="shard_rows = 0 is not allowed: it must be at least 1"):
        export_webdataset(config, tmp_path / "out", shard_rows=0)
