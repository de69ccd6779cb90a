"""Tests of the curriculum: its moving threshold, burn-in, example dropout and checks."""

import math

import pytest
import torch

from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.curriculum import (
    Curriculum,
    drop_examples,
    epoch_percent,
    find_rule,
    parse_dropout_rates,
)

LOSSES = torch.tensor([0.1, 0.4, 0.7, 1.5, 3.0])


def test_the_threshold_is_an_average_that_starts_at_zero():
    """With decay 1/2 and medians of 0.7 the threshold is 0.35, then 0.525, and so on."""
    curriculum = Curriculum("threshold", percentile=0.5)

    for gamma, v in ((0.35, [1, 0, 0, 0, 0]), (0.525, [1, 1, 0, 0, 0]), (0.6125, [1, 1, 0, 0, 0])):
        assert curriculum(LOSSES, 0.5).tolist() == v
        assert curriculum.threshold.item() == pytest.approx(gamma)


def test_decay_zero_is_the_percentile_of_this_batch():
    """Without decay the threshold is the batch's median, which itself does not count as below."""
    assert Curriculum("threshold", percentile=0.5, decay=0)(LOSSES, 0).tolist() == [1, 1, 0, 0, 0]
    assert Curriculum("self_paced", percentile=0.5, decay=0)(LOSSES, 0).tolist() == [1, 1, 1, 0, 0]


@pytest.mark.parametrize(("progress", "e"), [(0, 0), (0.009, 0), (0.5, 50), (0.999, 99), (1, 99)])
def test_percent(progress, e):
    """The epoch percent is rounded down and is never 100."""
    assert epoch_percent(progress) == e


@pytest.mark.parametrize(
    ("progress", "burnt"), [(0.0, False), (0.08, False), (0.09, True), (0.5, True)]
)
def test_burn_in_lasts_a_percent_less_than_it_says(progress, burnt):
    """While e < burn_in - 1 all weights are 1, and the threshold moves nevertheless."""
    curriculum = Curriculum("threshold", percentile=0.5, burn_in=10)

    assert curriculum(LOSSES, progress).tolist() == ([1, 0, 0, 0, 0] if burnt else [1] * 5)
    assert curriculum.threshold.item() == pytest.approx(0.35)


def test_a_fixed_epoch_stands_still_for_rule_and_dropout():
    """At 95 % with e fixed at 18, PD keeps all examples and the dropout is that of 18 %."""
    free, fixed = (
        Curriculum("pd", 0.5, decay=0, burn_in=18, fixed_epoch=fixed, example_dropout="0,19,1,81")
        for fixed in (False, True)
    )

    assert free(LOSSES, 0.95).tolist() == [0] * 5
    assert fixed(LOSSES, 0.95).tolist() == [1] * 5


def test_a_rule_sees_the_epoch():
    """At 95 % PD is linear above the threshold."""
    assert Curriculum("pd", 0.5, decay=0)(LOSSES, 0.95).tolist() == pytest.approx([1, 1, 1, 0.2, 0])


def test_schedule():
    """The rates are spread over a hundred percents."""
    assert parse_dropout_rates("0.5,17,0.05,78,0.9,5") == (0.5,) * 17 + (0.05,) * 78 + (0.9,) * 5
    assert parse_dropout_rates("0, 100") == (0.0,) * 100


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0.5",
        "0.5,99",
        "0.5,60,0.1,60",
        "1.5,100",
        "-0.1,100",
        "a,100",
        "0,100,0.5",
        "nan,100",
        "0,99.5",
        "0,-5,0,105",
        "0,1e2",
        "0.5,1000000000000",
    ],
)
def test_schedule_refuses(text):
    """A text that is no schedule of a hundred percents is refused, and the error shows the form."""
    with pytest.raises(ValueError, match=r"example_dropout = .* give pairs"):
        parse_dropout_rates(text)


@pytest.mark.parametrize(
    ("n", "rate", "count"),
    [(128, 0.5, 64), (128, 0.05, 121), (10, 0.9, 1), (7, 0, 7), (7, 1, 0), (1, 0.5, 0)],
)
def test_dropout_keeps_so_many(n, rate, count):
    """Exactly floor(B (1 - rate)) weights stay unchanged."""
    v = torch.rand(n) + 1

    left = drop_examples(v, rate)

    assert (left > 0).sum() == count
    assert ((left == 0) | (left == v)).all()


def test_dropout_is_uniform():
    """Each of five examples stays in two fifths of 4,000 draws, within five deviations."""
    torch.manual_seed(0)

    often = sum(drop_examples(torch.ones(5), 0.6) for _ in range(4000)) / 4000

    assert often.tolist() == pytest.approx([0.4] * 5, abs=5 * math.sqrt(0.4 * 0.6 / 4000))


def test_the_percentile_is_that_of_all_ranks(monkeypatch):
    """Losses of another rank move the threshold; the weights are those of this rank."""
    monkeypatch.setattr(distributed, "all_gather", lambda x: torch.cat([x, x + 10]))
    curriculum = Curriculum("threshold", percentile=1.0, decay=0)

    assert curriculum(LOSSES, 0).tolist() == [1] * 5
    assert curriculum.threshold.item() == 13


def test_weights_carry_no_gradient():
    """Weights are constants from 0 to 1, also for losses with a gradient."""
    losses = LOSSES.clone().requires_grad_()

    v = Curriculum("learned_pd", 0.5)(losses, 0.95)

    assert not v.requires_grad
    assert ((v >= 0) & (v <= 1)).all()


def test_a_threshold_survives_a_restart():
    """The threshold is part of the state dict."""
    old, new = Curriculum("threshold", 0.5), Curriculum("threshold", 0.5)
    old(LOSSES, 0)
    new.load_state_dict(old.state_dict())

    assert new.threshold == old.threshold != 0


@pytest.mark.parametrize(
    "options",
    [
        {"percentile": 70},
        {"percentile": math.nan},
        {"decay": 1.0},
        {"decay": -0.1},
        {"burn_in": 101},
        {"burn_in": -1},
        {"example_dropout": "0.5"},
        {"example_dropout": 1},
        {"fixed_epoch": "maybe"},
    ],
)
def test_an_option_out_of_range_is_named(options):
    """The error names the option, its value and its range."""
    ((name, value),) = options.items()

    with pytest.raises(ValueError, match=rf"{name} = '?{value}'? is not allowed: give"):
        Curriculum(**{"mentor": "pd", "percentile": 0.7, **options})


def test_a_number_is_no_mentor():
    """A number, as a command line may give it, is refused as a mentor."""
    with pytest.raises(ValueError, match="mentor = 3 is not allowed: give one of baseline"):
        Curriculum(3, 0.7)


def test_an_unknown_mentor_is_named():
    """The error lists the mentors and suggests a similar one."""
    with pytest.raises(
        ValueError,
        match=r"mentor = 'focall' is not allowed: give one of baseline, .*FILE\.json\. Did you mean 'focal'\?",
    ):
        find_rule("focall")
