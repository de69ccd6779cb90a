"""Which files of a folder are the dataset, compared with what `datasets` reads."""

import os
from random import Random

import datasets
import pytest

from cnlw_tools.sources.formats.data_files import find_data_files, list_files
from cnlw_tools.sources.formats.split_names import split_of_name
from tests.sources.labelled_tables import (
    draw_png,
    load_named,
    put_table,
    read_classes,
    read_named,
)

ONE = "-00000-of-00001.parquet"
DARK, BRIGHT = ["dark"] * 2, ["bright"] * 3


def put_configs(folder, default=""):
    """Write three configs, and a card that says so."""
    lines = ["---", "configs:"]
    for number, name in enumerate(("full", "small", "cropped")):
        put_table(folder / name / f"train{ONE}", ["dark", "bright"] * (3 - number))
        lines += [f"- config_name: {name}", "  data_files:", "  - split: train"]
        lines += [f"    path: {name}/train-*"]
        if name == default:
            lines.append("  default: true")
    (folder / "README.md").write_text("\n".join([*lines, "---", "# Lamps"]))


def save(folder, n_rows, n_shards, split="train"):
    """Save a dataset with `save_to_disk`."""
    images = [{"bytes": draw_png(), "path": None} for _ in range(n_rows)]
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["dark", "bright"])}
    )
    rows = {"image": images, "label": [i % 2 for i in range(n_rows)]}
    part = datasets.Dataset.from_dict(rows, features=features)
    datasets.DatasetDict({split: part}).save_to_disk(folder, num_shards={split: n_shards})


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        ({f"data/train{ONE}": DARK, f"data/val{ONE}": BRIGHT}, ["train", "validation"]),
        ({f"data/train{ONE}": DARK, f"old/train{ONE}": DARK, "x.parquet": DARK}, ["train"]),
        ({"train/0.parquet": DARK, "test/0.parquet": BRIGHT}, ["train", "validation"]),
        ({"default/train/0000.parquet": DARK}, ["train"]),
        ({"lamps_train-2020.parquet": DARK, "dev.parquet": BRIGHT}, ["train", "validation"]),
        ({"train-1.parquet": DARK, "train-2.parquet": BRIGHT}, ["train"]),
        ({"part-00000.parquet": DARK, "part-00001.parquet": BRIGHT}, ["train"]),
        ({"contrast-1.parquet": DARK, "contrast-2.parquet": BRIGHT}, ["train"]),
    ],
)
def test_names_tell_the_split(tmp_path, names, splits):
    """The same rows are in the same splits as `load_dataset` has them, in the same order."""
    for name, words in names.items():
        put_table(tmp_path / "d" / name, words)
    rows = read_named(tmp_path / "d")
    loaded = load_named(tmp_path / "d", tmp_path / "cache")

    assert [*rows] == splits
    assert [*rows.values()] == [*loaded.values()]


def test_capital_letters(tmp_path):
    """Train and TEST are splits, where `load_dataset` would take both for train."""
    put_table(tmp_path / "Train-0.parquet", DARK)
    put_table(tmp_path / "TEST-0.parquet", BRIGHT)

    assert read_classes(tmp_path) == {"train": DARK, "validation": BRIGHT}


@pytest.mark.parametrize(
    "clutter",
    [".ipynb_checkpoints", "__MACOSX", "@eaDir", ".cache/x", "__pycache__", "data/.x"],
)
def test_hidden_folders(tmp_path, clutter):
    """Hidden folders and files, and what other programs leave behind, are never read."""
    put_table(tmp_path / f"data/train{ONE}", DARK)
    put_table(tmp_path / clutter / f"train{ONE}", BRIGHT)
    put_table(tmp_path / f"data/._train{ONE}", BRIGHT)

    assert read_classes(tmp_path) == {"train": DARK}


