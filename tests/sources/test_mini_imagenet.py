"""Mini-ImageNet and the release of 2020, on a small release that is laid out as users have it.

What a split must hold is computed as the established reader of this release does it: ids lose their
ending; a candidate of the annotations is not clean, whatever people said about it; an image of
ILSVRC12 is clean if its class is its label.
"""

import json
import shutil
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import datasets
import numpy as np
import pyarrow.compute as pc
import pytest
from click.testing import CliRunner
from PIL import Image

from cnlw_tools import files
from cnlw_tools.builds import shards
from cnlw_tools.builds.build import build
from cnlw_tools.card import metadata
from cnlw_tools.checks import collect_evidence, validate
from cnlw_tools.cli import main
from cnlw_tools.dataset import dataset, tables
from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.ingest.import_dataset import import_release, import_source
from cnlw_tools.ingest.resolve import load_dataset
from cnlw_tools.plans import shared_rows
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe, parse_recipe
from cnlw_tools.sources.formats.release import Release
from cnlw_tools.sources.mini_imagenet import LISTS, MiniImagenet
from tests.sources.released import (
    ANNOTATIONS,
    LABEL_OF_WNID,
    LISTED_NUMBERS,
    NAME_NUMBERS,
    draw_jpeg,
    draw_named_jpeg,
    mini_imagenet,
    nth_image,
    pack_tar,
    split_lists,
)

SHARED = Path(__file__).parents[3] / "shared/data"
REAL_LISTS = SHARED / "mini_imagenet_lists"
SAMPLE = SHARED / "cnlw_release_sample" / "dummy_data"


@pytest.fixture(scope="session")
def manual(tmp_path_factory) -> Path:
    """A folder with the release and all that goes with it."""
    return mini_imagenet(tmp_path_factory.mktemp("manual"))


@pytest.fixture(scope="module")
def built(manual, tmp_path_factory) -> Path:
    """A build of both noises of the published splits, at 84 pixels."""
    folder = tmp_path_factory.mktemp("official") / "build"
    for noise in ("red", "blue"):
        build(published_recipe(noise=noise, size=84), package_inputs(manual), folder)
    return folder


def published_recipe(**choices: object) -> Recipe:
    """Return a recipe for the published splits of red noise, with other choices where given."""
    content = {"dataset": "mini_imagenet", "noise": "red", "published_splits": True, **choices}
    return parse_recipe(content, "here")


def package_inputs(data_dir: Path) -> Inputs:
    """Return the tables of the package with a user's copy of the images."""
    return Inputs(files.default_root(), data_dir)


def load_published(data_dir: Path) -> Dataset:
    """Return the dataset with the published splits of a user's copy."""
    return load_dataset(published_recipe(), package_inputs(data_dir))


def config_name(split: str) -> str:
    """Return the name of the config for a split of the release."""
    noise, _, fraction = split.partition("_noise_nl_")
    return f"{noise}_{round(100 * float(fraction)):02d}"


def expected_rows(split: str) -> set[tuple[str, int, bool]]:
    """Return id, label and whether it is clean, of every row of a split."""
    web = {annotation["image/id"] for item in ANNOTATIONS for annotation in item}
    rows = set()
    for line in split_lists()[split]:
        name, label = line.split(" ")
        image_id = name[:-4]
        is_clean = image_id not in web and LABEL_OF_WNID[image_id[:9]] == int(label)
        rows.add((image_id, int(label), is_clean))
    return rows


def find_errors(folder: Path, data_dir: Path) -> list[str]:
    """Validate a build, and return its errors."""
    errors = []
    for result in validate(collect_evidence(folder, package_inputs(data_dir))):
        for finding in result.findings:
            if finding.severity == "error":
                errors.append(f"{result.name}: {finding.message}")
    return errors


def link_files(folder: Path, target: Path) -> None:
    """Link everything of a folder into another."""
    for path in folder.iterdir():
        (target / path.name).symlink_to(path)


def write_class_folders(folder: Path, skip: str | None = None) -> None:
    """Write the images of ILSVRC12 in class folders; of one class leave out the first image."""
    for wnid in LABEL_OF_WNID:
        (folder / wnid).mkdir(parents=True)
        numbers = NAME_NUMBERS[1:] if wnid == skip else NAME_NUMBERS
        for number in numbers:
            name = f"{wnid}_{number}"
            (folder / wnid / f"{name}.JPEG").write_bytes(draw_named_jpeg(name))


