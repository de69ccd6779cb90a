"""Plans: ids joined back onto a draw, and the splits that noise leaves alone."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from cnlw_tools.dataset import dataset, hashing, tables
from cnlw_tools.dataset.tables import MANIFEST, PLAN, VOTES
from cnlw_tools.noise.base import n_noisy
from cnlw_tools.plans.info import read_plan_info
from cnlw_tools.plans.plan import plan
from cnlw_tools.recipe.recipe import Recipe

LEVELS = (0, 5, 37, 40, 80)
GOLDEN = {
    ("blue", 40): "d41985faab504c3b",
    ("red", 40): "e5d4f47dfa73bd26",
    ("blue", 5): "73cdac51f4aae7a6",
    ("red", 80): "0583b288d78174f7",
}
PARTED = {
    "blue": "383a26f81e92f691",
    "red": "6a369836736f5f73",
}  # at 40 %, with a probe and a verified set
noises = pytest.mark.parametrize("noise", ["blue", "red"])
levels = pytest.mark.parametrize("level", LEVELS)


@pytest.fixture
def data(toy):
    return dataset.read_dataset("toy", toy)


def rows(table, split="train"):
    return [row for row in table.to_pylist() if row["split"] == split]


def recipe(noise, **more: object):
    return Recipe("toy", noise, **more)


def manifest(found):
    return pa.Table.from_pylist(
        [dict(zip(("image_id", "label", "split"), row, strict=True)) for row in found], MANIFEST
    )


def bare(base, classes=3):
    names = tuple(f"c{i}" for i in range(classes))
    return dataset.Dataset(
        "bare", names, manifest(base), MANIFEST.empty_table(), VOTES.empty_table()
    )


@noises
@levels
def test_rows(data, noise, level):
    """Every base image stands once, itself or as the one that a web image replaces; the noisy ones come first."""
    found = rows(plan(recipe(noise), data, level))
    base = {row["image_id"]: row["label"] for row in rows(data.base)}

    assert plan(recipe(noise), data, level).schema.equals(PLAN)
    assert sorted(row["replaces"] or row["image_id"] for row in found) == sorted(base)
    assert [row["is_noisy"] for row in found] == [True] * n_noisy(level, 100) + [False] * (
        100 - n_noisy(level, 100)
    )
    assert len({row["image_id"] for row in found}) == 100


@levels
def test_blue_rows(data, level):
    """Blue keeps the image, knows its class, and gives the noisy ones another label."""
    base = {row["image_id"]: row["label"] for row in rows(data.base)}

    for row in rows(plan(recipe("blue"), data, level)):
        assert (row["clean_label"], row["origin"], row["replaces"]) == (
            base[row["image_id"]],
            "base",
            None,
        )
        assert (row["label"] != row["clean_label"]) == row["is_noisy"]


@levels
def test_red_rows(data, level):
    """Red keeps the label; its web images are judged wrong for it, of no known class, and name whom they replace."""
    base = {row["image_id"]: row["label"] for row in rows(data.base)}
    wrong = {row["image_id"]: row["label"] for row in data.web_pool(1).to_pylist()}

    for row in rows(plan(recipe("red"), data, level)):
        if row["is_noisy"]:
            assert (row["origin"], row["clean_label"]) == ("web", None)
            assert wrong[row["image_id"]] == base[row["replaces"]] == row["label"]
        else:
            assert (row["origin"], row["replaces"]) == ("base", None)
            assert base[row["image_id"]] == row["clean_label"] == row["label"]


@noises
def test_other_splits(data, noise):
    """Splits other than train are never noisy, at any level, and stand last."""
    found = plan(recipe(noise), data, 80)
    kept = rows(found, "validation")

    assert found["split"].to_pylist() == ["train"] * 100 + ["validation"] * 8
    assert sorted((row["image_id"], row["label"]) for row in kept) == sorted(
        (row["image_id"], row["label"]) for row in rows(data.base, "validation")
    )
    assert not any(
        row["is_noisy"] or row["replaces"] or row["label"] != row["clean_label"] for row in kept
    )


def test_several_splits():
    """Several validation splits and a probe stand behind one another, by name."""
    base = [
        (f"{split}{i}", i % 3, split)
        for i in range(7)
        for split in ("probe", "train", "validation_b", "validation")
    ]

    found = plan(recipe("blue"), bare(base), 40)

    assert found["split"].to_pylist() == [
        split for split in ("train", "probe", "validation", "validation_b") for _ in range(7)
    ]


@noises
def test_order_of_splits(data, noise):
    """Train comes first, then verified, each with its noisy rows first, then what noise leaves alone."""
    found = plan(recipe(noise, probe=2, verified=5), data, 40)
    sizes = {"train": (72, 29), "verified": (20, 8), "probe": (8, 0), "validation": (8, 0)}

    assert found["split"].to_pylist() == [
        split for split, (n, _) in sizes.items() for _ in range(n)
    ]
    assert found["is_noisy"].to_pylist() == [i < k for n, k in sizes.values() for i in range(n)]


def test_no_validation():
    """A dataset without validation is planned like any other."""
    found = plan(recipe("blue"), bare([(f"i{i}", i % 3, "train") for i in range(10)]), 40)

    assert (len(found), sum(found["is_noisy"].to_pylist())) == (10, 4)


def test_no_training_rows():
    """Without training images there is nothing that noise could change."""
    with pytest.raises(
        ValueError, match="bare: no row of the base manifest is in the split 'train'"
    ):
        plan(recipe("blue"), bare([("a", 0, "validation")]), 40)


def test_no_base(data):
    """Where the base manifest is made from the images, they are asked for."""
    with pytest.raises(
        ValueError, match="the base manifest of this dataset is made from its images: give the"
    ):
        plan(recipe("blue"), replace(data, base=None), 40)


def test_empty_classes():
    """Classes without images lose none, and may be flipped to."""
    found = plan(recipe("blue"), bare([(f"i{i}", 4, "train") for i in range(200)], 6), 80)
    label = np.array(found["label"])

    assert set(label[np.array(found["is_noisy"])].tolist()) == {0, 1, 2, 3, 5}


def test_one_class():
    """With one class there is no blue noise."""
    with pytest.raises(ValueError, match="give at least two classes"):
        plan(recipe("blue"), bare([("a", 0, "train")], 1), 40)


@pytest.mark.parametrize(("level", "noisy"), [(0, 0), (95, 95)])
def test_extreme_levels(data, level, noisy):
    """Levels from none to the highest are drawn as they are asked for."""
    assert sum(row["is_noisy"] for row in rows(plan(recipe("blue"), data, level))) == noisy


@pytest.mark.parametrize("level", [-5, 96])
def test_impossible_levels(data, level):
    """Other levels are refused."""
    with pytest.raises(
        ValueError, match=f"level {level} is not allowed: give a whole percentage from 0 to 95"
    ):
        plan(recipe("blue"), data, level)


def test_no_pool(data):
    """Without web images red noise names the class by name, what it needs and has, and what to do; level 0 stands."""
    none = replace(data, web=data.web[:0], votes=data.votes[:0])

    with pytest.raises(
        ValueError, match=r"level 40: class 'class \w' needs 10 wrong web images and has 0: collect"
    ):
        plan(recipe("red"), none, 40)
    assert sum(plan(recipe("red"), none, 0)["is_noisy"].to_pylist()) == 0


def test_min_votes(data):
    """Where a verdict takes two votes, one vote a candidate is none."""
    with pytest.raises(ValueError, match="has 0"):
        plan(recipe("red", min_votes=2), data, 40)


def test_verdict(data):
    """Where verdicts are weighed, one who is mostly wrong is not believed, and the plan says so."""
    said = data.votes.to_pylist()
    even = [row for row in said if int(row["image_id"].split(".")[1]) % 2 == 0]
    said = said + [row | {"annotator": f"good{i}"} for i in range(2) for row in even]
    said += [
        row | {"annotator": f"bad{i}", "correct": not row["correct"]}
        for i in range(2)
        for row in said[:168]
    ]
    told = replace(data, votes=pa.Table.from_pylist(said, VOTES))

    by = {rule: plan(recipe("red", verdict=rule), told, 40) for rule in ("majority", "dawid_skene")}

    assert hashing.digest(by["dawid_skene"]) != hashing.digest(by["majority"])
    assert hashing.digest(by["dawid_skene"]) == hashing.digest(plan(recipe("red"), data, 40))
    assert read_plan_info(by["dawid_skene"]).recipe.verdict == "dawid_skene"


def test_search(data):
    """Only candidates found by one of the named searches take a slot."""
    how = pa.array([("text", "image", None)[i % 3] for i in range(len(data.web))])
    found = replace(data, web=data.web.append_column("search", how))
    by_text = set(found.web.filter(pc.equal(how, "text"))["image_id"].to_pylist())

    drawn = plan(recipe("red", search=("text",)), found, 40)
    web = drawn.filter(pc.equal(drawn["origin"], "web"))["image_id"].to_pylist()

    assert 40 == len(web)
    assert set(web) <= by_text
    assert hashing.digest(plan(recipe("red"), found, 40)) == hashing.digest(
        plan(recipe("red"), data, 40)
    )
    with pytest.raises(ValueError, match=r"has 1[34]:"):
        plan(recipe("red", search=("text",)), found, 80)
    assert 80 == sum(
        plan(recipe("red", search=("text", "image")), found, 80)["is_noisy"].to_pylist()
    )


def test_search_wants_a_column(data):
    """A manifest that does not say how images were found, or not of this search, is an error that says so."""
    odd = replace(data, web=data.web.append_column("search", pa.array([1] * len(data.web))))
    text = replace(data, web=data.web.append_column("search", pa.array(["text"] * len(data.web))))

    with pytest.raises(
        ValueError,
        match=r"toy: web.parquet: there is no column 'search'.* omit search = \['text'\]",
    ):
        plan(recipe("red", search=("text",)), data, 40)
    with pytest.raises(ValueError, match="column 'search' has type int64"):
        plan(recipe("red", search=("text",)), odd, 40)
    with pytest.raises(LookupError, match=r"unknown search 'texts'. Did you mean 'text'"):
        plan(recipe("red", search=("texts",)), text, 40)


@noises
def test_nested(data, noise):
    """Levels are nested: the noisy rows of one are the first rows of the next."""
    low, high = (plan(recipe(noise), data, level) for level in (20, 50))

    assert low[:20].equals(high[:20])
    assert low[50:].equals(high[50:])


@pytest.mark.parametrize("noise", ["mix", "instance"])
def test_rows_follow_the_order_of_the_model(data, noise):
    """Noise with an order of its own has it in the plan: noisy rows first, alike at every level."""
    features = pa.array([[np.cos(i), np.sin(3 * i), 1.0] for i in range(len(data.base))])
    side = pa.table({"image_id": data.base["image_id"], "features": features})
    data = replace(data, side_table=side)
    slots = []
    for level in (20, 40, 80):
        found = rows(plan(recipe(noise), data, level))
        slots.append([row["replaces"] or row["image_id"] for row in found])
        n = sum(row["is_noisy"] for row in found)
        # The two parts of a mixture round apart, so one row may be beyond the first n.
        assert sum(row["is_noisy"] for row in found[:n]) >= n - (noise == "mix")

    assert slots[0] == slots[1] == slots[2]


@noises
def test_independent(data, noise):
    """Independent levels draw anew, each the same every time."""
    low, high = (plan(recipe(noise, nested=False), data, level) for level in (20, 50))

    assert not low[:20].equals(high[:20])
    assert low.equals(plan(recipe(noise, nested=False), data, 20))


@noises
def test_seeds(data, noise):
    """Another seed is another draw."""
    found = {hashing.digest(plan(recipe(noise, seed=seed), data, 40)) for seed in (0, 1, 2**63 - 1)}

    assert len(found) == 3


@noises
def test_row_order(data, noise):
    """The order of the rows in the tables changes nothing."""
    draw = np.random.default_rng(0)
    shuffled = {
        name: getattr(data, name).take(draw.permutation(len(getattr(data, name))))
        for name in ("base", "web", "votes")
    }

    assert plan(recipe(noise), data, 40).equals(plan(recipe(noise), replace(data, **shuffled), 40))


@noises
def test_chunks(data, noise):
    """The chunks that the tables lie in change nothing."""
    parts = {
        name: pa.concat_tables(
            [getattr(data, name)[:5], getattr(data, name)[5:5], getattr(data, name)[5:]]
        )
        for name in ("base", "web", "votes")
    }

    assert plan(recipe(noise), data, 40).equals(plan(recipe(noise), replace(data, **parts), 40))


def test_dead_links(data):
    """A web image that is dead is replaced by a reserve, and nothing else changes."""
    before = plan(recipe("red"), data, 40)
    victim = before["image_id"][3].as_py()
    dead = pa.array([i == victim for i in data.web["image_id"].to_pylist()])

    after = plan(recipe("red"), replace(data, web=data.web.append_column("dead", dead)), 40)

    assert [i for i in range(len(before)) if before[i : i + 1] != after[i : i + 1]] == [3]
    assert victim not in after["image_id"].to_pylist()


@noises
def test_metadata(data, noise):
    """A plan says how it was made, from what, and what to expect."""
    info = read_plan_info(plan(recipe(noise, seed=7), data, 40))

    assert info.level == 40
    assert (info.recipe.noise, info.recipe.seed) == (noise, 7)
    assert info.inputs == data.digests
    assert (info.rate, info.foreign) == (0.4, 0.4 if noise == "red" else 0)
    assert np.allclose(np.diag(info.expected_matrix()), 1 if noise == "red" else 0.6)


def test_metadata_round_trip(data, tmp_path):
    """A plan comes back from its file with all it says of itself, and its recipe can be made again."""
    found = plan(recipe("red", options={"top": 60}), data, 40)

    tables.write_parquet(found, tmp_path / "plan.parquet")
    again = tables.read_plan(tmp_path / "plan.parquet")

    assert again.equals(found, check_metadata=True)
    assert read_plan_info(again).recipe == recipe("red", options={"top": 60})


@pytest.mark.parametrize(
    ("noise", "options", "message"),
    [
        (
            "red",
            {"topp": 60},
            r"noise 'red' has no option 'topp'. Did you mean 'top'\? The choices are: top",
        ),
        ("blue", {"top": 60}, r"noise 'blue' has no option 'top'. The choices are: none"),
        (
            "red",
            {"top": "60"},
            "noise 'red': option top = '60' is not allowed: it must be a whole number",
        ),
        (
            "red",
            {"top": True},
            "noise 'red': option top = True is not allowed: it must be a whole number",
        ),
        ("red", {"top": 20}, "level 40 is above top = 20"),
    ],
)
def test_bad_options(data, noise, options, message):
    """An option that the noise has not, of another type or too low, is an error."""
    with pytest.raises(ValueError, match=message):
        plan(recipe(noise, options=options), data, 40)


def test_unknown_noise(data):
    """An unknown noise is an error that lists those that there are."""
    with pytest.raises(
        LookupError, match=r"unknown noise 'rad'. Did you mean 'red'\? The choices are: blue, red"
    ):
        plan(recipe("rad"), data, 40)


@pytest.mark.parametrize("case", GOLDEN)
def test_golden(data, case):
    """The plans of published builds never change."""
    noise, level = case

    assert hashing.digest(plan(recipe(noise), data, level))[:16] == GOLDEN[case]


@noises
def test_golden_parted(data, noise):
    """Nor do those with a probe set and a verified set."""
    found = plan(recipe(noise, probe=2, verified=5), data, 40)

    assert hashing.digest(found)[:16] == PARTED[noise]
