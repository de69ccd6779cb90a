"""What every noise model must keep of what it declares, on random classes, sizes, keys and dead links."""

import re
from hashlib import sha256
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cnlw_tools import prng
from cnlw_tools.noise import NOISE, Draw, Items

HOLDS = {"exact", "proportional", "nested", "keeps_images", "keeps_labels", "dilutes", "adds"}
GOLDEN = {
    "blue": "ab3cca2d0eb98b5b",
    "red": "a1f7dc7e27a95391",
    "symmetric": "ab3cca2d0eb98b5b",
    "asymmetric": "b909e80adcdd992d",
    "pairflip": "b909e80adcdd992d",
    "human": "f7a60447fec11ce7",
    "semantic": "f7a60447fec11ce7",
    "matrix": "a15314bc45b40979",
    "instance": "86c6ef64607c5edf",
    "mix": "dcf61d63541ec52d",
    "dilution": "5e41cbf9caa7d4bf",
    "structured": "2e8d0e3ec47af2c6",
    "source": "f18ac888244a69fe",
    "openset": "802fb4a720d2bdfb",
    "outlier": "f21713c05c44f5bb",
    "red_standin": "a1f7dc7e27a95391",
}


def beside(labels):
    """Per-image data: these labels, and features that depend on nothing else."""
    return {"labels": labels, "features": (labels[:, None] % [2, 3, 5]).astype(np.float32)}


class World(NamedTuple):
    """What a model is asked about."""

    base: Items
    pool: Items
    classes: int


def keys(draw, n):
    return draw.integers(0, 2**64, n, np.uint64)


def items(draw, counts, side):
    label = draw.permutation(np.repeat(np.arange(len(counts)), counts))
    return Items(
        label, keys(draw, len(label)), {name: column(label) for name, column in side.items()}
    )


@st.composite
def worlds(draw, least: int = 0):
    """Base images of 2 to 9 classes, some empty; at least three wrong ones for each, some of them dead."""
    counts = draw(st.lists(st.integers(least, 40), min_size=2, max_size=9).filter(any))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    chance = draw(st.sampled_from([0, 0.1, 0.3]))

    def dead(label):
        is_dead = rng.random(len(label)) < chance
        for c, count in enumerate(counts):
            is_dead[np.flatnonzero(label == c)[count:]] = False
        return is_dead

    def labels(label):
        return np.where(
            rng.random(len(label)) < 0.3, rng.integers(0, len(counts), len(label)), label
        )

    def donors(label):
        return np.arange(len(label)) % 2

    side = {
        "labels": labels,
        "features": lambda label: rng.normal(size=(len(label), 3)).astype(np.float32),
    }
    pool = items(rng, 3 * np.array(counts) + 3, {"dead": dead, "donor": donors})
    return World(items(rng, counts, side), pool, len(counts))


def drawn(model, world, level) -> Draw:
    return model.draw(world.base, world.pool, level, world.classes, **general(model, world.classes))


def general(model, classes):
    """The model's options for so many classes."""
    return {
        name: value(classes) if callable(value) else value
        for name, value in model.test_options.items()
    }


def wrong(world, draw):
    return (draw.pool >= 0) | (draw.label != world.base.label[draw.slot])


def declared(guarantee):
    return [
        pytest.param(model, id=name)
        for name, model in NOISE.items()
        if guarantee in model.guarantees
    ]


every = pytest.mark.parametrize(
    "model", [pytest.param(model, id=name) for name, model in NOISE.items()]
)
LEVELS = st.integers(0, 80)


@every
def test_declarations(model):
    """A model declares only what is tested here, and where it comes from."""
    assert model.guarantees <= HOLDS
    assert re.search(r"\d{4}", model.paper)


@every
@given(world=worlds(), level=LEVELS)
def test_shapes(model, world, level):
    """A draw is three columns, of labels that there are."""
    draw = drawn(model, world, level)

    assert len(draw.slot) == len(draw.label) == len(draw.pool)
    assert set(draw.label.tolist()) <= set(range(world.classes))


@pytest.mark.parametrize(
    "model",
    [model for model in every.args[1] if not model.values[0].guarantees & {"dilutes", "adds"}],
)
@given(world=worlds(), level=LEVELS)
def test_every_slot_once(model, world, level):
    """A model that neither dilutes nor adds answers for every slot once."""
    assert drawn(model, world, level).slot.tolist() == list(range(len(world.base.label)))


@pytest.mark.parametrize("model", declared("dilutes"))
@given(world=worlds(), level=LEVELS)
def test_dilutes(model, world, level):
    """Every clean example stays, first; of noisy ones each class has alpha times as many, each image its share."""
    draw, n, alpha = drawn(model, world, level), len(world.base.label), model.test_options["alpha"]
    count = np.bincount(world.base.label, minlength=world.classes)
    added = draw.slot[n:]
    times = np.bincount(added, minlength=n)

    assert draw.slot[:n].tolist() == list(range(n))
    assert draw.label[:n].tolist() == world.base.label.tolist()
    assert np.bincount(world.base.label[added], minlength=world.classes).tolist() == (
        np.floor(alpha * count + 0.5).astype(int).tolist()
    )
    assert set(times.tolist()) <= {int(alpha), int(alpha) + 1}


