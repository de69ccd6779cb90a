"""`croissant.json`, read by mlcroissant, which knows nothing of this package."""

import json
import shutil
import subprocess
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cnlw_tools import files
from cnlw_tools.builds.build import build
from cnlw_tools.card.about import About
from cnlw_tools.card.croissant import describe_build, to_text, write_located_croissant
from cnlw_tools.card.disclosure import disclose
from cnlw_tools.card.file_list import CROISSANT
from cnlw_tools.card.hub import hub_keys
from cnlw_tools.card.metadata import CARD, BuildCard, ConfigCard, front_matter, read_card
from cnlw_tools.card.table_files import BuildTables, Candidates, TableFile
from cnlw_tools.images.pixels import Storage
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import BENCHMARK_LEVELS, Recipe
from tests.conftest import tiny_root

NO_CANDIDATES = Candidates(0, None, 0, 0, 0, (0, 0))
IMAGENET_SHARDS = 2_356  # of ten levels of blue noise, of 1,000 images each

REQUIRED_BY_NEURIPS = {  # "minimal RAI fields" of the track on evaluations and datasets, 2026
    "rai:dataLimitations",
    "rai:dataBiases",
    "rai:personalSensitiveInformation",
    "rai:dataUseCases",
    "rai:dataSocialImpact",
    "rai:hasSyntheticData",
    "prov:wasDerivedFrom",
    "prov:wasGeneratedBy",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return a small build with web images, votes, two kinds of noise and a list in a table."""
    folder = tmp_path_factory.mktemp("croissant")
    root = tiny_root(folder / "root", train=6, validation=2)
    for recipe in (Recipe("shapes", "red", levels=(20, 40)), Recipe("shapes", "dilution")):
        build(recipe, Inputs(root), folder / "build")
    return folder / "build"


@pytest.fixture(scope="module")
def described(built):
    """Return the build as mlcroissant understands it; nothing in it is a warning or an error."""
    import mlcroissant  # it takes a second, which other tests need not wait for

    return mlcroissant.Dataset(built / CROISSANT)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_no_issues(described):
    """Only what nobody has said of the build is missing."""
    issues = described.metadata.ctx.issues

    assert issues.errors == set()
    missing = {warning.split('"')[1].rpartition("/")[2] for warning in issues.warnings}
    assert missing <= {"datePublished", "license", "version"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_first_record_of_every_split(built, described):
    """It is the first row of a shard of this split, with its picture."""
    for name, config in read_card(built).configs.items():
        for split, segments in config.segments.items():
            record = next(iter(described.records(f"{name}/{split}")))
            values = {key.rpartition("/")[2]: value for key, value in record.items()}
            firsts = []
            for path in (built / "data").glob("*.parquet"):
                if path.name.partition("-")[0] in segments:
                    firsts.append(pq.read_table(path).slice(0, 1).to_pylist()[0])
            (row,) = (r for r in firsts if r["image_id"] == values["image_id"].decode())

            assert values["label"] == row["label"]
            assert values["origin"].decode() == row["origin"]
            stored = Image.open(BytesIO(row["image"]["bytes"]))
            assert values["image"].tobytes() == stored.tobytes()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tables(built, described):
    """Every table is a record set with all its rows; labels name classes, votes have annotators."""
    classes = list(described.records("tables/classes"))
    votes = list(described.records("tables/votes"))

    assert classes[2]["tables/classes/label"] == 2
    assert len(votes) == len(pq.read_table(built / "tables/votes.parquet"))
    fields = {
        field.id: field for record in described.metadata.record_sets for field in record.fields
    }
    assert "prov:wasAttributedTo" in str(fields["tables/votes/annotator"].to_json())


def test_every_file_is_listed(built):
    """Shards and tables have the sha256 of their bytes."""
    listed = {}
    for entry in json.loads((built / CROISSANT).read_text())["distribution"]:
        if entry["@type"] == "cr:FileObject":
            listed[entry["contentUrl"]] = entry["sha256"]
    paths = [path for name in ("data", "tables") for path in (built / name).iterdir()]

    assert listed == {str(path.relative_to(built)): files.digest(path) for path in paths}


def test_what_is_said_of_people_and_of_what_is_missing(built):
    """Votes, the rule of verdicts and dead links are stated in the words of the vocabulary."""
    content = json.loads((built / CROISSANT).read_text())
    n_votes = len(pq.read_table(built / "tables/votes.parquet"))

    assert f"{n_votes:,} votes of 12 annotators" in content["rai:dataAnnotationProtocol"]
    assert "Verdicts are the majority of yes and no votes" in content["rai:dataAnnotationProtocol"]
    assert content["rai:annotationsPerItem"] == "3 to 5"
    assert "does not say which" in content["rai:dataCollectionMissingData"]
    assert content["rai:dataManipulationProtocol"].startswith("Labels of train are made wrong by")


def test_dead_links():
    """A build with a store says how many candidates it could not have."""
    tables = BuildTables((), Candidates(1_200, 34, 0, 0, 0, (0, 0)))
    content = describe_build(BuildCard({}, "toy", Storage(), "flat"), tables, 2)

    assert content["rai:dataCollectionMissingData"].startswith("34 of 1,200 candidates of web")
    assert "rai:dataAnnotationProtocol" not in content


def test_what_is_known_of_a_dataset():
    """Licence, version, day, creators and sources stand where they are known, and else do not."""
    about = About(
        licence="cc-by-4.0",
        creators=("A. B.",),
        version="1.2.0",
        published="2026-12-31",
        url="https://example.org",
        source_datasets=("ylecun/mnist",),
        personal_data="None.",
    )
    card = BuildCard({}, "toy", Storage(), "flat", about=about)
    tables = BuildTables((), NO_CANDIDATES)
    known = describe_build(card, tables, 2)
    unknown = describe_build(BuildCard({}, "toy", Storage(), "flat"), tables, 2)

    assert known["license"] == "https://spdx.org/licenses/CC-BY-4.0.html"
    assert known["version"] == "1.2.0"
    assert known["datePublished"] == "2026-12-31"
    assert known["creator"] == [{"@type": "Person", "name": "A. B."}]
    assert known["prov:wasDerivedFrom"] == [{"@id": "ylecun/mnist"}]
    assert known.keys() - unknown.keys() == {
        "license",
        "url",
        "version",
        "datePublished",
        "creator",
        "prov:wasDerivedFrom",
        "rai:personalSensitiveInformation",
    }


def test_synthetic_images():
    """A dataset says whether a program made its images; white noise is made by one in any case."""
    white = Recipe("toy", "source", donors=("white",))
    config = ConfigCard(white, 50, "", {}, 0.5, 0.5, (1, 1), (1, 1), {})
    flipped = replace(config, recipe=Recipe("toy", "blue"))

    def said(synthetic: bool | None, *configs: ConfigCard) -> bool | None:
        named = {str(number): config for number, config in enumerate(configs)}
        about = About(synthetic=synthetic)
        card = BuildCard({}, "toy", Storage(), "flat", configs=named, about=about)
        return disclose(card, NO_CANDIDATES).get("rai:hasSyntheticData")

    assert said(None, flipped) is None
    assert said(True, flipped) is True
    assert said(False, flipped) is False
    assert said(False, flipped, config) is True


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_description_that_conferences_accept(built, tmp_path, monkeypatch):
    """Read alone, as by the checker of NeurIPS, it leads to the first record of every set.

    git clones the folder of the build where the description names a repository of the Hub.
    """
    folder = tmp_path / "repository"
    shutil.copytree(built, folder)
    git = ["git", "-C", str(folder), "-c", "user.name=n", "-c", "user.email=e@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "build"], ["tag", "v1"]):
        subprocess.run([*git, *command], check=True)
    (folder / CARD).unlink()  # a later version, which the tag does not mean
    subprocess.run([*git, "commit", "-qam", "later"], check=True)
    settings = tmp_path / "gitconfig"
    settings.write_text(
        f'[url "file://{folder}"]\n insteadOf = https://huggingface.co/datasets/lab/noise\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    import mlcroissant
    from etils import epath

    cache = epath.Path(tmp_path)
    monkeypatch.setattr("mlcroissant._src.core.constants.DOWNLOAD_PATH", cache)

    write_located_croissant(built, tmp_path / "located.json", "lab/noise", "v1")
    content = json.loads((tmp_path / "located.json").read_text())
    dataset = mlcroissant.Dataset(jsonld=content)
    sets = [records.uuid for records in dataset.metadata.record_sets]
    firsts = {name: next(iter(dataset.records(name))) for name in sets}

    assert content.keys() >= REQUIRED_BY_NEURIPS
    assert content["url"] == "https://huggingface.co/datasets/lab/noise"
    assert {"red_40/train", "tables/votes"} <= firsts.keys()
    assert firsts["red_40/train"]["red_40/train/image"].size > (0, 0)
    (clone,) = [path for path in tmp_path.iterdir() if path.name.startswith("croissant-")]
    assert (clone / CARD).exists()


def test_columns_of_every_type():
    """A list is an array, a column with a strange name has an address, and others are left out."""
    columns = (
        ("a b/c", pa.list_(pa.float32())),
        ("day", pa.date32()),
        ("seconds", pa.duration("s")),
    )
    tables = BuildTables((TableFile("side.parquet", "0" * 64, columns),), NO_CANDIDATES)
    content = describe_build(BuildCard({}, "toy", Storage(), "flat"), tables, 2)
    array, day = content["recordSet"][0]["field"]

    assert (array["@id"], array["isArray"]) == ("tables/side/a%20b%2Fc", True)
    assert array["source"]["extract"] == {"column": "a b/c"}
    assert day["dataType"] == "sc:Date"


def imagenet_card():
    """Return the card of ImageNet at ten levels of blue noise, with all its shards."""
    configs = {}
    for number, level in enumerate(BENCHMARK_LEVELS):
        segments = [f"{number * 100 + i:016x}" for i in range(11)]
        configs[f"blue_{level:02d}"] = ConfigCard(
            recipe=Recipe("imagenet", "blue"),
            level=level,
            digest="d" * 64,
            rows={"train": 1_281_167, "validation": 50_000},
            rate=level / 100,
            expected=level / 100,
            kept=(0.123456, 0.654321),
            expected_kept=(0.123456, 0.654321),
            segments={"train": segments, "validation": ["f" * 16]},
        )
    shards = {}
    for number in range(IMAGENET_SHARDS):
        shards[f"{number:016x}-{number:05d}-of-02356.parquet"] = f"{number:064x}"
    tables = dict.fromkeys(("classes", "base", "web", "votes"), "e" * 64)
    about = About(licence="other", citation="@article{russakovsky2015imagenet}" * 20)
    made_with = {"cnlw_tools": "0.2.0", "pillow": "13.0.0", "pyarrow": "26.0.1"}
    return BuildCard(made_with, "imagenet", Storage(), "shared", tables, configs, about, shards)


def test_the_card_of_imagenet_is_short():
    """Ten levels have 2,356 shards: the Hub takes the block, and the other file lists them all."""
    card = imagenet_card()
    block = front_matter(card, hub_keys(card, dict.fromkeys(card.shards, 10**8)))
    listed = to_text(describe_build(card, BuildTables((), NO_CANDIDATES), 1_000))

    assert len(block) < 60_000
    assert all(name not in block and name in listed for name in card.shards)


def test_the_same_bytes(built, tmp_path):
    """The same build twice gives the same file, whatever the folder is called."""
    root = tiny_root(tmp_path / "root", train=6, validation=2)
    again = tmp_path / "another name"
    for recipe in (Recipe("shapes", "red", levels=(20, 40)), Recipe("shapes", "dilution")):
        build(recipe, Inputs(root), again)

    assert (again / CROISSANT).read_bytes() == (Path(built) / CROISSANT).read_bytes()
