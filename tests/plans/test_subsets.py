"""What noise falls on: train, parted into a probe set, a verified set and the rest, thinned to a long tail."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnlw_tools import prng
from cnlw_tools.dataset import hashing
from cnlw_tools.dataset.dataset import NEAREST_CLASS, Dataset
from cnlw_tools.dataset.tables import MANIFEST, VOTES
from cnlw_tools.noise import NOISE
from cnlw_tools.noise.base import n_noisy
from cnlw_tools.plans.plan import expected_stats, plan
from cnlw_tools.plans.subsets import choose_subsets, split_pool
from cnlw_tools.recipe.recipe import Recipe, config_name, parse_recipe

NAMES = ("a", "b", "c", "d")
SPLITS = ("train", "verified", "probe", "validation")


def made(counts=(50, 40, 60, 50), order=None, stock=0, dead=()):
    """A dataset of some images a class, four of validation, and so many wrong web images a class."""
    rows = [(f"{c}{i}", c, "train") for c, n in enumerate(counts) for i in range(n)]
    rows += [(f"v{c}", c, "validation") for c in range(4)]
    rows = rows if order is None else [rows[i] for i in order(len(rows))]
    table = pa.Table.from_pylist(
        [dict(zip(MANIFEST.names, row, strict=False)) for row in rows], MANIFEST
    )
    web = [
        dict(zip(MANIFEST.names, (f"w{c}.{i}", c, "web"), strict=False))
        for c in range(4)
        for i in range(stock)
    ]
    votes = [
        {"image_id": row["image_id"], "label": row["label"], "annotator": "a", "correct": False}
        for row in web
    ]
    gone = pa.array([row["image_id"] in dead for row in web], pa.bool_())
    pool = pa.Table.from_pylist(web, MANIFEST).append_column("dead", gone)
    return Dataset("toy", NAMES, table, pool, pa.Table.from_pylist(votes, VOTES))


def recipe(**changes: object):
    return replace(Recipe("toy", "blue"), **changes)


def ids(table):
    return set(table["image_id"].to_pylist())


def probe(chosen):
    return chosen.clean.filter(pc.equal(chosen.clean["split"], "probe"))


def split(table, name):
    return table.filter(pc.equal(table["split"], name))


def test_per_class_is_how_many_images_each_class_keeps():
    """All of them if there are fewer; a larger number contains the images of a smaller one."""
    data = made(counts=(50, 40, 6, 7))
    chosen = choose_subsets(recipe(per_class=7), data).noisy["train"]
    larger = choose_subsets(recipe(per_class=8), data).noisy["train"]

    assert [chosen["label"].to_pylist().count(c) for c in range(4)] == [7, 7, 6, 7]
    assert ids(chosen) < ids(larger)


def slots(table):
    return set(pc.coalesce(table["replaces"], table["image_id"]).to_pylist())


def counts(table):
    return np.bincount(table["label"].to_numpy(), minlength=4).tolist()


def naive(names, stream, seed=0):
    """Names in the order of their numbers."""

    def number(name):
        key = np.array([prng.random_key(name, seed)], np.uint64)
        return prng.uniform(key, stream)[0]

    return sorted(names, key=number)


def test_all_of_train_by_default():
    """Without choices noise may fall on every training image, and nobody is trusted."""
    chosen = choose_subsets(recipe(), made())

    assert list(chosen.noisy) == ["train"]
    assert counts(chosen.noisy["train"]) == [50, 40, 60, 50]
    assert set(chosen.clean["split"].to_pylist()) == {"validation"}


def test_oracle():
    """Probe and verified are the first and last of each class by one number, the tail the first by another."""
    chosen = choose_subsets(recipe(probe=3, verified=2, imbalance_ratio=8), made())
    trusted, verified, slots = set(), set(), set()
    for c, n in enumerate((50, 40, 60, 50)):
        order = naive([f"{c}{i}" for i in range(n)], prng.Stream.SPLIT)
        trusted |= set(order[:3])
        verified |= set(order[-2:])
        slots |= set(
            naive(order[3:-2], prng.Stream.LONG_TAIL)[: int((n - 5) * 8 ** (-c / 3) + 0.5)]
        )

    assert ids(probe(chosen)) == trusted
    assert ids(chosen.noisy["verified"]) == verified
    assert ids(chosen.noisy["train"]) == slots


@given(
    sizes=st.lists(st.integers(0, 30), min_size=4, max_size=4).filter(any),
    share=st.tuples(*[st.floats(0.2, 1)] * 2),
)
def test_thinned(sizes, share):
    """Train has exactly as many images as asked, each class its share within one, and fewer are part of more."""
    found = []
    for n in sorted(int(s * sum(sizes)) for s in share):
        if n and all(not size or n * size >= sum(sizes) for size in sizes):
            train = choose_subsets(recipe(train_size=n), made(sizes)).noisy["train"]
            found.append(ids(train))
            assert len(train) == n
            assert all(
                abs(have - n * size / sum(sizes)) <= 1
                for have, size in zip(counts(train), sizes, strict=True)
            )

    assert all(few <= many for few, many in pairwise(found))


def test_thinned_oracle():
    """Half of each class, the first by a number of their own; the others wait for a larger N."""
    classes = [[f"{c}{i}" for i in range(n)] for c, n in enumerate((50, 40, 60, 50))]
    first = {
        name
        for names in classes
        for name in naive(names, prng.Stream.TRAIN_SIZE)[: len(names) // 2]
    }

    assert ids(choose_subsets(recipe(train_size=100), made()).noisy["train"]) == first


def test_thinned_with_all_other_choices():
    """Trusted and verified images are taken first, and are the same whatever N; the long tail is of what N leaves."""
    plain, thin = (
        choose_subsets(recipe(probe=3, verified=2, train_size=n), made()) for n in (0, 80)
    )
    tail = choose_subsets(recipe(probe=3, verified=2, train_size=80, imbalance_ratio=4), made())

    assert ids(probe(thin)) == ids(probe(plain))
    assert ids(thin.noisy["verified"]) == ids(plain.noisy["verified"])
    assert len(thin.noisy["train"]) == 80
    assert ids(tail.noisy["train"]) < ids(thin.noisy["train"]) < ids(plain.noisy["train"])
    assert counts(tail.noisy["train"]) == [
        int(n * 4 ** (-c / 3) + 0.5) for c, n in enumerate(counts(thin.noisy["train"]))
    ]


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(1, [500, 500, 500, 500]), (8, [500, 250, 125, 63]), (1000, [500, 50, 5, 1])],
)
def test_profile(ratio, expected):
    """Class c of C keeps n r^(-c / (C - 1)) images: at a ratio of 8 each class has half of the one before."""
    assert (
        counts(choose_subsets(recipe(imbalance_ratio=ratio), made([500] * 4)).noisy["train"])
        == expected
    )


def test_probe_is_disjoint_clean_and_the_same_at_every_level():
    """Trusted images are in no other split, bear their true label, and depend on neither noise nor level."""
    plans = [
        plan(recipe(noise=noise, probe=5), made(), level)
        for noise in ("blue", "pairflip")
        for level in (0, 80)
    ]
    probes = [p.filter(pc.equal(p["split"], "probe")) for p in plans]
    train = [ids(p.filter(pc.equal(p["split"], "train"))) for p in plans]

    assert len({hashing.digest(p.replace_schema_metadata()) for p in probes}) == 1
    assert counts(probes[0]) == [5, 5, 5, 5]
    assert not any(probes[0]["is_noisy"].to_pylist())
    assert probes[0]["clean_label"].to_pylist() == probes[0]["label"].to_pylist()
    assert all(len(t) == 180 and not t & ids(probes[0]) for t in train)


def test_larger_sets_contain_smaller_ones_and_tails_likewise():
    """One trusted or verified image a class is among the ten, and a longer tail is part of a shorter one."""
    one, ten = (choose_subsets(recipe(probe=m, verified=m), made()) for m in (1, 10))
    long, short = (
        ids(choose_subsets(recipe(imbalance_ratio=r), made()).noisy["train"]) for r in (20, 2)
    )

    assert ids(probe(one)) < ids(probe(ten))
    assert ids(one.noisy["verified"]) < ids(ten.noisy["verified"])
    assert long < short


def test_probe_and_verified_leave_each_other_as_they_are():
    """Each is the same with the other as without, up to the last image that train can spare."""
    both = choose_subsets(recipe(probe=20, verified=19), made())

    assert ids(probe(both)) == ids(probe(choose_subsets(recipe(probe=20), made())))
    assert ids(both.noisy["verified"]) == ids(
        choose_subsets(recipe(verified=19), made()).noisy["verified"]
    )
    assert counts(both.noisy["train"]) == [11, 1, 21, 11]


def test_order_of_rows_does_not_matter():
    """A shuffled manifest is the same manifest."""
    asked = recipe(noise="red", probe=4, verified=3, imbalance_ratio=5)
    shuffled = made(order=np.random.default_rng(0).permutation, stock=60)
    web = replace(shuffled, web=shuffled.web.take(np.random.default_rng(1).permutation(240)))

    assert hashing.digest(plan(asked, made(stock=60), 40)) == hashing.digest(plan(asked, web, 40))


def test_noise_is_exact_on_what_is_left():
    """40 % of the thinned training set, and the promise is about the thinned classes."""
    asked = recipe(probe=5, imbalance_ratio=10)
    train = plan(asked, made(), 40)
    train = train.filter(pc.equal(train["split"], "train"))
    slots = choose_subsets(asked, made()).noisy["train"]

    assert len(train) == len(slots)
    assert sum(train["is_noisy"].to_pylist()) == (40 * len(slots) + 50) // 100
    assert expected_stats(asked, made(), 40)["train"].rate == sum(
        train["is_noisy"].to_pylist()
    ) / len(train)


def test_another_seed_trusts_others():
    """The choice follows from the seed."""
    zero, one = (choose_subsets(recipe(probe=5, verified=5, seed=seed), made()) for seed in (0, 1))

    assert ids(probe(zero)) != ids(probe(one))
    assert ids(zero.noisy["verified"]) != ids(one.noisy["verified"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"probe": 40},
            "probe = 40: class 'b' has 40 images, and none of them would be kept: lower probe",
        ),
        (
            {"verified": 41},
            "verified = 41: class 'b' has 40 images, and none of them would be kept: lower "
            "verified",
        ),
        (
            {"probe": 30, "verified": 10},
            "probe = 30, verified = 10: class 'b' has 40 images, and none of them would",
        ),
        (
            {"imbalance_ratio": 1e6},
            "imbalance_ratio = 1000000.0: class 'b' would keep none of 40: lower imbalance_ratio",
        ),
        (
            {"train_size": 201},
            "train_size = 201: the split train has only 200 images: choose fewer",
        ),
        (
            {"train_size": 196, "probe": 2},
            "train_size = 196: the split train has only 192 images: choose fewer",
        ),
        ({"train_size": 1}, "train_size = 1: class 'a' would keep none of 50: raise it"),
    ],
)
def test_too_much(changes, message):
    """A class that would keep nothing is an error that names it."""
    with pytest.raises(ValueError, match=message):
        choose_subsets(recipe(**changes), made())


def test_names_of_configs():
    """All choices stand in the config's name."""
    asked = recipe(probe=10, verified=20, train_size=2000, imbalance_ratio=100, seed=2)

    assert config_name(asked, 40, {}) == "blue_40_clean2000_longtail100_probe10_verified20_s2"


