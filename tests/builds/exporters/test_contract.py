"""What holds for every exporter: a new entry needs a line in READERS, and inherits the tests."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from webdataset import tariterators

from cnlw_tools import files
from cnlw_tools.builds.exporters import EXPORTERS, export
from cnlw_tools.card.file_list import CROISSANT
from cnlw_tools.card.metadata import config_shards, read_card
from cnlw_tools.files.storage import RemoteFolder
from tests.builds.exporters.conftest import PLANNED

CONFIG = "red_40_t40_probe2"
Rows = Counter[tuple[str, str, str]]  # split, image id, name of the given label


def open_samples(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the samples of a tar file, undecoded."""
    with path.open("rb") as stream:
        files = tariterators.tar_file_expander([{"url": str(path), "stream": stream}])
        yield from tariterators.group_by_keys(files)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_class_folders(folder: Path) -> Rows:
    """The split and the label of an image are its folders; labels.csv knows its id."""
    rows: Rows = Counter()
    for row in read_csv(folder / "labels.csv"):
        path = folder / row["file"]
        assert path.stat().st_size > 0
        rows[path.parent.parent.name, row["image_id"], path.parent.name] += 1
    n_files = sum(path.is_file() for path in folder.rglob("*"))
    assert n_files == rows.total() + 1
    return rows


def read_label_tables(folder: Path) -> Rows:
    """One table a split."""
    rows: Rows = Counter()
    for path in folder.glob("*.csv"):
        for row in read_csv(path):
            rows[path.stem, row["image_id"], row["label_name"]] += 1
    return rows


def read_arrays(folder: Path) -> Rows:
    """One archive a split, with a row of each array for a row of the split."""
    rows: Rows = Counter()
    for path in folder.iterdir():
        with np.load(path) as arrays:
            names = arrays["classes"][arrays["labels"]].tolist()
            assert len(arrays["images"]) == len(names)
            for image_id, name in zip(arrays["image_ids"].tolist(), names, strict=True):
                rows[path.stem, image_id, name] += 1
    return rows


def read_samples(folder: Path) -> Rows:
    """Tar files whose names begin with the split; a sample has an image, a label and facts."""
    rows: Rows = Counter()
    for path in folder.iterdir():
        for sample in open_samples(path):
            assert {*sample} >= {"png", "cls", "json"}
            facts = json.loads(sample["json"])
            assert facts["label"] == int(sample["cls"])
            rows[path.name.rpartition("-")[0], facts["image_id"], facts["label_name"]] += 1
    return rows


READERS = {  # exporter -> what reads its folder, without code of the package
    "imagefolder": read_class_folders,
    "labels": read_label_tables,
    "npz": read_arrays,
    "webdataset": read_samples,
}
TRUTH_COLUMNS = ("image_id", "label", "clean_label", "is_noisy", "origin", "replaces")


def read_true_tables(folder: Path) -> Iterator[list[Any]]:
    """Every csv file of an export says what is true of each image."""
    for path in folder.glob("*.csv"):
        for row in read_csv(path):
            row["is_noisy"] = row["is_noisy"].capitalize()
            yield [row[name] for name in TRUTH_COLUMNS]


def read_true_arrays(folder: Path) -> Iterator[list[Any]]:
    """There is an array of each; -1 is a label that nobody knows."""
    names = ("image_ids", "labels", "clean_labels", "is_noisy", "origins", "replaces")
    for path in folder.iterdir():
        with np.load(path) as arrays:
            for row in zip(*(arrays[name].tolist() for name in names), strict=True):
                yield ["" if cell == -1 else cell for cell in row]


def read_true_samples(folder: Path) -> Iterator[list[Any]]:
    """The facts of a sample include the truth."""
    for path in folder.iterdir():
        for sample in open_samples(path):
            facts = json.loads(sample["json"])
            yield ["" if facts[name] is None else facts[name] for name in TRUTH_COLUMNS]


TRUTH_READERS = {  # exporter -> what reads the truth in its folder
    "imagefolder": read_true_tables,
    "labels": read_true_tables,
    "npz": read_true_arrays,
    "webdataset": read_true_samples,
}


