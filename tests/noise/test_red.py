"""Red noise, pair by pair and link by link."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools import prng
from cnlw_tools.noise import Items, TooFewImages
from cnlw_tools.noise.base import corruption_order, n_noisy
from cnlw_tools.noise.red import expected_stats, red
from tests.noise.items import sized

LEVELS = (5, 20, 50, 80)


def made(counts, stocks, seed=0, dead=()):
    draw = np.random.default_rng(seed)
    label = draw.permutation(np.repeat(np.arange(len(counts)), counts))
    web = draw.permutation(np.repeat(np.arange(len(stocks)), stocks))
    is_dead = np.isin(np.arange(len(web)), dead)
    return (
        Items(label, draw.integers(0, 2**64, len(label), np.uint64)),
        Items(web, draw.integers(0, 2**64, len(web), np.uint64), {"dead": is_dead}),
    )


def naive(base, pool, level, classes, top):
    """Return {slot: pool row} of a level; None where there is no image."""
    order = corruption_order(base).tolist()
    n, dead, pairs = len(order), pool.side["dead"], {}
    for c in range(classes):
        slots = [row for row in order[: n_noisy(top, n)] if base.label[row] == c]
        stock = sorted(
            (row for row in range(len(pool.label)) if pool.label[row] == c),
            key=lambda r: pool.key[r],
        )
        reserves, used = stock[len(slots) :], set()
        for slot, row in zip(slots, stock, strict=False):
            pairs[slot] = row
            if dead[row]:
                begin = int(prng.uniform(base.key[[slot]], prng.Stream.RESERVE)[0] * len(reserves))
                rest = reserves[begin:] + reserves[:begin]
                pairs[slot] = next((r for r in rest if not dead[r] and r not in used), None)
                used.add(pairs[slot])
    return {slot: pairs.get(slot) for slot in order[: n_noisy(level, n)]}


@given(
    counts=st.lists(st.integers(0, 30), min_size=1, max_size=5).filter(any),
    extra=st.integers(-3, 30),
    seed=st.integers(0, 10_000),
    top=st.integers(1, 100),
    data=st.data(),
)
def test_oracle(counts, extra, seed, top, data):
    """Slots and web images pair by rank, reserves step in one by one, and a slot without image is an error."""
    stocks = [max(0, count + extra) for count in counts]
    dead = data.draw(st.sets(st.integers(0, max(1, sum(stocks)) - 1), max_size=12))
    base, pool = made(counts, stocks, seed, list(dead))
    level = data.draw(st.integers(0, top))
    pairs = naive(base, pool, level, len(counts), top)
    if None in pairs.values():
        short = next(slot for slot, row in pairs.items() if row is None)
        c = base.label[short]
        need = sum(base.label[slot] == c for slot in pairs)
        stock = sum(base.label[slot] == c and row is not None for slot, row in pairs.items())

        with pytest.raises(TooFewImages) as caught:
            red(base, pool, level, len(counts), top)

        assert (caught.value.label, caught.value.need, caught.value.stock) == (c, need, stock)
    else:
        web = red(base, pool, level, len(counts), top).pool

        assert {slot: row for slot, row in enumerate(web.tolist()) if row >= 0} == pairs


def served(base, pool, level=80):
    return red(base, pool, level, 3).pool


@pytest.mark.parametrize("position", [0, 1, 17, -1])
def test_one_dead_link(position):
    """Where one web image dies, one slot changes, in the same way at all levels that use it."""
    counts, stocks = (40, 25, 10), (60, 60, 30)
    base, pool = made(counts, stocks)
    used = served(base, pool)
    dead_image = int(used[used >= 0][position])
    _, pool_with_dead_image = made(counts, stocks, dead=[dead_image])
    slot = int(np.flatnonzero(used == dead_image)[0])
    reserve = int(served(base, pool_with_dead_image)[slot])

    for level in LEVELS:
        rows, new_rows = served(base, pool, level), served(base, pool_with_dead_image, level)
        is_used = rows[slot] >= 0

        assert np.flatnonzero(rows != new_rows).tolist() == ([slot] if is_used else [])
        assert not is_used or new_rows[slot] == reserve
    assert reserve not in used.tolist()
    assert pool.label[reserve] == base.label[slot]


def test_every_dead_link():
    """Whichever one of the used images dies, exactly one slot changes."""
    counts, stocks = (20, 10, 5), (30, 30, 20)
    base, pool = made(counts, stocks)
    used = served(base, pool)

    changed = [
        int((served(base, made(counts, stocks, dead=[image])[1]) != used).sum())
        for image in used[used >= 0]
    ]

    assert changed == [1] * n_noisy(80, 35)


def test_dead_reserve():
    """A reserve that nobody uses may die."""
    counts, stocks = (40, 25, 10), (60, 60, 30)
    base, pool = made(counts, stocks, dead=[3, 50, 90])
    used = served(base, pool)
    idle = sorted(set(range(sum(stocks))) - set(used.tolist()) - {3, 50, 90})

    for reserve in idle[::5]:
        _, pool_without_reserve = made(counts, stocks, dead=[3, 50, 90, reserve])
        assert np.array_equal(used, served(base, pool_without_reserve))


def test_second_dead_link():
    """A second dead link changes one slot, or two where both would take the same reserve: 1.1 on average."""
    counts, stocks = (40, 25, 10), (80, 60, 40)
    base, first = made(counts, stocks, dead=[3])
    used = served(base, first)
    changed = [
        int((served(base, made(counts, stocks, dead=[3, int(image)])[1]) != used).sum())
        for image in used[used >= 0]
        if image != 3
    ]

    assert set(changed) <= {1, 2}
    assert np.mean(changed) < 1.1


@pytest.mark.parametrize("kind", [bool, np.int8, np.int64, float, object])
def test_dead_as_numbers(kind):
    """Links may be marked dead by true and false, by 1 and 0, or by nothing at all."""
    base, pool = made((10, 10, 10), (20, 20, 20), dead=[3, 30])
    marked = pool.side["dead"].astype(kind)
    if kind is object:
        marked[marked == False] = None  # noqa: E712, an array of objects

    draws = red(base, pool._replace(side={"dead": marked}), 80, 3)

    assert draws.pool.tolist() == served(base, pool).tolist()


def test_no_side():
    """Where nothing is known of dead links, all live."""
    base, pool = made((10, 10, 10), (20, 20, 20))

    assert red(base, pool._replace(side={}), 80, 3).pool.tolist() == served(base, pool).tolist()


def test_too_few():
    """The class, the need and the stock are named, and the first level that can be had is had."""
    base, pool = made((10, 10, 10), (10, 4, 10))

    with pytest.raises(TooFewImages) as caught:
        red(base, pool, 60, 3)

    assert (caught.value.label, caught.value.need, caught.value.stock) == (1, 6, 4)
    assert (red(base, pool, 40, 3).pool >= 0).sum() == 12


def test_too_few_through_a_dead_link():
    """Where only the images of higher levels are left, what the level itself has is less than it needs."""
    base, pool = made((10,), (8,))
    first = int(red(base, pool, 80, 1).pool[corruption_order(base)[0]])
    _, pool = made((10,), (8,), dead=[first])

    with pytest.raises(TooFewImages) as caught:
        red(base, pool, 50, 1)

    assert (caught.value.need, caught.value.stock) == (5, 4)
    assert (red(base, pool, 50, 1, top=50).pool >= 0).sum() == 5


def test_empty_pool():
    """Without web images there is no red noise, but level 0 needs none."""
    base, pool = made((10, 10), (0, 0))

    with pytest.raises(TooFewImages):
        red(base, pool, 5, 2)
    assert (red(base, pool, 0, 2).pool == -1).all()


@pytest.mark.parametrize(("level", "top"), [(81, 80), (95, 80), (41, 40)])
def test_above_top(level, top):
    """A level above the top is an error that says how to raise it."""
    base, pool = made((10, 10), (20, 20))

    with pytest.raises(
        ValueError, match=rf"level {level} is above top = {top}.*give -o top={level}"
    ):
        red(base, pool, level, 2, top)
    assert (red(base, pool, level, 2, top=level).pool >= 0).sum() == n_noisy(level, 20)


def test_expected():
    """All foreign images are wrong, and labels stay."""
    promise = expected_stats(sized([3, 3, 1]), 40, 3)

    assert (promise.rate, promise.foreign_rate) == (3 / 7, 3 / 7)
    assert promise.matrix.tolist() == np.eye(3).tolist()
