"""Images that builds leave out: rows go, candidates keep their place without an address."""

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from PIL import Image

from cnlw_tools.builds.build import build
from cnlw_tools.builds.diff import list_differences, read_plans, withdrawn_images
from cnlw_tools.card.metadata import ConfigChanges, read_card
from cnlw_tools.checks import origin, run_checks
from cnlw_tools.checks.collect import collect_evidence
from cnlw_tools.cli import main
from cnlw_tools.dataset import withdrawal
from cnlw_tools.dataset.dataset import read_dataset
from cnlw_tools.ingest.resolve import load_dataset
from cnlw_tools.plans.info import read_plan_info
from cnlw_tools.plans.plan import plan
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe

RED = Recipe("shapes", "red", levels=(0, 20), options={"top": 20})
CLEAN, NOISY = "red_00_t20", "red_20_t20"


@pytest.fixture(scope="module")
def root(tmp_path_factory, tiny) -> Path:
    """A root with a small copy of the embedded dataset."""
    return tiny(tmp_path_factory.mktemp("withdrawal") / "root")


@pytest.fixture(scope="module")
def first(root, tmp_path_factory) -> Path:
    """A build with all images."""
    folder = tmp_path_factory.mktemp("first") / "build"
    build(RED, Inputs(root), folder)
    return folder


def without(path: Path, *ids: str) -> Recipe:
    """Return the recipe that leaves out these images, which are written to a file."""
    path.write_text("\n".join(ids) + "\n\n")
    return replace(RED, without=str(path))


def rows_of(plan: pa.Table, origin: str, split: str = "train") -> list[dict]:
    """Return the rows of a plan that have an origin, in a split."""
    return [row for row in plan.to_pylist() if (row["origin"], row["split"]) == (origin, split)]


def errors_of(folder: Path, root: Path) -> list[str]:
    """Return the errors that checks find in a build."""
    results = run_checks(collect_evidence(folder, Inputs(root)))
    return [f.message for result in results for f in result.findings if f.severity == "error"]


@pytest.mark.usefixtures("reads_back_here")
def test_the_next_reserve_takes_the_slot_of_a_candidate(root, first, tmp_path):
    """Only the slots of withdrawn candidates change; validate agrees, and no table has an address."""
    before = read_plans(first)[NOISY]
    slot_of = {row["image_id"]: row["replaces"] for row in rows_of(before, "web")}
    ids = sorted(slot_of)[::11]
    recipe = without(tmp_path / "ids.txt", *ids)

    build(recipe, Inputs(root), tmp_path / "second")

    plans = read_plans(tmp_path / "second")
    changes = list(list_differences(before, plans[NOISY], frozenset(ids)))
    assert len(ids) > 1
    assert [change[:3] for change in changes] == sorted(
        ("withdrawn", slot_of[name], name) for name in ids
    )
    assert read_plans(first)[CLEAN].equals(plans[CLEAN])
    assert not {change[3] for change in changes} & {*slot_of}
    assert withdrawn_images(tmp_path / "second") == {*ids}
    web = pq.read_table(tmp_path / "second" / "tables" / "web.parquet")
    marked = web.filter(web["withdrawn"])
    assert sorted(marked["image_id"].to_pylist()) == ids
    assert marked["uri"].null_count == marked["sha256"].null_count == len(ids)
    assert web["uri"].null_count == pq.read_table(first / "tables" / "web.parquet")[
        "uri"
    ].null_count + len(ids)
    assert not errors_of(tmp_path / "second", root)


@pytest.mark.usefixtures("reads_back_here")
def test_base_images_are_in_no_split(root, first, tmp_path):
    """Withdrawn images of train and validation are gone from every config, and counts stay exact."""
    clean = read_plans(first)[CLEAN]
    ids = [rows_of(clean, "base", split)[5]["image_id"] for split in ("train", "validation")]

    build(without(tmp_path / "ids.txt", *ids), Inputs(root), tmp_path / "second")

    for name, table in read_plans(tmp_path / "second").items():
        present = {*table["image_id"].to_pylist(), *table["replaces"].to_pylist()}
        assert not present & {*ids}
        assert len(table) == len(clean) - 2
        n_noisy = pc.sum(table["is_noisy"]).as_py()
        assert n_noisy == (40 if name == NOISY else 0)  # of 199
    base = pq.read_table(tmp_path / "second" / "tables" / "base.parquet")
    assert not {*base["image_id"].to_pylist()} & {*ids}
    assert not errors_of(tmp_path / "second", root)


