"""What noise falls on: train, less a trusted probe set, thinned to a long tail."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from cnlw_tools import columns, dice
from cnlw_tools.dataset import Dataset
from cnlw_tools.plan import plan, promise
from cnlw_tools.recipe import Recipe, config_name, make
from cnlw_tools.slots import PROBE, TAIL, choose
from cnlw_tools.tables import MANIFEST, VOTES

NAMES = ("a", "b", "c", "d")


def made(counts=(50, 40, 60, 50), order=None):
    """A dataset of some images a class, and four of validation."""
    rows = [(f"{c}{i}", c, "train") for c, n in enumerate(counts) for i in range(n)]
    rows += [(f"v{c}", c, "validation") for c in range(4)]
    rows = rows if order is None else [rows[i] for i in order(len(rows))]
    table = pa.Table.from_pylist([dict(zip(MANIFEST.names, row, strict=False)) for row in rows], MANIFEST)
    return Dataset("toy", NAMES, table, MANIFEST.empty_table(), VOTES.empty_table())


def recipe(**changes: object):
    return replace(Recipe("toy", "blue"), **changes)


def ids(table):
    return set(table["image_id"].to_pylist())


def counts(table):
    return np.bincount(table["label"].to_numpy(), minlength=4).tolist()


def naive(names, stream, seed=0):
    """Names in the order of their numbers."""

    def number(name):
        key = np.array([dice.key(name, seed)], np.uint64)
        return dice.uniform(key, stream)[0]

    return sorted(names, key=number)


def test_all_of_train_by_default():
    """Without choices noise may fall on every training image, and nobody is trusted."""
    chosen = choose(recipe(), made())

    assert counts(chosen.slots) == [50, 40, 60, 50]
    assert len(chosen.probe) == 0


def test_oracle():
    """The probe set is the first of each class by one number, the tail the first of the rest by another."""
    chosen = choose(recipe(probe=3, longtail=8), made())
    probe, slots = set(), set()
    for c, n in enumerate((50, 40, 60, 50)):
        names = [f"{c}{i}" for i in range(n)]
        trusted = naive(names, PROBE)[:3]
        rest = [name for name in names if name not in trusted]
        probe |= set(trusted)
        slots |= set(naive(rest, TAIL)[: int(len(rest) * 8 ** (-c / 3) + 0.5)])

    assert ids(chosen.probe) == probe
    assert ids(chosen.slots) == slots


@pytest.mark.parametrize(
    ("ratio", "expected"), [(1, [500, 500, 500, 500]), (8, [500, 250, 125, 63]), (1000, [500, 50, 5, 1])]
)
def test_profile(ratio, expected):
    """Class c of C keeps n r^(-c / (C - 1)) images: at a ratio of 8 each class has half of the one before."""
    assert counts(choose(recipe(longtail=ratio), made([500] * 4)).slots) == expected


def test_probe_is_disjoint_clean_and_the_same_at_every_level():
    """Trusted images are in no other split, bear their true label, and depend on neither noise nor level."""
    plans = [plan(recipe(noise=noise, probe=5), made(), level) for noise in ("blue", "pairflip") for level in (0, 80)]
    probes = [p.filter(pc.equal(p["split"], "probe")) for p in plans]
    train = [ids(p.filter(pc.equal(p["split"], "train"))) for p in plans]

    assert len({columns.digest(p.replace_schema_metadata()) for p in probes}) == 1
    assert counts(probes[0]) == [5, 5, 5, 5]
    assert not any(probes[0]["is_noisy"].to_pylist())
    assert probes[0]["clean_label"].to_pylist() == probes[0]["label"].to_pylist()
    assert all(len(t) == 180 and not t & ids(probes[0]) for t in train)


def test_larger_probes_contain_smaller_ones_and_tails_likewise():
    """One trusted image a class is among the ten, and a longer tail is part of a shorter one."""
    one, ten = (ids(choose(recipe(probe=m), made()).probe) for m in (1, 10))
    long, short = (ids(choose(recipe(longtail=r), made()).slots) for r in (20, 2))

    assert one < ten
    assert long < short


def test_order_of_rows_does_not_matter():
    """A shuffled manifest is the same manifest."""
    asked = recipe(probe=4, longtail=5)
    shuffled = made(order=np.random.default_rng(0).permutation)

    assert columns.digest(plan(asked, made(), 40)) == columns.digest(plan(asked, shuffled, 40))


def test_noise_is_exact_on_what_is_left():
    """40 % of the thinned training set, and the promise is about the thinned classes."""
    asked = recipe(probe=5, longtail=10)
    train = plan(asked, made(), 40)
    train = train.filter(pc.equal(train["split"], "train"))
    slots = choose(asked, made()).slots

    assert len(train) == len(slots)
    assert sum(train["is_noisy"].to_pylist()) == (40 * len(slots) + 50) // 100
    assert promise(asked, made(), 40).rate == sum(train["is_noisy"].to_pylist()) / len(train)


def test_another_seed_trusts_others():
    """The choice follows from the seed."""
    assert ids(choose(recipe(probe=5), made()).probe) != ids(choose(recipe(probe=5, seed=1), made()).probe)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"probe": 40}, "probe = 40: class 'b' has 40 images and would keep none: lower it"),
        ({"longtail": 1e6}, "longtail = 1000000.0: class 'b' would keep none of 40: lower it"),
    ],
)
def test_too_much(changes, message):
    """A class that would keep nothing is an error that names it."""
    with pytest.raises(ValueError, match=message):
        choose(recipe(**changes), made())


def test_names_of_configs():
    """Both choices stand in the config's name."""
    assert config_name(recipe(probe=10, longtail=100, seed=2), 40, {}) == "blue_40_longtail100_probe10_s2"


@pytest.mark.parametrize("bad", [{"probe": -1}, {"probe": True}, {"longtail": 0.5}, {"longtail": "10"}])
def test_bad_values(bad):
    """Choices are checked like any value of a recipe."""
    with pytest.raises(ValueError, match="it must be"):
        make({"dataset": "toy", "noise": "blue", **bad}, "here")
