"""What the Hugging Face Hub reads of a card, besides the files of configs.

The words are those of the Hub's specification of dataset cards. What is unknown is left out.
"""

from typing import Any

from cnlw_tools.card.about import ORIGINAL
from cnlw_tools.card.metadata import BuildCard

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


def hub_keys(card: BuildCard) -> dict[str, Any]:
    """Return the keys of the Hub in the block of a card."""
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
        "dataset_info": [_describe_splits(name, card) for name in sorted(card.configs)],
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


def _describe_splits(name: str, card: BuildCard) -> dict[str, Any]:
    """Return the number of rows of each split, which `datasets` compares with those that it reads.

    Features are in the shards: a thousand classes for each config would make the block too long.
    """
    rows = card.configs[name].rows
    splits = [{"name": split, "num_examples": n} for split, n in rows.items()]
    return {"config_name": name, "splits": splits}