@pytest.mark.parametrize("noise", ["red", "blue"])
def test_published_splits_are_read_row_for_row(built, tmp_path, noise):
    """Ids, labels and clean flags are those of the lists, at every level."""
    splits = [split for split in split_lists() if split.startswith(noise)]
    configs = datasets.get_dataset_config_names(str(built))

    for split in splits:
        config = datasets.load_dataset(str(built), config_name(split), cache_dir=tmp_path)
        train = config["train"]
        validation = config["validation"]
        is_clean = [not is_noisy for is_noisy in train["is_noisy"]]
        rows = set(zip(train["image_id"], train["label"], is_clean, strict=True))
        validation_rows = set(zip(validation["image_id"], validation["label"], strict=True))
        assert rows == expected_rows(split)
        assert len(train) == len(split_lists()[split])
        assert validation_rows == {(f"ILSVRC2012_val_{i:08d}", i % 3) for i in range(1, 7)}
        assert train[0]["image"].size == (84, 84)
    assert {name for name in configs if name.startswith(noise)} == set(map(config_name, splits))


@pytest.mark.usefixtures("reads_back_here")
def test_the_build_is_sound_and_says_what_changed(built, manual):
    """No check finds an error; the card gives the share of changed images beside the level."""
    configs = metadata.read_card(built).configs
    segments_at_0 = set(configs["red_00"].segments["train"])
    segments_at_5 = set(configs["red_05"].segments["train"])

    assert [] == find_errors(built, manual)
    assert configs["blue_40"].changed == pytest.approx(8 / 24)
    assert configs["red_20"].changed == pytest.approx(5 / 24)
    assert configs["red_00"].changed == 0
    assert (
        "40 % by name, 33.333\N{NO-BREAK SPACE}% changed since level 0"
        in (built / "README.md").read_text()
    )
    assert segments_at_0 & segments_at_5


@pytest.mark.usefixtures("reads_back_here")
def test_levels_that_share_in_many_ways(manual, tmp_path, monkeypatch):
    """Where patterns are merged and files copy from the pool, the build is as sound, and the pool is gone."""
    monkeypatch.setattr(shared_rows, "MAX_PATTERNS", 4)
    monkeypatch.setattr(shards, "MAX_OWNERS", 0)
    folder = tmp_path / "build"
    build(published_recipe(size=84), package_inputs(manual), folder)
    n_segments = {
        name: len(config.segments["train"])
        for name, config in metadata.read_card(folder).configs.items()
    }
    train = datasets.load_dataset(str(folder), "red_20", split="train", cache_dir=tmp_path / "hf")
    rows = {(row["image_id"], row["label"], not row["is_noisy"]) for row in train}

    assert [] == find_errors(folder, manual)
    assert n_segments == {"red_00": 2, "red_05": 2, "red_20": 2}
    assert rows == expected_rows("red_noise_nl_0.2")
    assert list(folder.rglob("*.arrow")) == []


@pytest.mark.skipif(not SAMPLE.is_dir(), reason="needs the sample of the release in ../shared/data")
def test_the_sample_of_the_established_reader():
    """Its lists, whose last lines have no end, its annotations, and its class list are read."""
    release = Release(SAMPLE, "mini_imagenet")
    classes = files.default_root() / "manifests/mini_imagenet/classes.csv"
    web, votes = release.read_candidates()
    rows = set()
    for row in release.read_published_splits(int).to_pylist():
        rows.add((row["noise"], row["level"], row["image_id"], row["label"]))
    expected = set()
    for number in (1, 9, 10):
        expected.add(("red", 0, f"n01440764{number:08d}", 0))
        expected.add(("blue", 40, f"n01440764{number:08d}", 0))
    for label in range(3):
        expected.add(("blue", 40, f"noisy{label + 1}", label))

    release.check_class_order(tables.read_classes(classes))
    assert rows == expected
    assert release.read_validation_labels(int) == {
        "ILSVRC2012_val_0000001": 0,
        "ILSVRC2012_val_0000002": 1,
        "ILSVRC2012_val_0000010": 2,
    }
    assert web["image_id"].to_pylist() == ["noisy1", "noisy2", "noisy3"]
    assert votes["correct"].to_pylist() == [False] * 3


