"""Tables of labels: rows in the order of `datasets`, so that their numbers are those of a run."""

import csv

import datasets
import pytest

from cnlw_tools.builds.exporters import export
from tests.builds.exporters.conftest import PLANNED


@pytest.mark.parametrize("config", PLANNED)
def test_rows_are_in_the_order_of_datasets(config, built, tmp_path):
    """The number of a line is the row that examples.parquet of a run speaks of."""
    export("labels", built, config, tmp_path / "out")
    splits = datasets.load_dataset(str(built), config, cache_dir=str(tmp_path / "cache"))

    assert {path.stem for path in (tmp_path / "out").iterdir()} == {*splits}
    for split, loaded in splits.items():
        with (tmp_path / "out" / f"{split}.csv").open() as file:
            rows = list(csv.DictReader(file))
        names = loaded.features["label"].names
        assert [row["image_id"] for row in rows] == loaded["image_id"][:]
        assert [int(row["label"]) for row in rows] == loaded["label"][:]
        assert all(row["label_name"] == names[int(row["label"])] for row in rows)