def test_missing_parts(tmp_path):
    """Parts of a set that are missing are an error that names them."""
    for number in (0, 3):
        put_table(tmp_path / f"train-0000{number}-of-00005.parquet", DARK)

    with pytest.raises(
        FileNotFoundError,
        match=r"missing: train-00001-of-00005.parquet, train-00002-of-00005.parquet, "
        "train-00004-of-00005.parquet: complete your copy",
    ):
        find_data_files(tmp_path)


def test_a_part_twice(tmp_path):
    """A part of a set that is there twice, of two uploads, is an error that names both."""
    for name in ("train-00000-of-00001-abc", "train-00000-of-00001-def"):
        put_table(tmp_path / "data" / f"{name}.parquet", DARK)

    with pytest.raises(ValueError, match=r"occurs twice: data/train-.*-abc.*, data/train-.*-def"):
        find_data_files(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        (f"train{ONE}", f"old/train{ONE}"),
        (
            f"full/train{ONE}",
            "small/train-00000-of-00002.parquet",
            "small/train-00001-of-00002.parquet",
        ),
        (
            "data/train-00000-of-00001.parquet",
            "data/train-00000-of-00002.parquet",
            "data/train-00001-of-00002.parquet",
        ),
        ("a/train/0000.parquet", "b/train/0000.parquet"),
        ("full/part-0.parquet", "small/part-0.parquet"),
    ],
)
def test_copies(tmp_path, names):
    """A split that lies there several times is an error that names the copies."""
    for name in names:
        put_table(tmp_path / name, DARK)

    with pytest.raises(ValueError, match=r"a split occurs several times: .*: choose a folder"):
        find_data_files(tmp_path)


def test_a_folder_by_name(tmp_path):
    """Where no card names configs, a config is a folder."""
    put_table(tmp_path / f"full/train{ONE}", DARK)
    put_table(tmp_path / f"small/train{ONE}", BRIGHT)

    assert read_classes(tmp_path, config="small") == {"train": BRIGHT}
    with pytest.raises(
        LookupError,
        match=r"unknown config or folder of .*'smal'. Did you mean 'small'\? .*: full, small, default",
    ):
        find_data_files(tmp_path, "smal")


def test_the_default_config(tmp_path):
    """Where no card names configs, the only one is called default, as by `load_dataset`."""
    put_table(tmp_path / "train.parquet", DARK)

    assert read_classes(tmp_path, config="default") == {"train": DARK}


def test_several_words(tmp_path):
    """A file that lies in a folder of one split and is called like another is an error."""
    put_table(tmp_path / "test/train.parquet", DARK)

    with pytest.raises(ValueError, match=r"test/train.parquet: its name fits several splits"):
        find_data_files(tmp_path)


def test_several_configs(tmp_path):
    """Several configs are an error that lists them, unless one is chosen or is the default."""
    put_configs(tmp_path / "asks")
    put_configs(tmp_path / "has a default", default="cropped")

    with pytest.raises(
        ValueError, match=r"configs full, small, cropped: choose one with .*--config"
    ):
        find_data_files(tmp_path / "asks")
    assert read_classes(tmp_path / "asks", config="small") == {"train": ["dark", "bright"] * 2}
    assert read_named(tmp_path / "has a default") == load_named(
        tmp_path / "has a default", tmp_path / "cache"
    )
    assert read_classes(tmp_path / "has a default") == {"train": ["dark", "bright"]}


@pytest.mark.parametrize(
    "patterns",
    [
        "a/*",
        "[a/*, b/1.parquet]",
        "'**/1.parquet'",
        "'**'",
        "'b/[12].parquet'",
        "'b/[!12].parquet'",
        "'*/?.parquet'",
        "'a/**/*.parquet'",
        "[{split: train, path: a/*}, {split: test, path: [b/1.parquet, b/2.parquet]}]",
    ],
)
def test_patterns(tmp_path, patterns):
    """Patterns of a card ask for the files that `datasets` finds by them."""
    for name in ("a/1", "a/2", "a/c/1", "b/1", "b/2", "b/3"):
        put_table(tmp_path / "d" / f"{name}.parquet", DARK)
    card = f"---\nconfigs:\n- config_name: x\n  data_files: {patterns}\n---\n"
    (tmp_path / "d/README.md").write_text(card)
    rows = read_named(tmp_path / "d")
    loaded = load_named(tmp_path / "d", tmp_path / "cache")

    assert list(map(sorted, rows.values())) == list(map(sorted, loaded.values()))


