"""Splits of a build as arrays."""

import io
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from PIL import Image

from cnlw_tools import files
from cnlw_tools.images import pixels
from cnlw_tools.trainer import data
from cnlw_tools.trainer.pixel_cache import Resizing

CONFIG = "blue_40_probe2"


def rewritten(build, change):
    """Change every shard by a function of its table, and update the listed hashes."""
    content = json.loads((build / "croissant.json").read_text())
    entries = {entry["@id"]: entry for entry in content["distribution"]}
    for path in sorted((build / "data").glob("*.parquet")):
        table = pq.read_table(path)
        pq.write_table(change(table), path)
        entries[f"data/{path.name}"]["sha256"] = files.digest(path)
    (build / "croissant.json").write_text(json.dumps(content))


def scrambled(table):
    """Return the same images and labels in another order, with nonsense as truth."""
    order = np.random.default_rng(len(table)).permutation(len(table))
    table = table.take(pa.array(order))
    for name, values in {
        "is_noisy": [i % 2 == 0 for i in range(len(table))],
        "clean_label": [0] * len(table),
        "origin": ["web"] * len(table),
        "image_id": [f"x{i}" for i in range(len(table))],
        "replaces": [None] * len(table),
    }.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(
            at, table.schema.field(at), pa.array(values, table.schema.field(at).type)
        )
    return table


def test_a_row_is_the_row_that_datasets_reads(builds, tmp_path):
    """Example i is row `row[i]` of what `load_dataset` returns: same pixels, same label."""
    read = load_dataset(str(builds), CONFIG, split="train", cache_dir=str(tmp_path / "hf"))
    train = data.load_splits(builds, CONFIG, Resizing(), tmp_path)["train"]

    pixels = train.read_images(np.arange(len(train)))

    assert sorted(train.rows) == list(range(len(read)))
    for i in range(0, len(train), 7):
        expected = read[int(train.rows[i])]
        assert np.array_equal(
            np.asarray(expected["image"].convert("RGB")).transpose(2, 0, 1), pixels[i]
        )
        assert expected["label"] == train.labels[i]


def test_the_classes_are_those_of_the_build(builds, tmp_path):
    """Class names come in label order."""
    assert data.load_splits(builds, CONFIG, Resizing(), tmp_path)["train"].class_names[:2] == (
        "bicycle",
        "chair",
    )


def test_neither_rows_nor_truth_move_an_example(builds, tmp_path):
    """With permuted shards and scrambled truth all examples keep numbers, pixels and digest."""
    copied_build = shutil.copytree(builds, tmp_path / "other")
    rewritten(copied_build, scrambled)

    splits = data.load_splits(builds, CONFIG, Resizing(), tmp_path / "a")
    new_splits = data.load_splits(copied_build, CONFIG, Resizing(), tmp_path / "b")

    for name, split in splits.items():
        positions = np.arange(len(split))
        assert np.array_equal(split.read_images(positions), new_splits[name].read_images(positions))
        assert np.array_equal(split.labels, new_splits[name].labels)
        assert split.digest == new_splits[name].digest
    assert not np.array_equal(splits["train"].rows, new_splits["train"].rows)


def test_the_order_of_examples_says_nothing_of_noise(builds, tmp_path):
    """Noisy examples lie among the clean ones as evenly as at random."""
    train = data.load_splits(builds, CONFIG, Resizing(), tmp_path)["train"]
    read = load_dataset(str(builds), CONFIG, split="train", cache_dir=str(tmp_path / "hf"))
    noisy = np.array(read["is_noisy"])[train.rows]

    ranks = np.flatnonzero(noisy)

    spread = len(noisy) / np.sqrt(12 * len(ranks))
    assert abs(ranks.mean() - len(noisy) / 2) < 4 * spread


def test_pixels_are_decoded_once(builds, tmp_path, monkeypatch):
    """A second load decodes nothing, and reads the same."""
    first = data.load_splits(builds, CONFIG, Resizing(), tmp_path)["train"]
    monkeypatch.setattr(pixels, "decode", lambda _: pytest.fail("decoded again"))

    again = data.load_splits(builds, CONFIG, Resizing(), tmp_path)["train"]

    assert np.array_equal(first.read_images(np.arange(9)), again.read_images(np.arange(9)))


def test_changed_bytes_are_decoded_anew(builds, tmp_path):
    """A shard with other images is another entry of the cache."""
    copied_build = shutil.copytree(builds, tmp_path / "other")
    first = data.load_splits(copied_build, CONFIG, Resizing(), tmp_path / "cache")["train"]

    def upside_down(table):
        images = table["image"].to_pylist()
        return table.set_column(
            0, table.schema.field(0), pa.array(images[::-1], table.schema.field(0).type)
        )

    rewritten(copied_build, upside_down)

    assert (
        data.load_splits(copied_build, CONFIG, Resizing(), tmp_path / "cache")["train"].digest
        != first.digest
    )