def test_origins_and_verdicts_are_kept_apart(built, tmp_path):
    """A web image that people judged right is noisy all the same; the votes keep their verdict."""
    train = datasets.load_dataset(str(built), "red_20", split="train", cache_dir=tmp_path)
    rows = {row["image_id"]: row for row in train}
    built_dataset = collect_evidence(built).dataset
    verdicts = {}
    for vote in built_dataset.votes.to_pylist():
        verdicts[vote["image_id"], vote["label"]] = vote["correct"]
    is_dead = {row["image_id"]: row["dead"] for row in built_dataset.web.to_pylist()}

    assert rows["right"]["origin"] == "web"
    assert rows["right"]["is_noisy"] is True
    assert rows["right"]["clean_label"] is None
    assert rows["n0451500300000009"]["origin"] == "base"
    assert rows["n0144076400000001"]["origin"] == "other"
    assert rows["n0144076400000001"]["clean_label"] is None
    assert verdicts["right", 2] is True
    assert verdicts["two", 2] is False
    assert verdicts["two", 0] is True
    assert ("nowhere", 1) in verdicts
    assert is_dead["nowhere"] is True


def test_the_number_of_an_id_counts_the_images_of_its_class(manual):
    """It counts the members of the class archive in the order of the numbers in their names."""
    source = MiniImagenet(manual)

    for number in LISTED_NUMBERS:
        assert source.read(f"n02101006{number:08d}") == nth_image("n02101006", number)
    assert source.read("ILSVRC2012_val_00000003") == draw_jpeg(3)
    with pytest.raises(
        LookupError,
        match=r"the web image 'nowhere' is not here: put it at noisy_images/nowhere.jpg",
    ):
        source.read("nowhere")


@pytest.mark.parametrize("layout", ["train", "images"])
def test_class_folders_and_files_called_by_id(manual, tmp_path, layout):
    """They give the same manifest and the same bytes as the archives."""
    archives = MiniImagenet(manual)
    manifest = archives.manifest()
    ids = manifest.filter(pc.equal(manifest["split"], "train"))["image_id"].to_pylist()
    data_dir = tmp_path / "data"
    shutil.copytree(manual, data_dir, ignore=shutil.ignore_patterns("*train.tar"))
    if layout == "train":
        write_class_folders(data_dir / "train")
    else:
        (data_dir / "images").mkdir()
        for image_id in ids:
            (data_dir / "images" / f"{image_id}.jpg").write_bytes(archives.read(image_id))
    source = MiniImagenet(data_dir)

    assert source.manifest().equals(manifest)
    assert all(source.read(image_id) == archives.read(image_id) for image_id in ids)


def test_an_incomplete_class_is_an_error(manual, tmp_path):
    """Without one image, all later ids would mean other images."""
    shutil.copytree(manual, tmp_path / "copy", ignore=shutil.ignore_patterns("*train.tar"))
    write_class_folders(tmp_path / "copy" / "train", skip="n04515003")

    with pytest.raises(
        ValueError,
        match=r"class n04515003 has 11 images, but the lists contain its image number 12",
    ):
        MiniImagenet(tmp_path / "copy").manifest()


@pytest.mark.parametrize(
    ("name", "header", "line"),
    [
        ("LOC_train_solution.csv", "ImageId,PredictionString\n", "{0}_{1},{0} 1 2 3 4\n"),
        ("train_cls.txt", "", "{0}/{0}_{1} 1\n"),
    ],
)
def test_a_list_of_all_images_must_fit(manual, tmp_path, name, header, line):
    """An image that is missing, or is not in the list, would give later ids other images."""
    link_files(manual, tmp_path)
    lines = [line.format(wnid, number) for wnid in LABEL_OF_WNID for number in NAME_NUMBERS]

    (tmp_path / name).write_text(header + "".join(lines))
    MiniImagenet(tmp_path).manifest()
    (tmp_path / name).write_text("".join([*lines, line.format("n04515003", 987654)]))
    with pytest.raises(
        ValueError,
        match=r"class n04515003 has 12 images, and 1 are missing, such as n04515003_987654",
    ):
        MiniImagenet(tmp_path).manifest()
    (tmp_path / name).write_text("".join(lines[1:]))
    with pytest.raises(ValueError, match=r"class \w+ has 12 images, and 1 are not of it, such as"):
        MiniImagenet(tmp_path).manifest()


