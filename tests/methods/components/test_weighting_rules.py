"""Tests of the weighting rules against their table, and of percentiles against sorted losses."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.methods.components.weighting_rules import (
    RULES,
    mask_of_smallest,
    nearest_rank_percentile,
)

NAIVE = {
    "baseline": lambda loss, diff, e: 1.0,
    "threshold": lambda loss, diff, e: 1.0 if diff < 0 else 0.0,
    "self_paced": lambda loss, diff, e: 1.0 if diff <= 0 else 0.0,
    "hard_mining": lambda loss, diff, e: 1.0 if diff >= 0 else 0.0,
    "focal": lambda loss, diff, e: (1 - math.exp(-loss)) ** 2,
    "spcl": lambda loss, diff, e: min(1.0, max(0.0, 1 - diff)),
    "pd": lambda loss, diff, e: (
        1.0 if e <= 18 else NAIVE["self_paced" if e < 90 else "spcl"](loss, diff, e)
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_its_line_of_the_table(name):
    """Every rule equals its line of the table, also at the boundaries of its cases."""
    rows = [
        (loss, diff, e)
        for loss in (0, 0.7, 9)
        for diff in (-2, 0, 0.4, 1, 3)
        for e in (0, 18, 19, 89, 90, 99)
    ]

    v = RULES[name](*torch.tensor(rows, dtype=torch.float32).T)

    assert v.tolist() == pytest.approx([NAIVE[name](*row) for row in rows])
    assert v.dtype == torch.float32


@pytest.mark.parametrize(("e", "v"), [(10, [1, 1, 1, 1]), (50, [1, 1, 0, 0]), (95, [1, 1, 0.6, 0])])
def test_pd(e, v):
    """PD keeps all examples, then the easy ones, then weights others less."""
    diff = torch.tensor([-1.0, 0.0, 0.4, 2.0])

    assert RULES["pd"](diff, diff, torch.full((4,), e)).tolist() == pytest.approx(v)


def test_focal():
    """A loss of 1 has the weight 0.399576."""
    loss = torch.ones(1)

    assert RULES["focal"](loss, loss, loss).item() == pytest.approx(0.399576, abs=1e-6)


@given(st.lists(st.floats(0, 10, width=32), min_size=1, max_size=40), st.integers(0, 20))
def test_percentile_oracle(losses, p):
    """The percentile is the sorted loss with the nearest rank, the lower of two."""
    at = p / 20 * (len(losses) - 1)
    nearest = min(range(len(losses)), key=lambda rank: (round(abs(rank - at), 9), rank))

    assert nearest_rank_percentile(torch.tensor(losses), p / 20).item() == sorted(losses)[nearest]


def test_percentile_of_an_even_batch_is_the_lower_of_two():
    """The median of four losses is the second, as in the code, which does not average."""
    assert nearest_rank_percentile(torch.tensor([4.0, 1.0, 3.0, 2.0]), 0.5).item() == 2


def test_smallest():
    """The smallest losses get 1; of equal ones the first."""
    losses = torch.tensor([3.0, 1, 2, 1, torch.inf])

    for count, expected in ((0, [0] * 5), (1, [0, 1, 0, 0, 0]), (3, [0, 1, 1, 1, 0]), (5, [1] * 5)):
        assert mask_of_smallest(losses, torch.tensor(count)).tolist() == expected
        assert mask_of_smallest(losses, count).tolist() == expected
