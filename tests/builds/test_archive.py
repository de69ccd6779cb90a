"""A build as one zip file: the same bytes for the same build, and everything in it."""

import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from cnlw_tools.builds.archive import write_archive
from cnlw_tools.builds.build import build
from cnlw_tools.checks import require
from cnlw_tools.cli import main
from cnlw_tools.files.folders import list_names
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny) -> Path:
    """A small build."""
    parent = tmp_path_factory.mktemp("archive")
    recipe = Recipe("shapes", "blue", levels=(40,))
    build(recipe, Inputs(tiny(parent / "root")), parent / "build")
    return parent / "build"


def test_an_archive_has_every_file_of_the_build(folder, tmp_path):
    """It unpacks to the same bytes, in a folder named after it, without files of others."""
    (folder / "notes.txt").write_text("mine")

    size = write_archive(folder, tmp_path / "shapes.zip")
    (folder / "notes.txt").unlink()

    with zipfile.ZipFile(tmp_path / "shapes.zip") as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path)
    assert size == (tmp_path / "shapes.zip").stat().st_size
    assert list_names(tmp_path / "shapes") == list_names(folder)
    for name in list_names(folder):
        assert (tmp_path / "shapes" / name).read_bytes() == (folder / name).read_bytes()


def test_the_same_build_gives_the_same_bytes(folder, tmp_path):
    """Dates and rights of the files on this disk are not in the archive."""
    write_archive(folder, tmp_path / "a.zip")
    for path in folder.rglob("*"):
        path.touch()
    (tmp_path / "other").mkdir()

    write_archive(folder, tmp_path / "other" / "a.zip")

    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "other" / "a.zip").read_bytes()


def test_what_is_no_archive(folder, tmp_path):
    """Another ending, and a folder without a build, are errors; nothing is written."""
    with pytest.raises(
        ValueError, match=r"a.tar is not the name of an archive: it must end with .zip"
    ):
        write_archive(folder, tmp_path / "a.tar")
    with pytest.raises(ValueError, match="no build here"):
        write_archive(tmp_path, tmp_path / "a.zip")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "there is nothing to do: give OWNER/NAME, --archive FILE.zip, or both"),
        (["--tag", "v1"], "--tag needs a repository, but none is named: give OWNER/NAME"),
        (["--gated", "--archive", "a.zip"], "--gated needs a repository, but none is named"),
    ],
)
def test_choices_that_do_not_go_together(folder, words, message):
    """A push without a place to go to is an error of one line."""
    result = CliRunner().invoke(main, ["push", str(folder), *words])

    assert result.exit_code == 1
    assert message in result.stderr


@pytest.mark.usefixtures("reads_back_here")
def test_the_command_writes_an_archive(folder, tmp_path):
    """The build is checked, and written as one file."""
    path = tmp_path / "shapes.zip"

    result = CliRunner().invoke(
        main, ["push", str(folder), "--archive", str(path), "--workers", "1"]
    )

    assert result.exit_code == 0, result.output
    assert f"{path}: {path.stat().st_size / 1e6:.1f} MB" in result.stdout
    write_archive(folder, tmp_path / "again" / "shapes.zip")
    assert path.read_bytes() == (tmp_path / "again" / "shapes.zip").read_bytes()


def test_a_folder_in_place_of_the_archive(folder, tmp_path):
    """Is an error before the checks of the build, which can take hours."""
    (tmp_path / "x.zip").mkdir()

    result = CliRunner().invoke(main, ["push", str(folder), "--archive", str(tmp_path / "x.zip")])

    assert result.exit_code == 2
    assert "is a directory" in result.stderr
    assert "check" not in result.stdout


def test_a_place_without_an_archive_is_found_before_the_checks(folder, tmp_path, monkeypatch):
    """The checks of a large build take hours."""
    monkeypatch.setattr(require, "require_sound", None)
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "x.zip"

    result = CliRunner().invoke(main, ["push", str(folder), "--archive", str(path)])

    assert result.exit_code == 1
    assert f"{tmp_path / 'file'} cannot be written" in result.output
