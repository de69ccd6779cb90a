"""Rows that show the same image share its pixels, in the cache and on the device."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from datasets import load_dataset

from cnlw_tools.builds.build import build
from cnlw_tools.card import metadata
from cnlw_tools.recipe import recipe
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.trainer import batches, data
from cnlw_tools.trainer.batches import PixelLoader
from cnlw_tools.trainer.pixel_cache import Resizing

N_IMAGES, ALPHA = 40, 3
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def copies(tmp_path_factory, tiny):
    """A build in which each of 40 images is in four rows."""
    folder = tmp_path_factory.mktemp("copies")
    recipe_fields = {
        "dataset": "shapes",
        "noise": "dilution",
        "options": {"alpha": float(ALPHA)},
        "train_size": N_IMAGES,
        "size": 16,
    }
    parsed = recipe.parse_recipe(recipe_fields, "test")
    build(parsed, Inputs(tiny(folder / "root")), folder / "shapes")
    return folder / "shapes"


@pytest.fixture(scope="module")
def config(copies):
    """The name of its only config."""
    return next(iter(metadata.read_card(copies).configs))


@pytest.fixture
def train(copies, config, tmp_path):
    """Its training set."""
    return data.load_splits(copies, config, Resizing(), tmp_path / "cache")["train"]


def test_each_row_has_its_own_image(copies, config, train, tmp_path):
    """Pixels and labels are those that `load_dataset` reads in the same row."""
    read = load_dataset(str(copies), config, split="train", cache_dir=str(tmp_path / "hf"))
    images = train.read_images(np.arange(len(train)))
    assert len(train) == N_IMAGES * (1 + ALPHA)
    assert sorted(train.rows) == list(range(len(read)))
    for i in range(len(train)):
        expected = read[int(train.rows[i])]
        pixels = np.asarray(expected["image"].convert("RGB")).transpose(2, 0, 1)
        assert np.array_equal(pixels, images[i])
        assert expected["label"] == train.labels[i]


def test_the_cache_holds_an_image_once_a_shard(copies, config, train):
    """A file of the cache has as many images as its shard has distinct ones."""
    card = metadata.read_card(copies)
    n_distinct = []
    for segment in card.configs[config].segments["train"]:
        for path in sorted((copies / "data").glob(f"{segment}-*.parquet")):
            images = pq.read_table(path)["image"].to_pylist()
            n_distinct.append(len({image["bytes"] for image in images}))

    n_cached = [len(array) for array in train.arrays]

    assert n_cached == n_distinct
    assert sum(n_cached) < len(train)


def test_the_device_holds_an_image_once(train):
    """Forty images, whatever the number of shards and of rows."""
    loader = PixelLoader(train, CPU)

    positions = torch.arange(len(train)).flip(0)

    assert loader.resident is not None
    assert len(loader.resident) == N_IMAGES
    expected = train.read_images(positions.numpy())
    assert np.array_equal(loader.load(positions).numpy(), expected)
    (chunk, images), *_ = loader.stream([positions])
    assert torch.equal(chunk, positions)
    assert np.array_equal(images.numpy(), expected)


def test_room_for_the_images_is_enough(train, monkeypatch):
    """The memory asked for is that of forty images, not that of 160 rows."""
    n_bytes = N_IMAGES * int(np.prod(train.image_shape))
    monkeypatch.setattr(batches, "device_memory", lambda _: 2 * n_bytes + 2)
    assert PixelLoader(train, CPU).resident is not None

    monkeypatch.setattr(batches, "device_memory", lambda _: 2 * n_bytes)
    assert PixelLoader(train, CPU).resident is None


def test_a_part_keeps_its_images(train):
    """Both parts of a holdout read what the whole reads."""
    parts = data.split_holdout(train, 0.25)
    images = train.read_images(np.arange(len(train)))
    n_train = len(parts["train"])

    first = parts["train"].read_images(np.arange(n_train))
    second = parts["holdout"].read_images(np.arange(len(train) - n_train))

    assert np.array_equal(np.concatenate([first, second]), images)
