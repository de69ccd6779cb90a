"""Mini-ImageNet and the release of 2020: on a small release that is laid out as users have it, to the row.

What a split must hold is computed as the established reader of this release does: ids lose their ending; a candidate of
the annotations is not clean, whatever people said of it; an image of ILSVRC12 is clean where its class is its label.
"""

import json
import shutil
from functools import partial
from pathlib import Path

import datasets
import numpy as np
import pyarrow.compute as pc
import pytest

from cnlw_tools import files
from cnlw_tools.build.build import build
from cnlw_tools.card import metadata
from cnlw_tools.checks import collect_evidence, validate
from cnlw_tools.dataset import dataset, tables
from cnlw_tools.ingest.import_dataset import import_release, import_source
from cnlw_tools.ingest.resolve import load_dataset
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import parse_recipe
from cnlw_tools.sources import SOURCES
from cnlw_tools.sources import mini_imagenet as source_file
from cnlw_tools.sources.formats.release import Release
from tests.sources.released import (
    ANNOTATIONS,
    NUMBERS,
    TAKEN,
    WNIDS,
    hash_of,
    jpeg,
    lists,
    mini_imagenet,
    nth,
    packed,
)

SHARED = Path(__file__).parents[3] / "shared/data"
REAL, SAMPLE = SHARED / "mini_imagenet_lists", SHARED / "cnlw_release_sample" / "dummy_data"


@pytest.fixture(scope="session")
def manual(tmp_path_factory) -> Path:
    """The release and all that goes with it."""
    return mini_imagenet(tmp_path_factory.mktemp("manual"))


def theirs(name: str) -> set[tuple[str, int, bool]]:
    """Id, label and whether it is clean, of every row of a split."""
    web = {row["image/id"] for item in ANNOTATIONS for row in item}
    rows = [line.split(" ") for line in lists()[name]]
    return {
        (image[:-4], int(label), image[:-4] not in web and WNIDS[image[:9]] == int(label))
        for image, label in rows
    }


def errors(folder: Path, data_dir: Path) -> list[str]:
    found = collect_evidence(folder, Inputs(files.default_root(), data_dir))
    return [
        f"{result.name}: {finding.message}"
        for result in validate(found)
        for finding in result.findings
        if finding.severity == "error"
    ]


@pytest.fixture(scope="module")
def built(manual, tmp_path_factory) -> Path:
    """Both noises of the published splits, at 84 pixels."""
    out = tmp_path_factory.mktemp("official") / "build"
    for noise in ("red", "blue"):
        said = {"dataset": "mini_imagenet", "noise": noise, "splits": "official", "size": 84}
        build(parse_recipe(said, "here"), Inputs(files.default_root(), manual), out)
    return out


@pytest.mark.parametrize("noise", ["red", "blue"])
def test_published_splits_are_read_row_for_row(built, tmp_path, noise):
    """Ids, labels and clean flags, at every level that there is, and the validation images."""
    names = {name for name in lists() if name.startswith(noise)}

    for name in names:
        config = f"{noise}_{round(100 * float(name.split('_')[-1])):02d}"
        rows = datasets.load_dataset(str(built), config, cache_dir=tmp_path)
        ours = zip(
            rows["train"]["image_id"],
            rows["train"]["label"],
            rows["train"]["is_noisy"],
            strict=True,
        )
        held = zip(rows["validation"]["image_id"], rows["validation"]["label"], strict=True)
        assert {(image, label, not noisy) for image, label, noisy in ours} == theirs(name)
        assert len(rows["train"]) == len(lists()[name])
        assert set(held) == {(f"ILSVRC2012_val_{i:08d}", i % 3) for i in range(1, 7)}
        assert rows["train"][0]["image"].size == (84, 84)
    assert {c for c in datasets.get_dataset_config_names(str(built)) if c.startswith(noise)} == {
        f"{noise}_{round(100 * float(name.split('_')[-1])):02d}" for name in names
    }


def test_the_build_is_sound_and_says_what_changed(built, manual):
    """No check complains, with the source at hand; the realised change stands beside the name of the level."""
    said = metadata.read_card(built).configs

    assert [] == errors(built, manual)
    assert said["blue_40"].changed == pytest.approx(8 / 24)
    assert said["red_20"].changed == pytest.approx(5 / 24)
    assert said["red_00"].changed == 0
    assert "40 % by name, 33.333 % changed since level 0" in (built / "README.md").read_text()
    shared = {*said["red_00"].segments["train"]} & {*said["red_05"].segments["train"]}
    assert shared


@pytest.mark.skipif(not SAMPLE.is_dir(), reason="needs the sample of the release in ../shared/data")
def test_the_sample_of_the_established_reader():
    """Its lists, whose last lines have no end, its annotations, and its class list, which is ours."""
    found = Release(SAMPLE, "mini_imagenet")
    web, votes = found.read_candidates()
    rows = {
        (row["noise"], row["level"], row["image_id"], row["label"])
        for row in found.read_published_splits(int).to_pylist()
    }
    base = [
        (noise, level, f"n01440764{k:08d}", 0)
        for noise, level in (("red", 0), ("blue", 40))
        for k in (1, 9, 10)
    ]

    found.check_class_order(
        tables.read_classes(files.default_root() / "manifests/mini_imagenet/classes.csv")
    )
    assert rows == {*base, *(("blue", 40, f"noisy{i + 1}", i) for i in range(3))}
    assert found.read_validation_labels(int) == {
        f"ILSVRC2012_val_{i:07d}": label for label, i in enumerate((1, 2, 10))
    }
    assert [web["image_id"].to_pylist(), votes["correct"].to_pylist()] == [
        ["noisy1", "noisy2", "noisy3"],
        [False] * 3,
    ]


def test_origins_and_verdicts_are_kept_apart(built, tmp_path):
    """A web image that people judged right is foreign all the same; the votes say what they said."""
    rows = {
        row["image_id"]: row
        for row in datasets.load_dataset(str(built), "red_20", split="train", cache_dir=tmp_path)
    }
    found = collect_evidence(built).dataset

    assert (rows["right"]["origin"], rows["right"]["is_noisy"], rows["right"]["clean_label"]) == (
        "web",
        True,
        None,
    )
    assert rows["n0451500300000009"]["origin"] == "base"
    assert (rows["n0144076400000001"]["origin"], rows["n0144076400000001"]["clean_label"]) == (
        "other",
        None,
    )
    votes = {(v["image_id"], v["label"]): v["correct"] for v in found.votes.to_pylist()}
    assert votes[("right", 2)] is True
    assert votes[("two", 2)] is False
    assert votes[("two", 0)] is True
    assert ("nowhere", 1) in votes
    assert {r["image_id"]: r["dead"] for r in found.web.to_pylist()}["nowhere"] is True


def test_an_image_is_the_one_of_its_rank(manual):
    """Numbers count the members of the class archive in the order of the numbers in their names."""
    source = SOURCES["mini_imagenet"](manual)

    for k in TAKEN:
        assert source.read(f"n02101006{k:08d}") == nth("n02101006", k)
    assert source.read("ILSVRC2012_val_00000003") == jpeg(3)
    with pytest.raises(
        LookupError,
        match=r"the web image 'nowhere' is not here: put it at noisy_images/nowhere.jpg",
    ):
        source.read("nowhere")


def test_class_folders_and_plain_images(manual, tmp_path):
    """The same manifest and the same bytes from folders of classes, and from files that are called like the ids."""
    whole = SOURCES["mini_imagenet"](manual)
    ids = [row["image_id"] for row in whole.manifest().to_pylist() if row["split"] == "train"]
    for layout in ("train", "images"):
        data_dir = tmp_path / layout
        shutil.copytree(manual, data_dir, ignore=shutil.ignore_patterns("*train.tar"))
        for wnid in WNIDS:
            (data_dir / "train" / wnid).mkdir(parents=True)
            for number in NUMBERS:
                (data_dir / "train" / wnid / f"{wnid}_{number}.JPEG").write_bytes(
                    jpeg(hash_of(f"{wnid}_{number}"))
                )
        if layout == "images":
            shutil.rmtree(data_dir / "train")
            (data_dir / "images").mkdir()
            for image in ids:
                (data_dir / "images" / f"{image}.jpg").write_bytes(whole.read(image))
        source = SOURCES["mini_imagenet"](data_dir)

        assert source.manifest().equals(whole.manifest())
        assert all(source.read(image) == whole.read(image) for image in ids)


