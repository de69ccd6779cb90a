"""A sound build of every noise, in every way, is found sound; one that claims another way is not."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cnlw_tools import files
from cnlw_tools.builds.build import build
from cnlw_tools.card import metadata
from cnlw_tools.checks import collect_evidence, rows
from cnlw_tools.noise import NOISE
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import parse_recipe
from tests.checks.conftest import QUICK_CHECKS, run_checks

RING = (0.7 * np.eye(10) + 0.3 * np.roll(np.eye(10), 1, axis=1)).tolist()
WAYS = [
    ("blue", {}),
    ("red", {}),
    ("symmetric", {}),
    ("symmetric", {"include_self": True}),
    ("symmetric", {"exact": False}),
    ("symmetric", {"variant": "l2r"}),
    ("symmetric", {"variant": "permuted"}),
    ("asymmetric", {"map": "blocks"}),
    ("asymmetric", {}),
    ("pairflip", {}),
    ("human", {}),
    ("semantic", {"labels": "other"}),
    ("matrix", {"q": RING}),
    ("matrix", {"q": RING, "exact": False}),
    ("instance", {}),
    ("instance", {"exact": False}),
    ("mix", {}),
    ("mix", {"first": "symmetric", "second": "asymmetric", "proportion_first": 0.3}),
    ("dilution", {"alpha": 2.4}),
    ("structured", {"alpha": 3.0, "delta": 0.2, "order": "random"}),
    ("structured", {"alpha": 10.0, "delta": 1.0, "order": "reverse", "labels": "other"}),
    ("structured", {"alpha": 5.0, "delta": 0.4, "profile": "geometric"}),
    ("source", {"alpha": 1.7}),
    ("source", {"alpha": 0.6, "copy_own": True}),
    ("openset", {}),
    ("openset", {"flips": 15, "shares": "3:1"}),
    ("outlier", {}),
    ("outlier", {"ratio": 0.8, "known_share": 0.25}),
    ("red_standin", {}),
]

DONORS = {  # what they are given: noise pictures, and white ones
    "source": ["cifar10", "white_uniform"],
    "openset": ["cifar10", "white"],
    "outlier": ["white", "cifar10"],
    "red_standin": ["cifar10"],
}
FIRST = list({way[0]: way for way in reversed(WAYS)}.values())  # the first way of each
FEW = [("red", {}), ("blue", {}), ("asymmetric", {})]  # the others take their time


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, tiny: Callable[..., Path]) -> Path:
    root = tiny(tmp_path_factory.mktemp("root"), train=12, validation=2)
    ids = pq.read_table(root / "manifests/shapes/base.parquet")["image_id"]
    draw = np.random.default_rng(0).integers(0, 10, (2, len(ids)), np.int32)
    side = pa.table(
        {
            "image_id": ids,
            "labels": draw[0],
            "other": draw[1],
            "features": draw.T.astype(float).tolist(),
        }
    )
    pq.write_table(side, root / "annotations/shapes/side.parquet")
    return root


def asking(noise: str, options: dict[str, Any], *levels: int) -> dict[str, Any]:
    """A recipe, with levels for a model that has them, and donors for one that takes some."""
    shown = {"levels": [level // (2 if noise == "red_standin" else 1) for level in levels]}
    given = [] if options.get("copy_own") else DONORS.get(noise, [])
    said = {"dataset": "shapes", "noise": noise, "options": options, "donors": given}
    return {**said, **shown} if NOISE[noise].has_level else said


def errors(folder: Path, data_dir: Path | None = None, donor: Path | None = None) -> list[str]:
    found = collect_evidence(
        folder, Inputs(files.default_root(), data_dir, donors={"cifar10": donor})
    )
    names = {*QUICK_CHECKS} - {"near_duplicates"}
    findings = run_checks(found, names)
    return [f"{name}: {f.message}" for name, f in findings if f.severity == "error"]


def test_every_noise_is_here() -> None:
    """A new model takes its place above."""
    assert set(NOISE) == {noise for noise, _ in WAYS}


@pytest.mark.parametrize(("noise", "options"), WAYS, ids=lambda value: str(value)[:50])
def test_sound(
    root: Path, cifar: Path, tmp_path: Path, noise: str, options: dict[str, Any]
) -> None:
    """No false alarm, at two levels."""
    asked = parse_recipe(asking(noise, options, 20, 50), "the test")
    build(asked, Inputs(root, donors={"cifar10": cifar}), tmp_path / "build")

    assert [] == errors(tmp_path / "build", donor=cifar)


@pytest.mark.parametrize(
    ("noise", "options"),
    [
        pytest.param(
            *way, marks=[] if way in FEW else pytest.mark.slow, id=f"{way[0]}-{way[1]}"[:50]
        )
        for way in FIRST
    ],
)
def test_sound_with_every_choice_before_noise(
    root: Path, cifar: Path, tmp_path: Path, noise: str, options: dict[str, Any]
) -> None:
    """The choices combine with every model, and what leaves train is checked like the rest."""
    asked = parse_recipe(
        {
            **asking(noise, options, 20, 40),
            "probe": 2,
            "verified": 3,
            "train_size": 45,
            "imbalance_ratio": 4,
        },
        "the test",
    )
    build(asked, Inputs(root, donors={"cifar10": cifar}), tmp_path / "build")
    configs = metadata.read_card(tmp_path / "build").configs

    assert [] == errors(tmp_path / "build")
    beside = sum(
        {**NOISE[noise].options, **options}.get(name, 0) for name in ("alpha", "ratio")
    )  # for each example
    sizes = [(config.rows["probe"], config.rows["verified"]) for config in configs.values()]
    assert all(probe == 20 and abs(verified - 30 * (1 + beside)) <= 5 for probe, verified in sizes)
    assert all(name.endswith("_clean45_longtail4_probe2_verified3") for name in configs)


@pytest.mark.parametrize("compared", [True, False])
def test_a_leak_is_found_in_a_resized_build(cifar: Path, tmp_path: Path, compared: bool) -> None:
    """A resize may make two images equal; a validation image copied into train is none of its making."""
    asked = parse_recipe(
        {"dataset": "cifar10", "noise": "blue", "levels": [20], "size": 16}, "the test"
    )
    build(asked, Inputs(files.default_root(), cifar), tmp_path / "build")
    said = metadata.read_card(tmp_path / "build").configs["blue_20"].segments
    paths = [
        next((tmp_path / "build/data").glob(f"{said[split][0]}-*"))
        for split in ("train", "validation")
    ]
    train, validation = (pq.read_table(path) for path in paths)
    rows = train.to_pylist()
    rows[0]["image"] = validation["image"][0].as_py()
    pq.write_table(pa.Table.from_pylist(rows, train.schema), paths[0])

    found = {line.split(":")[0] for line in errors(tmp_path / "build", cifar if compared else None)}

    assert {"duplicates", "source"} <= found if compared else "duplicates" in found


def test_another_way_is_found(tiny: Callable[[Path], Path], tmp_path: Path) -> None:
    """Labels that came of a ring are no symmetric noise, whatever the card says."""
    asked = parse_recipe({"dataset": "shapes", "noise": "pairflip", "levels": [60]}, "the test")
    build(asked, Inputs(tiny(tmp_path / "root")), tmp_path / "build")
    text = (tmp_path / "build" / metadata.CARD).read_text()
    (tmp_path / "build" / metadata.CARD).write_text(
        text.replace("noise: pairflip", "noise: symmetric")
    )

    assert {"matrix", "rows", "plans"} <= {
        line.split(":")[0] for line in errors(tmp_path / "build")
    }


def test_a_label_is_one_of_the_class_list():
    """Of three classes 0 and 2 are labels, and -1 and 3 are none, in either column."""
    shard = SimpleNamespace(rows=pa.table({"label": [0, 2, 3], "clean_label": [0, None, -1]}))
    classes = SimpleNamespace(classes=("a", "b", "c"))
    evidence = SimpleNamespace(require_dataset=lambda: classes, shards={"x.parquet": shard})

    assert [(f.message, f.count) for f in rows.labels(evidence)] == [
        ("label outside of 0 to 2", 1),
        ("clean_label outside of 0 to 2", 1),
    ]
