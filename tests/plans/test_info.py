"""What a plan says about itself, written and read again."""

import json
from dataclasses import replace

import numpy as np
import pytest

from cnlw_tools.dataset import hashing
from cnlw_tools.dataset.tables import PLAN
from cnlw_tools.plans.info import PlanInfo, read_plan_info, with_plan_info
from cnlw_tools.recipe.recipe import Recipe

INFO = PlanInfo(
    recipe=Recipe("toy", "red", donors=("other",), options={"top": 80}),
    version="0",
    inputs={"base": "12"},
    rate=0.4,
    foreign=0.4,
    matrix=hashing.encode_matrix(np.eye(3)),
    level=40,
    substituted={"a": "b"},
    ends={"train": (0, 3, 5)},
    changed=0.1,
)


def written(info: PlanInfo) -> dict[str, object]:
    """Return what stands in the file."""
    return json.loads(with_plan_info(PLAN.empty_table(), info).schema.metadata[b"cnlw"])


def read(block: object) -> PlanInfo:
    """Read a plan that says this."""
    text = json.dumps(block).encode()
    return read_plan_info(PLAN.empty_table().replace_schema_metadata({b"cnlw": text}), "a.parquet")


def test_round_trip():
    """What a plan says about itself comes back."""
    assert read(written(INFO)) == INFO
    assert np.array_equal(read(written(INFO)).expected_matrix(), np.eye(3))


def test_keys():
    """Keys stay what they were; what does not apply is left out, and so is the path of a side table."""
    drawn = replace(INFO, substituted={}, ends={}, changed=None)
    keys = {"recipe", "level", "version", "inputs", "rate", "foreign", "matrix"}

    assert set(written(drawn)) == keys
    assert set(written(INFO)) == keys | {"substituted", "ends", "changed"}
    assert "side_table" not in written(drawn)["recipe"]


def test_words_of_earlier_versions():
    """A plan that an earlier version wrote is read, though keys of its recipe have other names now."""
    block = written(INFO)
    new_words = block["recipe"]
    old_words = {"clean": "train_size", "longtail": "imbalance_ratio", "needs": "data_dir_layout"}
    for old_word, word in old_words.items():
        new_words[old_word] = new_words.pop(word)
    del new_words["published_splits"]
    new_words |= {"splits": "drawn", "layout": "bands"}

    assert read(block) == INFO


def test_says_nothing():
    """A plan that says nothing about itself is an error with a remedy."""
    with pytest.raises(ValueError, match=r"^a.parquet: 'recipe' is missing: make the plan"):
        read({})


def test_any_node(fuzz):
    """Any JSON in place of any node is read or an error that names the file."""
    fuzz(written(INFO), read, "a.parquet")
