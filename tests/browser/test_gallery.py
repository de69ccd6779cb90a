"""The gallery of a build: what it says of each picture, and that the picture is the right one."""

from collections import defaultdict
from hashlib import sha256
from pathlib import Path
from shutil import copytree

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cnlw_tools.browser.gallery import GalleryOptions, make_gallery
from cnlw_tools.builds.build import build
from cnlw_tools.builds.diff import read_plans
from cnlw_tools.builds.ground_truth import load
from cnlw_tools.dataset import tables
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import parse_recipe
from tests.browser.scripts import read_column
from tests.reports.conftest import make_run as make_run_folder


@pytest.fixture(scope="module")
def built(tmp_path_factory, tiny) -> Path:
    """Two levels of red noise and one of blue noise, in several shards."""
    folder = tmp_path_factory.mktemp("gallery")
    inputs = Inputs(tiny(folder / "root"))
    for noise, levels in (("red", [20, 40]), ("blue", [40])):
        keys = {"dataset": "shapes", "noise": noise, "levels": levels, "shard_rows": 40}
        build(parse_recipe(keys, "the test"), inputs, folder / "shapes")
    return folder / "shapes"


def read_columns(items) -> dict[str, list]:
    return {name: read_column(column.to_block()) for name, column in items.columns.items()}


def test_each_config_is_there_with_its_labels_and_its_pictures(built) -> None:
    """As its plan says, row by row; a picture is the one of its row."""
    items, pictures = make_gallery(built, GalleryOptions())
    columns = read_columns(items)
    classes = tables.read_classes(built / "tables" / "classes.csv")
    rows_of_config = defaultdict(list)
    for item, places in enumerate(columns["place"]):
        digest = sha256(pictures.read(item).data).hexdigest()
        row = [
            columns[name][item] for name in ("id", "given", "truth", "noisy", "origin", "replaces")
        ]
        for place in places:
            rows_of_config[place["config"]].append((place["split"], digest, *row))

    expected = defaultdict(list)
    for name, plan in read_plans(built).items():
        for row in plan.to_pylist():
            true = row["clean_label"]
            truth = "not known" if true is None else classes[true]
            state = "wrong" if row["is_noisy"] else "right"
            labels = (row["image_id"], classes[row["label"]], truth, state)
            place = (row["origin"], row["replaces"] or "")
            expected[name].append((row["split"], row["image"], *labels, *place))
    assert sorted(rows_of_config) == ["blue_40", "red_20", "red_40"]
    for name, rows in expected.items():
        assert sorted(rows_of_config[name]) == sorted(rows)


def test_one_config_alone(built) -> None:
    """Nothing of the others, and no picture twice."""
    items, _ = make_gallery(built, GalleryOptions("red_20"))
    columns = read_columns(items)

    plan = read_plans(built)["red_20"]
    assert sorted(columns["id"]) == sorted(plan["image_id"].to_pylist())
    assert {place["config"] for places in columns["place"] for place in places} == {"red_20"}


def test_the_note_says_what_is_wrong(built) -> None:
    """The true class if it is another one; "wrong" if nobody knows it; else nothing."""
    columns = read_columns(make_gallery(built, GalleryOptions())[0])
    for given, truth, note in zip(columns["given"], columns["truth"], columns["note"], strict=True):
        if truth == "not known":
            assert note == "wrong"
        else:
            assert note == ("" if truth == given else f"true: {truth}")


def test_candidates_have_their_votes(built) -> None:
    """All votes on the candidate under this class, as the table of the build has them."""
    columns = read_columns(make_gallery(built, GalleryOptions())[0])
    classes = tables.read_classes(built / "tables" / "classes.csv")
    answers = {True: "yes", False: "no", None: "unsure"}
    votes = defaultdict(list)
    for vote in pq.read_table(built / "tables" / "votes.parquet").to_pylist():
        entry = {"annotator": vote["annotator"], "answer": answers[vote["correct"]]}
        votes[vote["image_id"], classes[vote["label"]]].append(entry)
    for item in range(len(columns["id"])):
        assert columns["votes"][item] == votes.get(
            (columns["id"][item], columns["given"][item]), []
        )
    assert any(columns["votes"])


