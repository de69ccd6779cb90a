"""Segments: cut on the benchmark's grid, named by what they hold, in an order that says nothing."""

from itertools import groupby

import numpy as np
import pyarrow as pa
import pytest

from cnlw_tools.builds import segments
from cnlw_tools.dataset import dataset, tables
from cnlw_tools.images.pixels import Storage
from cnlw_tools.noise.base import n_noisy
from cnlw_tools.plans.plan import plan
from cnlw_tools.recipe.recipe import BENCHMARK_LEVELS, Recipe

HOW = Storage()


@pytest.fixture
def planned(toy):
    found = dataset.read_dataset("toy", toy)
    return lambda noise, level, **more: plan(Recipe("toy", noise, **more), found, level)


def names(table, split="train", how=HOW, layout="shared"):
    return [
        segment.name
        for found, segment in segments.cut_segments(table, how, layout)
        if found == split
    ]


@pytest.mark.parametrize("noise", ["blue", "red"])
@pytest.mark.parametrize("level", [0, 5, 37, 40, 80])
@pytest.mark.parametrize("layout", ["shared", "flat"])
def test_partition(planned, noise, level, layout):
    """The segments of a plan hold each of its rows once, under its split."""
    table = planned(noise, level)
    found = [
        row | {"under": split}
        for split, part in segments.cut_segments(table, HOW, layout)
        for row in part.rows.to_pylist()
    ]

    assert all(row["split"] == row.pop("under") for row in found)
    assert sorted(found, key=str) == sorted(table.to_pylist(), key=str)


@pytest.mark.parametrize(
    ("level", "expected"),
    [(40, BENCHMARK_LEVELS), (0, BENCHMARK_LEVELS), (37, (*BENCHMARK_LEVELS, 37)), (95, None)],
)
def test_grid(planned, level, expected):
    """Bands end at the benchmark's levels, and at the plan's own."""
    ends = sorted({*(expected or (*BENCHMARK_LEVELS, 95)), 100})
    sizes = [
        len(part.rows)
        for split, part in segments.cut_segments(planned("blue", level), HOW)
        if split == "train"
    ]

    assert sizes == np.diff([n_noisy(p, 100) for p in ends]).tolist()


def test_a_segment_of_several_plans_is_made_once(planned, monkeypatch):
    """It is the same object for each of them, and rows are those that one plan alone gives."""
    alone = {part.name: part for _, part in segments.cut_segments(planned("blue", 40), HOW)}
    monkeypatch.setattr(segments, "CHUNK_ROWS", 7)
    stock = segments.SegmentStock(HOW)
    low, high = ([part for _, part in stock.cut(planned("blue", level))] for level in (40, 50))
    shared = {part.name for part in low} & {part.name for part in high}

    assert len(low) - 1 == len(shared)
    assert {id(part) for part in low if part.name in shared} == {
        id(part) for part in high if part.name in shared
    }
    for part in low:
        assert alone[part.name].rows.equals(part.rows)


def test_purity(planned):
    """Every band is wholly noisy or wholly clean."""
    kinds = {
        len(set(part.rows["is_noisy"].to_pylist()))
        for noise in ("blue", "red")
        for level in (5, 37, 80)
        for _, part in segments.cut_segments(planned(noise, level), HOW)
    }

    assert kinds == {1}


def test_shared(planned):
    """Two levels share the bands where both are noisy or both are clean, two noises those where both are clean."""
    low, high, other = (
        names(planned("blue", 20)),
        names(planned("blue", 50)),
        names(planned("red", 20)),
    )

    assert [a == b for a, b in zip(low, high, strict=True)] == [True] * 4 + [False] * 3 + [True] * 3
    assert [a == b for a, b in zip(low, other, strict=True)] == [False] * 4 + [True] * 6


@pytest.mark.parametrize("noise", ["blue", "red"])
def test_verified_is_cut_like_train(planned, noise):
    """A verified set has bands of its own, pure and shared between levels; a flat one is a segment."""
    low, high = (planned(noise, level, verified=5) for level in (20, 50))
    parts = [
        part.rows["is_noisy"].to_pylist()
        for split, part in segments.cut_segments(high, HOW)
        if split == "verified"
    ]

    assert [len(part) for part in parts] == np.diff(
        [n_noisy(p, 20) for p in (*BENCHMARK_LEVELS, 100)]
    ).tolist()
    assert {len(set(part)) for part in parts} == {1}
    assert len(set(names(low, "verified")) & set(names(high, "verified"))) == 7
    assert len(names(high, "verified", layout="flat")) == 1


def test_off_the_grid(planned):
    """A level off the grid cuts one band of the next level in two, and shares the others."""
    grid, off = set(names(planned("red", 40))), set(names(planned("red", 37)))

    assert (len(off - grid), len(grid - off)) == (2, 1)


def test_validation_is_shared(planned):
    """All configs share the validation split."""
    found = {
        tuple(names(planned(noise, level), "validation"))
        for noise in ("blue", "red")
        for level in (0, 37, 80)
    }

    assert len(found) == 1


@pytest.mark.parametrize("other", [Storage(size=32), Storage(quality=90), Storage(resize="pad")])
def test_names_know_the_storage(planned, other):
    """Segments of images that are stored in another way bear other names."""
    assert not set(names(planned("blue", 40))) & set(names(planned("blue", 40), how=other))