def write_large_class(manual: Path, folder: Path, n_images: int) -> None:
    """Link everything of a copy, but write archives in which one class has n images."""
    link_files(manual, folder)
    names = {wnid: [f"{wnid}_{number}.JPEG" for number in NAME_NUMBERS] for wnid in LABEL_OF_WNID}
    names["n01704323"] = [f"n01704323_{number}.JPEG" for number in range(n_images)]
    archives = {f"{wnid}.tar": pack_tar(dict.fromkeys(names[wnid], b"")) for wnid in names}
    (folder / "ILSVRC2012_img_train.tar").unlink()
    (folder / "ILSVRC2012_img_train.tar").write_bytes(pack_tar(archives))


def test_a_class_of_the_official_size(manual, tmp_path):
    """ILSVRC12 has 1,266 images of this class."""
    write_large_class(manual, tmp_path, 1266)

    assert len(MiniImagenet(tmp_path).manifest()) == 24


@pytest.mark.parametrize(
    ("n_images", "message"),
    [
        (1265, "it is incomplete"),
        (1267, "remove the files"),
    ],
)
def test_a_class_of_another_size(manual, tmp_path, n_images, message):
    """With an image less or more, ids would mean other images: an error of manifest and read."""
    write_large_class(manual, tmp_path, n_images)
    expected = rf"n01704323 has {n_images:,} images, but ILSVRC12 has 1,266.*{message}"

    with pytest.raises(ValueError, match=expected):
        MiniImagenet(tmp_path).manifest()
    with pytest.raises(ValueError, match=expected):
        MiniImagenet(tmp_path).read("n0170432300000001")


@pytest.mark.skipif(
    not REAL_LISTS.is_dir(), reason="needs the lists in ../shared/data/mini_imagenet_lists"
)
def test_the_real_lists(tmp_path):
    """They name 600 training and 50 validation images of each class, none beyond a class's size."""
    for name in LISTS:
        (tmp_path / name).symlink_to(REAL_LISTS / name)
    (tmp_path / "images").mkdir()
    (tmp_path / "split").mkdir()
    validation_list = REAL_LISTS / "clean_validation.derived"
    (tmp_path / "split" / "clean_validation").symlink_to(validation_list)
    source = MiniImagenet(tmp_path)
    rows = source.manifest()
    train = rows.filter(pc.equal(rows["split"], "train"))
    lines = (REAL_LISTS / "cnlw_class_order.tsv").read_text().splitlines()
    class_order = [tuple(line.split("\t")[1:]) for line in lines[1:]]

    assert np.bincount(train["label"].to_numpy()).tolist() == [600] * 100
    assert np.bincount(rows["label"].to_numpy()).tolist() == [650] * 100
    assert list(zip(source._class_sizes, source.classes(), strict=True)) == class_order
    for image_id in train["image_id"].to_pylist():
        assert int(image_id[9:]) <= source._class_sizes[image_id[:9]]


def lay_out_zip(manual: Path, folder: Path) -> None:
    """Put the release into a zip beside the archives and lists."""
    copy_files(manual, folder)
    shutil.make_archive(str(folder / "dataset_no_images"), "zip", manual / "dataset_no_images")


def lay_out_other_spelling(manual: Path, folder: Path) -> None:
    """Spell the names of the release with an underscore."""
    copy_files(manual, folder)
    release = folder / "dataset_no_images"
    shutil.copytree(manual / "dataset_no_images", release)
    (release / "mini-imagenet").rename(release / "mini_imagenet")
    annotations = release / "mini-imagenet-annotations.json"
    annotations.rename(release / "mini_imagenet-annotations.json")


def lay_out_lists_and_images(manual: Path, folder: Path) -> None:
    """Put the lists beside one folder of all images."""
    source = MiniImagenet(manual)
    (folder / "all_images").mkdir()
    shutil.copytree(manual / "dataset_no_images" / "mini-imagenet" / "split", folder / "split")
    for lines in split_lists().values():
        for line in lines:
            name, _ = line.split(" ")
            (folder / "all_images" / name).write_bytes(source.read(name[:-4]))


