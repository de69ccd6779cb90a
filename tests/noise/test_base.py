"""The order that levels are cut from, in exact fractions."""

from collections import defaultdict
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.noise import base
from cnlw_tools.noise.base import (
    Items,
    TooFewImages,
    corruption_order,
    exact_rate,
    group_by_class,
    n_noisy,
    noisy_per_class,
    prefix_per_class,
    rank_in_class,
)


def naive(label, key):
    rows_by_class = defaultdict(list)
    for row, c in enumerate(label):
        rows_by_class[c].append(row)
    place = {}
    for rows in rows_by_class.values():
        for rank, row in enumerate(sorted(rows, key=lambda r: key[r])):
            place[row] = (Fraction(2 * rank + 1, 2 * len(rows)), key[row])
    return sorted(place, key=place.get)


IMAGES = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 2**64 - 1)),
    max_size=80,
    unique_by=lambda pair: pair[1],
)


def made(images):
    label = np.array([c for c, _ in images], np.int64)
    return Items(label, np.array([k for _, k in images], np.uint64))


@pytest.mark.parametrize("block_rows", [1 << 18, 2])
@given(IMAGES)
def test_corruption_order(block_rows, images):
    """Items turn noisy in the order of (rank in class + 1/2) / class size, then key."""
    label, key = [c for c, _ in images], [k for _, k in images]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "BLOCK_ROWS", block_rows)
        order = corruption_order(made(images))

    assert order.tolist() == naive(label, key)


@pytest.mark.parametrize("block_rows", [1 << 18, 2])
@given(st.lists(st.sampled_from([0, 1, 1 << 62, 1 << 63, (1 << 64) - 1]), max_size=20))
def test_rows_of_one_key_keep_their_order(block_rows, keys):
    """A sort in parts is Python's sort, whatever the keys."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "BLOCK_ROWS", block_rows)
        order = base.sort_by_key(base.all_rows(len(keys)), np.array(keys, np.uint64))

    assert order.tolist() == sorted(range(len(keys)), key=lambda row: keys[row])


@pytest.mark.parametrize("sizes", [(1, 3, 9, 27, 81), (500, 100, 20, 4), (1000, 999, 7), (3000,)])
def test_corruption_order_of_many(sizes):
    """Classes of sizes whose places coincide are ordered as exact fractions are."""
    draw = np.random.default_rng(1)
    label = draw.permutation(np.repeat(np.arange(len(sizes)), sizes))
    key = draw.integers(0, 2**64, len(label), np.uint64)

    assert corruption_order(Items(label, key)).tolist() == naive(label.tolist(), key.tolist())


@given(IMAGES)
def test_ranks(images):
    """A rank counts the images of the same class with a smaller key."""
    expected = [sum(c == d and j < k for d, j in images) for c, k in images]

    assert rank_in_class(made(images), np.argsort(made(images).key)).tolist() == expected


@pytest.mark.parametrize("classes", [7, 1 << 16, (1 << 16) + 1, 1 << 20])
@given(IMAGES)
def test_by_class(classes, images):
    """Classes come one after the other in the order given, however many classes there are."""
    order = np.arange(len(images))[::-1]
    label = [c for c, _ in images]

    rows, count = group_by_class(made(images), order, classes)

    assert rows.tolist() == sorted(order.tolist(), key=lambda row: label[row])
    assert count[:7].tolist() == [label.count(c) for c in range(7)]
    assert len(count) == classes


def test_high_labels():
    """A label that fills 16 bits is sorted as the others are."""
    label = np.array([65535, 0, 65535, 1], np.int64)

    assert group_by_class(Items(label, label.astype(np.uint64)), np.arange(4), 65536)[
        0
    ].tolist() == [
        1,
        3,
        0,
        2,
    ]


@pytest.mark.parametrize(
    ("level", "n", "expected"),
    [(0, 7, 0), (5, 10, 1), (5, 9, 0), (15, 10, 2), (95, 10, 10), (100, 7, 7), (40, 0, 0)],
)
def test_share(level, n, expected):
    """Half an image is a whole one."""
    assert n_noisy(level, n) == expected


def test_exact_rate():
    """The exact rate is that of whole images, and zero where there are none."""
    assert exact_rate(np.array([1, 2, 4]), 40) == 3 / 7
    assert exact_rate(np.zeros(3, np.int64), 40) == 0


@pytest.mark.parametrize("counts", [(1, 1, 1), (3, 3, 3), (1, 3, 9, 0), (2, 5, 4)])
def test_classes_share_the_last_places_evenly(counts):
    """The counts of a prefix are the means over all orders in which keys may settle ties."""
    orders = list(permutations(range(len(counts))))
    for k in range(sum(counts) + 1):
        mean = np.zeros(len(counts))
        for order in orders:
            places = []
            for c, n in enumerate(counts):
                places += [(Fraction(2 * i + 1, 2 * n), order[c], c) for i in range(n)]
            for _, _, c in sorted(places)[:k]:
                mean[c] += 1 / len(orders)
        assert prefix_per_class(np.array(counts), k).tolist() == pytest.approx(mean.tolist())


def test_the_noisy_images_of_classes_are_a_prefix():
    """Of 3 + 3 images 40 % are two, the first of each class; 50 % leave one more to be shared."""
    assert noisy_per_class(np.array([3, 3]), 40).tolist() == [1, 1]
    assert noisy_per_class(np.array([3, 3]), 50).tolist() == [1.5, 1.5]


def test_too_few():
    """The error says which class, how many it needs and has, and what to do."""
    assert (
        str(TooFewImages(3, 40, 39, 0))
        == "class 3 needs 40 wrong images but has 39: lower the level"
    )


def test_new_array():
    """Arrays as long as the items are made by the function that the items bring."""
    new_arrays = []

    def new_array(n, kind):
        new_arrays.append(np.zeros(n, kind))
        return new_arrays[-1]

    label = np.arange(60) % 3
    items = Items(label, np.arange(60, dtype=np.uint64), new_array=new_array)
    order, labels = corruption_order(items), base.copy_labels(items)

    assert labels.tolist() == label.tolist()
    assert any(order is array for array in new_arrays)
    assert any(labels is array for array in new_arrays)
    assert 5 == len(new_arrays)  # the rows, by key, their ranks, their order; and the labels