def test_every_exporter_is_read_back():
    """There is a reader for each."""
    assert [*READERS] == [*EXPORTERS]


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_an_address_gets_the_files_of_a_folder(exporter, built, tmp_path, contents, memory):
    """They are the same; what is there already is refused, and after an error nothing is there."""
    export(exporter, built, CONFIG, tmp_path / "folder")
    address = "memory://bucket/export"

    export(exporter, built, CONFIG, address)

    remote = RemoteFolder(address)
    put = {name: remote.read(name, lambda file: file.read()) for name in remote.list_files()}
    expected = {}
    for path in (tmp_path / "folder").rglob("*"):
        if path.is_file():
            expected[str(path.relative_to(tmp_path / "folder"))] = path.read_bytes()
    assert put == expected
    with pytest.raises(FileExistsError, match=f"{address}: something else is at this address: use"):
        export(exporter, built, CONFIG, address)


def test_an_error_leaves_nothing_at_an_address(built, memory, monkeypatch):
    """What was put before it is deleted again."""
    put_file = type(memory).put_file
    n_calls = 0

    def put_first(*arguments: Any) -> None:
        nonlocal n_calls
        n_calls += 1
        if n_calls > 2:
            raise PermissionError("no more")
        put_file(*arguments)

    monkeypatch.setattr(type(memory), "put_file", put_first)

    with pytest.raises(OSError, match="memory://bucket/export cannot be written"):
        export("labels", built, CONFIG, "memory://bucket/export")

    assert n_calls == 3
    assert memory.find("/bucket") == []


@pytest.mark.parametrize("config", PLANNED)
@pytest.mark.parametrize("exporter", EXPORTERS)
def test_what_was_planned_is_read_back(exporter, config, built, planned, inputs, tmp_path):
    """Every row of the plan, in its split, under its given label, as often as planned."""
    export(exporter, built, config, tmp_path / "out")
    classes = [row["name"] for row in read_csv(inputs.root / "manifests/shapes/classes.csv")]
    expected: Rows = Counter()
    for row in planned(config).to_pylist():
        expected[row["split"], row["image_id"], classes[row["label"]]] += 1

    assert READERS[exporter](tmp_path / "out") == expected


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_an_export_depends_on_nothing_but_the_build(exporter, built, tmp_path, contents):
    """Two exports of one config have the same bytes."""
    export(exporter, built, CONFIG, tmp_path / "a")
    export(exporter, built, CONFIG, tmp_path / "b")

    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_the_truth_is_not_told_unless_asked_for(exporter, built, tmp_path, contents):
    """Without options nothing says which labels are wrong."""
    export(exporter, built, CONFIG, tmp_path / "out")

    for name, content in contents(tmp_path / "out").items():
        assert "clean_label" not in name
        assert "is_noisy" not in name
        assert b"is_noisy" not in content, name
        assert b"clean_label" not in content, name
        assert b"origin" not in content, name


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_the_truth_is_that_of_the_plan(exporter, built, planned, tmp_path):
    """With the option, the files say what is true of each image."""
    export(exporter, built, CONFIG, tmp_path / "out", {"truth": True})
    expected = Counter()
    for row in planned(CONFIG).to_pylist():
        cells = [row[name] for name in TRUTH_COLUMNS]
        expected["\t".join("" if cell is None else str(cell) for cell in cells)] += 1
    told = Counter()
    for cells in TRUTH_READERS[exporter](tmp_path / "out"):
        told["\t".join(map(str, cells))] += 1

    assert told == expected


@pytest.mark.parametrize("content", ["a file", "an empty folder", "a folder"])
@pytest.mark.parametrize("exporter", EXPORTERS)
def test_what_is_there_is_refused(exporter, content, built, tmp_path):
    """And stays as it is."""
    out = tmp_path / "out"
    if content == "a file":
        out.write_text("mine")
    else:
        out.mkdir()
    if content == "a folder":
        (out / "thesis.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(FileExistsError, match="out exists already: use another --out"):
        export(exporter, built, CONFIG, out)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"config": "red_4_t40_probe2"}, LookupError, f"Did you mean '{CONFIG}'"),
        ({"build": "nowhere"}, ValueError, "no build here"),
        ({"options": {"thruth": True}}, ValueError, r"has no option 'thruth'\."),
        ({"options": {"truth": "yes"}}, ValueError, r"truth"),
    ],
)
def test_a_wrong_call_writes_nothing(exporter, arguments, error, message, built, tmp_path):
    """It is an error that names the remedy."""
    call = {"build": built, "config": CONFIG, "options": {}, **arguments}

    with pytest.raises(error, match=message):
        export(exporter, Path(call["build"]), call["config"], tmp_path / "out", call["options"])
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_exporter_is_an_error(built, tmp_path):
    """It names the one that was probably meant."""
    with pytest.raises(LookupError, match="Did you mean 'imagefolder'"):
        export("imagefolders", built, CONFIG, tmp_path / "out")