def test_an_unknown_config_is_an_error(built) -> None:
    """Which names those there are."""
    with pytest.raises(LookupError, match="red_20"):
        make_gallery(built, GalleryOptions("red_30"))


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("label", 10, "'label', row 0: 10"),
        ("label", -1, "'label', row 0: -1"),
        ("label", None, "'label', row 0: None"),
        ("clean_label", 99, "'clean_label', row 0: 99"),
        ("clean_label", "one", "'clean_label' has type string"),
        ("is_noisy", None, "'is_noisy', row 0: None"),
    ],
)
def test_a_damaged_column_is_an_error(built, tmp_path, column, value, words) -> None:
    """It names the shard, the column and the row, where a class cannot be the right one."""
    copied = Path(copytree(built, tmp_path / "damaged"))
    path = min((copied / "data").iterdir())
    rows = pq.read_table(path)
    place = rows.column_names.index(column)
    kind = pa.string() if isinstance(value, str) else rows.schema.field(column).type
    pq.write_table(rows.set_column(place, column, pa.array([value] * len(rows), kind)), path)
    with pytest.raises(ValueError, match=f"{path.name}: column {words}"):
        make_gallery(copied, GalleryOptions())


@pytest.fixture
def make_run(built, tmp_path):
    """Make a run that recorded some examples of a config."""

    def make(
        name: str, config: str, rows: list[int], weight: list[float], loss: list[float]
    ) -> Path:
        data = {"train": load(built, config).digest}
        common = {"build": str(built), "config": config, "data": data}
        folder = make_run_folder(
            tmp_path / "runs" / name, [50.0], marks_noise=["removed"], **common
        )
        (folder / "examples.parquet").mkdir()
        table = pa.table({"row": rows, "loss": loss, "weight": weight, "own": [1.0] * len(rows)})
        pq.write_table(table, folder / "examples.parquet" / "epoch-0001.parquet")
        return folder

    return make


def test_runs_say_what_they_took_for_wrong(built, make_run) -> None:
    """By the rows of the training split, as `datasets` numbers them."""
    make_run("x", "red_40", [3, 0, 5], [0.0, 1.0, 1.0], [0.5, 0.25, 2.0])
    folder = make_run("y", "blue_40", [1], [0.0], [np.nan]).parent
    problems: list[str] = []
    items, _ = make_gallery(built, GalleryOptions(runs=folder), on_problem=problems.append)
    columns = read_columns(items)

    recorded = {}
    for item, entries in enumerate(columns["runs"]):
        for entry in entries:
            recorded[entry["run"], columns["id"][item]] = (entry["verdict"], entry["loss"])
    red, blue = (load(built, name).rows["image_id"].to_pylist() for name in ("red_40", "blue_40"))
    assert recorded == {
        ("x", red[3]): ("removed", 0.5),
        ("x", red[0]): ("treated as right", 0.25),
        ("x", red[5]): ("treated as right", 2.0),
        ("y", blue[1]): ("removed", None),
    }
    assert problems == []


def test_a_run_of_other_data_is_left_out(built, make_run, tmp_path) -> None:
    """With the reason; if no run is left, that is an error."""
    folder = make_run("x", "red_40", [0], [1.0], [0.5]).parent
    make_run("y", "blue_40", [0], [1.0], [0.5])
    problems: list[str] = []
    options = GalleryOptions("red_40", folder)
    columns = read_columns(make_gallery(built, options, on_problem=problems.append)[0])

    assert {entry["run"] for entries in columns["runs"] for entry in entries} == {"x"}
    assert problems == ["y: not shown, since the page has no config blue_40"]
    with pytest.raises(ValueError, match="cnlw train"):
        make_gallery(built, GalleryOptions("red_20", folder))


def test_near_duplicates_are_groups(built) -> None:
    """An image that is stored under two labels is no duplicate of itself."""
    items, _ = make_gallery(built, GalleryOptions(finds_duplicates=True))
    columns = read_columns(items)
    for item, twins in enumerate(columns["twins"]):
        ids = [twin["id"] for twin in twins]
        assert columns["duplicates"][item] == ("with a near duplicate" if ids else "none")
        assert (columns["group"][item] is None) == (not ids)
        assert not ids or (columns["id"][item] in ids and len(set(ids)) > 1)
