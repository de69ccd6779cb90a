"""Datasets: found in their folders, checked, written and read again."""

import re
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cnlw_tools import files
from cnlw_tools.dataset import dataset
from cnlw_tools.dataset.tables import MANIFEST, VOTES


def test_load(toy):
    """A dataset is four tables in two folders."""
    toy_dataset = dataset.read_dataset("toy", toy)

    assert toy_dataset.classes == ("class a", "class b", "class c", "class d")
    assert (len(toy_dataset.base), len(toy_dataset.web), len(toy_dataset.votes)) == (108, 168, 168)
    assert len(toy_dataset.web_pool(1)) == 160


def test_names(toy, toy_maker):
    """Datasets are the folders that hold a class list, and those of the package."""
    toy_maker(toy, "other")
    (toy / "manifests" / "no dataset").mkdir()

    package_names = dataset.list_datasets(files.default_root())
    assert dataset.list_datasets(toy) == sorted([*package_names, "other", "toy"])


def test_unknown(toy):
    """An unknown dataset is an error that lists those that there are, and where."""
    with pytest.raises(LookupError) as caught:
        dataset.read_dataset("toi", toy)

    message = str(caught.value)
    assert message.startswith(
        "unknown dataset 'toi'. Did you mean 'toy'? The choices are: cifar10, "
    )
    assert message.endswith(f", toy (in {toy} and {files.default_root()})")


@pytest.mark.parametrize("name", ["base", "web"])
def test_absent_tables(toy, name):
    """A base manifest, a web manifest and votes may be absent."""
    (toy / "annotations" / "toy" / "votes.parquet").unlink()
    (toy / "manifests" / "toy" / f"{name}.parquet").unlink()

    toy_dataset = dataset.read_dataset("toy", toy)

    assert toy_dataset.votes.equals(VOTES.empty_table())
    assert (toy_dataset.base is None) == (name == "base")
    assert len(toy_dataset.web) == (0 if name == "web" else 168)


def test_votes_without_web(toy):
    """Votes without a web manifest are votes for nothing."""
    (toy / "manifests" / "toy" / "web.parquet").unlink()

    with pytest.raises(
        ValueError, match=re.escape("votes.parquet: column 'image_id', row 0: {'image_id': 'w0.0'")
    ):
        dataset.read_dataset("toy", toy)


def test_bad_table(toy):
    """A table that does not fit the class list is an error that names its file."""
    classes = toy / "manifests" / "toy" / "classes.csv"
    classes.write_text("label,name\n0,a\n")

    with pytest.raises(
        ValueError, match=r"base.parquet: column 'label', row \d+: 1 \(\d+ such rows\); labels"
    ):
        dataset.read_dataset("toy", toy)


@pytest.mark.parametrize("drop", [(), ("web", "votes"), ("base",)])
def test_round_trip(toy, tmp_path, drop):
    """A dataset that is written into one folder is read from it again, with the same digests."""
    toy_dataset = dataset.read_dataset("toy", toy)
    empty = {"web": MANIFEST.empty_table(), "votes": VOTES.empty_table(), "base": None}
    toy_dataset = replace(toy_dataset, **{name: empty[name] for name in drop})

    dataset.write_tables(toy_dataset, tmp_path / "tables")
    again = dataset.read_tables("toy", tmp_path / "tables", tmp_path / "tables")

    assert again == toy_dataset
    assert again.digests == toy_dataset.digests


def test_digests(toy):
    """Every table has its digest, and a changed vote changes that of the votes alone."""
    toy_dataset = dataset.read_dataset("toy", toy)
    path = toy / "annotations" / "toy" / "votes.parquet"
    rows = toy_dataset.votes.to_pylist()
    rows[0]["correct"] = None
    pq.write_table(pa.Table.from_pylist(rows, VOTES), path)

    old_digests, new_digests = toy_dataset.digests, dataset.read_dataset("toy", toy).digests

    assert set(old_digests) == {"classes", "base", "web", "votes"}
    assert [name for name in old_digests if old_digests[name] != new_digests[name]] == ["votes"]


def test_with_base(toy):
    """A base manifest that a source made is checked like any other."""
    toy_dataset = replace(dataset.read_dataset("toy", toy), base=None)
    good = pa.Table.from_pylist([{"image_id": "a", "label": 3, "split": "train"}], MANIFEST)
    bad = pa.Table.from_pylist([{"image_id": "a", "label": 4, "split": "train"}], MANIFEST)

    assert toy_dataset.with_base(good, "here").base.equals(good)
    with pytest.raises(ValueError, match=r"^here: column 'label', row 0: 4"):
        toy_dataset.with_base(bad, "here")


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ((), "there is no class: give at least one"),
        (("a", "b", "a"), "two classes are called 'a': give every class a different name"),
    ],
)
def test_bare(classes, message):
    """What a source says of classes is checked like a class list."""
    with pytest.raises(ValueError, match=f"^mine: {message}"):
        dataset.empty_dataset("mine", classes)
    assert dataset.empty_dataset("mine", ("a",)).digests.keys() == {"classes", "web", "votes"}


def edited(path, edit):
    pq.write_table(edit(pq.read_table(path)), path)


def test_csv_in_place_of_parquet(toy):
    """A table in the wrong format is not passed over in silence."""
    path = toy / "manifests/toy/base.parquet"
    path.rename(path.with_suffix(".csv"))

    with pytest.raises(
        ValueError, match=r"base\.csv: this table must be a Parquet file: store it as base\.parquet"
    ):
        dataset.read_dataset("toy", toy)


@pytest.mark.parametrize("name", ["val-a", "a b", "", "all", "train ", "a/b", "x" * 65])
def test_split_that_datasets_cannot_load(toy, name):
    """A build with such a split could not be read back."""
    edited(
        toy / "manifests/toy/base.parquet",
        lambda t: t.set_column(2, "split", pa.array([name, *t["split"].to_pylist()[1:]])),
    )

    with pytest.raises(ValueError, match="column 'split', row 0"):
        dataset.read_dataset("toy", toy)


def test_empty_table_with_columns_of_its_own(toy, tmp_path):
    """An empty table is written as none, and is the same when it is read again."""
    edited(
        toy / "manifests/toy/web.parquet",
        lambda t: t[:0].append_column("free", pa.nulls(0, pa.string())),
    )
    (toy / "annotations/toy/votes.parquet").unlink()
    toy_dataset = dataset.read_dataset("toy", toy)

    dataset.write_tables(toy_dataset, tmp_path / "copy")

    assert (
        dataset.read_tables("toy", tmp_path / "copy", tmp_path / "copy").digests
        == toy_dataset.digests
    )


def test_labels_that_are_flags(toy):
    """True and false are no classes."""
    edited(
        toy / "manifests/toy/base.parquet",
        lambda t: t.set_column(1, "label", pa.array([True] * len(t))),
    )

    with pytest.raises(ValueError, match="column 'label' has type bool"):
        dataset.read_dataset("toy", toy)


def test_a_long_value_is_shortened(toy):
    """A complaint is one line that a person can read."""
    edited(
        toy / "manifests/toy/base.parquet",
        lambda t: t.set_column(0, "image_id", pa.array(["x" * 100_000] * len(t))),
    )

    with pytest.raises(ValueError, match="occurs 108 times") as caught:
        dataset.read_dataset("toy", toy)
    assert len(str(caught.value)) < 1000