def lay_out_class_folders(manual: Path, folder: Path) -> None:
    """Put the images of each split into class folders."""
    source = MiniImagenet(manual)
    for split, lines in split_lists().items():
        split_folder = "validation" if split == "clean_validation" else f"training/{split}"
        for line in lines:
            name, label = line.split(" ")
            path = folder / split_folder / label / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(source.read(name[:-4]))


def copy_files(folder: Path, target: Path) -> None:
    """Copy the files of a folder, but not its folders."""
    for path in folder.iterdir():
        if path.is_file():
            shutil.copy(path, target)


@pytest.mark.parametrize(
    "lay_out_release",
    [
        lay_out_zip,
        lay_out_other_spelling,
        lay_out_lists_and_images,
        lay_out_class_folders,
    ],
)
def test_other_layouts_of_the_release(manual, tmp_path, lay_out_release):
    """All layouts that users have give the same splits and the same images."""
    lay_out_release(manual, tmp_path)
    expected = load_published(manual).published_splits.to_pylist()
    released = load_published(tmp_path)
    splits = released.base["split"].to_pylist()

    assert sorted(map(str, released.published_splits.to_pylist())) == sorted(map(str, expected))
    assert splits.count("validation") == 6
    assert MiniImagenet(tmp_path).read("n0210100600000005") == nth_image("n02101006", 5)


def test_two_web_images_of_one_id(manual, tmp_path):
    """Two images of one id in a folder are an error: only one of them is the one that was judged."""
    shutil.copytree(manual / "dataset_no_images", tmp_path / "dataset_no_images")
    (tmp_path / "noisy_images").mkdir()
    for name in ("w0a.jpg", "w0a.png"):
        (tmp_path / "noisy_images" / name).write_bytes(draw_named_jpeg(name))

    with pytest.raises(ValueError, match=r"noisy_images: w0a.jpg and w0a.png have the same id"):
        import_release(tmp_path, tmp_path / "root")


def test_endings_of_web_images(manual, tmp_path):
    """Web images are found whatever their ending; clutter and other files are no images."""
    shutil.copytree(manual / "dataset_no_images", tmp_path / "dataset_no_images")
    folder = tmp_path / "noisy_images"
    folder.mkdir()
    avif = BytesIO()
    Image.open(BytesIO(draw_named_jpeg("w1a"))).save(avif, "AVIF")
    images = {
        "w0a.jfif": draw_named_jpeg("w0a"),
        "w1a.avif": avif.getvalue(),
        "w1b": draw_named_jpeg("w1b"),
        "right.txt": b"no image",
        "._two.jpg": b"clutter",
    }
    for name, data in images.items():
        (folder / name).write_bytes(data)

    output = (
        CliRunner()
        .invoke(main, ["import", "cnlw_release", str(tmp_path), "--root", str(tmp_path / "root")])
        .output
    )
    imported = next(iter(import_release(tmp_path, tmp_path / "root")))
    rows = imported.web.to_pylist()
    source = MiniImagenet(tmp_path)

    assert {row["image_id"] for row in rows if not row["dead"]} == {"w0a", "w1a", "w1b"}
    assert output.startswith("mini_imagenet: 7 candidates (4 without an image here), 7 votes")
    assert source.read("w1a") == avif.getvalue()
    assert source.read("w1b") == draw_named_jpeg("w1b")