def test_patterns_without_a_file(tmp_path):
    """A pattern that has no file, and a part that a pattern asks for, are errors if missing."""
    put_table(tmp_path / "data/train-00000-of-00002.parquet", DARK)
    card = "---\nconfigs:\n- config_name: x\n  data_files:\n  - split: train\n    path: {}\n---\n"

    (tmp_path / "README.md").write_text(card.format("images/*"))
    with pytest.raises(FileNotFoundError, match=r"config 'x' .* asks for images/.* complete your"):
        find_data_files(tmp_path)
    (tmp_path / "README.md").write_text(card.format("data/*"))
    with pytest.raises(FileNotFoundError, match=r"missing: train-00001-of-00002.parquet"):
        find_data_files(tmp_path)
    (tmp_path / "README.md").write_text(card.format("data/train-00000-of-00002.parquet"))
    assert read_classes(tmp_path) == {"train": DARK}


def test_files_that_are_asked_for_twice(tmp_path):
    """A file that patterns ask for twice, in one split or in two, is an error that names it."""
    put_table(tmp_path / "data/train.parquet", DARK)
    card = "---\nconfigs:\n- config_name: x\n  data_files: {}\n---\n"

    (tmp_path / "README.md").write_text(card.format("[data/*, data/train.parquet]"))
    with pytest.raises(ValueError, match=r"asks for data/train.parquet twice for train: fix the"):
        find_data_files(tmp_path)
    splits = "[{split: train, path: data/*}, {split: test, path: data/*}]"
    (tmp_path / "README.md").write_text(card.format(splits))
    with pytest.raises(ValueError, match=r"train.parquet: it belongs to the splits train and test"):
        read_classes(tmp_path)
    assert read_classes(tmp_path, splits=("train",)) == {"train": DARK}


def test_a_name_that_is_not_utf8(tmp_path):
    """A file whose name is not UTF-8 is an error that shows it and says to rename it."""
    put_table(tmp_path / "caf.parquet", DARK)
    (tmp_path / "caf.parquet").rename(tmp_path / os.fsdecode(b"caf\xe9.parquet"))

    with pytest.raises(ValueError, match=r"caf.udce9.parquet': this name is not UTF-8: rename"):
        find_data_files(tmp_path)


def test_stale_shards(tmp_path):
    """Of what `save_to_disk` wrote, the files count that it lists; one that is missing is an error."""
    save(tmp_path / "d", 12, 6)
    save(tmp_path / "d", 6, 3)
    rows = datasets.load_from_disk(tmp_path / "d")["train"]

    assert read_classes(tmp_path / "d") == {"train": rows.features["label"].int2str(rows["label"])}
    assert len(rows) == 6
    assert read_classes(tmp_path / "d/train") == read_classes(tmp_path / "d")
    (tmp_path / "d/train/data-00001-of-00003.arrow").unlink()
    with pytest.raises(FileNotFoundError, match=r"data-00001-of-00003.arrow: the file is missing"):
        find_data_files(tmp_path / "d")


def test_a_stale_split(tmp_path):
    """A split that `dataset_dict.json` does not list any more is not read."""
    save(tmp_path, 6, 1, "validation")
    save(tmp_path, 4, 1)

    assert [*read_classes(tmp_path)] == ["train"]


def test_two_saved_datasets(tmp_path):
    """Two saved datasets in one folder are an error that names both."""
    save(tmp_path / "a", 2, 1)
    save(tmp_path / "b", 2, 1)

    with pytest.raises(ValueError, match=r"several datasets are saved here \(a/.*, b/"):
        find_data_files(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "3", '{"splits": 3}', '{"splits": ["../x"]}', "[" * 99])
