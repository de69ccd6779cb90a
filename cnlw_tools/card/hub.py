"""What the Hugging Face Hub reads of a card, besides the files of configs.

The words are those of the Hub's specification of dataset cards. What is unknown is left out.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnlw_tools.card.about import ORIGINAL
from cnlw_tools.card.metadata import BuildCard, config_shards

TASKS = {
    "task_categories": ["image-classification"],
    "task_ids": ["multi-class-image-classification"],
}
TAGS = ["label-noise", "noisy-labels", "cnlw"]
SIZES = (  # rows below which a dataset is of a category
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
    (1_000_000_000, "100M<n<1B"),
)
LARGEST_SIZE = "1B<n<10B"


def measure_shards(folder: Path, card: BuildCard) -> dict[str, int]:
    """Return the bytes of each shard of a build that is there, by its name in data/."""
    paths = {name: folder / "data" / name for name in card.shards}
    return {name: path.stat().st_size for name, path in paths.items() if path.is_file()}


def hub_keys(card: BuildCard, sizes: Mapping[str, int]) -> dict[str, Any]:
    """Return the keys of the Hub in the block of a card.

    Args:
        card: the metadata of the build
        sizes: the bytes of each shard
    """
    about = card.about
    keys = {
        "pretty_name": f"{about.title or card.dataset}, controlled label noise",
        "license": about.licence,
        "license_name": about.licence_name,
        "license_link": about.licence_link,
        "size_categories": [_size_category(card)],
        "annotations_creators": list(about.annotations_creators),
        "source_datasets": [_source(name) for name in about.source_datasets],
        **TASKS,
        "tags": TAGS,
        "extra_gated_prompt": about.gate,
        "dataset_info": [_describe_splits(name, card, sizes) for name in sorted(card.configs)],
    }
    return {key: value for key, value in keys.items() if value}


def _size_category(card: BuildCard) -> str:
    """Return the category of the number of rows in the largest config."""
    n = max((sum(config.rows.values()) for config in card.configs.values()), default=0)
    for limit, name in SIZES:
        if n < limit:
            return name
    return LARGEST_SIZE


def _source(name: str) -> str:
    return name if name == ORIGINAL else f"extended|{name}"


def _describe_splits(name: str, card: BuildCard, sizes: Mapping[str, int]) -> dict[str, Any]:
    """Return the number of rows of each split, which `datasets` compares with those that it reads.

    It reads these numbers only if the bytes are given, too. Features are in the shards: a thousand
    classes for each config would make the block too long.
    """
    files = config_shards(card, name)
    splits = []
    for split, n_rows in card.configs[name].rows.items():
        n_bytes = sum(sizes.get(file, 0) for file in files.get(split, []))
        splits.append({"name": split, "num_bytes": n_bytes, "num_examples": n_rows})
    return {"config_name": name, "splits": splits}
