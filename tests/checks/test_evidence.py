"""Rows of shards beside those of a plan."""

import pytest

from cnlw_tools.checks import evidence
from cnlw_tools.checks.evidence import COLUMNS, has_same_rows
from cnlw_tools.dataset.tables import PLAN

SPLIT = PLAN.get_field_index("split")


def planned(labels):
    """Return rows of a plan with these labels."""
    rows = []
    for number, label in enumerate(labels):
        row = {
            "image_id": f"i{number}",
            "label": label,
            "clean_label": None,
            "origin": "base",
            "replaces": None,
            "is_noisy": True,
            "split": "train",
        }
        rows.append(row)
    return PLAN.empty_table().from_pylist(rows, PLAN)


@pytest.mark.parametrize("block_rows", [1 << 18, 2])
@pytest.mark.parametrize(
    ("labels", "is_same"),
    [([0, 1, 2], True), ([0, 1, 3], False), ([1, 0, 2], False), ([0, 1], False), ([], False)],
)
def test_rows_are_the_same_in_the_same_order(monkeypatch, block_rows, labels, is_same):
    """In one block or in several; the columns of a shard have other types."""
    monkeypatch.setattr(evidence, "BLOCK_ROWS", block_rows)
    rows = planned([0, 1, 2]).remove_column(SPLIT).select(COLUMNS.names).cast(COLUMNS)

    assert is_same == has_same_rows(rows, planned(labels))