@pytest.mark.parametrize("damage", ["missing", "truncated", "unlisted", "relabelled"])
@pytest.mark.parametrize("exporter", EXPORTERS)
def test_a_damaged_build_is_an_error(exporter, damage, built, tmp_path):
    """Rows that are missing from a build do not go missing from the export without a word."""
    build = shutil.copytree(built, tmp_path / "build")
    name = config_shards(read_card(build), CONFIG)["train"][0]
    shard = build / "data" / name
    if damage == "missing":
        shard.unlink()
    elif damage == "truncated":
        shard.write_bytes(shard.read_bytes()[:-9])
    elif damage == "relabelled":
        table = pq.read_table(shard)
        number = table.column_names.index("label")
        labels = pa.array(table["label"].to_pylist()[::-1], table.schema.field(number).type)
        pq.write_table(table.set_column(number, table.schema.field(number), labels), shard)
    else:
        content = json.loads((build / CROISSANT).read_text())
        files = content["distribution"]
        content["distribution"] = [file for file in files if not file["@id"].endswith(name)]
        (build / CROISSANT).write_text(json.dumps(content))

    with pytest.raises((ValueError, OSError), match="see what `cnlw validate` says"):
        export(exporter, build, CONFIG, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["build"]


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_classes_in_another_order_are_an_error(exporter, built, tmp_path):
    """Each label would have the name of another class."""
    build = shutil.copytree(built, tmp_path / "build")
    class_list = build / "tables" / "classes.csv"
    first, *lines = class_list.read_text().splitlines(keepends=True)
    class_list.write_text("".join([first, *lines[::-1]]))

    with pytest.raises(ValueError, match=r"classes\.csv: "):
        export(exporter, build, CONFIG, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_an_error_at_the_end_leaves_nothing(exporter, built, tmp_path, monkeypatch):
    """Where the folder cannot be renamed, it is deleted."""

    def fail(self, target):
        raise OSError("no space left")

    monkeypatch.setattr(Path, "rename", fail)

    with pytest.raises(OSError, match="no space left"):
        export(exporter, built, CONFIG, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


WAITS_AT_THE_END = """
import sys
from pathlib import Path
from cnlw_tools.builds.exporters import export

def wait(self, target):
    print("written", flush=True)
    sys.stdin.readline()

Path.rename = wait
exporter, build, config, out = sys.argv[1:]
export(exporter, Path(build), config, Path(out))
"""


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_a_killed_export_leaves_no_half_folder(exporter, built, tmp_path, contents):
    """Nothing has the name, and the next export of this name leaves that folder alone."""
    out = tmp_path / "out"
    command = [sys.executable, "-c", WAITS_AT_THE_END, exporter, str(built), CONFIG, str(out)]
    env = {**os.environ, "PYTHONPATH": str(files.default_root())}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=env, **pipes) as process:
        assert process.stdout.readline() == b"written\n"
        with pytest.raises(BlockingIOError, match="another export is at work here"):
            export(exporter, built, CONFIG, out)
        process.send_signal(signal.SIGKILL)
    assert not out.exists()

    export(exporter, built, CONFIG, out)
    export(exporter, built, CONFIG, tmp_path / "calm")

    assert contents(out) == contents(tmp_path / "calm")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calm", "out"]


def test_a_manifest_in_another_order_is_an_error(built, tmp_path):
    """Each label would be that of another image."""
    build = shutil.copytree(built, tmp_path / "build")
    path = build / "tables" / "base.parquet"
    table = pq.read_table(path)
    pq.write_table(table.take(list(range(len(table)))[::-1]), path)

    with pytest.raises(ValueError, match=r"base\.parquet: the table is not the one that the card"):
        export("labels", build, CONFIG, tmp_path / "out")
    assert not (tmp_path / "out").exists()