@pytest.mark.parametrize("model", declared("exact"))
@given(world=worlds(), level=LEVELS)
def test_exact(model, world, level):
    """As many are noisy as the level says, rounded half up."""
    n = len(world.base.label)

    assert wrong(world, drawn(model, world, level)).sum() == (level * n + 50) // 100


@pytest.mark.parametrize("model", declared("proportional"))
@given(world=worlds(), level=LEVELS)
def test_proportional(model, world, level):
    """Every class has its share of the noise, within one and a half images."""
    noisy = wrong(world, drawn(model, world, level))
    count = np.bincount(world.base.label, minlength=world.classes)
    n_noisy = np.bincount(world.base.label[noisy], minlength=world.classes)

    assert np.abs(n_noisy - count * level / 100).max() <= 1.5


@pytest.mark.parametrize("model", declared("nested"))
@given(world=worlds(), levels=st.tuples(LEVELS, LEVELS))
def test_nested(model, world, levels):
    """What is noisy at a level is noisy at every higher one, and in the same way."""
    low, high = (drawn(model, world, level) for level in sorted(levels))
    noisy = wrong(world, low)

    assert wrong(world, high)[noisy].all()
    assert low.label[noisy].tolist() == high.label[noisy].tolist()
    assert low.pool[noisy].tolist() == high.pool[noisy].tolist()


@pytest.mark.parametrize("model", declared("keeps_images"))
@given(world=worlds(), level=LEVELS)
def test_keeps_images(model, world, level):
    """No image comes from the pool."""
    assert (drawn(model, world, level).pool == -1).all()


@pytest.mark.parametrize("model", declared("keeps_labels"))
@given(world=worlds(), level=LEVELS)
def test_keeps_labels(model, world, level):
    """No label is changed."""
    draw = drawn(model, world, level)

    assert draw.label.tolist() == world.base.label[draw.slot].tolist()