def test_images_are_brought_to_a_size(builds, tmp_path):
    """A side in pixels gives square images of it, for every rule."""
    for rule in ("squash", "crop", "pad"):
        assert data.load_splits(builds, CONFIG, Resizing(9, rule), tmp_path)[
            "train"
        ].image_shape == (3, 9, 9)


@pytest.mark.parametrize(
    ("n_small", "message"),
    [(1, "parquet: the images have 2 sizes"), (1000, "split .*: the images have 2 sizes")],
)
def test_images_of_several_sizes_need_one(builds, tmp_path, n_small, message):
    """Within a shard or between shards; with a side given, all have one size."""
    copied_build, buffer = shutil.copytree(builds, tmp_path / "other"), io.BytesIO()
    Image.new("RGB", (9, 9)).save(buffer, "PNG")

    def smaller(table):
        if len(table) != 18:  # a tenth of the training set
            return table
        images = table["image"].to_pylist()
        images[:n_small] = [{"bytes": buffer.getvalue(), "path": None}] * min(n_small, len(images))
        return table.set_column(
            0, table.schema.field(0), pa.array(images, table.schema.field(0).type)
        )

    rewritten(copied_build, smaller)

    with pytest.raises(ValueError, match=rf"{message} .*such as 9 x 9 and 16 x 16: give --size 32"):
        data.load_splits(copied_build, CONFIG, Resizing(), tmp_path / "cache")
    assert data.load_splits(copied_build, CONFIG, Resizing(9), tmp_path / "cache")[
        "train"
    ].image_shape == (3, 9, 9)


def test_positions_may_come_in_any_order_and_twice(builds, tmp_path):
    """read_images() returns images in the order of the positions."""
    train = data.load_splits(builds, CONFIG, Resizing(), tmp_path)["train"]
    images = train.read_images(np.arange(len(train)))

    positions = np.array([5, 0, len(train) - 1, 5])

    assert np.array_equal(train.read_images(positions), images[positions])


def test_no_such_config_is_an_error(builds, tmp_path):
    """The message suggests the one that was meant."""
    with pytest.raises(LookupError, match=r"Did you mean 'blue_40_probe2'"):
        data.load_splits(builds, "blue_4_probe2", Resizing(), tmp_path)


def test_a_missing_shard_is_an_error(builds, tmp_path):
    """The message names the file and the remedy."""
    copied_build = shutil.copytree(builds, tmp_path / "other")
    for path in (copied_build / "data").glob("*.parquet"):
        path.unlink()

    with pytest.raises(
        FileNotFoundError,
        match=r"\.parquet: the file is missing from the build: run the same `cnlw build`",
    ):
        data.load_splits(copied_build, CONFIG, Resizing(), tmp_path)


def test_a_torn_shard_is_an_error_and_caches_nothing(builds, tmp_path):
    """Half a file is a damaged shard."""
    copied_build = shutil.copytree(builds, tmp_path / "other")
    for path in (copied_build / "data").glob("*.parquet"):
        path.write_bytes(path.read_bytes()[:500])

    with pytest.raises(
        ValueError, match=r"cannot be read as Parquet .*: run the same `cnlw build` again"
    ):
        data.load_splits(copied_build, CONFIG, Resizing(), tmp_path / "cache")

    assert not list((tmp_path / "cache").glob("*"))


def test_an_image_that_does_not_decode_is_named(builds, tmp_path):
    """File and row are in the message."""
    copied_build = shutil.copytree(builds, tmp_path / "other")

    def spoilt(table):
        images = table["image"].to_pylist()
        images[0]["bytes"] = b"no picture"
        return table.set_column(
            0, table.schema.field(0), pa.array(images, table.schema.field(0).type)
        )

    rewritten(copied_build, spoilt)

    with pytest.raises(ValueError, match=r"parquet: row 0 cannot be read .not an image"):
        data.load_splits(copied_build, CONFIG, Resizing(), tmp_path / "cache")


def test_a_file_that_names_no_classes_is_an_error(builds, tmp_path):
    """The schema's metadata are what `datasets` reads, too."""
    copied_build = shutil.copytree(builds, tmp_path / "other")
    rewritten(
        copied_build, lambda table: table.replace_schema_metadata({"huggingface": json.dumps({})})
    )

    with pytest.raises(ValueError, match="must name the classes"):
        data.load_splits(copied_build, CONFIG, Resizing(), tmp_path / "cache")


@pytest.mark.parametrize("label", [-1, 10, None])
def test_a_label_of_no_class_is_an_error(builds, tmp_path, label):
    """File and row are in the message; on a GPU it would end the process."""
    copied_build = shutil.copytree(builds, tmp_path / "other")

    def spoilt(table):
        labels = [label, *table["label"].to_pylist()[1:]]
        return table.set_column(1, table.schema.field(1), pa.array(labels, pa.int64()))

    rewritten(copied_build, spoilt)

    with pytest.raises(
        ValueError,
        match=rf"parquet: row 0 has label {label}, but there are 10 classes: run `cnlw validate`",
    ):
        data.load_splits(copied_build, CONFIG, Resizing(), tmp_path / "cache")