@pytest.fixture(scope="module")
def imported(tmp_path_factory) -> Inputs:
    """Class folders of 20 images each, of which an import moved a fifth to validation.

    The bytes of b/00.png are there twice, as b/01.png, so both stay in train.
    """
    folder = tmp_path_factory.mktemp("imported")
    photos = folder / "photos"
    for number, name in enumerate(("a", "b")):
        (photos / name).mkdir(parents=True)
        for i in range(20):
            colour = (number * 100, 10 * max(i, number), 0)
            Image.new("RGB", (4, 4), colour).save(photos / name / f"{i:02d}.png")
    words = ["--as", "mine", "--root", str(folder / "root"), "--validation", "20"]
    result = CliRunner().invoke(main, ["import", "folder", str(photos), *words])
    assert result.exit_code == 0, result.output
    return Inputs(folder / "root", photos)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_an_imported_validation_split(imported, tmp_path, split):
    """It holds the images that the import took, though some were left out later."""
    recipe = Recipe("mine", "blue", levels=(20,))
    base = load_dataset(recipe, imported).base
    ids = base["image_id"].filter(pc.equal(base["split"], split)).to_pylist()
    twin = ["b/01.png"] if split == "train" else []
    file = tmp_path / "ids.txt"
    file.write_text("\n".join([*ids[:3], ids[-1], *twin]))

    build(replace(recipe, without=str(file)), imported, tmp_path / "build")

    evidence = collect_evidence(tmp_path / "build", imported)
    assert list(origin.manifest(evidence)) == []


def test_images_that_the_source_lacks(imported, tmp_path):
    """If an image was deleted from one's own copy too, the check says what it cannot compare."""
    file = tmp_path / "ids.txt"
    file.write_text("a/00.png\n")
    recipe = Recipe("mine", "blue", levels=(20,), without=str(file))
    build(recipe, imported, tmp_path / "build")
    copy = shutil.copytree(imported.data_dir, tmp_path / "copy")
    (copy / "a" / "00.png").unlink()

    evidence = collect_evidence(tmp_path / "build", Inputs(imported.root, copy))
    found = [f.message for f in origin.manifest(evidence)]

    message = "validation was not compared: the source has not all images that were left out"
    assert found == [message]


def test_a_plan_records_what_was_left_out(root, tmp_path):
    """A plan has the ids, and the reserves that stand in; without any, it says nothing of them."""
    complete = load_dataset(RED, Inputs(root))
    drawn = plan(RED, complete, 20)
    name = rows_of(drawn, "web")[0]["image_id"]
    recipe = without(tmp_path / "ids.txt", name)

    info = read_plan_info(plan(recipe, load_dataset(recipe, Inputs(root)), 20))

    assert info.withdrawn == (name,)
    assert list(info.substituted) == [name]
    assert info.recipe.without == ""
    assert b"withdrawn" not in drawn.schema.metadata[b"cnlw"]


def test_a_table_of_the_dataset_counts_too(root, tmp_path):
    """The table of a dataset and the file of a recipe are joined."""
    ids = pq.read_table(root / "manifests/shapes/web.parquet")["image_id"].to_pylist()
    table = root / "annotations/shapes/withdrawn.parquet"
    pq.write_table(pa.table({"image_id": [ids[3]]}, schema=withdrawal.SCHEMA), table)
    try:
        data = load_dataset(without(tmp_path / "ids.txt", ids[9], ids[3]), Inputs(root))
    finally:
        table.unlink()

    assert data.withdrawn["image_id"].to_pylist() == sorted([ids[3], ids[9]])
    assert data.digests.keys() - read_dataset("shapes", root).digests.keys() == {"withdrawn"}


