"""The side table: read from every form, checked, aligned with images."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cnlw_tools.dataset import dataset, side_table
from cnlw_tools.plans.plan import expected_stats, plan
from cnlw_tools.recipe.recipe import parse_recipe

IDS = pa.chunked_array([["a", "b", "c"]])


def table(**columns):
    return pa.table({"image_id": IDS, **columns})


def test_labels_and_features(tmp_path):
    """Columns of integers are labels, lists of floats features; rows are found by id, in any order."""
    features = pa.array([[1.0, 2], [3, 4], [5, 6]])
    pq.write_table(
        table(given=pa.array([2, 0, 1], pa.uint8()), f=features), tmp_path / "side.parquet"
    )

    side = side_table.read_side_table(tmp_path / "side.parquet")

    assert side.column_names == ["image_id", "f", "given"]
    assert side["given"].type == pa.int32()
    assert side_table.column_values(
        side, "given", pa.chunked_array([["c", "a", "c"]])
    ).tolist() == [
        1,
        2,
        1,
    ]
    assert side_table.column_values(side, "f", pa.chunked_array([["b"], ["a"]])).tolist() == [
        [3, 4],
        [1, 2],
    ]


def test_arrays_are_rows_of_the_training_set(tmp_path):
    """NumPy files and JSON lists, as papers publish them."""
    np.savez(
        tmp_path / "x.npz",
        worst=np.array([1, 2, 3], np.uint8),
        random=np.array([[0.5], [1], [2]], np.float32),
    )
    np.save(tmp_path / "y.npy", np.array([4, 5, 6]))
    (tmp_path / "z.json").write_text(json.dumps([7, 8, 9]))

    x, y, z = (
        side_table.read_side_table(tmp_path / name, IDS) for name in ("x.npz", "y.npy", "z.json")
    )

    assert x["worst"].to_pylist() == [1, 2, 3]
    assert x["random"].to_pylist() == [[0.5], [1], [2]]
    assert y.to_pydict() == {"image_id": ["a", "b", "c"], "y": [4, 5, 6]}
    assert z["z"].to_pylist() == [7, 8, 9]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (pa.table({"id": ["a"]}), "column 'image_id' is missing"),
        (pa.table({"image_id": ["a", "a"], "x": [1, 2]}), "keep one row of each"),
        (pa.table({"image_id": ["a"]}), "no column besides image_id: add a column"),
        (pa.table({"image_id": ["a", "b"], "x": [1, None]}), "column 'x': 1 rows have no value"),
        (
            pa.table({"image_id": ["a"], "x": ["cat"]}),
            "column 'x' has the type string: labels must be integers",
        ),
        (
            pa.table({"image_id": ["a", "b"], "x": [[1.0], [1.0, 2.0]]}),
            "the lists have 2 different lengths",
        ),
        (pa.table({"image_id": ["a"], "x": [[np.nan]]}), "not a finite number"),
    ],
)
def test_a_bad_table(tmp_path, columns, message):
    """The error names file, column and remedy."""
    pq.write_table(columns, tmp_path / "side.parquet")

    with pytest.raises(ValueError, match=message) as error:
        side_table.read_side_table(tmp_path / "side.parquet")
    assert str(tmp_path / "side.parquet") in str(error.value)


def test_bad_arrays(tmp_path):
    """Of another length, or none at all."""
    np.save(tmp_path / "y.npy", np.array([4, 5]))
    (tmp_path / "z.json").write_text("{")
    (tmp_path / "w.npz").write_bytes(b"PK nothing")

    with pytest.raises(
        ValueError, match=r"y has shape \(2,\): there must be a row for each of the"
    ):
        side_table.read_side_table(tmp_path / "y.npy", IDS)
    for name in ("z.json", "w.npz"):
        with pytest.raises(ValueError, match=r"cannot be read as (JSON|a zip archive)"):
            side_table.read_side_table(tmp_path / name, IDS)
    with pytest.raises(FileNotFoundError, match=r"n.npy: there is no such file"):
        side_table.read_side_table(tmp_path / "n.npy", IDS)


def test_what_is_not_there():
    """No table, no such column, or an image without a row."""
    side = table(worst=[1, 2, 3])

    with pytest.raises(ValueError, match="the dataset has none: give --side-table FILE"):
        side_table.column_values(None, "worst", IDS)
    with pytest.raises(ValueError, match=r"no column 'worse'. Did you mean 'worst'"):
        side_table.column_values(side, "worse", IDS)
    with pytest.raises(ValueError, match="no row for 2 images, such as d"):
        side_table.column_values(side, "worst", pa.chunked_array([["d", "a", "e"]]))


def test_people_said_so(toy, tmp_path):
    """A plan of human labels is the labels, its promise their exact counts, and the dataset's digests name them."""
    data = dataset.read_dataset("toy", toy)
    train = sorted(
        i
        for i, s in zip(*(data.base[c].to_pylist() for c in ("image_id", "split")), strict=True)
        if s == "train"
    )
    np.save(tmp_path / "worst.npy", np.arange(len(train)) % 4)
    data = data.with_side_table(tmp_path / "worst.npy")
    recipe = parse_recipe(
        {"dataset": "toy", "noise": "human", "options": {"labels": "worst"}}, "here"
    )

    human_plan, stats = plan(recipe, data, None), expected_stats(recipe, data, None)["train"]
    rows = [row for row in human_plan.to_pylist() if row["split"] == "train"]

    assert {row["image_id"]: row["label"] for row in rows} == {
        i: k % 4 for k, i in enumerate(train)
    }
    assert stats.rate == pytest.approx(sum(row["is_noisy"] for row in rows) / len(rows))
    assert "side" in data.digests
    with pytest.raises(ValueError, match=re.escape("human noise has no level: remove level 40")):
        plan(recipe, data, 40)