@every
@given(world=worlds(), level=LEVELS)
def test_pure(model, world, level):
    """The same input gives the same output, and is left as it was."""
    columns_before = [
        a.copy() for part in world[:2] for a in (part.label, part.key, *part.side.values())
    ]
    first, second = drawn(model, world, level), drawn(model, world, level)
    columns_after = [a for part in world[:2] for a in (part.label, part.key, *part.side.values())]

    assert all(np.array_equal(a, b) for a, b in zip(columns_before, columns_after, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.shares_memory(first.label, world.base.label)


@every
@given(world=worlds(), level=LEVELS)
def test_new_array(model, world, level):
    """The draw does not depend on what new arrays contain before they are written."""

    def new_array(n, kind):
        return np.full(n, 77, kind)

    base = world.base._replace(new_array=new_array)
    pool = world.pool._replace(new_array=new_array)
    first = drawn(model, world, level)
    second = drawn(model, world._replace(base=base, pool=pool), level)

    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@every
@given(world=worlds(), level=LEVELS, seed=st.integers(0, 99))
def test_row_order(model, world, level, seed):
    """The order of the rows, of the base and of the pool, changes nothing."""
    rng = np.random.default_rng(seed)

    def shuffled(part):
        order = rng.permutation(len(part.label))
        return Items(
            part.label[order], part.key[order], {k: v[order] for k, v in part.side.items()}
        )

    def by_key(world):
        draw = drawn(model, world, level)
        image = [int(world.pool.key[p]) if p >= 0 else -1 for p in draw.pool]
        slot = [int(world.base.key[s]) if s >= 0 else -1 for s in draw.slot]
        return sorted(zip(slot, draw.label.tolist(), image, strict=True))

    shuffled_world = World(shuffled(world.base), shuffled(world.pool), world.classes)

    assert by_key(world) == by_key(shuffled_world)


@pytest.mark.parametrize("model", declared("adds"))
@given(world=worlds(), level=LEVELS)
def test_adds(model, world, level):
    """Every example stays as it is, first; what comes beside is foreign, and its labels are spread evenly."""
    draw, n = drawn(model, world, level), len(world.base.label)
    label_counts = np.bincount(draw.label[n:], minlength=world.classes)

    assert draw.slot.tolist() == list(range(n)) + [-1] * (len(draw.slot) - n)
    assert draw.label[:n].tolist() == world.base.label.tolist()
    assert (draw.pool[:n] == -1).all()
    assert (draw.pool[n:] >= 0).all()
    assert np.ptp(label_counts) <= 1


@pytest.mark.parametrize(
    "model", [model for model in every.args[1] if "alpha" not in model.values[0].options]
)
@given(world=worlds(), level=LEVELS)
def test_pool_once(model, world, level):
    """A foreign image comes once, unless the model dilutes."""
    pool_rows = [row for row in drawn(model, world, level).pool.tolist() if row >= 0]

    assert len(pool_rows) == len(set(pool_rows))


@pytest.mark.parametrize("model", [NOISE["red"], NOISE["red_standin"]])
@given(world=worlds(), level=LEVELS)
def test_pool(model, world, level):
    """A red image is of the class of its slot, and can be had."""
    draw = drawn(model, world, level)
    pool_rows = draw.pool[draw.pool >= 0]

    assert world.pool.label[pool_rows].tolist() == draw.label[draw.pool >= 0].tolist()
    assert not world.pool.side["dead"][pool_rows].any()


@every
@given(world=worlds(least=1), level=LEVELS)
def test_expected(model, world, level):
    """What the model expects is what the draw realises."""
    draw = drawn(model, world, level)
    statistics = model.expected(world.base, level, world.classes, **general(model, world.classes))
    stays = draw.pool < 0
    truth = world.base.label[draw.slot[stays]]  # what is added is foreign
    n_clean = np.bincount(truth[draw.label[stays] == truth], minlength=world.classes)
    n_staying = np.bincount(truth, minlength=world.classes)

    tolerance = 1e-9 if "exact" in model.guarantees else world.classes  # images that classes share
    assert wrong(world, draw).sum() == pytest.approx(
        statistics.rate * len(draw.slot), abs=tolerance
    )
    assert (~stays).mean() == pytest.approx(statistics.foreign_rate, abs=1e-12)
    assert np.allclose(statistics.matrix.sum(1), 1)
    assert (statistics.matrix >= 0).all()
    assert (
        np.abs(n_clean - np.diag(statistics.matrix) * n_staying) <= statistics.n_draws + 0.51
    ).all()


@every
@settings(max_examples=4)
@given(classes=st.integers(2, 1000), skew=st.floats(1, 30), seed=st.integers(0, 99))
@example(classes=1000, skew=30.0, seed=0)
def test_many_classes(model, classes, skew, seed):
    """All of it holds with many classes, the first so many times the last, some of them empty."""
    rng = np.random.default_rng(seed)
    counts = np.floor(skew ** (1 - np.arange(classes) / classes)).astype(int) * (
        np.arange(classes) % 7 != 2
    )
    side = {
        "labels": lambda label: (label + (rng.random(len(label)) < 0.2)) % classes,
        "features": lambda label: rng.normal(size=(len(label), 2)).astype(np.float32),
    }
    dead = {
        "dead": lambda label: np.zeros(len(label)),
        "donor": lambda label: np.arange(len(label)) % 2,
    }
    world = World(items(rng, counts, side), items(rng, 3 * counts + 1, dead), classes)
    low, high = drawn(model, world, 20), drawn(model, world, 50)
    statistics = model.expected(world.base, 50, classes, **general(model, classes))
    noisy, tolerance = wrong(world, low), 0.5 if "exact" in model.guarantees else (counts > 0).sum()

    assert abs(wrong(world, high).sum() - statistics.rate * len(high.slot)) <= tolerance
    assert np.allclose(statistics.matrix.sum(1), 1)
    assert (high.label[noisy] == low.label[noisy]).all()
    assert (high.pool[noisy] == low.pool[noisy]).all()
    assert set(high.label.tolist()) <= set(range(classes))


@every
def test_no_images(model):
    """No image is no noise."""
    empty = np.empty(0, np.int64)
    no_images = Items(empty, np.empty(0, np.uint64), {**beside(empty), "donor": empty})

    draw = model.draw(no_images, no_images, 40, 3, **general(model, 3))

    assert [len(column) for column in draw] == [0, 0, 0]
    assert model.expected(no_images, 40, 3, **general(model, 3)).rate == 0


@pytest.mark.parametrize(
    "model", [pytest.param(model, id=name) for name, model in NOISE.items() if model.has_level]
)
def test_one_image(model):
    """One image is lost from 50 % on, rounded half up."""
    base = Items(np.array([1]), np.array([7], np.uint64), beside(np.array([1])))
    pool = Items(np.array([1]), np.array([9], np.uint64), {"donor": np.array([0])})

    draws = [model.draw(base, pool, level, 2, **general(model, 2)) for level in (0, 49, 50, 80)]
    is_noisy = [wrong(World(base, pool, 2), draw).tolist() for draw in draws]

    assert is_noisy == [[False], [False], [True], [True]]


def test_golden_names():
    """Every model has its draw pinned."""
    assert set(GOLDEN) == set(NOISE)


@every
def test_golden(model):
    """The draw of published builds never changes: 40 % of 300 images of three unequal classes."""
    n = 300
    label = np.arange(n) % 7 % 3
    world = World(
        Items(
            label,
            np.array([prng.random_key(f"b{i}") for i in range(n)], np.uint64),
            beside(np.arange(n) // 2 % 3),
        ),
        Items(
            np.arange(600) % 3,
            np.array([prng.random_key(f"w{i}") for i in range(600)], np.uint64),
            {"dead": np.arange(600) % 10 == 0, "donor": np.arange(600) % 2},
        ),
        3,
    )
    draw = drawn(model, world, 40)
    name = next(name for name, entry in NOISE.items() if entry is model)

    assert sha256(np.stack(draw).astype("<i8").tobytes()).hexdigest()[:16] == GOLDEN.get(name)