def test_a_withdrawn_candidate_is_as_unavailable_as_a_dead_one() -> None:
    """In a pool, an image is dead if its link is, or if it was withdrawn."""
    pool = pa.table(
        {
            "image_id": ["a", "b", "c"],
            "dead": [True, False, False],
            "withdrawn": [False, True, False],
        }
    )

    withheld = withdrawal.withhold(pool)

    assert withheld.column_names == ["image_id", "dead"]
    assert withheld["dead"].to_pylist() == [True, True, False]
    no_dead = withdrawal.withhold(pool.drop_columns(["dead"]))
    assert no_dead["dead"].to_pylist() == [False, True, False]
    unmarked = pool.drop_columns(["withdrawn"])
    assert withdrawal.withhold(unmarked) is unmarked


def test_files_of_ids(tmp_path):
    """A text, a CSV and a Parquet file give the same ids."""
    (tmp_path / "ids.txt").write_text("a b\n\n c\n")
    (tmp_path / "ids.csv").write_text("reason,image_id\nowner,a b\nowner,c\n")
    table = pa.table({"image_id": ["a b", "c"]})
    pq.write_table(table, tmp_path / "ids.parquet")

    for name in ("ids.txt", "ids.csv", "ids.parquet"):
        assert withdrawal.read_withdrawn(tmp_path / name)["image_id"].to_pylist() == ["a b", "c"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n \n", "ids.txt: it contains no image ids: write one id on each line"),
        ("b\na\n\na\n", "ids.txt: the id 'a' occurs 2 times: keep each id once"),
    ],
)
def test_bad_files(tmp_path, text, message):
    """A file without ids, or with an id twice, is an error."""
    (tmp_path / "ids.txt").write_text(text)

    with pytest.raises(ValueError, match=message):
        withdrawal.read_withdrawn(tmp_path / "ids.txt")


def test_unknown_ids(root, tmp_path):
    """An id of no image is an error, since a wrong id would leave its image in the build."""
    recipe = without(tmp_path / "ids.txt", "lamp-web-0001", "lamp-web-9999")

    with pytest.raises(ValueError, match=r"ids.txt: no image has the id 'lamp-web-9999'"):
        build(recipe, Inputs(root), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_file(root, tmp_path):
    """A file that is not there is an error of one line."""
    recipe = replace(RED, without=str(tmp_path / "none.txt"))

    with pytest.raises(
        FileNotFoundError, match=r"none.txt: there is no such file: correct the path"
    ):
        load_dataset(recipe, Inputs(root))


def test_the_card_says_what_changed(root, first, tmp_path):
    """It counts the images that were left out, and the slots that differ from an earlier build."""
    before = read_plans(first)
    web = [row["image_id"] for row in rows_of(before[NOISY], "web")][:3]
    recipe = without(tmp_path / "ids.txt", *web)

    build(recipe, Inputs(root), tmp_path / "second", previous=first)

    n_slots = len(before[NOISY])
    changes = read_card(tmp_path / "second").changes
    assert changes.configs == {
        CLEAN: ConfigChanges(n_slots, 0, 0, 0),
        NOISY: ConfigChanges(n_slots, 3, 0, 0),
    }
    text = (tmp_path / "second" / "README.md").read_text("utf-8")
    assert "3 images were left out on request" in text
    assert f"- `{CLEAN}`: the same in all {n_slots:,} slots.\n" in text
    assert f"- `{NOISY}`: 3 of {n_slots:,} slots differ.\n" in text
    more = replace(recipe, levels=(10,))
    build(more, Inputs(root), tmp_path / "second")
    assert read_card(tmp_path / "second").changes == changes


def test_an_earlier_build_that_is_none(root, tmp_path):
    """It is an error before anything is written."""
    with pytest.raises(ValueError, match="no build here"):
        build(RED, Inputs(root), tmp_path / "out", previous=tmp_path)
    assert not (tmp_path / "out").exists()