@pytest.mark.parametrize(
    "bad",
    [
        {"probe": -1},
        {"probe": True},
        {"verified": -1},
        {"verified": 2.5},
        {"imbalance_ratio": 0.5},
        {"imbalance_ratio": "10"},
        {"train_size": -1},
        {"train_size": 0.5},
    ],
)
def test_bad_values(bad):
    """Choices are checked like any value of a recipe."""
    with pytest.raises(ValueError, match="it must be"):
        parse_recipe({"dataset": "toy", "noise": "blue", **bad}, "here")


def noisy_slots(table):
    """Split, slot, image and label of every noisy row."""
    noisy = table.filter(table["is_noisy"])
    slot = pc.coalesce(noisy["replaces"], noisy["image_id"])
    return set(
        zip(
            *(c.to_pylist() for c in (noisy["split"], slot, noisy["image_id"], noisy["label"])),
            strict=True,
        )
    )


@pytest.mark.parametrize("noise", NOISE)
@settings(max_examples=12)
@given(
    sizes=st.lists(st.integers(0, 25), min_size=4, max_size=4).filter(any),
    verified=st.integers(1, 12),
    trusted=st.integers(0, 3),
    levels=st.tuples(st.integers(0, 80), st.integers(0, 80)),
    nested=st.booleans(),
    longtail=st.sampled_from([1.0, 1.5]),
)
def test_all_choices(noise, sizes, verified, trusted, levels, nested, longtail):
    """Whatever the noise, verified is balanced, apart from all else, as noisy as promised, and nested as train is.

    So it is beside a probe set, with half of the clean labels kept, and on a long tail.
    """
    clean, model = sum((n + 1) // 2 for n in sizes), NOISE[noise]
    sizes = [n + verified + trusted if n else 0 for n in sizes]
    general = {
        name: value(4) if callable(value) else value for name, value in model.test_options.items()
    }
    few = {"probe": trusted, "verified": verified, "train_size": clean, "imbalance_ratio": longtail}
    asked = recipe(noise=noise, nested=nested, options=general, **few)
    data = made(sizes, stock=2 * max(sizes))
    features = np.random.default_rng(0).normal(size=(len(data.base), 2)).tolist()
    beside = {"features": features, "labels": np.arange(len(data.base)) % 4}
    data = replace(data, side_table=pa.table({"image_id": data.base["image_id"], **beside}))
    if model.needs_donors:
        images = data.web.set_column(2, "split", pa.array(["train"] * len(data.web), pa.string()))
        asked, data = (
            replace(asked, donors=("d",)),
            replace(data, donors={"d": images.append_column(NEAREST_CLASS, images["label"])}),
        )
    levels = sorted(levels) if model.has_level else (None, None)
    low, high = (plan(asked, data, level) for level in levels)
    for level, found in zip(levels, (low, high), strict=True):
        promised = expected_stats(asked, data, level)
        held = split(found, "verified")
        assert counts(choose_subsets(asked, data).noisy["verified"]) == [
            verified if n else 0 for n in sizes
        ]
        assert slots(held) & ids(data.base) == ids(choose_subsets(asked, data).noisy["verified"])
        for name in ("train", "verified"):
            rows = split(found, name)
            odd = 0 if "exact" in model.guarantees else 4 * promised[name].n_draws
            assert (
                abs(sum(rows["is_noisy"].to_pylist()) - promised[name].rate * len(rows))
                <= odd + 1e-9
            )
        if "exact" in model.guarantees:
            assert sum(held["is_noisy"].to_pylist()) == n_noisy(level, len(held))
        for row in held.to_pylist():
            assert row["is_noisy"] == (row["label"] != row["clean_label"])
    parts = [
        {i for p in (low, high) for i in slots(split(p, name)) | ids(split(p, name))}
        for name in SPLITS
    ]

    assert sum(map(len, parts)) == len(set().union(*parts))
    assert not nested or noisy_slots(low) <= noisy_slots(high)


def test_noise_on_train_is_that_of_the_rest_alone():
    """Blue noise on train is what it would be if the verified images were not in the manifest."""
    data = made()
    gone = choose_subsets(recipe(verified=7), data).noisy["verified"]["image_id"].combine_chunks()
    rest = replace(data, base=data.base.filter(pc.invert(pc.is_in(data.base["image_id"], gone))))

    assert split(plan(recipe(verified=7), data, 40), "train").equals(
        split(plan(recipe(), rest, 40), "train")
    )


@pytest.mark.parametrize("stock", [0, 1, 7, 60])
def test_deal(stock):
    """A class's wrong images go to its splits by their images: for train rounded down, the rest for verified."""
    data = made((50, 40, 60, 0), stock=stock)
    noisy = {"train": data.base[:0], "verified": data.base[:0]}
    noisy["train"] = data.base.filter(pc.is_in(data.base["label"], pa.array([0, 1, 2])))[
        :144
    ]  # 50, 40, 54 images
    noisy["verified"] = data.base[144:150]
    dealt = split_pool(data.web, noisy, 4, 0)
    each = [{name for name in ids(part) if name.startswith("w2.")} for part in dealt.values()]
    order = naive([f"w2.{i}" for i in range(stock)], prng.Stream.SPLIT)

    assert each == [set(order[: stock * 54 // 60]), set(order[stock * 54 // 60 :])]
    assert ids(dealt["train"]) | ids(dealt["verified"]) == ids(data.web)


def test_one_dead_link_with_a_verified_set():
    """Whichever used web image dies, its own slot gets another one, and nobody else notices."""
    asked = recipe(noise="red", verified=8)
    before = plan(asked, made(stock=80), 40)
    for split_ in ("train", "verified"):
        for victim in split(before.filter(before["is_noisy"]), split_)["image_id"].to_pylist()[::7]:
            after = plan(asked, made(stock=80, dead={victim}), 40)
            changed = [i for i in range(len(before)) if before[i : i + 1] != after[i : i + 1]]
            assert [before["image_id"][i].as_py() for i in changed] == [victim]


@pytest.mark.parametrize(
    ("stock", "verified", "message"),
    [
        (20, 10, "level 80: class 'c' needs 40 wrong web images for train and has 16: collect"),
        (
            0,
            10,
            "and has 0: collect and annotate more, or lower the level or verified; nobody has "
            "voted",
        ),
    ],
)
def test_too_few_web_images(stock, verified, message):
    """Where a split's part of the pool does not do, class, split, need and stock are named."""
    with pytest.raises(ValueError, match=message):
        plan(recipe(noise="red", verified=verified), made(stock=stock), 80)


def test_too_few_web_images_for_verified():
    """Train may have enough where half of the twelve web images for verified are dead."""
    dead = set(naive([f"w0.{i}" for i in range(60)], prng.Stream.SPLIT)[-6:])

    with pytest.raises(
        ValueError, match="class 'a' needs 8 wrong web images for verified and has 6: collect"
    ):
        plan(recipe(noise="red", verified=10), made(stock=60, dead=dead), 80)


def test_verified_of_the_manifest():
    """A manifest with a verified split of its own keeps it as it is, and cannot have another."""
    data = made()
    own = data.base.set_column(
        2, "split", pc.replace_substring(data.base["split"], "validation", "verified")
    )
    data = replace(data, base=own.cast(MANIFEST))

    assert not any(split(plan(recipe(), data, 80), "verified")["is_noisy"].to_pylist())
    with pytest.raises(ValueError, match="toy: the base manifest already has a split 'verified'"):
        plan(recipe(verified=2), data, 80)


def without_validation(counts=(50, 40, 60, 50)):
    """The toy dataset with images to train on alone."""
    data = made(counts)
    return replace(data, base=split(data.base, "train"))


@pytest.mark.parametrize("noise", ["blue", "symmetric"])
def test_validation_is_the_same_for_every_seed_and_level(noise):
    """Its labels are clean, and noise falls on what remains: as if the manifest had the split."""
    data = without_validation()
    chosen = choose_subsets(recipe(validation=20), data)
    in_manifest = replace(data, base=pa.concat_tables([chosen.noisy["train"], chosen.clean]))
    expected = ids(split(chosen.clean, "validation"))

    assert counts(split(chosen.clean, "validation")) == [10, 8, 12, 10]
    for seed, level in ((0, 40), (1, 40), (1, 80)):
        asked = recipe(noise=noise, validation=20, seed=seed)
        table = plan(asked, data, level)
        validation = split(table, "validation")
        assert ids(validation) == expected
        assert validation["is_noisy"].to_pylist() == [False] * 40
        assert validation["label"].equals(validation["clean_label"])
        assert sum(table["is_noisy"].to_pylist()) == level * 160 // 100
        assert hashing.digest(table) == hashing.digest(
            plan(replace(asked, validation=0), in_manifest, level)
        )


def test_validation_comes_before_all_other_subsets():
    """Probe, verified, thinning and the tail take from the rest, and validation stays."""
    data = without_validation()
    alone = ids(split(choose_subsets(recipe(validation=20), data).clean, "validation"))
    asked = recipe(
        validation=20, per_class=20, probe=2, verified=3, train_size=40, imbalance_ratio=2
    )
    chosen = choose_subsets(asked, data)

    assert ids(split(chosen.clean, "validation")) == alone
    assert counts(probe(chosen)) == [2] * 4
    assert counts(chosen.noisy["verified"]) == [3] * 4
    assert not alone & (ids(probe(chosen)) | ids(chosen.noisy["train"]))


def test_a_second_validation_split_is_an_error():
    """The message names the dataset, the key and the remedy."""
    with pytest.raises(
        ValueError, match=r"toy: validation = 20: .* already .* of 4 images: omit the"
    ):
        choose_subsets(recipe(validation=20), made())


def test_a_validation_split_stands_in_the_name():
    """Configs with and without it lie in one build."""
    assert config_name(recipe(validation=20), 40, {}) == "blue_40_val20"
    with pytest.raises(ValueError, match="validation = 95"):
        parse_recipe({"dataset": "toy", "noise": "blue", "validation": 95}, "a file")
