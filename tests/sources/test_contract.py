"""What holds for every source: a valid manifest, readable images, copies that are equal."""

import json
import pickle
import shlex
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from cnlw_tools.cli import main
from cnlw_tools.dataset import dataset, hashing
from cnlw_tools.dataset.tables import MANIFEST
from cnlw_tools.images.pixels import decode, pixel_digest
from cnlw_tools.sources import SOURCES

NAMES = [
    name for name in SOURCES if not name.startswith("shapes")
]  # shapes have tests of their own


@pytest.mark.parametrize("name", NAMES)
def test_manifest_and_images(name, lay_out):
    """The manifest is valid and always the same; each image has the pixels of its hash."""
    folder = lay_out(name)
    source = SOURCES[name](folder)
    empty = dataset.empty_dataset(name, source.classes())
    checked = empty.with_base(source.manifest(), str(folder))
    rows = checked.base.to_pylist()
    digests = []
    for row in rows:
        picture = source.read(row["image_id"])
        image = decode(picture) if isinstance(picture, bytes) else picture
        digests.append(pixel_digest(image))

    assert checked.base.schema.names[:5] == MANIFEST.names
    assert {"train", "validation"} <= {row["split"] for row in rows}
    assert len(set(digests)) == len(rows)
    assert all(row["sha256"] in (None, digest) for row, digest in zip(rows, digests, strict=True))
    assert hashing.digest(SOURCES[name](folder).manifest()) == checked.digests["base"]


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_is_small_and_reads_the_same(name, lay_out):
    """A source is pickled as its path, whatever it has read already."""
    source = SOURCES[name](lay_out(name))
    image_id = source.manifest()["image_id"][3].as_py()
    image = source.read(image_id)

    data = pickle.dumps(source)
    image_of_copy = pickle.loads(data).read(image_id)

    assert len(data) < 1000
    if isinstance(image, bytes):
        assert image_of_copy == image
    else:
        assert np.array_equal(image_of_copy, image)


@pytest.mark.parametrize("name", NAMES)
def test_no_such_image(name, lay_out):
    """The error for an unknown id, or one that would leave the folder, names the place."""
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
        with pytest.raises((LookupError, OSError), match=r"of mine|ILSVRC") as error:
            source.read(image_id)
        assert not isinstance(error.value, (KeyError, IndexError))


@pytest.mark.parametrize("name", NAMES)
def test_no_data(name, tmp_path):
    """Without a folder, with a wrong one, or with an empty one, the error says what is needed."""
    (tmp_path / "empty").mkdir()

    with pytest.raises(ValueError, match=f"{name} needs --data-dir: "):
        SOURCES[name](None)
    with pytest.raises(FileNotFoundError, match=r"no such folder.* needs "):
        SOURCES[name](tmp_path / "nowhere")
    with pytest.raises((OSError, ValueError), match=r"empty: .*(needs|unpack|here)"):
        SOURCES[name](tmp_path / "empty").manifest()


SLOW = ("cifar100", "stanford_cars_crop", "webvision_mini", "clothing1m", "hf")
FAMILIES = ["imagenet", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


@pytest.mark.usefixtures("reads_back_here")
@pytest.mark.parametrize("name", FAMILIES)
def test_build_and_validate(name, lay_out, tmp_path):
    """Images in each kind of layout become a benchmark that is validated against its source."""
    folder, out = lay_out(name), tmp_path / "out"
    dataset_options = ["--dataset", name, "--data-dir", folder, "--noise", "blue", "--level", 40]

    cnlw("build", *dataset_options, "--out", out, "--workers", 1)
    report = json.loads(cnlw("validate", out, "--data-dir", folder, "--workers", 1, "--json"))
    source_checks = [check for check in report["checks"] if check["name"] == "source"]

    assert report["ok"]
    assert all(check["does_not_apply"] is None for check in source_checks)


@pytest.mark.usefixtures("reads_back_here")
def test_import(lay_out, tmp_path, monkeypatch):
    """A folder becomes a dataset of any name, and the build knows which source reads its images."""
    folder, root = lay_out("folder"), tmp_path / "root"
    monkeypatch.chdir(tmp_path)

    for name in ("more.txt", "labels.csv", ".DS_Store"):
        (folder / "val/tulip" / name).write_text("words")
    (folder / "val/rose/up").symlink_to("..")

    output = cnlw("import", "folder", folder, "--as", "flowers", "--root", root)
    second_output = cnlw("import", "folder", folder, "--as", "flowers", "--root", root)
    datasets = cnlw("list", "datasets", "--root", root)
    cnlw(*shlex.split(output.splitlines()[-1])[1:], "--workers", 1)
    report = json.loads(cnlw("validate", "--data-dir", folder, "--workers", 1, "--json"))

    assert output == second_output
    assert output.splitlines()[1] == "left out: 2 .txt, 1 .csv, 1 hidden .jpg, 1 link"
    assert output.splitlines()[2] == "classes: rose, tulip"
    assert output.splitlines()[0] == f"{root}/manifests/flowers: 2 classes; train 9, validation 3"
    (flowers,) = [line.split() for line in datasets.splitlines() if line.startswith("flowers ")]
    assert " ".join(flowers).startswith("flowers 2 classes --data-dir: class folders")
    assert report["ok"]
    assert not any("no source" in str(check["does_not_apply"]) for check in report["checks"])
    assert dataset.read_dataset("flowers", root).classes == ("rose", "tulip")


def test_import_leaves_other_tables_alone(lay_out, tmp_path):
    """A name that a dataset with other rows has is refused; so is one that is not a name."""
    folder = lay_out("folder")
    cnlw("import", "folder", folder, "--as", "flowers", "--root", tmp_path)
    (folder / "train/rose/0.jpg").unlink()

    for name, message in (
        ("flowers", "contains another base manifest"),
        ("../x", "give a name of lower-case letters"),
    ):
        result = CliRunner().invoke(
            main, ["import", "folder", str(folder), "--as", name, "--root", str(tmp_path)]
        )
        assert result.exit_code == 1
        assert message in result.output
    assert len(dataset.read_dataset("flowers", tmp_path).base) == 12


def test_a_class_list_in_another_order(lay_out, tmp_path):
    """A class list in another order would give the images other labels, so it is refused."""
    folder = tmp_path / "manifests/folder"
    folder.mkdir(parents=True)
    (folder / "classes.csv").write_text("label,name\n0,tulip\n1,rose\n")
    options = [
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

    result = CliRunner().invoke(main, ["plan", *map(str, options)])

    assert result.exit_code == 1
    assert (
        "the class list of folder differs from the classes of its images: delete "
        "manifests/folder/classes.csv, "
        "and write it with `cnlw import`" in result.output
    )


def test_without_scipy(lay_out, tmp_path, monkeypatch):
    """Without scipy, the error says in a line what to install."""
    folder = lay_out("svhn")
    monkeypatch.setitem(sys.modules, "scipy", None)
    for name in [name for name in sys.modules if name.startswith("scipy.io")]:
        monkeypatch.delitem(sys.modules, name)

    result = CliRunner().invoke(main, ["import", "svhn", str(folder), "--root", str(tmp_path)])

    assert result.exit_code == 1
    assert result.output.startswith("Error: this needs scipy: pip install '")
    assert result.output.endswith("[sources]'\n")


def cnlw(*arguments):
    """Run a command that must succeed; return its output."""
    result = CliRunner().invoke(main, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout
