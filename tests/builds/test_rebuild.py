"""A published build is made again from one's own images: the same bytes, or row by row what differs."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from PIL import Image

from cnlw_tools.builds import changes, shards
from cnlw_tools.builds.build import build
from cnlw_tools.builds.rebuild import rebuild
from cnlw_tools.card.metadata import read_card
from cnlw_tools.cli import main
from cnlw_tools.files.folders import list_names
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe

CLASSES = ("rose", "tulip")
N_IMAGES = 20  # of each class
RECIPE = Recipe("flowers", "symmetric", levels=(0, 20), validation=20, size=6)
CONFIG = "symmetric_20_val20"


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Class folders of small photographs."""
    folder = tmp_path_factory.mktemp("photos") / "photos"
    random = np.random.default_rng(0)
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for number in range(N_IMAGES):
            pixels = random.integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:02d}.png")
    return folder


@pytest.fixture(scope="module")
def published(photos, tmp_path_factory) -> Path:
    """The card, the list of files and the tables of a build of two levels, beside its shards."""
    folder = tmp_path_factory.mktemp("published")
    words = ["import", "folder", str(photos), "--as", "flowers", "--root", str(folder / "root")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    build(RECIPE, Inputs(folder / "root", photos), folder / "build")
    return folder / "build"


@pytest.fixture
def without_shards(published, tmp_path) -> Path:
    """The published build as somebody has it who copied no shard."""
    folder = tmp_path / "card"
    shutil.copytree(published, folder, ignore=shutil.ignore_patterns("data"))
    return folder


def inputs_of(photos: Path, tmp_path: Path) -> Inputs:
    """Return the images of a lab that has no tables of its own."""
    return Inputs(tmp_path / "no root", photos)


def test_the_same_images_give_the_same_bytes(published, without_shards, photos, tmp_path):
    """Card and tables are enough; every file is the same, the card included."""
    summary = rebuild(without_shards, inputs_of(photos, tmp_path), tmp_path / "out")

    assert summary.is_same
    assert summary.rows == ()
    assert summary.n_files == len(read_card(published).shards)
    assert list_names(published) == list_names(tmp_path / "out")
    for name in list_names(published):
        assert (tmp_path / "out" / name).read_bytes() == (published / name).read_bytes()


def test_files_that_were_there_are_counted(published, without_shards, photos, tmp_path):
    """A file that was there proves nothing of the images; one that was damaged is made again."""
    shutil.copytree(published, tmp_path / "out")
    name, *others = sorted(read_card(published).shards)
    damaged = tmp_path / "out" / "data" / name
    damaged.write_bytes(damaged.read_bytes()[:-1])

    summary = rebuild(without_shards, inputs_of(photos, tmp_path), tmp_path / "out")

    assert summary.is_same
    assert summary.n_kept == len(others)
    assert damaged.read_bytes() == (published / "data" / name).read_bytes()


def test_a_build_is_not_compared_with_itself(published, photos, tmp_path):
    """The published folder as --out would prove nothing."""
    with pytest.raises(ValueError, match="this is the published build: use another --out"):
        rebuild(published, inputs_of(photos, tmp_path), published / ".." / published.name)


def test_one_config(published, without_shards, photos, tmp_path):
    """Of a build with many configs, one can be made alone."""
    summary = rebuild(without_shards, inputs_of(photos, tmp_path), tmp_path / "out", [CONFIG])

    assert summary.is_same
    assert list(read_card(tmp_path / "out").configs) == [CONFIG]
    assert summary.n_files < len(read_card(published).shards)


def test_missing_and_changed_images_are_listed(without_shards, photos, tmp_path):
    """An image that is not there, and one that shows something else; nothing is written."""
    mine = tmp_path / "mine"
    shutil.copytree(photos, mine)
    (mine / "rose" / "03.png").unlink()
    shutil.copy(mine / "rose" / "04.png", mine / "tulip" / "05.png")

    summary = rebuild(without_shards, inputs_of(mine, tmp_path), tmp_path / "out")

    assert not summary.is_same
    assert summary.folder is None
    assert not (tmp_path / "out").exists()
    reasons = {row.image_id: row.reason for row in summary.rows}
    assert sorted(reasons) == ["rose/03.png", "tulip/05.png"]
    assert "differs from its sha256" in reasons["tulip/05.png"]


def test_stored_images_that_differ_are_listed(published, photos, tmp_path, monkeypatch):
    """If this machine encodes an image differently, its row is named, once for all configs."""
    encode = shards.encode_picture
    target = (photos / "rose" / "07.png").read_bytes()

    def encode_otherwise(picture, storage):
        if picture == target:
            storage = replace(storage, resize="crop", size=5)
        return encode(picture, storage)

    monkeypatch.setattr(shards, "encode_picture", encode_otherwise)

    summary = rebuild(published, inputs_of(photos, tmp_path), tmp_path / "out")

    assert not summary.is_same
    assert {row.image_id for row in summary.rows} == {"rose/07.png"}
    assert len(summary.differing_files) == len({row.reason for row in summary.rows}) == 1
    assert summary.differing_files[0] in summary.rows[0].reason
    shutil.rmtree(tmp_path / "out")
    alone = rebuild(
        published, inputs_of(photos, tmp_path), tmp_path / "out", find_file=lambda _: None
    )
    assert alone.differing_files == summary.differing_files
    assert alone.rows == ()


def test_tables_that_were_changed(without_shards, photos, tmp_path):
    """A table that is not the one of the card is an error with its name."""
    path = without_shards / "tables" / "base.parquet"
    table = pq.read_table(path)
    pq.write_table(table.slice(1), path)

    with pytest.raises(ValueError, match="its table base is missing or was changed"):
        rebuild(without_shards, inputs_of(photos, tmp_path), tmp_path / "out")


def test_plans_of_another_version(without_shards, photos, tmp_path, monkeypatch):
    """A plan that comes out differently is an error that names the versions to install."""
    draw = changes.plan

    def draw_otherwise(recipe, data, level):
        return draw(replace(recipe, seed=1), data, level)

    monkeypatch.setattr(changes, "plan", draw_otherwise)

    with pytest.raises(ValueError, match=r"differs from the plan on its card: install the"):
        rebuild(without_shards, inputs_of(photos, tmp_path), tmp_path / "out")


def test_the_command(without_shards, photos, tmp_path):
    """The exit code and the lines say whether the bytes are the same, and which images differ."""
    words = ["rebuild", str(without_shards), "--workers", "1", "--out"]
    same = CliRunner().invoke(main, [*words, str(tmp_path / "a"), "--data-dir", str(photos)])
    mine = tmp_path / "mine"
    shutil.copytree(photos / "rose", mine / "rose")
    (mine / "tulip").mkdir()
    shutil.copy(photos / "tulip" / "00.png", mine / "tulip" / "00.png")

    short = CliRunner().invoke(main, [*words, str(tmp_path / "b"), "--data-dir", str(mine)])
    full = CliRunner().invoke(
        main, [*words, str(tmp_path / "b"), "--data-dir", str(mine), "--list"]
    )

    n_files = len(read_card(without_shards).shards)
    assert same.exit_code == 0, same.output
    assert same.stdout.endswith(f"{n_files} files with the sha256 that {without_shards} lists\n")
    assert short.exit_code == full.exit_code == 1
    assert short.stdout.startswith("nothing was written: 19 images of ")
    assert short.stdout.endswith("and 14 more images; --list shows all\n")
    assert len(full.stdout.splitlines()) == 20
    assert not (tmp_path / "b").exists()


def test_a_build_by_its_card(published, photos, tmp_path, monkeypatch):
    """The path of the card stands for its folder; a name of the Hub is told from a folder."""
    words = ["--out", str(tmp_path / "out"), "--data-dir", str(photos), "--workers", "1"]
    monkeypatch.chdir(tmp_path)

    made = CliRunner().invoke(main, ["rebuild", str(published / "README.md"), *words])
    failed = CliRunner().invoke(main, ["rebuild", "lab/noise", *words])

    assert made.exit_code == 0, made.output
    assert failed.exit_code == 1
    assert "for a repository of the Hub, give hf://datasets/lab/noise" in failed.stderr


def test_no_build(tmp_path):
    """A folder without a card is an error of one line."""
    result = CliRunner().invoke(main, ["rebuild", str(tmp_path), "--out", str(tmp_path / "out")])

    assert result.exit_code == 1
    assert "no build here" in result.stderr
