"""Datasets of Hugging Face: Parquet files and what `save_to_disk` writes."""

import io

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cnlw_tools.sources.hf import HuggingFace


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
            "2 columns of images among image, label, other: keep one",
        ),
        ({"label": [0]}, "0 columns of images"),
        ({"image": [png()], "fine": [0]}, "0 columns of labels"),
        (
            {"image": [png()], "label": pa.array([None], pa.int64())},
            "row 0 of train has label None",
        ),
        ({"image": [png()], "label": [-1]}, "row 0 of train has label -1"),
        ({"image": ["a.png"], "label": [0]}, "0 columns of images"),
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

    with pytest.raises(ValueError, match=r"train.parquet: row 0 of train holds no image"):
        HuggingFace(tmp_path).read("train-00000")


def test_other_files(lay_out):
    """The errors for a damaged file, one with other columns, and one of no split name it."""
    folder = lay_out("hf")
    path = folder / "data/validation-0.parquet"

    path.write_bytes(b"PAR1")
    with pytest.raises(
        ValueError, match=r"validation-0.parquet: cannot be read .*: copy this file again"
    ):
        HuggingFace(folder).manifest()
    pq.write_table(pa.table({"text": ["a"]}), path)
    with pytest.raises(
        ValueError,
        match=r"validation-0.parquet: its columns differ from those of .*: give the folder of one",
    ):
        HuggingFace(folder).classes()
    path.rename(folder / "data/blurred-0.parquet")
    with pytest.raises(ValueError, match=r"blurred-0.parquet: its name does not tell the split"):
        HuggingFace(folder).manifest()


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
