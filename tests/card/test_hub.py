"""What the Hub reads of a card."""

from dataclasses import replace

import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import DatasetCard, DatasetCardData

from cnlw_tools.builds.build import build
from cnlw_tools.card.about import ANNOTATORS, About
from cnlw_tools.card.hub import hub_keys
from cnlw_tools.card.metadata import BuildCard, config_shards, front_matter, read_card
from cnlw_tools.images.pixels import Storage
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe
from tests.card.test_render import CONFIG
from tests.conftest import tiny_root

CARD = BuildCard({}, "toy", Storage(), "flat", configs={"blue_40": CONFIG})
SIZES = [  # rows and the words of the Hub, at each side of a border
    (999, "n<1K"),
    (1_000, "1K<n<10K"),
    (99_999, "10K<n<100K"),
    (100_000, "100K<n<1M"),
    (999_999_999, "100M<n<1B"),
    (1_000_000_000, "1B<n<10B"),
]


def test_nothing_is_invented():
    """Keys that nobody knows are left out; the licence is said to be unknown."""
    assert hub_keys(CARD, {}) == {
        "pretty_name": "toy, controlled label noise",
        "license": "unknown",
        "size_categories": ["n<1K"],
        "task_categories": ["image-classification"],
        "task_ids": ["multi-class-image-classification"],
        "tags": ["label-noise", "noisy-labels", "cnlw"],
        "dataset_info": [
            {
                "config_name": "blue_40",
                "splits": [{"name": "train", "num_bytes": 0, "num_examples": 100}],
            }
        ],
    }


def test_what_is_known():
    """Licence, annotators, sources and the gate stand under the keys of the Hub."""
    about = About(
        licence="other",
        licence_name="imagenet",
        licence_link="https://example.org/terms",
        title="Toys",
        source_datasets=("a/b", "original"),
        annotations_creators=("crowdsourced",),
        gate="For research only.",
    )
    keys = hub_keys(replace(CARD, about=about), {})

    assert keys["pretty_name"] == "Toys, controlled label noise"
    assert keys["license"] == "other"
    assert keys["license_name"] == "imagenet"
    assert keys["license_link"] == "https://example.org/terms"
    assert keys["source_datasets"] == ["extended|a/b", "original"]
    assert keys["annotations_creators"] == ["crowdsourced"]
    assert keys["extra_gated_prompt"] == "For research only."


def test_datasets_reads_the_rows_of_each_split(tmp_path):
    """`datasets` takes the rows and the bytes of each split from the card; both are true."""
    from datasets import load_dataset_builder

    root = tiny_root(tmp_path / "root", train=4, validation=2)
    folder = tmp_path / "build"
    build(Recipe("shapes", "blue", levels=(40,)), Inputs(root), folder)

    builder = load_dataset_builder(str(folder), "blue_40", cache_dir=str(tmp_path / "cache"))

    assert {*builder.info.splits} == {"train", "validation"}
    for split, names in config_shards(read_card(folder), "blue_40").items():
        paths = [folder / "data" / name for name in names]
        info = builder.info.splits[split]
        assert info.num_examples == sum(len(pq.read_table(path)) for path in paths)
        assert info.num_bytes == sum(path.stat().st_size for path in paths)


@pytest.mark.parametrize(("n", "size"), SIZES)
def test_sizes(n, size):
    """The category is that of the largest config, with all its splits."""
    large = replace(CONFIG, rows={"train": n - 10, "validation": 10})
    card = replace(CARD, configs={"blue_20": CONFIG, "blue_40": large})

    assert hub_keys(card, {})["size_categories"] == [size]


def test_the_library_of_the_hub_reads_the_block():
    """DatasetCard takes the block as its metadata, and every key of the card is one that it knows."""
    about = About(licence="mit", annotations_creators=ANNOTATORS[:2], source_datasets=("a/b",))
    card = replace(CARD, about=about)
    block = front_matter(card, hub_keys(card, {}))
    read = DatasetCard(f"{block}\n# Toys\n")

    assert isinstance(read.data, DatasetCardData)
    assert read.data.license == "mit"
    assert read.data.size_categories == ["n<1K"]
    assert read.data.task_ids == ["multi-class-image-classification"]
    assert read.data.source_datasets == ["extended|a/b"]
    assert read.data.annotations_creators == ["crowdsourced", "expert-generated"]
    assert read.data.to_dict() == yaml.safe_load(block.strip("-\n"))
