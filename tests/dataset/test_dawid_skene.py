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
        said = [yes for j, _, yes in votes if j == i]
        q[i] = sum(said) / len(said)
    of_all = sum(q[i] for i, _, yes in votes if yes) / sum(q[i] for i, _, _ in votes)
    of_all_else = sum(1 - q[i] for i, _, yes in votes if yes) / sum(1 - q[i] for i, _, _ in votes)
    for _ in range(rounds):
        pi = sum(q.values()) / len(items)
        h, f = {}, {}
        for a in people:
            mine = [(i, yes) for i, b, yes in votes if b == a]
            h[a] = (of_all + sum(q[i] for i, yes in mine if yes)) / (1 + sum(q[i] for i, _ in mine))
            f[a] = (of_all_else + sum(1 - q[i] for i, yes in mine if yes)) / (
                1 + sum(1 - q[i] for i, _ in mine)
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


def simulate(seed, items, people, each):
    """Votes by people who err at known rates, a fifth of them at random."""
    draw = np.random.default_rng(seed)
    truth = draw.random(items) < 0.6
    error = np.where(np.arange(people) % 5 == 0, 0.5, 0.1)
    item = np.repeat(np.arange(items), each)
    who = np.concatenate([draw.choice(people, each, replace=False) for _ in range(items)])
    return truth, error, item, who, truth[item] ^ (draw.random(len(item)) < error[who])


@pytest.mark.parametrize("seed", range(3))
def test_formula(seed):
    """The same numbers come out of the formula written with dicts."""
    _, _, item, who, yes = simulate(seed, 9, 5, 3)

    found = dawid_skene.estimate(item, who, yes)
    q, pi, h, f, error = naive(list(zip(item.tolist(), who.tolist(), yes.tolist(), strict=True)))

    assert [q[i] for i in sorted(q)] == pytest.approx(
        (1 / (1 + np.exp(-found.log_odds))).tolist(), abs=1e-4
    )
    assert pi == pytest.approx(found.prevalence, abs=1e-4)
    for expected, rates in (
        (h, found.true_yes_rate),
        (f, found.false_yes_rate),
        (error, found.error_rate),
    ):
        assert [expected[a] for a in sorted(expected)] == pytest.approx(rates.tolist(), abs=1e-4)


def test_guessers_weigh_less():
    """Where a fifth of the people guess, fewer candidates are judged wrongly than by majority; rates come out."""
    truth, error, item, who, yes = simulate(7, 2000, 20, 5)

    found = dawid_skene.estimate(item, who, yes)
    majority = np.bincount(item, yes) > 2.5

    assert np.sum((found.log_odds > 0) != truth) < 0.8 * np.sum(majority != truth)
    assert np.abs(found.error_rate - error).max() < 0.06
    assert abs(found.prevalence - 0.6) < 0.03


def test_of_one_mind():
    """People who always agree are right, and nobody errs much."""
    item, who = np.repeat(np.arange(20), 3), np.tile(np.arange(3), 20)

    found = dawid_skene.estimate(item, who, item % 2 == 0)

    assert (np.arange(20) % 2 == 0).tolist() == (found.log_odds > 0).tolist()
    assert found.error_rate.max() < 0.01


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.98, 1.0, 0.0])
def test_one_annotator(share):
    """One annotator alone, a published consensus say, is believed."""
    item = np.arange(200)
    yes = item < 200 * share

    found = dawid_skene.estimate(item, 0 * item, yes)

    assert yes.tolist() == (found.log_odds > 0).tolist()
    assert np.abs(found.log_odds).min() > 1


@pytest.mark.parametrize("each", [3, 5])
def test_strangers(each):
    """Where everybody has one vote, the majority of a candidate decides, whoever it is."""
    draw = np.random.default_rng(1)
    item = np.repeat(np.arange(300), each)
    yes = (item % 2 == 0) ^ (draw.random(len(item)) < 0.1)

    found = dawid_skene.estimate(item, np.arange(len(item)), yes)

    assert (np.bincount(item, yes) > each / 2).tolist() == (found.log_odds > 0).tolist()


def test_one_against_one():
    """Of two people who contradict each other neither is believed."""
    found = dawid_skene.estimate(np.array([0, 0]), np.array([0, 1]), np.array([True, False]))

    assert abs(found.log_odds[0]) < dawid_skene.TIE


def test_nothing():
    """Without votes there is nothing to say."""
    none = np.empty(0, np.int64)

    found = dawid_skene.estimate(none, none, none.astype(bool))

    assert (0, 0) == (len(found.log_odds), len(found.error_rate))


def test_it_must_settle(monkeypatch):
    """What does not settle is an error that names the way out."""
    monkeypatch.setattr(dawid_skene, "MAX_ROUNDS", 1)
    _, _, item, who, yes = simulate(0, 9, 5, 3)

    with pytest.raises(ValueError, match="does not converge in 1 rounds"):
        dawid_skene.estimate(item, who, yes)


def test_certain_votes_stay_finite():
    """A thousand votes of one kind on one candidate make it sure, not infinite."""
    many = np.arange(1000)

    found = dawid_skene.estimate(np.zeros(1000, np.int64), many, np.ones(1000, bool))

    assert math.isfinite(found.log_odds[0])
    assert found.log_odds[0] > 100
