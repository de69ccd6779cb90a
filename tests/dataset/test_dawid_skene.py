"""Dawid and Skene, vote by vote, and on made-up annotators whose worth is known."""

import math

import numpy as np
import pytest

from cnlw_tools.dataset import dawid_skene


def naive(votes, rounds=3000):
    """The formula with dicts; votes: item, annotator, yes."""
    items, people = sorted({i for i, _, _ in votes}), sorted({a for _, a, _ in votes})
    q = {}
    for i in items:
        answers = [yes for j, _, yes in votes if j == i]
        q[i] = sum(answers) / len(answers)
    pooled_true_rate = sum(q[i] for i, _, yes in votes if yes) / sum(q[i] for i, _, _ in votes)
    pooled_false_rate = sum(1 - q[i] for i, _, yes in votes if yes) / sum(
        1 - q[i] for i, _, _ in votes
    )
    for _ in range(rounds):
        pi = sum(q.values()) / len(items)
        h, f = {}, {}
        for a in people:
            own_votes = [(i, yes) for i, b, yes in votes if b == a]
            h[a] = (pooled_true_rate + sum(q[i] for i, yes in own_votes if yes)) / (
                1 + sum(q[i] for i, _ in own_votes)
            )
            f[a] = (pooled_false_rate + sum(1 - q[i] for i, yes in own_votes if yes)) / (
                1 + sum(1 - q[i] for i, _ in own_votes)
            )
        for i in items:
            good, bad = pi, 1 - pi
            for j, a, yes in votes:
                if j == i:
                    good *= h[a] if yes else 1 - h[a]
                    bad *= f[a] if yes else 1 - f[a]
            q[i] = good / (good + bad)
    slips = {a: [1 - q[i] if yes else q[i] for i, b, yes in votes if b == a] for a in people}
    return q, pi, h, f, {a: sum(s) / len(s) for a, s in slips.items()}


def simulate(seed, items, people, n_votes):
    """Votes by people who err at known rates, a fifth of them at random."""
    draw = np.random.default_rng(seed)
    truth = draw.random(items) < 0.6
    error = np.where(np.arange(people) % 5 == 0, 0.5, 0.1)
    item = np.repeat(np.arange(items), n_votes)
    annotator = np.concatenate([draw.choice(people, n_votes, replace=False) for _ in range(items)])
    return truth, error, item, annotator, truth[item] ^ (draw.random(len(item)) < error[annotator])


@pytest.mark.parametrize("seed", range(3))
def test_formula(seed):
    """The same numbers come out of the formula written with dicts."""
    _, _, item, annotator, yes = simulate(seed, 9, 5, 3)

    estimate = dawid_skene.estimate(item, annotator, yes)
    q, pi, h, f, error = naive(
        list(zip(item.tolist(), annotator.tolist(), yes.tolist(), strict=True))
    )

    assert [q[i] for i in sorted(q)] == pytest.approx(
        (1 / (1 + np.exp(-estimate.log_odds))).tolist(), abs=1e-4
    )
    assert pi == pytest.approx(estimate.prevalence, abs=1e-4)
    for expected, rates in (
        (h, estimate.true_yes_rate),
        (f, estimate.false_yes_rate),
        (error, estimate.error_rate),
    ):
        assert [expected[a] for a in sorted(expected)] == pytest.approx(rates.tolist(), abs=1e-4)


def test_guessers_weigh_less():
    """Where a fifth of the people guess, fewer candidates are judged wrongly than by majority; rates come out."""
    truth, error, item, annotator, yes = simulate(7, 2000, 20, 5)

    estimate = dawid_skene.estimate(item, annotator, yes)
    majority = np.bincount(item, yes) > 2.5

    assert np.sum((estimate.log_odds > 0) != truth) < 0.8 * np.sum(majority != truth)
    assert np.abs(estimate.error_rate - error).max() < 0.06
    assert abs(estimate.prevalence - 0.6) < 0.03


def test_of_one_mind():
    """People who always agree are right, and nobody errs much."""
    item, annotator = np.repeat(np.arange(20), 3), np.tile(np.arange(3), 20)

    estimate = dawid_skene.estimate(item, annotator, item % 2 == 0)

    assert (np.arange(20) % 2 == 0).tolist() == (estimate.log_odds > 0).tolist()
    assert estimate.error_rate.max() < 0.01


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.98, 1.0, 0.0])
def test_one_annotator(share):
    """One annotator alone, a published consensus say, is believed."""
    item = np.arange(200)
    yes = item < 200 * share

    estimate = dawid_skene.estimate(item, 0 * item, yes)

    assert yes.tolist() == (estimate.log_odds > 0).tolist()
    assert np.abs(estimate.log_odds).min() > 1


@pytest.mark.parametrize("n_votes", [3, 5])
def test_strangers(n_votes):
    """Where everybody has one vote, the majority of a candidate decides, whoever it is."""
    draw = np.random.default_rng(1)
    item = np.repeat(np.arange(300), n_votes)
    yes = (item % 2 == 0) ^ (draw.random(len(item)) < 0.1)

    estimate = dawid_skene.estimate(item, np.arange(len(item)), yes)

    assert (np.bincount(item, yes) > n_votes / 2).tolist() == (estimate.log_odds > 0).tolist()


def test_one_against_one():
    """Of two people who contradict each other neither is believed."""
    estimate = dawid_skene.estimate(np.array([0, 0]), np.array([0, 1]), np.array([True, False]))

    assert abs(estimate.log_odds[0]) < dawid_skene.TIE


def test_nothing():
    """Without votes there is nothing to say."""
    no_votes = np.empty(0, np.int64)

    estimate = dawid_skene.estimate(no_votes, no_votes, no_votes.astype(bool))

    assert (0, 0) == (len(estimate.log_odds), len(estimate.error_rate))


def test_it_must_settle(monkeypatch):
    """What does not settle is an error that names the way out."""
    monkeypatch.setattr(dawid_skene, "MAX_ROUNDS", 1)
    _, _, item, annotator, yes = simulate(0, 9, 5, 3)

    with pytest.raises(ValueError, match="does not converge in 1 rounds"):
        dawid_skene.estimate(item, annotator, yes)


def test_certain_votes_stay_finite():
    """A thousand votes of one kind on one candidate make it sure, not infinite."""
    annotator = np.arange(1000)

    estimate = dawid_skene.estimate(np.zeros(1000, np.int64), annotator, np.ones(1000, bool))

    assert math.isfinite(estimate.log_odds[0])
    assert estimate.log_odds[0] > 100
