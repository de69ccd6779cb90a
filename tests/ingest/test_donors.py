"""Donors: tables of other datasets' images, and which class they look like."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from cnlw_tools import files
from cnlw_tools.dataset import dataset, hashing, tables
from cnlw_tools.dataset.tables import MANIFEST
from cnlw_tools.ingest import donors
from cnlw_tools.ingest.resolve import load_dataset
from cnlw_tools.noise import NOISE
from cnlw_tools.plans.plan import plan
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe, config_name


class Grey:
    """Grey pictures, as bright as the number in their id says."""

    def read(self, image_id):
        """Return one."""
        return Image.new("RGB", (8, 8), (int(image_id[1:]),) * 3)


def manifest(rows):
    return pa.Table.from_pylist(
        [dict(zip(("image_id", "label", "split"), row, strict=True)) for row in rows], MANIFEST
    )


@pytest.fixture
def found(toy):
    """The toy dataset, with two donors of 120 images and 9 held back."""
    rows = [(f"d/{i}", i % 7, "train" if i < 120 else "validation") for i in range(129)]
    other = manifest([(f"white/{i}", 0, split) for i, (_, _, split) in enumerate(rows)])
    return replace(dataset.read_dataset("toy", toy), donors={"d": manifest(rows), "white": other})


def rows(table, split="train"):
    return [row for row in table.to_pylist() if row["split"] == split]


def asked(noise, *names, **options: object):
    return Recipe("toy", noise, donors=names, options=options)


def test_nearest_classes():
    """An image is of the class in whose list it stands highest; of equal places the first class has it."""
    ids = [f"i{v:03d}" for v in (0, 10, 100, 110, 250)]
    centroids = np.repeat([[0.0], [np.inf], [104.0]], 48, axis=1)

    # places: of class 0  0 1 2 3 4, of class 2  3 2 0 1 4
    assert donors.find_nearest_classes(Grey(), ids, centroids).tolist() == [0, 0, 2, 2, 0]
    assert donors.find_nearest_classes(Grey(), ids[::-1], centroids).tolist() == [0, 2, 2, 0, 0]


def test_tables(cifar, tiny, tmp_path):
    """Ids bear the name of the donor, and splits are its own."""
    root = tiny(tmp_path)
    recipe = Recipe("shapes", "openset", donors=("cifar10", "white"))
    made = load_dataset(recipe, Inputs(root, donors={"cifar10": cifar})).donors

    assert list(made) == ["cifar10", "white"]
    assert made["cifar10"]["image_id"][0].as_py() == "cifar10/train-00000"
    assert made["white"]["image_id"][0].as_py().startswith("white/gaussian-64x64-m")
    assert [len(rows(table)) for table in made.values()] == [300, 200]
    assert dataset.NEAREST_CLASS not in made["cifar10"].column_names


@pytest.mark.parametrize(
    ("name", "message"), [("cifar", "Did you mean 'cifar10'"), ("shapes", "for shapes")]
)
def test_no_such_donor(name, message):
    """A donor is another dataset that can be read, or noise."""
    with pytest.raises(LookupError, match=rf"no donor '{name}'.*{message}"):
        load_dataset(Recipe("shapes", "openset", donors=(name,)), Inputs(files.default_root()))


def test_a_donor_wants_its_folder():
    """Where its images do not come with the package, a donor says what it needs."""
    with pytest.raises(
        ValueError, match=r"cifar10 needs --data-dir.* for a donor, use --donor cifar10=DIR"
    ):
        load_dataset(Recipe("shapes", "openset", donors=("cifar10",)), Inputs(files.default_root()))


@pytest.mark.parametrize("noise", ["openset", "source", "outlier"])
def test_rows(found, noise):
    """Foreign images are of no known class, bear their origin, and replace someone only where they do."""
    table = plan(asked(noise, "d", "white"), found, 40 if NOISE[noise].has_level else None)
    came = [row for row in rows(table) if row["origin"] != "base"]

    assert table.schema.equals(tables.PLAN)
    assert {row["image_id"].split("/")[0]: row["origin"] for row in came} == {
        "d": "other",
        "white": "white",
    }
    assert {(row["clean_label"], row["is_noisy"]) for row in came} == {(None, True)}
    assert {row["replaces"] is None for row in came} == {noise != "openset"}
    assert sum(row["origin"] == "base" for row in rows(table)) == (
        60 if noise == "openset" else 100
    )


def test_a_class_of_outliers(found):
    """Known outliers are right, the others wrong, and those held back are a split of their own."""
    more = replace(found, classes=(*found.classes, "outlier"))
    table = plan(asked("outlier", "d", "white", ratio=1.0, known_share=0.25), more, None)
    came = [row for row in rows(table) if row["origin"] != "base"]
    held = rows(table, "test_outliers")

    assert (len(came), sum(row["label"] == 4 for row in came)) == (100, 25)
    assert all(row["clean_label"] == 4 and row["is_noisy"] == (row["label"] != 4) for row in came)
    assert [(row["label"], row["clean_label"], row["is_noisy"]) for row in held] == [
        (4, 4, False)
    ] * 8
    assert all(
        (row["origin"] == "white") == row["image_id"].startswith("white/") for row in held + came
    )
    assert not {row["image_id"] for row in held} & {row["image_id"] for row in came}


def test_red_standin_is_red(found):
    """Its images are of the class that they look like, and one is used once."""
    like = pa.array([i % 4 for i in range(129)], pa.int32())
    table = found.donors["d"].append_column(dataset.NEAREST_CLASS, like)
    drawn = rows(plan(asked("red_standin", "d"), replace(found, donors={"d": table}), 80))
    looks = dict(zip(table["image_id"].to_pylist(), like.to_pylist(), strict=True))

    assert (
        sum(row["is_noisy"] for row in drawn)
        == len({row["image_id"] for row in drawn if row["is_noisy"]})
        == 80
    )
    assert all(looks[row["image_id"]] == row["label"] for row in drawn if row["is_noisy"])


@pytest.mark.parametrize(
    ("recipe", "level", "message"),
    [
        (asked("blue", "d"), 40, "blue noise uses no images of donors: remove d"),
        (
            asked("openset"),
            40,
            "openset noise needs images of another dataset: give --donor NAME=DIR",
        ),
        (asked("openset", "e"), 40, "there are no images of donor 'e': give --donor e=DIR"),
        (
            asked("outlier", "white", "d", ratio=9.0),
            None,
            "'white' has 120 images for train, but the noise needs 450",
        ),
        (asked("red_standin", "d"), 40, "donor 'd': its table has no column 'looks_like'"),
    ],
)
def test_errors(found, recipe, level, message):
    """Errors name the donor, and say what to do."""
    with pytest.raises(ValueError, match=message):
        plan(recipe, found, level)


def test_no_training_images(found):
    """A donor that has nothing to give is named."""
    with pytest.raises(ValueError, match="donor 'd' has no training images"):
        plan(asked("openset", "d"), replace(found, donors={"d": found.donors["d"][120:]}), 40)


def test_too_few_look_alike(found):
    """A class that too few images look like is named."""
    table = found.donors["d"].append_column(dataset.NEAREST_CLASS, pa.array([0] * 129, pa.int32()))

    with pytest.raises(
        ValueError, match=r"'class \w' needs 10 images that look like it .* have 0: lower the level"
    ):
        plan(asked("red_standin", "d"), replace(found, donors={"d": table}), 40)


def test_verified_has_its_own(found):
    """An image of a donor serves train or verified, at all levels."""
    recipe = replace(asked("openset", "d", "white"), verified=5)
    drawn = [plan(recipe, found, level) for level in (20, 40, 80)]
    train, verified = (
        {row["image_id"] for table in drawn for row in rows(table, split) if row["is_noisy"]}
        for split in ("train", "verified")
    )

    assert (len(train), len(verified)) == (64, 16)
    assert not train & verified


@pytest.mark.parametrize("noise", ["openset", "source", "outlier"])
def test_row_order(found, noise):
    """The order of the donors' rows changes nothing."""
    draw = np.random.default_rng(0)
    other = {name: table.take(draw.permutation(len(table))) for name, table in found.donors.items()}
    level = 40 if NOISE[noise].has_level else None

    one, two = (
        plan(asked(noise, "d", "white"), data, level)
        for data in (found, replace(found, donors=other))
    )

    assert hashing.digest(one) == hashing.digest(two)


def test_tables_of_a_build(found, tmp_path):
    """Donors' tables are written with the others, read again, and have digests."""
    dataset.write_tables(found, tmp_path / "tables")
    again = dataset.read_tables("toy", tmp_path / "tables", tmp_path / "tables")

    assert again.digests == found.digests
    assert {"donor_d", "donor_white"} <= set(again.digests)


NAMED = [
    ("openset", 40, {"flips": 20}),
    ("source", None, {}),
    ("outlier", None, {"known_share": 0.5}),
]


def test_names():
    """Donors stand in the name of a config, behind options."""
    names = [
        config_name(
            asked(noise, "cifar100", "white", **options),
            level,
            NOISE[noise].options,
            NOISE[noise].always_in_name,
        )
        for noise, level, options in (
            ("openset", 40, {"flips": 20}),
            ("source", None, {}),
            ("outlier", None, {"known_share": 0.5}),
        )
    ]

    assert names == [
        "openset_40_f20_cifar100_white",
        "source_a20_cifar100_white",
        "outlier_k50_r50_cifar100_white",
    ]
