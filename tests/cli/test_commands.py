"""The commands, as a user types them: what they print, where they write, and how they fail."""

import json
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from cnlw_tools import files
from cnlw_tools.builds.exporters import EXPORTERS
from cnlw_tools.cli import main
from cnlw_tools.cli.list import KINDS, _format_entry
from cnlw_tools.cli.options import read_recipe_flags
from cnlw_tools.dataset import hashing, tables
from cnlw_tools.noise import NOISE
from cnlw_tools.plans.info import read_plan_info
from cnlw_tools.recipe import recipe


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, tiny: Callable[[Path], Path]) -> Path:
    return tiny(tmp_path_factory.mktemp("root"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def cnlw(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def build(root: Path, *arguments: object) -> Result:
    return cnlw("build", "--root", root, "--workers", 1, *arguments)


@pytest.fixture(scope="module")
def built(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of red_40."""
    out = tmp_path_factory.mktemp("built") / "shapes"
    done = build(root, "--noise", "red", "--level", 40, "--out", out)
    assert done.exit_code == 0, done.output
    return out


@pytest.fixture
def red_40(built: Path, here: Path) -> Path:
    """A copy of this build at the usual place of a folder of one's own."""
    return shutil.copytree(built, here / "builds/shapes")


def test_build_validate_load(root: Path, here: Path) -> None:
    """The daily four lines: build, validate the last build, load it."""
    built = build(root, "--noise", "red", "--level", 40)
    checked = cnlw("validate", "--workers", 1)

    assert (0, 0) == (built.exit_code, checked.exit_code), built.output + checked.output
    assert 'load_dataset("builds/shapes", "red_40")' in built.output
    summary, _, command = built.output.partition("next:\n")
    assert max(map(len, summary.splitlines())) <= 80
    assert command == "cnlw validate builds/shapes\n"
    assert "40.000 % noisy  train 200, validation 40" in built.output
    assert "builds/shapes: 0 errors" in checked.output


@pytest.mark.usefixtures("reads_back_here")
def test_validate_json_says_what_the_summary_says(root: Path, here: Path) -> None:
    """One JSON object, with every check and every finding."""
    build(root, "--noise", "blue", "--level", 20)
    next((here / "builds/shapes/data").glob("*.parquet")).unlink()

    checked = cnlw("validate", "builds/shapes", "--json", "--workers", 1)
    said = json.loads(checked.stdout)

    assert 1 == checked.exit_code
    assert not said["ok"]
    assert "hashes" in {f["check"] for f in said["findings"] if f["severity"] == "error"}
    assert {"check", "severity", "message", "location", "count", "fix", "consequences"} == set(
        said["findings"][0]
    )


def test_a_recipe_and_the_flags_mean_the_same(root: Path, here: Path) -> None:
    """The same plan comes of `RECIPE.toml`, of its name, and of --dataset and --noise."""
    for i, arguments in enumerate(
        (
            ["--noise", "red"],
            ["--dataset", "shapes", "--noise", "red"],
            ["shapes_red"],
            [root / "pipelines/shapes_red.toml"],
        )
    ):
        assert (
            0
            == cnlw(
                "plan", "--root", root, *arguments, "--level", 10, "--out", f"{i}.parquet"
            ).exit_code
        )

    assert 1 == len({hashing.digest(tables.read_plan(here / f"{i}.parquet")) for i in range(4)})


def test_recipes_of_the_package_hold_for_other_roots(tmp_path: Path) -> None:
    """Who imports the release elsewhere still gets 500 images a class; a recipe there goes before ours."""
    (tmp_path / "pipelines").mkdir()
    asked = {"dataset": "mini_imagenet", "noise": "red", "options": (), "level": None}

    assert 500 == read_recipe_flags(None, tmp_path, dict(asked)).per_class
    (tmp_path / "pipelines/mini_imagenet_red.toml").write_text(
        'dataset = "mini_imagenet"\nnoise = "red"\nseed = 3\n'
    )
    theirs = read_recipe_flags(None, tmp_path, dict(asked))
    assert (0, 3) == (theirs.per_class, theirs.seed)
    assert theirs == read_recipe_flags("mini_imagenet_red", tmp_path, {})


def test_flags_override_the_recipe(root: Path, here: Path) -> None:
    """A seed on the command line is another draw, and is in the config's name."""
    built = build(root, "shapes_blue", "--level", 37, "--seed", 3, "-o", "x=1")
    assert "noise 'blue' has no option 'x'" in built.output

    built = build(root, "shapes_blue", "--level", 37, "--seed", 3)

    assert "blue_37_s3" in built.output


def test_plan_writes_one_level_without_an_image(root: Path, here: Path) -> None:
    """The default file is named after dataset and config, and says how it was made."""
    planned = cnlw("plan", "--root", root, "--noise", "red", "--level", 40)
    plan = tables.read_plan(here / "shapes_red_40.parquet")
    info = read_plan_info(plan)

    assert "240 rows, 80 noisy" in planned.output
    assert hashing.digest(plan) in planned.output
    assert ("red", 40, 0) == (info.recipe.noise, info.level, info.recipe.seed)
    assert {"classes", "base", "web", "votes"} == set(info.inputs)
    assert 0.4 == info.rate
    assert (10, 10) == info.expected_matrix().shape


@pytest.mark.usefixtures("reads_back_here")
def test_a_matrix_from_a_file(root: Path, here: Path) -> None:
    """Plan and build say whether it can be undone; the build is proved without the file; a singular one is no error."""
    even = "\n".join(",".join(["0.1"] * 10) for _ in range(10))
    (here / "even.csv").write_text(even)
    planned = cnlw("plan", "--root", root, "shapes_matrix", "--out", "plan.parquet")
    built = build(root, "--noise", "matrix", "-o", "q=even.csv")
    (here / "even.csv").unlink()
    checked = cnlw("validate", "--workers", 1)

    q = np.array(
        recipe.read_recipe(root / "pipelines/shapes_matrix.toml").options["q"]
    )  # whole images of twenty a class
    assert (
        f"determinant {np.linalg.det(q):.3g}, condition number {np.linalg.cond(q):.3g}"
        in planned.output
    )
    assert "singular, it cannot be inverted" in " ".join(built.output.split())
    assert "90.000 % noisy" in built.output
    assert (0, 0, 0) == (planned.exit_code, built.exit_code, checked.exit_code), checked.output


def test_list_noise_says_what_options_and_source(root: Path) -> None:
    """One line a model."""
    lines = dict(
        line.split(maxsplit=1) for line in cnlw("list", "noise", "--root", root).output.splitlines()
    )

    assert NOISE.keys() == lines.keys()
    assert "Patrini et al. 2017, Zhang et al. 2020 [-o map=cifar10]" in lines["asymmetric"]
    assert all(model.paper in lines[name] for name, model in NOISE.items())


def test_a_plan_writes_labels_for_a_loader(here: Path) -> None:
    """torchvision takes them as its targets, without a build and without the images in the plan."""
    pytest.importorskip("torch")
    from torchvision.datasets import MNIST

    raw = here / "data/MNIST/raw"
    raw.mkdir(parents=True)
    labels = {"train": np.arange(50, dtype=np.uint8) % 10, "t10k": np.arange(9, dtype=np.uint8)}
    for stem, values in labels.items():
        header = struct.pack(">HBBI", 0, 8, 1, len(values))
        (raw / f"{stem}-labels-idx1-ubyte").write_bytes(header + values.tobytes())
    arguments = ["--dataset", "mnist", "--noise", "blue", "--level", 40, "--data-dir", "data"]
    planned = cnlw("plan", *arguments, "--labels", "labels")
    again = cnlw("plan", *arguments, "--labels", "labels", "--out", "other.parquet")
    Path("file").touch()
    unwritable = cnlw("plan", *arguments, "--labels", "new", "--out", "file/x.parquet")
    within = cnlw("plan", *arguments, "--labels", "new", "--out", "new/x.parquet")
    rows = {
        row["image_id"]: row for row in tables.read_plan(here / "mnist_blue_40.parquet").to_pylist()
    }
    for stem, values in labels.items():
        images = struct.pack(">HBB3I", 0, 8, 3, len(values), 28, 28) + bytes(784 * len(values))
        (raw / f"{stem}-images-idx3-ubyte").write_bytes(images)
    train, test = MNIST("data", train=True), MNIST("data", train=False)
    true_labels = train.targets.tolist()
    given_labels = np.load("labels/train.npy")
    train.targets = given_labels.tolist()

    assert planned.exit_code == 0, planned.output
    assert [rows[f"train-{i:05d}"]["label"] for i in range(50)] == given_labels.tolist()
    assert [label for _, label in train] == given_labels.tolist()
    assert np.load("labels/train_clean_labels.npy").tolist() == true_labels
    assert (np.load("labels/train_is_noisy.npy") == (given_labels != true_labels)).all()
    assert np.load("labels/train_is_noisy.npy").sum() == 20
    assert np.load("labels/validation.npy").tolist() == test.targets.tolist()
    assert (again.exit_code, unwritable.exit_code, within.exit_code) == (1, 1, 1)
    assert "labels exists already: use another --labels" in again.output
    assert "new/x.parquet is in the folder that --labels new creates: give another" in within.output
    assert not (here / "new").exists()
    assert not (here / "other.parquet").exists()


def test_show_a_plan(root: Path, here: Path) -> None:
    """A plan alone is shown too."""
    cnlw("plan", "--root", root, "--noise", "blue", "--level", 10)

    assert "10.000 % noisy" in cnlw("show", "shapes_blue_10.parquet").output


def test_plan_does_not_overwrite_what_is_no_plan(root: Path, here: Path) -> None:
    """A file that holds something else stays as it was."""
    (here / "mine.parquet").write_text("precious")

    planned = cnlw("plan", "--root", root, "--noise", "red", "--level", 40, "--out", "mine.parquet")

    assert 1 == planned.exit_code
    assert "precious" == (here / "mine.parquet").read_text()


def test_diff_of_plans(root: Path, here: Path) -> None:
    """Two levels of one draw differ in the slots between them, in image, truth, origin and flag."""
    for level in (10, 20):
        cnlw("plan", "--root", root, "--noise", "red", "--level", level)

    same = cnlw("diff", "shapes_red_10.parquet", "shapes_red_10.parquet")
    other = cnlw("diff", "shapes_red_10.parquet", "shapes_red_20.parquet")

    assert (0, "plan: the same in all 240 slots\n") == (same.exit_code, same.output)
    assert 1 == other.exit_code
    assert (
        "240 slots, 20 differ; in image_id 20, clean_label 20, origin 20, is_noisy 20"
        in other.output
    )


def test_diff_of_builds_goes_config_by_config(root: Path, here: Path) -> None:
    """A config that only one has is named; a shared one is compared."""
    build(root, "--noise", "blue", "--level", 10, "--out", "a")
    build(root, "--noise", "blue", "--level", 10, "--out", "b")
    build(root, "--noise", "red", "--level", 10, "--out", "b")

    found = cnlw("diff", "a", "b")

    assert 1 == found.exit_code
    assert "blue_10: the same in all 240 slots\nred_10: only in b\n" == found.output


def test_diff_sees_other_pixels_under_the_same_ids(root: Path, here: Path) -> None:
    """Two builds of one plan that store other images are not the same."""
    build(root, "--noise", "blue", "--level", 10, "--out", "a")
    build(root, "--noise", "blue", "--level", 10, "--out", "b", "--size", 32)

    found = cnlw("diff", "a", "b")

    assert 1 == found.exit_code
    assert "240 differ; in image 240" in found.output


def test_show_counts_what_a_build_holds(root: Path, here: Path) -> None:
    """Rows, realised noise and sizes of every config; the matrices as a picture."""
    build(root, "--noise", "pairflip", "--level", 40, "--probe", 2)
    build(root, "--noise", "red", "--level", 20)

    shown = cnlw("show", "builds/shapes", "--matrix", "m.png")
    one = cnlw("show", "builds/shapes", "--config", "red_20")
    wrong = cnlw("show", "builds/shapes", "--config", "red_21")

    assert "pairflip_40_probe2        40.000 % noisy,   0.000 % foreign images" in shown.output
    assert "train 180, probe 20, validation 40" in shown.output
    assert (here / "m.png").read_bytes().startswith(b"\x89PNG")
    assert one.output.startswith("red_20")
    assert 1 == len(one.output.splitlines())
    assert "unknown config 'red_21'. Did you mean 'red_20'?" in wrong.output


@pytest.mark.usefixtures("reads_back_here")
def test_a_verified_set_from_the_flag_to_the_learner(root: Path, here: Path) -> None:
    """Built, validated, shown and loaded: five a class, two of five wrong, and in no other split."""
    built = build(root, "--noise", "red", "--level", 40, "--verified", 5)
    checked = cnlw("validate", "--workers", 1)
    shown = cnlw("show", "builds/shapes")
    data = datasets.load_dataset("builds/shapes", "red_40_verified5", cache_dir="cache")
    rows = {split: part.remove_columns("image").to_list() for split, part in data.items()}
    slots = {
        split: {row["replaces"] or row["image_id"] for row in part} for split, part in rows.items()
    }

    assert (0, 0) == (built.exit_code, checked.exit_code), built.output + checked.output
    assert "train 150, verified 50 (20 noisy), validation 40" in shown.output
    assert {"train": 150, "verified": 50, "validation": 40} == {
        split: len(part) for split, part in slots.items()
    }
    assert 240 == len(set().union(*slots.values()))
    assert 20 == sum(row["is_noisy"] for row in rows["verified"])
    assert all(row["is_noisy"] == (row["label"] != row["clean_label"]) for row in rows["verified"])
    assert "verified 50, validation 40" in (here / "builds/shapes/README.md").read_text()


@pytest.mark.parametrize("kind", ["datasets", "noise", "recipes"])
def test_list(kind: str) -> None:
    """One line each, and the embedded dataset and its noise are among them."""
    listed = cnlw("list", kind)

    words = {"datasets": "shapes", "noise": "red", "recipes": "shapes_red"}
    assert any(line.startswith(words[kind]) for line in listed.output.splitlines())


def test_list_without_a_kind_names_them_once() -> None:
    """In the error and in the help, each kind that there is; what a name is stands in one column."""
    bare = cnlw("list")
    text = cnlw("list", "--help").output.replace("\n", " ")
    presets = cnlw("list", "presets").output.splitlines()

    assert bare.exit_code == 2
    assert all(bare.output.count(kind) == 1 for kind in KINDS)
    assert all(kind in text for kind in KINDS)
    assert len({re.match(r"\S+ +", line).end() for line in presets}) == 1  # type: ignore[union-attr]


@pytest.mark.usefixtures("reads_back_here")
def test_verdicts_by_another_rule(root: Path, here: Path) -> None:
    """Built by a recipe that weighs votes and leaves images out that other images led to; validated, and so named."""
    said = 'dataset = "shapes"\nnoise = "red"\nverdict = "dawid_skene"\nsearch = ["text"]\nlevels = [20]\n'
    (here / "x.toml").write_text(said)

    built = build(root, "x.toml")
    checked = cnlw("validate", "--workers", 1)

    assert (0, 0) == (built.exit_code, checked.exit_code), built.output + checked.output
    assert "red_20_dawid-skene_text" in built.output


def test_list_noise_shows_options() -> None:
    """Every option stands there with its default, as one would type it."""
    lines = cnlw("list", "noise").output.splitlines()

    assert "[-o include_self=false -o exact=true -o variant=uniform]" in next(
        x for x in lines if x.startswith("symmetric")
    )


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_terminal_wraps_a_list_below_its_texts(width: int) -> None:
    """No line is wider than the terminal, no option is torn, and a pipe gets one line each."""
    options = "[-o first=0.25 -o noisy=0.5 -o highly=0.5 -o fall=1.0]"
    text = f"1.0 x   Learns from typical images of each class first, then from others. {options}"

    lines = _format_entry("curriculumnet", text, width).splitlines()

    assert max(map(len, lines)) <= width
    assert all(line.startswith(" " * 25 + line[25]) for line in lines[1:])
    assert f"{'curriculumnet':24} {text}".split() == " ".join(lines).split()
    assert not any(line.endswith("-o") for line in lines)
    assert [f"{'curriculumnet':24} {text}"] == _format_entry("curriculumnet", text, 0).splitlines()


def test_options_are_in_the_name_of_the_config(root: Path, here: Path) -> None:
    """symmetric noise with self included is another config than without, and its card says what to expect."""
    built = build(root, "--noise", "symmetric", "--level", 50, "-o", "include_self=true")

    assert "symmetric_50_self" in built.output
    assert (
        "| `symmetric_50_self` | 45.000\N{NO-BREAK SPACE}%, "
        in (here / "builds/shapes/README.md").read_text()
    )


@pytest.mark.usefixtures("reads_back_here")
def test_a_donor_from_the_flag_to_the_proof(root: Path, cifar: Path, here: Path) -> None:
    """Donors are named on the command line, in the config and the tables, and compared where they are given."""
    built = build(
        root,
        "--noise",
        "outlier",
        "--donor",
        f"cifar10={cifar}",
        "--donor",
        "white",
        "-o",
        "known_share=0.5",
    )
    checked = cnlw("validate", "--workers", 1, "--donor", f"cifar10={cifar}")
    shown = cnlw("show", "builds/shapes", "--matrix", "m.png")
    planned = cnlw("plan", "--root", root, "--noise", "source", "--donor", "white")

    assert (0, 0, 0, 0) == tuple(r.exit_code for r in (built, checked, shown, planned)), (
        built.output + checked.output
    )
    words = " ".join(built.output.split())
    assert (
        "outlier_k50_r50_cifar10_white 16.667 % noisy train 300, validation 40, test_outliers 40"
        in words
    )
    summary, _, command = built.output.partition("next:\n")
    assert max(map(len, summary.splitlines())) <= 80
    assert f"cnlw validate builds/shapes --donor cifar10={cifar} --donor white\n" == command
    assert "0 errors, 1 note," in checked.output
    assert "images of the source that the base manifest leaves out" in checked.output
    assert "16.667 % noisy,  33.333 % foreign images" in shown.output
    assert "shapes_source_a20_white.parquet: 4,240 rows, 4,000 noisy" in planned.output
    assert (
        "outlier" in datasets.load_dataset("builds/shapes", split="train").features["label"].names
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--noise", "dilution", "--level", 40], "dilution noise has no level"),
        (
            ["--noise", "dilution", "-o", "alpha=101"],
            "alpha = 101 is not allowed. It is the number of noisy examples for each clean one",
        ),
        (
            ["--noise", "structured", "-o", "alpha=1", "-o", "order=random"],
            "delta = 0.5 is above alpha / C = 1 / 10",
        ),
        (
            ["--noise", "structured", "-o", "order=reverse"],
            "give --side-table FILE with its labels",
        ),
        (
            ["--noise", "openset", "--level", 40, "--donor", "wite"],
            "no donor 'wite' for shapes. Did you mean 'white'?",
        ),
        (
            ["--noise", "openset", "--level", 40, "--donor", "cifar10"],
            "for a donor, use --donor cifar10=DIR",
        ),
        (
            ["--noise", "outlier", "--donor", "white", "-o", "ratio=9"],
            "donor 'white' has 200 images for train",
        ),
        (
            ["--noise", "blue", "--level", 40, "--donor", "white"],
            "blue noise uses no images of donors",
        ),
        (["--noise", "redd", "--level", 40], "unknown noise 'redd'. Did you mean 'red'?"),
        (
            ["--dataset", "shaped", "--noise", "red"],
            "unknown dataset 'shaped'. Did you mean 'shapes'?",
        ),
        (["--noise", "red", "--level", "al"], "unknown level 'al'. Did you mean 'all'?"),
        (["--noise", "red", "--level", 96], "unknown level '96'."),
        (["--noise", "red", "--level", "-5"], "unknown level '-5'. Give a whole percent"),
        (["--noise", "red", "--level", "0.4"], "unknown level '0.4'. Did you mean '40'?"),
        (["--noise", "red", "--level", "40%"], "unknown level '40%'. Did you mean '40'?"),
        (["--noise", "red", "--level", 85], "level 85 is above top = 80"),
        (["--noise", "red", "--level", 95, "-o", "top=95"], "needs 19 wrong web images and has"),
        (
            ["--noise", "red", "--level", 40, "--verified", 20],
            "has 20 images, and none of them would be kept: lower verified",
        ),
        (
            ["--noise", "red", "--level", 40, "-o", "topp=90"],
            "no option 'topp'. Did you mean 'top'?",
        ),
        (["--noise", "red", "--level", 40, "-o", "top"], "write it as name=value"),
        (["--level", 40], "no kind of noise is named"),
        (
            ["--noise", "red", "--level", 0, "--level", 40],
            "--level is given 2 times: give a list, such as --level 0,40",
        ),
        (
            ["--noise", "red", "--root", "nowhere"],
            "nowhere: there is no such folder: give a --root",
        ),
        (["red"], "red: there is no such recipe. Did you mean --noise red?"),
        (["nothing.toml"], "nothing.toml: there is no such recipe"),
        (["--noise", "red", "--seed", "-1"], "seed = -1: it must be"),
        (["--dataset", "cifar10", "--noise", "blue", "--root", files.default_root()], "--data-dir"),
        (
            ["--dataset", "mini_imagenet", "--noise", "red", "--root", files.default_root()],
            "ILSVRC2012_img_train.tar",
        ),
        (
            ["--dataset", "stanford_cars", "--noise", "blue", "--root", files.default_root()],
            "devkit",
        ),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    root: Path, here: Path, arguments: list[object], message: str
) -> None:
    """Value, place and remedy in one line, exit code 1 or 2, no traceback, nothing half-written."""
    failed = build(root, *arguments)

    assert failed.exit_code in (1, 2)
    assert message in failed.output
    assert isinstance(failed.exception, SystemExit)
    assert 1 == len(failed.output.strip().splitlines()), failed.output
    assert [] == list(here.iterdir())


@pytest.mark.parametrize(
    ("command", "words", "options"),
    [
        ("build", "red 40", "--noise red --level 40"),
        ("train", "red 40", "--noise red --level 40"),
        ("plan", "shapes blue all", "--dataset shapes --noise blue --level all"),
    ],
)
def test_words_are_answered_with_options(command: str, words: str, options: str) -> None:
    """Whoever leaves the options' names out is told them; a word that is none is no guess."""
    failed = cnlw(command, *words.split())
    other = cnlw(command, "red", "fourty")

    assert (2, 2) == (failed.exit_code, other.exit_code)
    assert f". Did you mean {options}?" in failed.output
    assert "Did you mean" not in other.output


def test_an_output_folder_that_is_something_else_stays_as_it_is(root: Path, here: Path) -> None:
    """A folder of somebody's is not built into."""
    (here / "thesis").mkdir()
    (here / "thesis" / "chapter.tex").write_text("precious")

    failed = build(root, "--noise", "red", "--level", 40, "--out", "thesis")

    assert 1 == failed.exit_code
    assert "is not a build" in failed.output
    assert ["thesis"] == [p.name for p in here.iterdir()]


def test_validate_of_nothing_is_bad_usage(here: Path) -> None:
    """Exit code 2 tells a script that nothing was checked."""
    (here / "empty").mkdir()

    assert 2 == cnlw("validate").exit_code
    assert 2 == cnlw("validate", "empty").exit_code
    assert "no build here" in cnlw("validate", "empty").output


def test_a_corrupt_table_is_named(root: Path, here: Path, tiny: Callable[[Path], Path]) -> None:
    """Corrupt Parquet is an error with the file's name, and nothing is built."""
    broken = tiny(here / "root")
    path = broken / "manifests/shapes/web.parquet"
    path.write_bytes(path.read_bytes()[:500])

    failed = build(broken, "--noise", "red", "--level", 40)

    assert 1 == failed.exit_code
    assert "web.parquet cannot be read" in failed.output
    assert not (here / "builds").exists()


def test_help_imports_nothing_heavy() -> None:
    """`cnlw --help` answers at once: it imports neither arrays nor tables nor pictures."""
    code = "import sys, cnlw_tools.cli; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert set() == {"numpy", "pyarrow", "PIL", "torch", "datasets", "pandas"} & set(
        said.stdout.split()
    )


def test_the_module_runs_as_the_command() -> None:
    """`python -m cnlw_tools` is `cnlw`."""
    said = subprocess.run(
        [sys.executable, "-m", "cnlw_tools", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert said.stdout.startswith("cnlw, version")


@pytest.mark.usefixtures("reads_back_here")
def test_images_need_no_resize_are_stored_as_asked(root: Path, here: Path) -> None:
    """--size makes squares of that side, and validate agrees."""
    built = build(root, "--noise", "blue", "--level", 0, "--size", 24)
    checked = cnlw("validate", "--workers", 1)

    assert (0, 0) == (built.exit_code, checked.exit_code), checked.output
    data = next((here / "builds/shapes/data").glob("*.parquet"))
    assert (
        b"\x00\x00\x00\x18\x00\x00\x00\x18" in pq.read_table(data)["image"][0].as_py()["bytes"][:32]
    )


def test_diff_of_no_build_is_neither_same_nor_different(here: Path) -> None:
    """What cannot be compared is exit code 2, as the help says."""
    (here / "a").mkdir()
    (here / "b.parquet").write_text("no table")

    assert (2, 2) == (
        cnlw("diff", "a", "a").exit_code,
        cnlw("diff", "b.parquet", "b.parquet").exit_code,
    )


def test_a_build_does_not_replace_the_folder_one_is_in(root: Path, here: Path) -> None:
    """`--out .` in an empty folder would leave the shell in a folder that is gone."""
    refused = build(root, "--noise", "red", "--level", 40, "--out", ".")

    assert refused.exit_code == 1
    assert "is the current folder" in refused.output
    assert list(here.iterdir()) == []


def test_out_may_be_a_link_to_an_empty_folder(root: Path, here: Path) -> None:
    """The build is made where the link points."""
    (here / "far").mkdir()
    (here / "near").symlink_to("far")

    built = build(root, "--noise", "red", "--level", 40, "--out", "near")

    assert built.exit_code == 0, built.output
    assert (here / "far/README.md").is_file()
    assert (here / "near").is_symlink()


def test_a_plan_is_not_written_under_a_csv_name(root: Path, here: Path) -> None:
    """Such a file could not be read again."""
    refused = cnlw("plan", "--root", root, "--noise", "red", "--level", 40, "--out", "p.csv")

    assert refused.exit_code == 1
    assert "name it p.parquet" in refused.output


def test_a_full_disk_is_said_with_place_and_remedy(root: Path, here: Path) -> None:
    """No space: the file, why, and what to do; nothing half-written."""
    code = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)); "
    code += "from cnlw_tools.cli import main; main(sys.argv[1:])"
    arguments = [
        "build",
        "--root",
        str(root),
        "--noise",
        "red",
        "--level",
        "40",
        "--workers",
        "1",
        "--out",
        "x",
    ]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "free some disk space, or give another place" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(here.iterdir()) == []


def test_classes_renamed_later(root: Path, here: Path) -> None:
    """A level is not added to a build whose shards hold other class names."""
    own = shutil.copytree(root, here / "own")
    names = own / "manifests/shapes/classes.csv"
    build(own, "--noise", "red", "--level", 40)
    names.write_text(names.read_text().replace("mug", "cup"))

    refused = build(own, "--noise", "red", "--level", 20)

    assert refused.exit_code == 1
    assert "its table classes differs from the table" in refused.output


def test_samples_are_of_the_highest_level(root: Path, red_40: Path) -> None:
    """A lower level added later leaves the picture of the highest one as it is."""
    before = (red_40 / "samples_red.png").read_bytes()

    build(root, "--noise", "red", "--level", 0)

    assert (red_40 / "samples_red.png").read_bytes() == before


@pytest.mark.usefixtures("red_40")
def test_a_config_is_exported(here: Path) -> None:
    """Into a new folder, whose name is printed; options are those that the list of formats names."""
    exported = cnlw("export", "imagefolder", "builds/shapes", "red_40", "--out", "images")
    told = cnlw("export", "labels", "builds/shapes", "red_40", "--out", "told", "-o", "truth=true")
    listed = cnlw("list", "exporters")

    assert (exported.exit_code, exported.output) == (0, "images\n")
    assert told.stdout == "told\n"
    assert told.stderr == (
        "note: train.npy: 80 of 200 labels are -1: 80 replaced by other images in train\n"
    )
    assert len([*(here / "images/train").glob("*/*.png")]) == 200
    assert told.exit_code == 0
    assert (here / "told/train.csv").read_text().count(",true,") == 80
    assert [line.split()[0] for line in listed.output.splitlines()] == [*EXPORTERS]
    assert "[-o truth=false]" in listed.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["label", "builds/shapes", "red_40"], "Did you mean 'labels'?"),
        (["labels", "builds/shapes", "red_4"], "Did you mean 'red_40'?"),
        (["labels", "builds", "red_40"], "no build here"),
        (["labels", "builds/shapes", "red_40", "-o", "truht=true"], "Did you mean 'truth'?"),
    ],
)
@pytest.mark.usefixtures("red_40")
def test_a_wrong_export_writes_nothing(here: Path, arguments: list[str], message: str) -> None:
    """It says which format, build, config or option was probably meant."""
    refused = cnlw("export", *arguments, "--out", "x")

    assert refused.exit_code == 1
    assert message in refused.output
    assert [path.name for path in here.iterdir()] == ["builds"]
