"""What holds for every source: its manifest is one, every image can be read, a copy in another process is the same."""

import json
import pickle
import shlex
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from cnlw_tools import hashing
from cnlw_tools.cli import main
from cnlw_tools.dataset import dataset
from cnlw_tools.dataset.tables import MANIFEST
from cnlw_tools.images.pixels import decode, pixel_digest
from cnlw_tools.sources import SOURCES

NAMES = [name for name in SOURCES if not name.startswith("shapes")]  # which have tests of their own


@pytest.mark.parametrize("name", NAMES)
def test_a_source_keeps_its_word(name, lay_out):
    """The manifest is checked like any other and the same again; each image decodes and has the pixels of its hash."""
    folder = lay_out(name)
    source = SOURCES[name](folder)
    found = dataset.empty_dataset(name, source.classes()).with_base(source.manifest(), str(folder))
    rows = found.base.to_pylist()
    images = [source.read(row["image_id"]) for row in rows]
    pixels = [
        pixel_digest(decode(image) if isinstance(image, bytes) else image) for image in images
    ]

    assert found.base.schema.names[:5] == MANIFEST.names
    assert {"train", "validation"} <= {row["split"] for row in rows}
    assert len(set(pixels)) == len(rows)
    assert all(row["sha256"] in (None, digest) for row, digest in zip(rows, pixels, strict=True))
    assert hashing.digest(SOURCES[name](folder).manifest()) == found.digests["base"]


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_is_small_and_reads_the_same(name, lay_out):
    """What goes to another process is the path, whatever was read already."""
    source = SOURCES[name](lay_out(name))
    image_id = source.manifest()["image_id"][3].as_py()
    image = source.read(image_id)

    data = pickle.dumps(source)
    again = pickle.loads(data).read(image_id)

    assert len(data) < 1000
    assert again == image if isinstance(image, bytes) else np.array_equal(again, image)


@pytest.mark.parametrize("name", NAMES)
def test_no_such_image(name, lay_out):
    """An id that there is not, or that would leave the folder, is an error that names the place."""
    folder = lay_out(name)
    (folder.parent / "secret.jpg").write_bytes(b"secret")
    source = SOURCES[name](folder)

    for image_id in (
        "",
        "nothing",
        "train-99999",
        "train--1",
        "../secret.jpg",
        "/etc/passwd",
        "a\0b",
        "ILSVRC2012_val_1",
    ):
        with pytest.raises((LookupError, OSError), match=r"of mine|ILSVRC") as caught:
            source.read(image_id)
        assert not isinstance(caught.value, (KeyError, IndexError))


@pytest.mark.parametrize("name", NAMES)
def test_no_data(name, tmp_path):
    """Without a folder, in a wrong one, or in an empty one, the error says what is needed."""
    (tmp_path / "empty").mkdir()

    with pytest.raises(ValueError, match=f"{name} needs --data-dir: "):
        SOURCES[name](None)
    with pytest.raises(FileNotFoundError, match=r"no such folder.* needs "):
        SOURCES[name](tmp_path / "nowhere")
    with pytest.raises((OSError, ValueError), match=r"empty: .*(needs|unpack|here)"):
        SOURCES[name](tmp_path / "empty").manifest()


SLOW = ("cifar100", "stanford_cars_crop", "webvision_mini", "clothing1m", "hf")
FAMILIES = ["imagenet", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


@pytest.mark.parametrize("name", FAMILIES)
def test_build_and_validate(name, lay_out, tmp_path):
    """Of each family of layouts a set of images becomes a benchmark that proves itself against its source."""
    folder, out = lay_out(name), tmp_path / "out"
    named = ["--dataset", name, "--data-dir", folder, "--noise", "blue", "--level", 40]

    cnlw("build", *named, "--out", out, "--workers", 1)
    said = json.loads(cnlw("validate", out, "--data-dir", folder, "--workers", 1, "--json"))

    assert said["ok"]
    assert all(
        check["does_not_apply"] is None for check in said["checks"] if check["name"] == "source"
    )


def test_import(lay_out, tmp_path, monkeypatch):
    """A folder becomes a dataset of one's own name, and the build knows which source reads its images."""
    folder, root = lay_out("folder"), tmp_path / "root"
    monkeypatch.chdir(tmp_path)

    said = cnlw("import", "folder", folder, "--as", "flowers", "--root", root)
    again = cnlw("import", "folder", folder, "--as", "flowers", "--root", root)
    listed = cnlw("list", "datasets", "--root", root)
    cnlw(*shlex.split(said.splitlines()[1])[1:], "--workers", 1)
    checked = json.loads(cnlw("validate", "--data-dir", folder, "--workers", 1, "--json"))

    assert said == again
    assert said.splitlines()[0] == f"{root}/manifests/flowers: 2 classes; train 9, validation 3"
    assert "flowers                   2 classes   --data-dir: class folders" in listed
    assert checked["ok"]
    assert not any("no source" in str(check["does_not_apply"]) for check in checked["checks"])
    assert dataset.read_dataset("flowers", root).classes == ("rose", "tulip")


def test_import_leaves_other_tables_alone(lay_out, tmp_path):
    """A name that other rows bear is not taken; so is one that is none."""
    folder = lay_out("folder")
    cnlw("import", "folder", folder, "--as", "flowers", "--root", tmp_path)
    (folder / "train/rose/0.jpg").unlink()

    for name, message in (
        ("flowers", "holds another base manifest"),
        ("../x", "give a name of small letters"),
    ):
        failed = CliRunner().invoke(
            main, ["import", "folder", str(folder), "--as", name, "--root", str(tmp_path)]
        )
        assert failed.exit_code == 1
        assert message in failed.output
    assert len(dataset.read_dataset("flowers", tmp_path).base) == 12


def test_a_class_list_in_another_order(lay_out, tmp_path):
    """A class list that is not that of the images would give them other labels: it is refused."""
    folder = tmp_path / "manifests/folder"
    folder.mkdir(parents=True)
    (folder / "classes.csv").write_text("label,name\n0,tulip\n1,rose\n")
    asked = [
        "--dataset",
        "folder",
        "--root",
        tmp_path,
        "--data-dir",
        lay_out("folder"),
        "--noise",
        "blue",
        "--level",
        40,
    ]

    failed = CliRunner().invoke(main, ["plan", *map(str, asked), "--level", "40"])

    assert failed.exit_code == 1
    assert (
        "the class list of folder is not that of its images: `cnlw import folder` writes it"
        in failed.output
    )


def test_without_scipy(lay_out, tmp_path, monkeypatch):
    """Who has not installed it is told in a line what to install."""
    folder = lay_out("svhn")
    monkeypatch.setitem(sys.modules, "scipy", None)
    for name in [name for name in sys.modules if name.startswith("scipy.io")]:
        monkeypatch.delitem(sys.modules, name)

    failed = CliRunner().invoke(main, ["import", "svhn", str(folder), "--root", str(tmp_path)])

    assert failed.exit_code == 1
    assert failed.output.startswith("Error: this needs scipy: pip install '")
    assert failed.output.endswith("[sources]'\n")


def cnlw(*arguments):
    """Run a command that must do; return what it said."""
    done = CliRunner().invoke(main, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout
