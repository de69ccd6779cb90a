"""Two models in shares: each part is what its model makes of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools import prng
from cnlw_tools.noise import NOISE, Items
from cnlw_tools.noise.mix import expected_stats, mix, order, split_rows


def made(counts, seed=0):
    draw = np.random.default_rng(seed)
    label = draw.permutation(np.repeat(np.arange(len(counts)), counts))
    web = np.repeat(np.arange(len(counts)), counts)
    return (
        Items(label, draw.integers(0, 2**64, len(label), np.uint64)),
        Items(
            web, draw.integers(0, 2**64, len(web), np.uint64), {"dead": np.zeros(len(web), bool)}
        ),
    )


@given(
    counts=st.lists(st.integers(0, 20), min_size=2, max_size=5),
    seed=st.integers(0, 99),
    level=st.integers(0, 80),
    part=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
)
def test_oracle(counts, seed, level, part):
    """The first of each class by their number are what one model makes of them alone, the others the other's."""
    base, pool = made(counts, seed)
    first_part = set()
    for c, n in enumerate(counts):
        rows = np.flatnonzero(base.label == c).tolist()
        rows.sort(key=lambda row: prng.random_bits(base.key[[row]], prng.Stream.MIX_PART)[0])
        first_part |= set(rows[: int(n * part + 0.5)])
    expected_rows = {}
    for name, rows in (
        ("blue", sorted(first_part)),
        ("red", sorted(set(range(len(base.label))) - first_part)),
    ):
        draw = NOISE[name].draw(Items(base.label[rows], base.key[rows]), pool, level, len(counts))
        expected_rows |= {
            row: (label, web) for row, label, web in zip(rows, draw.label, draw.pool, strict=True)
        }
    draw = mix(base, pool, level, len(counts), "blue", "red", part)

    assert draw.slot.tolist() == list(range(len(base.label)))
    assert list(zip(draw.label, draw.pool, strict=True)) == [
        expected_rows[row] for row in range(len(base.label))
    ]


def test_half_red_half_blue():
    """At 40 % a fifth of all is red and a fifth blue, in every class; and the promise says so."""
    base, pool = made([1000] * 10)
    draw, promise = mix(base, pool, 40, 10), expected_stats(base, 40, 10)
    red, blue = draw.pool >= 0, draw.label != base.label

    assert (red.sum(), blue.sum(), (red & blue).sum()) == (2000, 2000, 0)
    assert (
        np.bincount(base.label[red]).tolist()
        == np.bincount(base.label[blue]).tolist()
        == [200] * 10
    )
    assert (promise.rate, promise.foreign_rate) == (0.4, 0.2)
    assert np.allclose(np.diag(promise.matrix), 600 / 800)
    assert promise.n_clean.tolist() == [600] * 10


@pytest.mark.parametrize("part", [0.0, 0.3, 1.0])
def test_whose_an_image_is_depends_on_neither_level_nor_models(part):
    """The same images suffer the first model at every level."""
    base, _ = made([30, 50, 20])
    first, second = split_rows(base, 3, part)

    assert sorted([*first, *second]) == list(range(100))
    assert np.bincount(base.label[first], minlength=3).tolist() == [
        int(n * part + 0.5) for n in (30, 50, 20)
    ]
    for level in (20, 60):
        draw = mix(base, base, level, 3, "blue", "pairflip", part)
        moved = draw.label[second] != base.label[second]
        assert (draw.label[second][moved] == (base.label[second][moved] + 1) % 3).all()


def test_a_level_is_nearly_a_prefix():
    """In the order that rows are stored by, the noisy ones come first, so levels share their rows."""
    base, pool = made([100, 60, 40])
    turning = order(base)
    draw = mix(base, pool, 40, 3)
    noisy = ((draw.pool >= 0) | (draw.label != base.label))[turning]

    assert sorted(turning.tolist()) == list(range(200))
    assert noisy[:79].all()
    assert not noisy[81:].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"first": "human"},
            "noise 'human' cannot be mixed: use one that needs only a level: blue, red, symmetric",
        ),
        ({"second": "instance"}, "noise 'instance' cannot be mixed"),
        ({"second": "mix"}, "noise 'mix' cannot be mixed"),
        ({"second": "openset"}, "noise 'openset' cannot be mixed"),
        ({"second": "red_standin"}, "noise 'red_standin' cannot be mixed"),
        ({"first": "red"}, "red and red would use the same web images: use only one of the two"),
        (
            {"proportion_first": 1.5},
            "proportion_first = 1.5 is not allowed. It is the share of the images that get blue noise",
        ),
    ],
)
def test_what_cannot_be_mixed(options, message):
    """Models without a level, with a side table, with donors, or with one pool for both."""
    base, pool = made([5, 5])
    with pytest.raises(ValueError, match=message):
        mix(base, pool, 40, 2, **options)
    with pytest.raises(ValueError, match=message):
        expected_stats(base, 40, 2, **options)
