"""The wheel: what a user installs, away from the checkout."""

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[1]
BUILD = """
from dataclasses import replace
from pathlib import Path
from cnlw_tools import files
from cnlw_tools.recipe import recipe
from cnlw_tools.builds.build import build
from cnlw_tools.recipe.inputs import Inputs

root = files.default_root()
chosen = replace(recipe.read_recipe(root / "pipelines" / "shapes_red.toml"), levels=(10,), train_size=200)
print(*build(chosen, Inputs(root), Path("built")).configs)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from this checkout with the hatchling of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    _run(
        [
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            folder,
            CHECKOUT,
        ],
        folder,
    )
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory):
    """A folder that holds the installed wheel and nothing else."""
    folder = tmp_path_factory.mktemp("site")
    _run(
        ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", folder, wheel],
        folder,
    )
    return folder


def test_the_wheel_holds_the_package_and_its_tables(wheel):
    """No tests, no tools: cnlw_tools, with the three folders inside, and the metadata."""
    names = ZipFile(wheel).namelist()
    version = wheel.name.split("-")[1]

    assert {name.split("/")[0] for name in names} == {
        "cnlw_tools",
        f"cnlw_tools-{version}.dist-info",
    }
    assert {name.split("/")[2] for name in names if name.startswith("cnlw_tools/data/")} == {
        "annotations",
        "manifests",
        "pipelines",
    }
    assert "cnlw_tools/py.typed" in names


def test_the_metadata_say_licence_extra_and_command(wheel):
    """Apache-2.0 with its text, an extra `train`, the command `cnlw`."""
    with ZipFile(wheel) as archive:
        info = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
        metadata = archive.read(f"{info}/METADATA").decode()
        commands = archive.read(f"{info}/entry_points.txt").decode()
        licence = archive.read(f"{info}/licenses/LICENSE").decode()

    assert "License-Expression: Apache-2.0\n" in metadata
    assert "Provides-Extra: train\n" in metadata
    assert "cnlw = cnlw_tools.__main__:main" in commands
    assert "Apache License" in licence


def test_the_installed_package_finds_its_own_tables(site, tmp_path):
    """Not those of the checkout, which lies elsewhere."""
    out = _run(["-c", "from cnlw_tools import files; print(files.default_root())"], tmp_path, site)

    assert Path(out.strip()) == site / "cnlw_tools" / "data"
    for name in ("annotations", "manifests", "pipelines"):
        assert (site / "cnlw_tools" / "data" / name).is_dir()


def test_the_installed_package_builds(site, tmp_path):
    """Some red shapes at 10 %, from nothing but the wheel."""
    out = _run(["-c", BUILD], tmp_path, site)

    assert out.split() == ["red_10_clean200"]
    assert (tmp_path / "built" / "README.md").is_file()


def _run(arguments, cwd, site=None):
    """Run this Python elsewhere, with one folder ahead of what is installed; return what it printed."""
    own = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    extra = {"PYTHONPATH": str(site)} if site else {}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=cwd, env={**own, **extra}, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()
