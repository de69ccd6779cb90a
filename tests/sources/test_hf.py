"""Datasets of Hugging Face: Parquet files and what `save_to_disk` writes."""

import io
import json
import pickle
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from PIL import Image

import cnlw_tools
from cnlw_tools.cli import main
from cnlw_tools.dataset.dataset import read_manifest_info
from cnlw_tools.dataset.tables import ManifestInfo
from cnlw_tools.recipe.inputs import SourceOptions
from cnlw_tools.sources.hf import HuggingFace
from tests.sources.labelled_tables import (
    load_named,
    make_table,
    put_table,
    read_classes,
    read_named,
)


def read_rows(source):
    """Return id, label and split of each image."""
    rows = source.manifest().to_pylist()
    return [(row["image_id"], row["label"], row["split"]) for row in rows]


def test_parquet(lay_out):
    """Rows are numbered across the files of a split; names and bytes are those of the data."""
    folder = lay_out("hf")
    source = HuggingFace(folder)
    rows = read_rows(source)
    expected = []
    for name in ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"):
        expected += pq.read_table(folder / f"data/{name}.parquet").to_pylist()

    assert source.classes() == ("rose", "tulip", "Ram C-V Cargo")
    assert rows[15:17] == [("train-00015", 2, "train"), ("test-00000", 0, "validation")]
    assert [label for _, label, _ in rows] == [row["label"] for row in expected]
    assert [source.read(i) for i, _, _ in rows] == [row["image"]["bytes"] for row in expected]
    assert source.read("train-00000") == expected[0]["image"]["bytes"]


@pytest.mark.parametrize(
    "name", ["train.parquet", "default/train/0000.parquet", "data/training-0.parquet", "x.parquet"]
)
def test_names_of_files(lay_out, tmp_path, name):
    """The name of a file or of its folder gives the split; a single file is for training."""
    (tmp_path / "new" / name).parent.mkdir(parents=True)
    (lay_out("hf") / "data/test-00000-of-00001.parquet").rename(tmp_path / "new" / name)

    assert {split for _, _, split in read_rows(HuggingFace(tmp_path / "new"))} == {"train"}
    assert HuggingFace(tmp_path / "new" / name).manifest().num_rows == 5


def test_save_to_disk(lay_out, tmp_path):
    """What `save_to_disk` writes has the rows, images and names of the Parquet files."""
    folder = lay_out("hf")
    paths = {part: str(folder / f"data/{part}-*.parquet") for part in ("train", "test")}
    data = datasets.load_dataset("parquet", data_files=paths, cache_dir=str(tmp_path / "cache"))
    data.save_to_disk(str(tmp_path / "saved"))
    saved = HuggingFace(tmp_path / "saved")
    parquet = HuggingFace(folder)

    assert read_rows(saved) == read_rows(parquet)
    assert saved.classes() == parquet.classes()
    assert all(saved.read(i) == parquet.read(i) for i, _, _ in read_rows(saved))


def test_labels_without_names(lay_out):
    """Without names, the numbers serve as names."""
    assert HuggingFace(lay_out("hf", names=None)).classes() == ("0", "1", "2")


def png():
    out = io.BytesIO()
    Image.new("RGB", (4, 4)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"image": [png()], "label": [0], "other": [png()]},
            "2 columns may contain images. The columns are image, label, other: .* --image-column",
        ),
        (
            {"label": [0]},
            "0 columns may contain images.*; each row must hold the bytes of one image",
        ),
        ({"image": [png()], "fine": [0]}, "0 columns may contain labels"),
        (
            {"image": [png()], "label": pa.array([None], pa.int64())},
            "column 'label', row 0: None: no label: remove the rows",
        ),
        ({"image": [png()], "label": [-1]}, "column 'label', row 0: -1: no label"),
        ({"image": ["a.png"], "label": [0]}, "0 columns may contain images"),
    ],
)
def test_other_columns(tmp_path, columns, message):
    """The columns of images and labels must be clear; a row without a label is an error."""
    pq.write_table(pa.table(columns), tmp_path / "train.parquet")

    with pytest.raises(ValueError, match=message):
        HuggingFace(tmp_path).manifest()