def test_a_damaged_list(tmp_path, text):
    """A damaged list of `save_to_disk` is an error that names the file and the remedy."""
    save(tmp_path, 2, 1)
    (tmp_path / "dataset_dict.json").write_text(text)

    with pytest.raises(ValueError, match=r"dataset_dict.json:? .*save the dataset again"):
        find_data_files(tmp_path)


def test_two_formats(tmp_path):
    """Parquet files beside what `save_to_disk` wrote are an error that names one of each."""
    save(tmp_path, 2, 1)
    put_table(tmp_path / "train.parquet", DARK)

    with pytest.raises(ValueError, match=r"train.parquet and train/data-0.*arrow: remove those"):
        find_data_files(tmp_path)


def test_links(tmp_path):
    """Links to files are followed, as the Hub's cache has them; one to a folder of data is an error."""
    put_table(tmp_path / "blobs/abc.parquet", DARK)
    (tmp_path / "d").mkdir()
    (tmp_path / "d/train.parquet").symlink_to("../blobs/abc.parquet")

    assert read_classes(tmp_path / "d") == {"train": DARK}
    (tmp_path / "d/loop").symlink_to("..")
    assert list_files(tmp_path / "d") == ["train.parquet"]
    (tmp_path / "d/test").symlink_to("../blobs")
    with pytest.raises(ValueError, match=r"d/test: links to folders are not followed"):
        list_files(tmp_path / "d")
    (tmp_path / "blobs/deep").mkdir()
    (tmp_path / "blobs/abc.parquet").rename(tmp_path / "blobs/deep/abc.parquet")
    (tmp_path / "d/train.parquet").unlink()
    with pytest.raises(ValueError, match=r"d/test: links to folders are not followed"):
        list_files(tmp_path / "d")


@pytest.mark.parametrize("name", ["validation.parquet", "validation"])
def test_a_broken_link(tmp_path, name):
    """A link that leads nowhere is an error, whether a file or a folder was there."""
    put_table(tmp_path / "train.parquet", DARK)
    (tmp_path / name).symlink_to("nowhere")

    with pytest.raises(FileNotFoundError, match=rf"{name}: this is a broken link: complete"):
        find_data_files(tmp_path)


FOLDERS = ("", "", "data/", "train/", "val/", "old/", "data/test/")
STEMS = ("train", "train", "validation", "test", "part", "eval_set", "my-train", "x")
ENDINGS = (".parquet", "-0.parquet", "-1.parquet", ONE, "-00001-of-00002.parquet")
CLASSES = ("dark", "bright", "grey")


@pytest.mark.slow
def test_any_folder(tmp_path):
    """A folder that `load_dataset` reads gives the same rows a split with the true class, or an error."""
    random = Random(7)  # noqa: S311, no secret
    n_read = 0
    for number in range(150):
        folder, truth = tmp_path / f"{number}/d", {}
        for _ in range(random.randint(1, 4)):
            name = "".join(map(random.choice, (FOLDERS, STEMS, ENDINGS)))
            words = random.choices(CLASSES, k=2)
            pairs = put_table(folder / name, words, random.sample(CLASSES, k=3))
            truth |= pairs
        try:
            rows = read_named(folder)
        except (ValueError, OSError):
            continue
        n_read += 1
        loaded = load_named(folder, tmp_path / "cache")
        loaded = {split_of_name(split): pairs for split, pairs in loaded.items()}
        if "validation" in rows and "validation" not in loaded:
            loaded["validation"] = loaded.pop("test")

        assert all(truth[image] == name for pairs in rows.values() for image, name in pairs)
        assert images_of(rows) == images_of(loaded)
    assert n_read > 25


def images_of(rows):
    """Return the images of each split in a fixed order."""
    return {split: sorted(image for image, _ in pairs) for split, pairs in rows.items()}