def test_an_incomplete_class_is_an_error(manual, tmp_path):
    """One image less would shift all behind it."""
    shutil.copytree(manual, tmp_path / "copy", ignore=shutil.ignore_patterns("*train.tar"))
    for wnid in WNIDS:
        (tmp_path / "copy" / "train" / wnid).mkdir(parents=True)
        for number in NUMBERS[wnid == "n04515003" :]:
            (tmp_path / "copy" / "train" / wnid / f"{wnid}_{number}.JPEG").write_bytes(b"")

    with pytest.raises(
        ValueError, match=r"class n04515003 has 11 images, and the lists ask for its 12th"
    ):
        SOURCES["mini_imagenet"](tmp_path / "copy").manifest()


@pytest.mark.parametrize("name", ["LOC_train_solution.csv", "train_cls.txt"])
def test_a_list_of_all_images_tells_what_is_missing(manual, tmp_path, name):
    """One that no list of ours names, and that would shift those behind it; or one that is too many."""
    for path in manual.iterdir():
        (tmp_path / path.name).symlink_to(path)
    row = "{0}_{1},{0} 1 2 3 4\n" if name.endswith("csv") else "{0}/{0}_{1} 1\n"
    rows = [row.format(wnid, number) for wnid in WNIDS for number in NUMBERS]

    (tmp_path / name).write_text(
        "ImageId,PredictionString\n" * name.endswith("csv") + "".join(rows)
    )
    SOURCES["mini_imagenet"](tmp_path).manifest()
    (tmp_path / name).write_text("".join([*rows, row.format("n04515003", 987654)]))
    with pytest.raises(
        ValueError,
        match=r"class n04515003 has 12 images, and 1 are missing, such as n04515003_987654",
    ):
        SOURCES["mini_imagenet"](tmp_path).manifest()
    (tmp_path / name).write_text("".join(rows[1:]))
    with pytest.raises(ValueError, match=r"class \w+ has 12 images, and 1 are not of it, such as"):
        SOURCES["mini_imagenet"](tmp_path).manifest()


@pytest.mark.parametrize(
    ("number", "message"), [(1265, "it is incomplete"), (1266, None), (1267, "take out")]
)
def test_the_size_of_a_class_is_known(manual, tmp_path, number, message):
    """ILSVRC12 has 1,266 images of this one: with one less or more its numbers would be others."""
    for path in manual.iterdir():
        (tmp_path / path.name).symlink_to(path)
    classes = {f"{w}.tar": packed({f"{w}_{n}.JPEG": b"" for n in NUMBERS}) for w in WNIDS}
    classes["n01704323.tar"] = packed({f"n01704323_{n}.JPEG": b"" for n in range(number)})
    (tmp_path / "ILSVRC2012_img_train.tar").unlink()
    (tmp_path / "ILSVRC2012_img_train.tar").write_bytes(packed(classes))
    source = SOURCES["mini_imagenet"](tmp_path)

    if message is None:
        assert len(source.manifest()) == 24
    else:
        for ask in (
            source.manifest,
            partial(SOURCES["mini_imagenet"](tmp_path).read, "n0170432300000001"),
        ):
            with pytest.raises(
                ValueError,
                match=rf"n01704323 has {number:,} images, and ILSVRC12 has 1,266: .*{message}",
            ):
                ask()


@pytest.mark.skipif(
    not REAL.is_dir(), reason="needs the lists in ../shared/data/mini_imagenet_lists"
)
def test_the_real_lists(tmp_path):
    """60,000 images to train on, 600 of each of 100 classes, no number beyond a class; the 5,000 of the release."""
    for name in source_file.LISTS:
        (tmp_path / name).symlink_to(REAL / name)
    (tmp_path / "images").mkdir()
    (tmp_path / "split").mkdir()
    (tmp_path / "split" / "clean_validation").symlink_to(REAL / "clean_validation.derived")
    source = SOURCES["mini_imagenet"](tmp_path)
    rows = source.manifest()
    train = rows.filter(pc.equal(rows["split"], "train"))
    order = [
        line.split("\t")[1:]
        for line in (REAL / "cnlw_class_order.tsv").read_text().splitlines()[1:]
    ]

    assert np.bincount(train["label"].to_numpy()).tolist() == [600] * 100
    assert np.bincount(rows["label"].to_numpy()).tolist() == [650] * 100
    assert [
        [wnid, name] for wnid, name in zip(source._class_sizes, source.classes(), strict=True)
    ] == order
    assert all(
        int(name[9:]) <= source._class_sizes[name[:9]] for name in train["image_id"].to_pylist()
    )