def test_an_image_that_is_a_path(tmp_path):
    """A row that holds a path to an image instead of its bytes is an error that says so."""
    image = pa.array(
        [{"bytes": None, "path": "a.png"}],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    pq.write_table(pa.table({"image": image, "label": [0]}), tmp_path / "train.parquet")

    with pytest.raises(ValueError, match=r"train.parquet: row 0 of train contains no image"):
        HuggingFace(tmp_path).read("train-00000")


def test_other_files(lay_out):
    """The errors for a damaged file, and for one with other columns, name it."""
    folder = lay_out("hf")
    path = folder / "data/validation-00000-of-00001.parquet"

    path.write_bytes(b"PAR1")
    (folder / "data/test-00000-of-00001.parquet").unlink()
    with pytest.raises(
        ValueError,
        match=r"validation-00000-of-00001.parquet cannot be read .*: copy this file again",
    ):
        HuggingFace(folder).manifest()
    pq.write_table(pa.table({"text": ["a"]}), path)
    with pytest.raises(
        ValueError,
        match=r"validation-.*: 0 columns may contain images. The columns are text: choose",
    ):
        HuggingFace(folder).classes()


def test_by_name_without_a_network(monkeypatch, tmp_path):
    """A name that is not a folder is looked up on the Hub; an error says if that fails."""
    import huggingface_hub

    def fail(*_, **__):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(
        FileNotFoundError,
        match=r"owner/name: there is no such folder, and it cannot be downloaded from the Hub "
        r"\(no route",
    ):
        HuggingFace(tmp_path.relative_to(tmp_path) / "owner/name")


def test_classes_in_another_order(tmp_path):
    """Labels are joined by the names of the classes, over splits and files."""
    first, second = ["dark", "bright"], ["bright", "dark"]
    put_table(tmp_path / "train-00000-of-00002.parquet", ["dark", "bright"], first)
    put_table(tmp_path / "train-00001-of-00002.parquet", ["dark", "bright", "dark"], second)
    put_table(tmp_path / "validation.parquet", ["bright", "dark"], second)

    assert HuggingFace(tmp_path).classes() == ("dark", "bright")
    assert read_classes(tmp_path) == {
        "train": ["dark", "bright", "dark", "bright", "dark"],
        "validation": ["bright", "dark"],
    }


def test_a_class_that_one_split_lacks(tmp_path):
    """A class that one file lacks moves no other class."""
    put_table(tmp_path / "train.parquet", ["a", "b", "c"], ["a", "b", "c"])
    put_table(tmp_path / "test.parquet", ["c", "a", "d"], ["a", "c", "d"])

    assert HuggingFace(tmp_path).classes() == ("a", "b", "c", "d")
    assert read_classes(tmp_path) == {"train": ["a", "b", "c"], "validation": ["c", "a", "d"]}


def test_columns_that_differ(tmp_path):
    """Other types of numbers, and further columns that differ, do not matter."""
    train = make_table(pa.array([0, 1, 2], pa.int64()), lead_time=pa.array([1, 2, 3]))
    test = make_table(pa.array([2, 0], pa.int32()), lead_time=pa.array(["12 s", None]), x=[1, 2])
    pq.write_table(train, tmp_path / "train.parquet")
    pq.write_table(test.select(["x", "label", "image", "lead_time"]), tmp_path / "test.parquet")

    assert read_classes(tmp_path) == {"train": ["0", "1", "2"], "validation": ["2", "0"]}


def test_a_choice_of_columns(tmp_path):
    """A choice of columns says which of several is meant; one that does not fit is an error."""
    table = make_table(pa.array([0, 1]), fine=pa.array(["a", "b"]), made=pa.array([[1], [2]]))
    table = table.append_column("mask", table["image"].slice(0, 2))
    pq.write_table(table.drop_columns("label"), tmp_path / "train.parquet")

    chosen = {"image_column": "image", "label_column": "fine"}
    assert read_classes(tmp_path, **chosen) == {"train": ["a", "b"]}
    for choice, message in (
        (
            {"image_column": "mask"},
            "0 columns may contain labels. The columns are image, fine, made, mask: choose a",
        ),
        (
            {"label_column": "fine"},
            "2 columns may contain images. The columns are image, fine, made, mask: choose a",
        ),
        ({**chosen, "label_column": "coarse"}, "0 columns are called 'coarse' among image, fine"),
        ({**chosen, "label_column": "made"}, "'made' is of type list<.*, which contains no label"),
        ({**chosen, "image_column": "fine"}, "'fine' is of type string, which contains no image"),
    ):
        with pytest.raises(ValueError, match=f"train.parquet: .*{message}"):
            read_classes(tmp_path, **choice)


def test_a_split_without_labels(tmp_path):
    """A test split without labels is an error whose remedy, --split, leaves it out."""
    put_table(tmp_path / "train.parquet", ["bright", "dark"])
    put_table(tmp_path / "validation.parquet", ["dark"])
    labels = datasets.ClassLabel(names=["bright", "dark"])
    pq.write_table(make_table(pa.array([-1, -1]), labels), tmp_path / "test.parquet")

    with pytest.raises(
        ValueError,
        match=r"test.parquet: column 'label', row 0: -1, row 1: -1: no label: .* "
        "leave the split test out: cnlw import --split train --split validation",
    ):
        HuggingFace(tmp_path).manifest()
    assert read_classes(tmp_path, splits=("train", "validation")) == {
        "train": ["bright", "dark"],
        "validation": ["dark"],
    }


def test_what_the_card_says(tmp_path):
    """Numbers without names get those of the card; names and rows that differ are an error."""
    card = """---
dataset_info:
  features:
  - name: label
    dtype: {class_label: {names: {'0': bright, '1': dark}}}
  splits:
  - {name: train, num_examples: 2}
---
"""
    (tmp_path / "README.md").write_text(card)
    pq.write_table(make_table(pa.array([1, 0])), tmp_path / "train.parquet")

    assert read_classes(tmp_path) == {"train": ["dark", "bright"]}
    (tmp_path / "README.md").write_text(card.replace("'1'", "'2'"))
    with pytest.raises(ValueError, match="column 'label': class 1 has no name: give it one"):
        HuggingFace(tmp_path).classes()
    (tmp_path / "README.md").write_text(card)
    put_table(tmp_path / "train.parquet", ["bright", "dark"], ["dark", "bright"])
    with pytest.raises(ValueError, match=r"train.parquet and README.md differ in the names of the"):
        HuggingFace(tmp_path).classes()
    put_table(tmp_path / "train.parquet", ["bright", "dark", "dark"])
    with pytest.raises(ValueError, match=r"train has 3 rows, but README.md says 2: complete"):
        HuggingFace(tmp_path).manifest()


def test_a_split_that_the_card_counts(tmp_path):
    """A split that the card counts and that has no file is an error, unless others are chosen."""
    card = "---\ndataset_info:\n  splits:\n  - {name: train, num_examples: 2}\n"
    card += "  - {name: test, num_examples: 2}\n---\n"
    (tmp_path / "README.md").write_text(card)
    put_table(tmp_path / "train.parquet", ["bright", "dark"])

    with pytest.raises(FileNotFoundError, match=r"README.md lists a split test, which has no file"):
        HuggingFace(tmp_path).manifest()
    assert read_classes(tmp_path, splits=("train",)) == {"train": ["bright", "dark"]}


def test_an_older_card(tmp_path):
    """`dataset_infos.json` names the classes as `load_dataset` reads them."""
    features = {"image": {"_type": "Image"}, "label": {"names": ["dark", "bright"]}}
    features["label"]["_type"] = "ClassLabel"
    (tmp_path / "d").mkdir()
    (tmp_path / "d/dataset_infos.json").write_text(json.dumps({"a--b": {"features": features}}))
    pq.write_table(make_table(pa.array([1, 0])), tmp_path / "d/train.parquet")

    assert read_classes(tmp_path / "d") == {"train": ["bright", "dark"]}
    assert read_named(tmp_path / "d") == load_named(tmp_path / "d", tmp_path / "cache")


def test_names_beside_arrow_files(tmp_path):
    """Class names that differ between an Arrow file and `dataset_info.json` are an error."""
    labels = datasets.ClassLabel(names=["bright", "dark"])
    part = datasets.Dataset(make_table(pa.array([0, 1]), labels))
    part.save_to_disk(tmp_path / "train")

    assert read_classes(tmp_path) == {"train": ["bright", "dark"]}
    info = json.loads((tmp_path / "train/dataset_info.json").read_text())
    info["features"]["label"]["names"] = ["dark", "bright"]
    (tmp_path / "train/dataset_info.json").write_text(json.dumps(info))
    with pytest.raises(
        ValueError, match=r"arrow and dataset_info.json differ in the names of the classes"
    ):
        HuggingFace(tmp_path).manifest()


def test_an_empty_shard(tmp_path):
    """A file without rows counts for nothing; a split without rows is an error."""
    put_table(tmp_path / "train-0.parquet", ["bright", "dark"])
    pq.write_table(pa.table({"label": pa.array([], pa.null())}), tmp_path / "train-1.parquet")

    assert read_classes(tmp_path) == {"train": ["bright", "dark"]}
    pq.write_table(pa.table({"label": pa.array([], pa.null())}), tmp_path / "test.parquet")
    with pytest.raises(ValueError, match="the split test has no rows: choose others"):
        HuggingFace(tmp_path).manifest()


def test_an_empty_split_on_disk(tmp_path):
    """A split that was saved without rows is an error that says so; others can be chosen."""
    part = datasets.Dataset(make_table(pa.array([0, 1]), datasets.ClassLabel(names=["a", "b"])))
    datasets.DatasetDict(train=part, test=part.select([])).save_to_disk(tmp_path)

    with pytest.raises(ValueError, match="the split test has no rows: choose others"):
        HuggingFace(tmp_path).manifest()
    assert len(HuggingFace(tmp_path, SourceOptions(splits=("train",))).manifest()) == 2


def test_a_class_without_a_name(tmp_path):
    """A class whose name is null is an error."""
    labels = datasets.ClassLabel(names=["a", "b"])
    table = make_table(pa.array([0, 1]), labels)
    text = table.schema.metadata[b"huggingface"].replace(b'"b"', b"null")
    table = table.replace_schema_metadata({"huggingface": text})
    pq.write_table(table, tmp_path / "train.parquet")

    with pytest.raises(ValueError, match="column 'label': class 1 has no name: give it one"):
        HuggingFace(tmp_path).classes()


@pytest.mark.parametrize("text", [b"[]", b'{"info": 3}', b'{"info": {"features": [1]}}'])
def test_other_metadata(tmp_path, text):
    """Metadata that are not those of `datasets` say nothing about the columns."""
    table = make_table(pa.array([0, 1])).replace_schema_metadata({"huggingface": text})
    pq.write_table(table, tmp_path / "train.parquet")

    assert HuggingFace(tmp_path).classes() == ("0", "1")


def test_damaged_metadata(tmp_path):
    """Metadata that are not JSON are an error that names the file."""
    table = make_table(pa.array([0, 1])).replace_schema_metadata({"huggingface": b"{"})
    pq.write_table(table, tmp_path / "train.parquet")

    with pytest.raises(
        ValueError, match=r"train.parquet: the metadata of datasets cannot be read as JSON"
    ):
        HuggingFace(tmp_path).classes()


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A Hub that gives a folder of commit ffff... and keeps what is asked."""
    import huggingface_hub

    requests = []
    folder = tmp_path / "snapshots" / ("f" * 40)
    put_table(folder / "data/train-00000-of-00001.parquet", ["bright", "dark"])

    def download(name, *, revision, allow_patterns, **_):
        requests.append((name, revision))
        assert {"README.md", "*.parquet"} <= set(allow_patterns)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    return requests


def test_the_commit_is_kept(hub):
    """The commit that was downloaded is an option of the source, and a copy asks nobody."""
    source = HuggingFace(Path("owner/name"))
    pickle.loads(pickle.dumps(source)).manifest()

    assert source.options.revision == "f" * 40
    assert hub == [("owner/name", None)]


def test_the_commit_is_asked_for(hub):
    """A commit that an import kept is asked for, and so is a revision that is given by hand."""
    HuggingFace(Path("owner/name"), SourceOptions(revision="f" * 40))
    HuggingFace(Path("owner/name@v1.0"))
    HuggingFace(Path("owner/name@refs/convert/parquet"))

    revisions = ["f" * 40, "v1.0", "refs/convert/parquet"]
    assert hub == [("owner/name", revision) for revision in revisions]


@pytest.mark.slow
@pytest.mark.usefixtures("reads_back_here")
def test_import_and_build_at_one_commit(hub, tmp_path, monkeypatch):
    """The manifest keeps the commit of the import; build and validate ask for that one."""
    monkeypatch.chdir(tmp_path)
    cnlw("import", "hf", "owner/name", "--as", "lamps", "--root", "my")
    info = read_manifest_info(tmp_path / "my/manifests/lamps/base.parquet", "lamps")
    build = ["--dataset", "lamps", "--root", "my", "--data-dir", "owner/name", "--noise", "blue"]
    cnlw("build", *build, "--level", "0", "--out", "lamps", "--workers", "1")
    cnlw("validate", "lamps", "--data-dir", "owner/name", "--workers", "1")

    assert info == ManifestInfo("hf", SourceOptions(revision="f" * 40))
    assert hub[0] == ("owner/name", None)
    assert len(hub) > 2
    assert {revision for _, revision in hub[1:]} == {"f" * 40}


def test_a_build_without_import_keeps_the_commit(hub, tmp_path, monkeypatch):
    """A build straight from the Hub downloads once, and keeps the commit in its own tables."""
    monkeypatch.chdir(tmp_path)
    build = ["--dataset", "hf", "--data-dir", "owner/name", "--noise", "blue", "--level", "0"]
    cnlw("build", *build, "--out", "lamps", "--workers", "1")
    info = read_manifest_info(tmp_path / "lamps/tables/base.parquet", "hf")

    assert hub == [("owner/name", None)]
    assert info.options == SourceOptions(revision="f" * 40)


def test_choices_are_kept(tmp_path):
    """What is chosen at import is in the manifest, and a build reads the images by it."""
    data, root = tmp_path / "data", tmp_path / "my"
    fine = pa.array(["rose", "tulip"] * 3)
    table = make_table(pa.array([0] * 6), fine=fine)
    table = table.append_column("mask", table["image"])
    for name in ("full/train.parquet", "small/train.parquet", "small/more.parquet"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table if "train" in name else table.slice(3), data / name)
    card = "---\nconfigs:\n- config_name: full\n- config_name: small\n  data_files:\n"
    card += "  - {split: train, path: small/train.*}\n  - {split: more, path: small/more.*}\n---\n"
    (data / "README.md").write_text(card)
    choices = ["--config", "small", "--label-column", "fine", "--image-column", "mask"]
    choices += ["--split", "train", "--split", "more=test"]
    output = cnlw("import", "hf", data, "--as", "lamps", "--root", root, *choices)
    info = read_manifest_info(root / "manifests/lamps/base.parquet", "lamps")
    build = ["--dataset", "lamps", "--root", root, "--data-dir", data, "--noise", "blue"]
    cnlw("build", *build, "--level", 40, "--out", tmp_path / "o", "--workers", 1)

    assert "2 classes; train 6, test 3" in output
    options = SourceOptions("small", "mask", "fine", ("train", "more=test"))
    assert info == ManifestInfo("hf", options)
    assert info.as_block()["options"]["splits"] == ("train", "more=test")


def test_what_is_left_out(tmp_path):
    """Files that belong to no split are left out, as `load_dataset` does; the import names them."""
    for name in ("data/train-00000-of-00001", "old/train-00000-of-00001", "validation"):
        put_table(tmp_path / f"d/{name}.parquet", ["bright", "dark"])
    output = cnlw("import", "hf", tmp_path / "d", "--as", "lamps", "--root", tmp_path)

    assert "2 classes; train 2\n" in output
    assert "left out: 1 old/train-00000-of-00001.parquet, 1 validation.parquet\n" in output


def test_choices_in_python(tmp_path):
    """`cnlw.import_source` takes the choices of the command; an unknown one is an error."""
    put_table(tmp_path / "a/train.parquet", ["bright", "dark"])
    put_table(tmp_path / "b/train.parquet", ["bright", "dark", "dark"])
    options = {"root": tmp_path, "workers": 1, "progress": False}
    folder = cnlw_tools.import_source(
        "hf", tmp_path, "lamps", config="b", splits=["train"], **options
    )
    info = read_manifest_info(folder / "base.parquet", "lamps")

    assert info.options == SourceOptions(config="b", splits=("train",))
    with pytest.raises(ValueError, match=r"import_source: unknown key 'confg'. Did you mean"):
        cnlw_tools.import_source("hf", tmp_path, "lamps", confg="b", **options)


def test_other_sources_have_no_choices(lay_out, tmp_path):
    """A choice for a source that has none is an error that names it."""
    arguments = [
        "import",
        "folder",
        str(lay_out("folder")),
        "--root",
        str(tmp_path),
        "--config",
        "x",
    ]
    result = CliRunner().invoke(main, arguments)

    assert result.exit_code == 1
    assert "folder: this source has no option config (here 'x'): leave it out" in result.output


def cnlw(*arguments):
    """Run a command that must succeed; return its output."""
    result = CliRunner().invoke(main, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_another_commit(hub):
    """A revision that is not the one of the import is an error that names both commits."""
    with pytest.raises(
        ValueError, match=r"owner/name@main: this is commit f+, but the dataset was imported at e+"
    ):
        HuggingFace(Path("owner/name@main"), SourceOptions(revision="e" * 40))


def test_by_name(monkeypatch, lay_out, tmp_path):
    """A dataset in the Hub's own cache is read like any folder."""
    import huggingface_hub

    folder = lay_out("hf")
    requests = []
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda name, **_: requests.append(name) or str(folder)
    )

    assert read_rows(HuggingFace(tmp_path.relative_to(tmp_path) / "owner/name")) == read_rows(
        HuggingFace(folder)
    )
    assert requests == ["owner/name"]
