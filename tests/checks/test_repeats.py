"""Faults of builds whose images repeat, or come from donors: found like all others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from cnlw_tools import files
from cnlw_tools.builds.build import build
from cnlw_tools.card import metadata
from cnlw_tools.checks import Finding, collect_evidence
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import parse_recipe
from tests.checks.conftest import QUICK_CHECKS, run_checks

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, tiny: Callable[[Path], Path]) -> Path:
    return tiny(tmp_path_factory.mktemp("root"))


@pytest.fixture
def diluted(root: Path, tmp_path: Path) -> Path:
    asked = parse_recipe(
        {"dataset": "shapes", "noise": "dilution", "options": {"alpha": 3.0}}, "the test"
    )
    return build(asked, Inputs(root), tmp_path / "build").folder


@pytest.fixture
def donated(root: Path, cifar: Path, tmp_path: Path) -> Path:
    asked = parse_recipe(
        {"dataset": "shapes", "noise": "openset", "levels": [40], "donors": ["cifar10", "white"]},
        "the test",
    )
    return build(asked, Inputs(root, donors={"cifar10": cifar}), tmp_path / "build").folder


def findings(folder: Path, donor: Path | None = None) -> list[tuple[str, Finding]]:
    evidence = collect_evidence(folder, Inputs(files.default_root(), donors={"cifar10": donor}))
    return run_checks(evidence, {*QUICK_CHECKS} - {"near_duplicates"})


def errors(folder: Path, donor: Path | None = None) -> set[str]:
    return {name for name, f in findings(folder, donor) if f.severity == "error"}


def train(folder: Path, origin: str = "base") -> Path:
    """Return a shard of train with images of some origin."""
    (config,) = metadata.read_card(folder).configs.values()
    paths = [p for s in config.segments["train"] for p in (folder / "data").glob(f"{s}-*")]
    return next(p for p in paths if origin in pq.read_table(p)["origin"].to_pylist())


def edited(path: Path, edit: Callable[[Rows], None]) -> None:
    table = pq.read_table(path)
    rows = table.to_pylist()
    edit(rows)
    pq.write_table(pa.Table.from_pylist(rows, table.schema), path)


def test_one_copy_more(diluted: Path) -> None:
    """An image may come as often as planned, and not more often."""
    edited(train(diluted), lambda rows: rows.append(rows[-1]))

    assert {"duplicates", "counts", "rows"} <= errors(diluted)


def test_a_copy_of_another_image(diluted: Path) -> None:
    """All rows of an id show one image."""

    def edit(rows: Rows) -> None:
        rows[1]["image"] = rows[-1]["image"]

    edited(train(diluted), edit)

    assert {"contents", "source"} <= errors(diluted)


def test_clean_first(diluted: Path) -> None:
    """An order in which the clean example comes first would tell who it is."""
    edited(train(diluted), lambda rows: rows.sort(key=lambda r: (r["image_id"], r["is_noisy"])))

    assert "segments" in errors(diluted)


def test_labels_of_another_dilution(diluted: Path) -> None:
    """Copies that all bear the true label are no dilution."""

    def edit(rows: Rows) -> None:
        for row in rows:
            row |= {"label": row["clean_label"], "is_noisy": False}

    edited(train(diluted), edit)

    assert {"rate", "matrix", "clean_labels", "rows"} <= errors(diluted)


def test_a_donors_image_is_compared(donated: Path, cifar: Path) -> None:
    """Another picture under a donor's id is found where the donor's images are given; without them that is a note."""

    def edit(rows: Rows) -> None:
        at = [i for i, row in enumerate(rows) if row["image_id"].startswith("cifar10/")]
        rows[at[0]]["image"] = next(r for r in rows if r["origin"] == "white")["image"]

    path = train(donated, "white")
    assert pc.any(pc.starts_with(pq.read_table(path)["image_id"], "cifar10/")).as_py()
    edited(path, edit)
    unseen = [finding for name, finding in findings(donated) if name == "source"]

    assert "source" in errors(donated, cifar)
    assert [(f.severity, f.fix) for f in unseen] == [("note", "give --donor cifar10=DIR")]


def test_an_invented_truth(donated: Path, cifar: Path) -> None:
    """Nobody knows the class of a foreign image."""

    def edit(rows: Rows) -> None:
        for row in rows:
            if row["origin"] != "base":
                row |= {"clean_label": row["label"], "is_noisy": False}

    edited(train(donated, "white"), edit)

    assert {"true_labels", "rate"} <= errors(donated, cifar)