def test_endings_of_images_called_by_id(manual, tmp_path):
    """A training image that is called like its id is found whatever its ending."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images/n0210100600000005.jpe").write_bytes(b"five")
    (tmp_path / "images/n0210100600000009.jpg").write_bytes(b"nine")

    assert MiniImagenet(tmp_path).read("n0210100600000005") == b"five"
    assert MiniImagenet(tmp_path).read("n0210100600000009") == b"nine"
    with pytest.raises(FileNotFoundError, match=r"n0210100600000001.jpg: the image is missing"):
        MiniImagenet(tmp_path).read("n0210100600000001")


def test_links_in_class_folders_of_the_release(manual, tmp_path):
    """Links to images in the folder are read as such; links out of it are an error."""
    (tmp_path / "data").mkdir()
    lay_out_class_folders(manual, tmp_path / "data")
    split_folder = tmp_path / "data/training/red_noise_nl_0.0/0"
    image = min(split_folder.iterdir())
    expected = MiniImagenet(tmp_path / "data").manifest()
    target = tmp_path / "data/all_images" / image.name
    target.parent.mkdir()
    image.rename(target)
    image.symlink_to(target)

    assert MiniImagenet(tmp_path / "data").manifest() == expected
    image.unlink()
    image.symlink_to(target.rename(tmp_path / "elsewhere.jpg"))
    with pytest.raises(ValueError, match=r"red_noise_nl_0.0/0: links .*: put the images"):
        MiniImagenet(tmp_path / "data").manifest()


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"levels": [30]}, "split of red noise at level 30: the published levels are 0, 5, 20"),
        (
            {"probe": 1},
            "published splits are read, not drawn, so this key has no effect: remove probe = 1",
        ),
        ({"noise": "symmetric"}, "there are no published splits of symmetric noise"),
    ],
)
def test_what_is_not_published(manual, tmp_path, choices, message):
    """The error for choices that are not published says which are."""
    with pytest.raises(ValueError, match=message):
        build(published_recipe(**choices), package_inputs(manual), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_web_image_that_is_missing(manual, tmp_path):
    """In a published split no other image replaces it; levels that do not need it can be built."""
    shutil.copytree(manual, tmp_path / "copy")
    (tmp_path / "copy" / "noisy_images" / "w1b.jpg").unlink()
    inputs = package_inputs(tmp_path / "copy")

    with pytest.raises(
        ValueError, match=r"level 20: 1 of 24 images are not there, such as w1b: complete"
    ):
        build(published_recipe(), inputs, tmp_path / "out")
    build(published_recipe(levels=[5]), inputs, tmp_path / "out")


def test_blue_splits_need_no_web_images(manual, tmp_path):
    """They have images of the dataset only."""
    shutil.copytree(manual, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / "noisy_images")

    build(published_recipe(noise="blue"), package_inputs(tmp_path / "copy"), tmp_path / "out")

    assert "blue_40" in metadata.read_card(tmp_path / "out").configs


def test_a_damaged_release(manual, tmp_path):
    """The errors for damaged lists and annotations name file and line."""
    shutil.copytree(manual, tmp_path / "copy")
    release = tmp_path / "copy" / "dataset_no_images"
    split = release / "mini-imagenet" / "split" / "red_noise_nl_0.2"

    split.write_text("n0170432300000001.jpg zero\n")
    with pytest.raises(ValueError, match=r"red_noise_nl_0.2: line 1: .* must consist of the name"):
        load_published(tmp_path / "copy")
    (release / "mini-imagenet-annotations.json").write_text("[]")
    with pytest.raises(
        ValueError, match=r"annotations.json: these are not the annotations of the release"
    ):
        load_published(tmp_path / "copy")


def test_lines_of_a_list(manual, tmp_path):
    """Blank lines and capital endings are as good as others; a name may hold spaces and dots."""
    shutil.copytree(manual, tmp_path / "copy")
    split = tmp_path / "copy/dataset_no_images/mini-imagenet/split/red_noise_nl_0.2"
    release = MiniImagenet(tmp_path / "copy").release

    split.write_text("a.b c.JPEG 0\r\n\n  d 1 \n.jpg 2\n")
    rows = release.read_split("red_noise_nl_0.2", int)
    split.write_text("a.jpg 0\n\na.jpg\n")

    assert rows.to_pydict() == {"image_id": ["a.b c", "d", ".jpg"], "label": [0, 1, 2]}
    with pytest.raises(ValueError, match=r"red_noise_nl_0.2: line 3: 'a.jpg' must consist"):
        release.read_split("red_noise_nl_0.2", int)


def test_red_noise_from_the_verdicts(manual, tmp_path):
    """Red noise may also be drawn: verdicts give the pool, which has no dead images."""
    content = {"dataset": "mini_imagenet", "noise": "red", "levels": [15], "options": {"top": 15}}
    build(parse_recipe(content, "here"), package_inputs(manual), tmp_path / "out")
    rows = datasets.load_dataset(
        str(tmp_path / "out"), "red_15_t15", split="train", cache_dir=tmp_path / "hf"
    )
    web = [row["image_id"] for row in rows if row["origin"] == "web"]

    assert len(rows) == 18
    assert len(web) == 3
    assert {*web} <= {"w0a", "w1a", "w1b", "two"}


def test_importing_the_release_twice(manual, tmp_path):
    """The second import changes nothing, and the tables are read like those of any dataset."""
    release = manual / "dataset_no_images"
    import_release(release, tmp_path)
    (imported,) = import_release(release, tmp_path)
    stored = dataset.read_dataset("mini_imagenet", tmp_path)

    assert len(imported.web) == len(imported.votes) == 7
    assert stored.classes == imported.classes
    for name in ("web", "votes", "official"):
        assert stored.digests[name] == imported.digests[name]


@pytest.mark.parametrize("n_tables", range(4))
def test_an_import_that_was_killed_is_done_again(manual, tmp_path, monkeypatch, n_tables):
    """After any number of tables, the same command writes them all."""
    release = manual / "dataset_no_images"
    write = tables.write_parquet
    paths = []

    def write_some(table, path):
        if len(paths) == n_tables:
            raise KeyboardInterrupt
        paths.append(path)
        write(table, path)

    monkeypatch.setattr(tables, "write_parquet", write_some)
    with suppress(KeyboardInterrupt):
        import_release(release, tmp_path / "root")
    monkeypatch.undo()
    import_release(release, tmp_path / "root")
    import_release(release, tmp_path / "other")

    imported = [
        dataset.read_dataset("mini_imagenet", tmp_path / name) for name in ("root", "other")
    ]
    assert imported[0].digests == imported[1].digests


def test_building_from_an_imported_release(manual, tmp_path):
    """A build takes the candidates and the splits from the imported tables."""
    import_release(manual / "dataset_no_images", tmp_path)
    build(published_recipe(levels=[20]), Inputs(tmp_path, manual), tmp_path / "out")
    config = metadata.read_card(tmp_path / "out").configs["red_20"]

    assert config.rows == {"train": 24, "validation": 6}


def test_an_imported_base_manifest_and_the_release(manual, tmp_path):
    """With a base manifest in tables, the release beside the images is read all the same."""
    (imported,) = import_release(manual / "dataset_no_images", tmp_path)
    import_source("mini_imagenet", manual, "mine", tmp_path)
    own_dataset = load_dataset(published_recipe(dataset="mine"), Inputs(tmp_path, manual))

    assert own_dataset.published_splits.equals(imported.published_splits)
    assert own_dataset.votes.equals(imported.votes)


def test_importing_another_release(manual, tmp_path):
    """It does not replace the tables of the first; a folder without a release is an error."""
    changed = tmp_path / "changed" / "dataset_no_images"
    shutil.copytree(manual / "dataset_no_images", changed)
    annotations = json.dumps({"data": ANNOTATIONS[:2]})
    (changed / "mini-imagenet-annotations.json").write_text(annotations)
    import_release(manual / "dataset_no_images", tmp_path)

    with pytest.raises(ValueError, match="contains other candidates: give another --root"):
        import_release(changed, tmp_path)
    with pytest.raises(ValueError, match=r"the release of Jiang et al. .2020. is not here"):
        import_release(tmp_path / "annotations", tmp_path / "new")


@pytest.mark.usefixtures("reads_back_here")
def test_a_smaller_benchmark(manual, tmp_path):
    """A limit of images per class holds, and chooses the same images, at every level."""
    content = {"dataset": "mini_imagenet", "noise": "blue", "levels": [0, 50], "per_class": 4}
    folder = tmp_path / "out"
    build(parse_recipe(content, "here"), package_inputs(manual), folder)
    clean = datasets.load_dataset(str(folder), "blue_00", split="train", cache_dir=tmp_path)
    noisy = datasets.load_dataset(str(folder), "blue_50", split="train", cache_dir=tmp_path)

    assert np.bincount(clean["label"]).tolist() == [4, 4, 4]
    assert {*clean["image_id"]} == {*noisy["image_id"]}
    assert [] == find_errors(folder, manual)
