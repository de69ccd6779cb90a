"""An imported dataset is tied to its images: each is looked at once, and compared whenever it is read."""

import csv
import errno
import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from cnlw_tools import checks
from cnlw_tools.cli import main
from cnlw_tools.dataset import dataset, tables
from cnlw_tools.executor import EXECUTORS
from cnlw_tools.ingest import hash_images, import_dataset
from cnlw_tools.ingest.import_dataset import import_source
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.sources import open_source
from cnlw_tools.sources.folder import Folder
from tests.elsewhere import Elsewhere
from tests.sources.conftest import draw_jpeg, put

CLASSES = ("rose", "tulip")
EACH = 6  # training images of a class


@pytest.fixture(autouse=True)
def fast_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the check that starts an interpreter each time."""
    without = [check for check in checks.CHECKS if check.name != "roundtrip"]
    monkeypatch.setattr(checks, "CHECKS", tuple(without))


def class_folders(folder: Path, first_seed: int = 0) -> Path:
    """Write two classes of drawn photographs, all different."""
    for label, name in enumerate(CLASSES):
        for i in range(EACH):
            put(folder / name / f"{i}.jpg", draw_jpeg(first_seed + 100 * label + i))
    return folder


def parquet_file(folder: Path, seeds: list[int]) -> Path:
    """Write a dataset of Hugging Face whose rows alternate between two classes."""
    rows = []
    for row, seed in enumerate(seeds):
        rows.append({"image": {"bytes": draw_jpeg(seed), "path": None}, "label": row % 2})
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "train-00000-of-00001.parquet")
    return folder


def run(*arguments: object) -> Result:
    """Run a command."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def run_import(root: Path, folder: Path, *options: object, source: str = "folder") -> Result:
    return run("import", source, folder, "--as", "flowers", "--root", root, *options)


def run_build(root: Path, folder: Path, out: Path, *options: object) -> Result:
    arguments = ["--root", root, "--data-dir", folder, "--noise", "blue", "--level", 50]
    return run("build", "--dataset", "flowers", *arguments, "--out", out, "--workers", 1, *options)


def validate(out: Path, *options: object) -> tuple[int, list[dict[str, str]]]:
    """Return the exit code of `cnlw validate`, and its findings with what follows from each."""
    result = run("validate", out, "--workers", 1, "--json", *options)
    findings = []
    for finding in json.loads(result.stdout)["findings"]:
        findings.append(finding)
        for consequence in finding["consequences"]:
            findings.append({"severity": "error", **consequence})
    return result.exit_code, findings


def test_import_writes_the_sha256_of_every_file(tmp_path: Path) -> None:
    """The base manifest has the sha256 of each file, whatever the number of workers."""
    folder = class_folders(tmp_path / "images")

    with EXECUTORS["local"](2) as executor:
        imported = import_source("folder", folder, "flowers", tmp_path, executor=executor).dataset

    for row in imported.base.to_pylist():
        assert row["sha256"] == sha256((folder / row["image_id"]).read_bytes()).hexdigest()
    assert dataset.read_dataset("flowers", tmp_path).base.equals(imported.base)


def test_a_machine_without_the_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line names it, and nothing is written."""
    monkeypatch.setattr(hash_images, "IMAGES_PER_TASK", 5)
    photographs = class_folders(tmp_path / "photos")
    with pytest.raises(OSError, match=r"photos: the machine .* does not see this folder"):
        import_source(
            "folder", photographs, "x", tmp_path / "root", executor=Elsewhere(photographs)
        )

    assert not (tmp_path / "root" / "manifests" / "x").exists()


def test_two_imports_of_other_images_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them is refused; the tables are never those of both."""
    check = import_dataset._check_existing

    def check_slowly(folder: Path, imported: dataset.Dataset) -> None:
        check(folder, imported)
        time.sleep(0.3)

    monkeypatch.setattr(import_dataset, "_check_existing", check_slowly)
    folders = [class_folders(tmp_path / name, seed) for name, seed in (("a", 0), ("b", 500))]
    with ThreadPoolExecutor() as threads:
        futures = [threads.submit(import_source, "folder", f, "flowers", tmp_path) for f in folders]
    errors = [future.exception() for future in futures]

    (message,) = [str(error) for error in errors if error is not None]
    assert "contains another base manifest" in message


