"""One small build, red and blue, copied for every test that spoils it."""

import shutil
from collections.abc import Collection
from pathlib import Path

import pytest

from cnlw_tools.builds.build import build
from cnlw_tools.checks import CHECKS, Finding
from cnlw_tools.checks.evidence import Evidence
from cnlw_tools.recipe import recipe
from cnlw_tools.recipe.inputs import Inputs
from tests.conftest import tiny_root

SLOW_CHECKS = ("records", "roundtrip")  # each has tests of its own
QUICK_CHECKS = tuple(check.name for check in CHECKS if check.name not in SLOW_CHECKS)


def run_checks(
    evidence: Evidence, names: Collection[str] = QUICK_CHECKS
) -> list[tuple[str, Finding]]:
    """Return the findings of those of some checks that apply, each with the name of its check."""
    findings = []
    for check in CHECKS:
        if check.name in names and check.reason_to_skip(evidence) is None:
            findings += [(check.name, finding) for finding in check.run(evidence)]
    return findings


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    root = tiny_root(folder / "root", train=10, validation=2)
    for noise, levels in (("red", [20, 40]), ("blue", [40])):
        asked = recipe.parse_recipe(
            {"dataset": "shapes", "noise": noise, "levels": levels}, "the test"
        )
        build(asked, Inputs(root), folder / "build")
    return folder / "build"


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "build")
