"""Which option makes the candidates of a build differ from those of a dataset."""

import pyarrow as pa
import pytest

from cnlw_tools.builds.availability import explain_difference
from cnlw_tools.dataset import tables
from cnlw_tools.dataset.dataset import empty_dataset


def candidates(name, marks=None):
    """Return a table with one candidate; ``marks``: the column `dead`."""
    row = {"image_id": [name], "label": [0], "split": ["web"], "uri": ["http://a/b"]}
    web = pa.table({**row, "sha256": pa.nulls(1, pa.string())}, tables.MANIFEST)
    return web if marks is None else web.append_column("dead", pa.array(marks))


@pytest.mark.parametrize(
    ("built", "asked", "cause"),
    [
        (candidates("a", [False]), candidates("a"), "give --store"),
        (candidates("a"), candidates("a", [True]), "omit --store"),
        (candidates("a", [False]), candidates("a", [True]), ""),
        (candidates("a", [False]), candidates("b"), ""),
    ],
)
def test_a_missing_store_is_the_cause(tmp_path, built, asked, cause):
    """Only if nothing but the marks of a store differs, --store is named."""
    tables.write_parquet(built, tmp_path / "web.parquet")
    dataset = empty_dataset("flowers", ("rose",))
    dataset = dataset.with_web(asked, dataset.votes, "here")

    said = explain_difference(tmp_path, dataset)

    assert said.endswith(cause)
    assert bool(said) == bool(cause)


def test_a_build_without_candidates_has_no_cause(tmp_path):
    """Where the build has no such table, --store is not named."""
    assert explain_difference(tmp_path, empty_dataset("flowers", ("rose",))) == ""