def test_names_are_neutral(planned):
    """A name is 16 hex digits, and no two segments share one."""
    found = [
        name for level in BENCHMARK_LEVELS for name in names(planned("red", level), layout="flat")
    ]

    assert len(set(found)) == len(BENCHMARK_LEVELS)
    assert {len(name) for name in found} == {16}
    assert set("".join(found)) <= set("0123456789abcdef")


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("layout", ["shared", "flat"])
def test_order_says_nothing(toy_maker, tmp_path, seed, layout):
    """In a segment, noise and rank in the corruption order are not correlated with the place, whatever the seed."""
    found = dataset.read_dataset("toy", toy_maker(tmp_path, each=200, stock=170))
    table = plan(Recipe("toy", "blue", seed=seed), found, 40)
    rank = {image: i for i, image in enumerate(table["image_id"].to_pylist())}
    parts = [
        part.rows["image_id"].to_pylist()
        for split, part in segments.cut_segments(table, HOW, layout)
        if split == "train"
    ]

    seen = [
        abs(np.corrcoef([rank[i] for i in part], range(len(part)))[0, 1]) * len(part) ** 0.5
        for part in parts
    ]

    assert max(seen) < 3.5  # standard deviations


def test_red_and_blue_stand_alike(planned):
    """A web image stands where the image would stand that it replaces."""
    red = next(
        part for _, part in segments.cut_segments(planned("red", 80), HOW, "flat")
    ).rows.to_pylist()
    blue = next(
        part for _, part in segments.cut_segments(planned("blue", 80), HOW, "flat")
    ).rows.to_pylist()

    assert [row["replaces"] or row["image_id"] for row in red] == [row["image_id"] for row in blue]


@pytest.mark.parametrize(
    ("rows", "sizes"), [(1, [1]), (1000, [1000]), (1001, [1000, 1]), (2500, [1000, 1000, 500])]
)
def test_files(rows, sizes):
    """A segment lies in files of at most a thousand rows, numbered, in order."""
    table = pa.table({"image_id": [str(i) for i in range(rows)]})
    found = segments.Segment("0" * 16, table, 1000).files()

    assert list(found) == [
        f"{'0' * 16}-{i:05d}-of-{len(sizes):05d}.parquet" for i in range(len(sizes))
    ]
    assert [len(part) for part in found.values()] == sizes
    assert pa.concat_tables(found.values()).equals(table)


def test_rows_of_files_are_combined_and_selected():
    """The files of two segments are one mapping, and some of them are another."""
    tables = [pa.table({"image_id": [f"{name}{i}" for i in range(5)]}) for name in "ab"]
    first, second = (
        segments.Segment(name * 16, table, 2).files()
        for name, table in zip("ab", tables, strict=True)
    )
    both = first | second
    names = [*second][1:]

    assert [*both] == [*first, *second]
    assert pa.concat_tables(both.values()).equals(pa.concat_tables(tables))
    assert [*both.select(names)] == names
    assert both.select(names)[names[0]]["image_id"].to_pylist() == ["b2", "b3"]
    assert "another" not in both


@pytest.mark.parametrize("alpha", [0.5, 3.0])
def test_copies_stand_together(planned, alpha):
    """All examples of an image lie in a row, in one file, however few images a file holds."""
    (part,) = [
        part
        for split, part in segments.cut_segments(
            planned("dilution", None, options={"alpha": alpha}), HOW
        )
    ][:1]
    files = segments.Segment(part.name, part.rows, 7).files().values()
    runs = [image for file in files for image, _ in groupby(file["image_id"].to_pylist())]

    assert len(runs) == len(set(runs)) == 100
    assert [len(set(file["image_id"].to_pylist())) for file in files] == [7] * 14 + [2]
    assert pa.concat_tables(files).equals(part.rows)


def test_copies_stand_in_an_order_of_their_own(planned):
    """Among the examples of an image the right ones stand anywhere, and so does the order of labels."""
    table = planned("dilution", None, options={"alpha": 7.0})
    part = next(part for split, part in segments.cut_segments(table, HOW) if split == "train").rows
    right = np.array(part["is_noisy"]).reshape(100, 8).mean(0)
    rising = np.diff(np.array(part["label"]).reshape(100, 8), axis=1)

    assert abs(right - 0.65625).max() < 0.2
    assert 0.4 < (rising > 0).sum() / (rising != 0).sum() < 0.6


def test_several_splits():
    """Each split is a segment of its own, and train alone is cut into bands."""
    base = [
        {"image_id": f"{s}{i}", "label": i % 2, "split": s}
        for s in ("train", "a", "b")
        for i in range(20)
    ]
    found = dataset.Dataset(
        "toy",
        ("x", "y"),
        pa.Table.from_pylist(base, tables.MANIFEST),
        tables.MANIFEST.empty_table(),
        tables.VOTES.empty_table(),
    )

    parts = list(segments.cut_segments(plan(Recipe("toy", "blue"), found, 40), HOW))

    assert [split for split, _ in parts] == ["train"] * 10 + ["a", "b"]
    assert [len(part.rows) for _, part in parts[-2:]] == [20, 20]


def test_tiny():
    """Bands without rows are left out."""
    base = [{"image_id": f"{i}", "label": i, "split": "train"} for i in range(2)]
    found = dataset.Dataset(
        "toy",
        ("x", "y"),
        pa.Table.from_pylist(base, tables.MANIFEST),
        tables.MANIFEST.empty_table(),
        tables.VOTES.empty_table(),
    )

    sizes = [
        len(part.rows)
        for _, part in segments.cut_segments(plan(Recipe("toy", "blue"), found, 40), HOW)
    ]

    assert sizes == [1, 1]