def test_other_splits_of_the_same_images(tmp_path: Path) -> None:
    """A second import with --validation is refused, and says what to do instead."""
    folder = class_folders(tmp_path / "images")
    import_source("folder", folder, "flowers", tmp_path)

    with pytest.raises(ValueError, match=r"only the splits differ: .* to `cnlw build`"):
        import_source("folder", folder, "flowers", tmp_path, validation=20)


def test_a_missing_folder_is_asked_for_by_the_name_of_the_dataset(tmp_path: Path) -> None:
    """The user's dataset needs it, whatever the source that reads it is called."""
    import_source("folder", class_folders(tmp_path / "images"), "flowers", tmp_path)

    with pytest.raises(ValueError, match=r"^flowers needs --data-dir: class folders"):
        open_source("flowers", Inputs(tmp_path))


def test_an_array_source_has_the_sha256_of_its_pixels(tmp_path: Path, cifar: Path) -> None:
    """What a source of arrays says about its pixels stays as it is, and a build compares it."""
    other = tmp_path / "other"
    shutil.copytree(cifar, other)
    batch = other / "cifar-10-batches-py/data_batch_1"
    content = bytearray(batch.read_bytes())
    content[len(content) // 2] ^= 1  # one value of one pixel
    batch.write_bytes(content)

    imported = import_source("cifar10", cifar, "flowers", tmp_path).dataset
    right = run_build(tmp_path, cifar, tmp_path / "right")
    wrong = run_build(tmp_path, other, tmp_path / "wrong")

    assert imported.base["sha256"].null_count == 0
    assert right.exit_code == 0
    assert wrong.exit_code == 1
    assert f"of {other} differs from its sha256 in" in wrong.output


def test_every_broken_image_is_listed_at_once(tmp_path: Path) -> None:
    """Empty, truncated and HTML files are one error that names them all; nothing is written."""
    folder, root = class_folders(tmp_path / "images"), tmp_path / "root"
    root.mkdir()
    put(folder / "rose/0.jpg", b"")
    put(folder / "rose/1.jpg", draw_jpeg(1)[:200])
    put(folder / "tulip/2.jpg", b"<html>not found</html>")

    result = run_import(root, folder)

    assert result.exit_code == 1
    assert "3 of 12 images cannot be used" in result.output
    assert all(name in result.output for name in ("rose/0.jpg", "rose/1.jpg", "tulip/2.jpg"))
    assert "0x" not in result.output  # an address says nothing to anybody
    assert "--skip-broken FILE" in result.output
    assert [*root.iterdir()] == []


def test_what_is_odd_is_said(tmp_path: Path) -> None:
    """Columns that are not read, and an image that is in two classes, are said after the import."""
    folder = class_folders(tmp_path / "images")
    shutil.copy(folder / "rose/0.jpg", folder / "tulip/9.jpg")
    rows = ["path,label,is_valid"]
    for path in sorted(folder.glob("*/*.jpg")):
        rows.append(f"{path.parent.name}/{path.name},{path.parent.name},True")
    (folder / "list.csv").write_text("\n".join(rows))

    result = run_import(tmp_path, folder / "list.csv")

    assert result.exit_code == 0, result.output
    assert "\nleft out: 1 column 'is_valid'\n" in result.output
    assert "\nnote: 1 image found in several classes" in result.output
    assert "rose/0.jpg and tulip/9.jpg ...\nnext:\ncnlw build --dataset" in result.output


def test_many_broken_images_are_counted(tmp_path: Path) -> None:
    """Ten are shown, the others counted; --list-broken has them all, and nothing is imported."""
    folder, listing = class_folders(tmp_path / "images"), tmp_path / "broken.csv"
    for i in range(EACH):
        put(folder / f"rose/{i}.jpg", b"")
        put(folder / f"tulip/{i}.jpg", b"")

    result = run_import(tmp_path, folder, "--list-broken", listing)
    with listing.open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert result.exit_code == 1
    assert "and 2 more" in result.output
    assert [row["image_id"] for row in rows] == sorted(
        f"{name}/{i}.jpg" for name in CLASSES for i in range(EACH)
    )
    assert all(row["reason"] for row in rows)
    assert not (tmp_path / "manifests").exists()


def test_broken_images_are_left_out_if_asked(tmp_path: Path) -> None:
    """--skip-broken imports the others, says what is left out, and a build needs no more."""
    folder, listing = class_folders(tmp_path / "images"), tmp_path / "broken.csv"
    put(folder / "rose/3.jpg", b"")

    result = run_import(tmp_path, folder, "--skip-broken", listing)
    second_result = run_import(tmp_path, folder, "--skip-broken", listing)
    built = run_build(tmp_path, folder, tmp_path / "out")
    exit_code, _ = validate(tmp_path / "out", "--data-dir", folder)
    with listing.open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert (result.exit_code, second_result.exit_code) == (0, 0)
    assert f"left out, because they cannot be used: 1 image, listed in {listing}" in result.output
    assert [row["image_id"] for row in rows] == ["rose/3.jpg"]
    assert len(dataset.read_dataset("flowers", tmp_path).base) == 2 * EACH - 1
    assert built.exit_code == 0, built.output
    assert exit_code == 0


def test_a_class_without_a_usable_image_is_an_error(tmp_path: Path) -> None:
    """Leaving out all images of a class would be another dataset."""
    folder = class_folders(tmp_path / "images")
    for i in range(EACH):
        put(folder / f"rose/{i}.jpg", b"")

    result = run_import(tmp_path, folder, "--skip-broken", tmp_path / "broken.csv")

    assert result.exit_code == 1
    assert "no training image of these classes can be used: rose" in result.output
    assert not (tmp_path / "manifests").exists()


def test_an_older_manifest_gets_the_sha256(tmp_path: Path) -> None:
    """A manifest that was imported without any is completed; another one is left alone."""
    folder = class_folders(tmp_path / "images")
    imported = import_source("folder", folder, "flowers", tmp_path).dataset
    path = tmp_path / "manifests/flowers/base.parquet"
    position = imported.base.schema.get_field_index("sha256")
    nothing = pa.nulls(len(imported.base), pa.string())
    older = imported.base.set_column(position, imported.base.schema.field(position), nothing)
    tables.write_parquet(older, path)

    without = run_build(tmp_path, folder, tmp_path / "out")
    again = run_import(tmp_path, folder)

    assert without.exit_code == 0
    assert again.exit_code == 0
    assert dataset.read_dataset("flowers", tmp_path).base.equals(imported.base)


def test_rows_in_another_order_are_no_relabelling(tmp_path: Path) -> None:
    """Another file with as many rows is an error of build, of validate and of a second import."""
    seeds = list(range(12))
    folder, root, out = parquet_file(tmp_path / "data", seeds), tmp_path / "root", tmp_path / "out"
    run_import(root, folder, source="hf")
    assert run_build(root, folder, out).exit_code == 0
    assert validate(out, "--data-dir", folder)[0] == 0
    parquet_file(folder, seeds[::-1])

    built = run_build(root, folder, tmp_path / "other")
    features = run(
        "features", "--dataset", "flowers", "--root", root, "--data-dir", folder,
        "--out", tmp_path / "side.parquet", "--workers", 1,
    )  # fmt: skip
    exit_code, findings = validate(out, "--data-dir", folder)
    imported = run_import(root, folder, source="hf")

    for result in (built, features):
        assert result.exit_code == 1
        assert f"of {folder} differs from its sha256 in {root}/manifests/flowers/base.parquet" in (
            result.output
        )
        assert "cnlw import" in result.output
    assert exit_code == 1
    assert {finding["check"] for finding in findings if finding["severity"] == "error"} == {
        "source"
    }
    assert "contains another base manifest" in imported.output


def test_one_changed_file_is_found(tmp_path: Path) -> None:
    """A single file that was saved again is named by the build."""
    folder = class_folders(tmp_path / "images")
    run_import(tmp_path, folder)
    put(folder / "tulip/4.jpg", draw_jpeg(999))

    result = run_build(tmp_path, folder, tmp_path / "out")

    assert result.exit_code == 1
    assert "image 'tulip/4.jpg'" in result.output
    assert not (tmp_path / "out").exists()


def test_files_that_came_later_are_not_used(tmp_path: Path) -> None:
    """The manifest says which images there are; one that is gone is an error."""
    folder = class_folders(tmp_path / "images")
    run_import(tmp_path, folder)
    put(folder / "rose/new.jpg", draw_jpeg(999))
    more = run_build(tmp_path, folder, tmp_path / "more")
    (folder / "rose/2.jpg").unlink()
    fewer = run_build(tmp_path, folder, tmp_path / "fewer")

    assert more.exit_code == 0
    assert "train 12" in more.output
    assert fewer.exit_code == 1
    assert "rose/2.jpg" in fewer.output


@pytest.mark.parametrize("size", [None, 16])
@pytest.mark.parametrize("other_label", [False, True])
def test_twins_in_the_users_data_are_a_note(
    tmp_path: Path, size: int | None, other_label: bool
) -> None:
    """Identical files are what the data are, under one label or two, with their folder and without."""
    folder, out = class_folders(tmp_path / "images"), tmp_path / "out"
    twin = "tulip/9.jpg" if other_label else "rose/9.jpg"
    shutil.copy(folder / "rose/0.jpg", folder / twin)
    run_import(tmp_path, folder)
    run_build(tmp_path, folder, out, *(["--size", size] if size else []))

    for options in ([], ["--data-dir", folder]):
        exit_code, findings = validate(out, *options)
        (finding,) = [finding for finding in findings if finding["check"] == "duplicates"]

        assert exit_code == 0
        assert finding["severity"] == "note"
        assert "rose/0.jpg" in finding["message"]
        assert twin in finding["message"]


def test_images_that_a_build_encodes_again_are_tied_too(tmp_path: Path) -> None:
    """Grey, transparent and CMYK files become PNG in a build, which is proven from the build alone."""
    folder, out = class_folders(tmp_path / "images"), tmp_path / "out"
    draw = np.random.default_rng(0)
    for mode, name in (("L", "rose/l.png"), ("RGBA", "rose/a.png"), ("CMYK", "tulip/c.jpg")):
        shape = (16, 16) if mode == "L" else (16, 16, 4)
        Image.fromarray(draw.integers(0, 256, shape, np.uint8), mode).save(folder / name)
    run_import(tmp_path, folder)
    built = run_build(tmp_path, folder, out)
    alone, compared = validate(out), validate(out, "--data-dir", folder)
    Image.fromarray(draw.integers(0, 256, (16, 16), np.uint8)).save(folder / "rose/l.png")
    other = run_build(tmp_path, folder, tmp_path / "other")

    assert built.exit_code == 0
    assert (alone[0], compared[0]) == (0, 0)
    assert "image 'rose/l.png'" in other.output


def test_a_fault_of_the_machine_is_no_broken_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where files cannot be opened any more, nothing is left out, and the error says so."""
    folder, listing = class_folders(tmp_path / "images"), tmp_path / "broken.csv"

    def fail(source: Folder, image_id: str) -> bytes:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), image_id)

    monkeypatch.setattr(Folder, "read", fail)
    result = run_import(tmp_path, folder, "--skip-broken", listing)

    assert result.exit_code == 1
    assert "Too many open files" in result.output
    assert not listing.exists()
    assert not (tmp_path / "manifests").exists()


def test_one_picture_in_two_files_is_a_note(tmp_path: Path) -> None:
    """Files of the same pixels differ in their bytes; each is proven, so the pair is the data's."""
    folder, out = class_folders(tmp_path / "images"), tmp_path / "out"
    original = draw_jpeg(0)
    comment = b"\xff\xfe\x00\x07again"  # a segment of JPEG behind the start of the image
    put(folder / "rose/9.jpg", original[:2] + comment + original[2:])
    run_import(tmp_path, folder)
    run_build(tmp_path, folder, out)

    for options in ([], ["--data-dir", folder]):
        exit_code, findings = validate(out, *options)
        assert exit_code == 0
        assert [f["severity"] for f in findings if f["check"] == "duplicates"] == ["note"]


def test_an_image_under_another_id_is_an_error(tmp_path: Path) -> None:
    """A twin that only the build has is a fault, even where the data have twins of their own."""
    folder, out = class_folders(tmp_path / "images"), tmp_path / "out"
    shutil.copy(folder / "rose/0.jpg", folder / "rose/9.jpg")
    run_import(tmp_path, folder)
    run_build(tmp_path, folder, out)
    for path in (out / "data").glob("*.parquet"):
        table = pq.read_table(path)
        rows = table.to_pylist()
        for row in rows:
            if row["image_id"] == "rose/1.jpg":
                row["image"] = {"bytes": (folder / "rose/2.jpg").read_bytes(), "path": None}
        pq.write_table(pa.Table.from_pylist(rows, table.schema), path)

    for options in ([], ["--data-dir", folder]):
        exit_code, findings = validate(out, *options)
        errors = [f for f in findings if f["check"] == "duplicates" and f["severity"] == "error"]

        assert exit_code == 1
        assert len(errors) == 1
        assert "rose/1.jpg" in errors[0]["message"]


def test_what_was_left_out(tmp_path: Path) -> None:
    """An import says what was left out of the folders, by ending."""
    folder = class_folders(tmp_path / "images")
    (folder / "notes.txt").write_text("words")

    assert import_source("folder", folder, "flowers", tmp_path).left_out == {".txt": 1}


def test_classes_that_are_there_keep_their_order(tmp_path: Path) -> None:
    """Labels of candidates count on the class list that they were written for."""
    folder = class_folders(tmp_path / "images")
    classes = tmp_path / "manifests/flowers/classes.csv"
    put(classes, "label,name\n0,tulip\n1,rose\n")

    refused = run_import(tmp_path, folder)
    put(classes, "label,name\n0,rose\n1,tulip\n")
    imported = run_import(tmp_path, folder)

    assert refused.exit_code == 1
    assert f"{classes} contains other classes, or the same in another order" in refused.output
    assert imported.exit_code == 0


def test_an_import_that_is_interrupted_writes_nothing(tmp_path: Path) -> None:
    """Tables are written when all images have been looked at; the next import begins anew."""
    folder = class_folders(tmp_path / "images")

    def interrupt(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_source("folder", folder, "flowers", tmp_path, progress=interrupt)

    assert not (tmp_path / "manifests").exists()
    assert run_import(tmp_path, folder).exit_code == 0


def test_a_donor_is_tied_to_its_images(tmp_path: Path, cifar: Path) -> None:
    """Images that an imported dataset lends are compared with its manifest, and in a build."""
    folder, out = class_folders(tmp_path / "images"), tmp_path / "out"
    run_import(tmp_path, folder)
    import_source("cifar10", cifar, "digits", tmp_path)
    words = ["--dataset", "digits", "--root", tmp_path, "--data-dir", cifar, "--workers", 1]
    noise = ["--noise", "openset", "--level", 3, "--donor", f"flowers={folder}"]
    built = run("build", *words, *noise, "--out", out)
    right = validate(out, "--data-dir", cifar, "--donor", f"flowers={folder}")
    for path in folder.rglob("*.jpg"):
        put(path, draw_jpeg(7000 + len(path.read_bytes())))

    built_again = run("build", *words, *noise, "--out", tmp_path / "again")
    wrong = validate(out, "--data-dir", cifar, "--donor", f"flowers={folder}")

    assert built.exit_code == 0, built.output
    assert right == (0, [])
    assert built_again.exit_code == 1
    assert "differs from its sha256 in" in built_again.output
    assert wrong[0] == 1
    assert {finding["check"] for finding in wrong[1]} == {"source"}


def test_a_donor_is_not_called_like_a_class_folder(tmp_path: Path) -> None:
    """An id of one's own that begins like those of a donor could be read from the donor."""
    folder = class_folders(tmp_path / "images")
    run_import(tmp_path, folder)
    import_source("folder", folder, "rose", tmp_path)

    result = run_build(
        tmp_path, folder, tmp_path / "out", "--noise", "openset", "--donor", f"rose={folder}",
    )  # fmt: skip

    assert result.exit_code == 1
    assert "its image rose/0.jpg has an id like those of the donor rose" in result.output


def test_broken_images_are_listed_in_one_file(tmp_path: Path) -> None:
    """One option lists them and goes on, the other lists them and stops; both at once is an error."""
    folder = class_folders(tmp_path / "images")

    result = run_import(
        tmp_path, folder, "--skip-broken", tmp_path / "a.csv", "--list-broken", tmp_path / "b.csv"
    )

    assert result.exit_code == 1
    assert "give one" in result.output


def test_twins_without_an_import(tmp_path: Path) -> None:
    """Without any sha256 the folder proves that the twins are its own; without it, an error says so."""
    folder, out = class_folders(tmp_path / "images"), tmp_path / "out"
    shutil.copy(folder / "rose/0.jpg", folder / "tulip/9.jpg")
    noise = ["--noise", "blue", "--level", 50, "--workers", 1]
    run("build", "--dataset", "folder", "--data-dir", folder, *noise, "--out", out)

    compared, alone = validate(out, "--data-dir", folder), validate(out)
    severities = [f["severity"] for f in compared[1] if f["check"] == "duplicates"]
    (finding,) = [finding for finding in alone[1] if finding["severity"] == "error"]

    assert (compared[0], severities) == (0, ["note"])
    assert alone[0] == 1
    assert finding["fix"].startswith(
        "if your own data have them, or a resize made them equal, give"
    )


def test_a_validation_split_of_an_import_is_proven(tmp_path: Path) -> None:
    """Import says how many and which classes are too small; validate compares with the source."""
    folder = class_folders(tmp_path / "photos")
    put(folder / "lone" / "0.jpg", draw_jpeg(999))
    imported = run_import(tmp_path, folder, "--validation", 20)
    assert imported.exit_code == 0, imported.output
    assert "train 11, validation 2" in imported.output
    assert "too few images to have one in validation: 'lone'" in imported.output

    out = tmp_path / "out"
    assert run_build(tmp_path, folder, out).exit_code == 0
    assert validate(out, "--data-dir", folder)[0] == 0

    path = out / "tables" / "base.parquet"
    base = pq.read_table(path)
    splits = base["split"].to_pylist()
    first, other = splits.index("validation"), splits.index("train")
    splits[first], splits[other] = "train", "validation"
    column = base.column_names.index("split")
    pq.write_table(base.set_column(column, base.schema.field(column), [splits]), path)
    findings = validate(out, "--data-dir", folder)[1]
    messages = [finding["message"] for finding in findings if finding["check"] == "manifest"]
    assert ["the 20 % of each class" in message for message in messages] == [True]


def test_validation_needs_a_dataset_without_it(tmp_path: Path) -> None:
    """An error comes before any image is read, and nothing is written."""
    folder = class_folders(tmp_path / "photos" / "train")
    put(folder.parent / "val" / "rose" / "x.jpg", b"no image")
    refused = run_import(tmp_path, folder.parent, "--validation", 20)

    assert refused.exit_code == 1
    assert "already a validation split, of 1 images" in refused.output
    assert not (tmp_path / "manifests").exists()
    unsplit = run_import(tmp_path, folder)
    assert "--validation 20" in unsplit.output