def test_other_layouts_of_the_release(manual, tmp_path, built):
    """The zip, other spellings, lists beside all images, and folders of classes give the same splits."""
    said = {"dataset": "mini_imagenet", "noise": "red", "splits": "official"}
    whole = load_dataset(parse_recipe(said, "x"), Inputs(files.default_root(), manual))
    rows = sorted(map(str, whole.published_splits.to_pylist()))
    release = manual / "dataset_no_images"
    archives = [p for p in manual.iterdir() if p.is_file()]
    for name in ("zip", "spelled"):
        (tmp_path / name).mkdir()
        for path in archives:
            shutil.copy(path, tmp_path / name)
    shutil.make_archive(str(tmp_path / "zip" / "dataset_no_images"), "zip", release)
    shutil.copytree(release, tmp_path / "spelled" / "dataset_no_images")
    inner = tmp_path / "spelled" / "dataset_no_images"
    (inner / "mini-imagenet").rename(inner / "mini_imagenet")
    (inner / "mini-imagenet-annotations.json").rename(inner / "mini_imagenet-annotations.json")

    images = {
        image[:-4]: b""
        for split in lists().values()
        for image in (line.split(" ")[0] for line in split)
    }
    source = SOURCES["mini_imagenet"](manual)
    (tmp_path / "beside" / "all_images").mkdir(parents=True)
    shutil.copytree(release / "mini-imagenet" / "split", tmp_path / "beside" / "split")
    for image in images:
        (tmp_path / "beside" / "all_images" / f"{image}.jpg").write_bytes(source.read(image))
    for name, split in lists().items():
        part = "validation" if name == "clean_validation" else f"training/{name}"
        for image, label in (line.split(" ") for line in split):
            (tmp_path / "walked" / part / label).mkdir(parents=True, exist_ok=True)
            (tmp_path / "walked" / part / label / image).write_bytes(source.read(image[:-4]))

    for layout in ("zip", "spelled", "beside", "walked"):
        said = {"dataset": "mini_imagenet", "noise": "red", "splits": "official"}
        found = load_dataset(
            parse_recipe(said, "x"), Inputs(files.default_root(), tmp_path / layout)
        )
        assert sorted(map(str, found.published_splits.to_pylist())) == rows, layout
        held = found.base.filter([s == "validation" for s in found.base["split"].to_pylist()])
        assert len(held) == 6
        made = SOURCES["mini_imagenet"](tmp_path / layout)
        assert made.read("n0210100600000005") == nth("n02101006", 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"level": 30}, "no published split of red noise at level 30: there are 0, 5, 20"),
        ({"probe": 1}, "published splits are read, not drawn: remove probe = 1"),
        ({"noise": "symmetric"}, "there are no published splits of symmetric noise"),
    ],
)
def test_what_is_not_published(manual, tmp_path, change, message):
    """Is an error that says what is."""
    said = {"dataset": "mini_imagenet", "noise": "red", "splits": "official", **change}
    said |= {"levels": [said.pop("level")]} if "level" in said else {}

    with pytest.raises(ValueError, match=message):
        build(parse_recipe(said, "here"), Inputs(files.default_root(), manual), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_web_image_that_is_missing(manual, tmp_path):
    """Nothing steps in for it in a published split; the levels that do without it are there."""
    shutil.copytree(manual, tmp_path / "copy")
    (tmp_path / "copy" / "noisy_images" / "w1b.jpg").unlink()
    said = {"dataset": "mini_imagenet", "noise": "red", "splits": "official"}

    with pytest.raises(
        ValueError, match=r"level 20: 1 of 24 images are not there, such as w1b: complete"
    ):
        build(
            parse_recipe(said, "here"),
            Inputs(files.default_root(), tmp_path / "copy"),
            tmp_path / "out",
        )
    build(
        parse_recipe({**said, "levels": [5]}, "here"),
        Inputs(files.default_root(), tmp_path / "copy"),
        tmp_path / "out",
    )


def test_a_damaged_release(manual, tmp_path):
    """Lists and annotations that cannot be read name file and line."""
    shutil.copytree(manual, tmp_path / "copy")
    split = tmp_path / "copy" / "dataset_no_images" / "mini-imagenet" / "split" / "red_noise_nl_0.2"
    split.write_text("n0170432300000001.jpg zero\n")
    said = parse_recipe({"dataset": "mini_imagenet", "noise": "red", "splits": "official"}, "x")

    with pytest.raises(
        ValueError, match=r"red_noise_nl_0.2: line 1: .* is not an image and a label"
    ):
        load_dataset(said, Inputs(files.default_root(), tmp_path / "copy"))
    (tmp_path / "copy" / "dataset_no_images" / "mini-imagenet-annotations.json").write_text("[]")
    with pytest.raises(ValueError, match=r"annotations.json: not the annotations of the release"):
        load_dataset(said, Inputs(files.default_root(), tmp_path / "copy"))


def test_noise_may_be_drawn_too(manual, tmp_path):
    """From the same copy: verdicts become the pool, of which dead images are no part."""
    said = {"dataset": "mini_imagenet", "noise": "red", "levels": [15], "options": {"top": 15}}
    build(parse_recipe(said, "here"), Inputs(files.default_root(), manual), tmp_path / "out")
    rows = datasets.load_dataset(
        str(tmp_path / "out"), "red_15_t15", split="train", cache_dir=tmp_path / "hf"
    )
    web = [row["image_id"] for row in rows if row["origin"] == "web"]

    assert len(rows) == 18
    assert len(web) == 3
    assert {*web} <= {"w0a", "w1a", "w1b", "two"}


def test_importing_the_release(manual, tmp_path):
    """The tables of the release lie where those of a dataset do, and a build takes them from there; twice is once.

    Where the base manifest lies in tables the release is read from beside the images all the same.
    """
    release = manual / "dataset_no_images"
    for _ in range(2):
        (found,) = import_release(release, tmp_path)
    other = tmp_path / "other" / "dataset_no_images"
    shutil.copytree(release, other)
    (other / "mini-imagenet-annotations.json").write_text(json.dumps({"data": ANNOTATIONS[:2]}))

    assert len(found.web) == len(found.votes) == 7
    read = dataset.read_dataset("mini_imagenet", tmp_path)
    assert read.classes == found.classes
    assert {name: read.digests[name] for name in ("web", "votes", "official")} == {
        name: found.digests[name] for name in ("web", "votes", "official")
    }
    said = parse_recipe(
        {"dataset": "mini_imagenet", "noise": "red", "splits": "official", "levels": [20]}, "x"
    )
    build(said, Inputs(tmp_path, manual), tmp_path / "out")
    assert metadata.read_card(tmp_path / "out").configs["red_20"].rows == {
        "train": 24,
        "validation": 6,
    }
    import_source("mini_imagenet", manual, "mine", tmp_path)
    mine = load_dataset(
        parse_recipe({"dataset": "mine", "noise": "red", "splits": "official"}, "x"),
        Inputs(tmp_path, manual),
    )
    assert mine.published_splits.equals(found.published_splits)
    assert mine.votes.equals(found.votes)
    with pytest.raises(ValueError, match="holds other candidates: give another --root"):
        import_release(other, tmp_path)
    with pytest.raises(ValueError, match="the release is not here"):
        import_release(tmp_path / "annotations", tmp_path / "new")


def test_a_smaller_benchmark(manual, tmp_path):
    """At most so many images of each class are there, the same at every level."""
    said = {"dataset": "mini_imagenet", "noise": "blue", "levels": [0, 50], "per_class": 4}
    build(parse_recipe(said, "here"), Inputs(files.default_root(), manual), tmp_path / "out")
    low, high = (
        datasets.load_dataset(str(tmp_path / "out"), c, split="train", cache_dir=tmp_path)
        for c in ("blue_00", "blue_50")
    )

    assert np.bincount(low["label"]).tolist() == [4, 4, 4]
    assert {*low["image_id"]} == {*high["image_id"]}
    assert [] == errors(tmp_path / "out", manual)
