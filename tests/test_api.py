"""The public API: what the commands do, from Python."""

import dataclasses
import doctest
import io
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import cnlw_tools
from cnlw_tools import api, files, noise
from cnlw_tools.checks import Finding
from cnlw_tools.cli import main
from cnlw_tools.executor import SERIAL, Executor, local
from cnlw_tools.fetch.choices import FetchChoices
from cnlw_tools.noise import Draw, Expected, NoiseModel
from cnlw_tools.noise.base import corruption_order, n_noisy
from cnlw_tools.sources.base import make_manifest
from cnlw_tools.study.run_study import SweepChoices

FINDER = doctest.DocTestFinder(exclude_empty=True)
EXAMPLES = [*FINDER.find(api, "cnlw"), *FINDER.find(cnlw_tools.Method, "Method")]
QUIET = {"workers": 1, "progress": False}


@pytest.fixture(scope="module")
def root(tmp_path_factory, tiny):
    """A small cut of the embedded dataset, in place of the whole."""
    root = tiny(tmp_path_factory.mktemp("root") / "root")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "default_root", lambda: root)
        patch.setattr(files.roots, "default_root", lambda: root)
        yield root


@pytest.fixture(scope="module")
def built(root, tmp_path_factory) -> api.Build:
    """Red noise at two levels, in the folder where the examples look for it."""
    folder = tmp_path_factory.mktemp("api") / "builds" / "shapes"
    return api.build("shapes", noise="red", levels=[0, 40], out=folder, **QUIET)


@pytest.fixture
def one_process(monkeypatch):
    """Let this process do the work of others: to start one takes seconds."""

    @contextmanager
    def here(
        workers: int | None = None, address: str = "", modules: Sequence[str] = ()
    ) -> Iterator[Executor]:
        yield SERIAL

    monkeypatch.setattr(local, "processes", here)
    monkeypatch.setattr(local, "isolated", here)


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.examples], ids=lambda e: e.name)
@pytest.mark.usefixtures("reads_back_here", "one_process")
def test_an_example_of_a_docstring_runs(example, built, monkeypatch):
    """Each public function shows how it is called, and what comes of it."""
    monkeypatch.chdir(built.path.parent.parent)
    example.globs = {"cnlw": cnlw_tools}

    assert doctest.DocTestRunner().run(example).failed == 0


def test_a_build_is_opened_by_its_folder(built):
    """What the card says is there, and a folder that is not a build is an error."""
    assert sorted(api.Build(str(built.path)).configs) == ["red_00", "red_40"]
    assert built.card.dataset == "shapes"
    with pytest.raises(ValueError, match="no build here"):
        api.Build(built.path / "data")


def test_a_run_is_opened_by_its_folder(tmp_path):
    """A string and a `Path` name the same run; a folder without a result has not ended."""
    run = api.Run(str(tmp_path))

    assert run == api.Run(tmp_path)
    with pytest.raises(ValueError, match="the run has not ended"):
        _ = run.result


def test_splits_are_loaded_as_datasets(built):
    """One split, or all of them."""
    train = built.load("red_40", split="train")
    splits = built.load("red_40")

    assert train.num_rows == splits["train"].num_rows == 200
    assert sum(train["is_noisy"]) == 80
    with pytest.raises(LookupError, match="Did you mean 'red_40'"):
        built.load("red_4")


def test_labels_that_an_export_lacks_are_a_warning(built, tmp_path):
    """As `cnlw export` notes them."""
    with pytest.warns(UserWarning, match=r"train\.npy: 80 of 200 labels are -1: 80 replaced"):
        folder = built.export("labels", "red_40", tmp_path / "labels", progress=False)

    assert (np.load(folder / "train.npy") == -1).sum() == 80


@pytest.mark.usefixtures("reads_back_here")
def test_a_build_is_proved(built):
    """Findings and a verdict; a report prints as lines."""
    report = built.validate(**QUIET)
    finding = Finding("error", "no such file", "data/x", 1, "build it anew")
    result = api.ValidationReport(built.path, [*report.results])
    result.results[0] = type(report.results[0])("card", "claim", None, [finding])

    assert report.ok
    assert report.errors == []
    assert not result.ok
    assert "error: data/x: no such file" in str(result)


def test_a_plan_says_what_was_promised_and_what_came_of_it(root):
    """Of one level, without an image; a recipe's ten levels are too many."""
    plan = api.plan("shapes", noise="symmetric", level=20, options={"include_self": True})

    assert plan.config == "symmetric_20_self"
    assert plan.expected.rate == pytest.approx(0.18)
    assert plan.realised.rate == pytest.approx(0.18, abs=0.02)
    assert len(plan.to_pandas()) == len(plan.table)
    assert plan.digest == api.plan("shapes", "symmetric", level=20, options=plan_options()).digest
    with pytest.raises(ValueError, match="the recipe has 10: give one"):
        api.plan("shapes", noise="blue")


def plan_options() -> dict[str, object]:
    return {"include_self": True}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"noise": "blau"}, LookupError, "Did you mean 'blue'"),
        ({"dataset": "shape", "noise": "blue"}, LookupError, "Did you mean 'shapes'"),
        ({}, ValueError, "no kind of noise is named"),
        ({"noise": "blue", "level": 4, "levels": [4]}, ValueError, "give one of the two"),
        ({"noise": "blue", "sizes": 8}, ValueError, "Did you mean 'size'"),
        ({"recipe": "shapes_blau"}, FileNotFoundError, "Did you mean 'shapes_blue'"),
        ({"noise": "blue", "levels": "40"}, ValueError, "levels"),
    ],
)
def test_a_wrong_call_is_an_error_with_a_remedy(arguments, error, message, tmp_path):
    """The same errors as the command's, and nothing is written."""
    with pytest.raises(error, match=message):
        api.build(**arguments, out=tmp_path / "b", progress=False)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 1}, r"'epochs', a key of the preset: give changes=\{\"epochs\": 1\}"),
        ({"schedule": "cosine"}, r"give changes=\{\"schedule\": 'cosine'\}"),
        ({"optoins": {}}, r"'optoins'\. Did you mean 'options'\?"),
        ({"alpha": 4}, r"'alpha'\..* Options of the method are given by options=\{"),
        ({"folder": "x"}, "no argument 'folder'"),
    ],
)
def test_an_argument_that_train_lacks_is_an_error_with_a_remedy(arguments, message):
    """Nothing is opened for it."""
    with pytest.raises(TypeError, match=message):
        api.train("no_build", "red_40", **arguments)


def test_a_run_is_read_back(built, tmp_path):
    """Result, history, examples and predictions, as numbers and DataFrames."""
    changes = {"epochs": 2, "net": "mlp1", "batch_size": 50}
    run = api.train(built, "red_40", changes=changes, out=tmp_path / "r", progress=False)

    assert set(run.result) == {"last", "best", "mean10"}
    assert list(run.history["epoch"]) == [1, 2]
    assert len(run.examples) == 400
    assert {"split", "row"} <= set(run.predictions.columns)
    assert run.config.method == "vanilla"
    (tmp_path / "r" / "result.json").unlink()
    with pytest.raises(ValueError, match="has not ended"):
        _ = run.result


def test_seeds_are_runs_with_a_mean(built, tmp_path):
    """A number of them or a list; what is finished is kept."""
    choices = {"changes": {"epochs": 1, "net": "mlp1", "batch_size": 50}, "out": tmp_path / "r"}
    two = api.train(built, "red_40", seeds=[0, 1], progress=False, **choices)
    three = api.train(built, "red_40", seeds=3, progress=False, **choices)

    assert [run.config.seed for run in three.runs] == [0, 1, 2]
    assert [run.result for run in three.runs[:2]] == [run.result for run in two.runs]
    values = [run.result["last"] for run in two.runs]
    assert two.result["last"].mean == pytest.approx(sum(values) / 2)
    assert two.result["last"].n == 2


def test_a_report_is_a_page(built, tmp_path):
    """Of all runs below a folder."""
    changes = {"epochs": 1, "net": "mlp1", "batch_size": 50}
    api.train(built, "red_40", changes=changes, out=tmp_path / "r", progress=False)
    report = api.report(tmp_path)

    assert report.page.read_text().startswith("<!")
    assert report.notes == []


LIGHT = """
import sys
import cnlw_tools as cnlw
assert callable(cnlw.build) and callable(cnlw.plan) and callable(cnlw.report)
heavy = {"torch", "torchvision", "datasets", "pandas"} & {*sys.modules}
assert not heavy, heavy
"""


def test_the_package_is_light_to_import():
    """Neither torch nor datasets is imported before it is needed."""
    subprocess.run([sys.executable, "-c", LIGHT], check=True)


def test_every_public_name_is_there():
    """What is announced can be used, and is what the type checker is told."""
    for name in cnlw_tools.__all__:
        assert getattr(cnlw_tools, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'bild'"):
        _ = cnlw_tools.bild


@pytest.mark.parametrize(
    ("words", "choices"), [(["fetch"], FetchChoices()), (["sweep", "x"], SweepChoices())]
)
def test_choices_have_the_defaults_of_the_command(words, choices):
    """An argument that is not given means what an option means that is not given."""
    name, *rest = words
    command = main.get_command(click.Context(main), name)
    given = command.make_context(name, rest).params

    expected = dataclasses.asdict(choices)
    assert {key: str(given[key]) for key in expected} == {
        key: str(value) for key, value in expected.items()
    }


SHARDS = ("1/2", "2/2")
BLUE = {"dataset": "shapes", "noise": "blue", "levels": [0, 40], "size": 8, "shard_rows": 50}


@pytest.mark.parametrize("is_shared", [True, False])
def test_parts_of_a_build_are_the_build(root, tmp_path, contents, is_shared):
    """In a folder that all calls share, or in one each; the bytes are those of a single call."""
    for number, shard in enumerate(SHARDS):
        out = tmp_path / ("b" if is_shared else f"parts/{number}")
        assert api.build_shard(shard, **BLUE, **QUIET, out=out) == Path(f"{out}.partial")
    joined = [] if is_shared else tmp_path / "parts"
    build = api.build(**BLUE, **QUIET, out=tmp_path / "b", join=joined)
    api.build(**BLUE, **QUIET, out=tmp_path / "whole")

    assert contents(build.path) == contents(tmp_path / "whole")


@pytest.mark.usefixtures("reads_back_here")
def test_parts_of_a_check_are_the_check(built, tmp_path):
    """The last call uses what the others have found."""
    out = tmp_path / "checks"
    files = [api.validate_shard(shard, built, out=out, **QUIET) for shard in SHARDS]
    report = built.validate(**QUIET, join=tmp_path / "checks")

    assert [file.name for file in files] == ["shard-1-of-2.parquet", "shard-2-of-2.parquet"]
    assert str(report) == str(built.validate(**QUIET))


class ImageHandler(BaseHTTPRequestHandler):
    """Answers each path with an image of its own."""

    def log_message(self, *args: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        file = io.BytesIO()
        Image.new("RGB", (20, 20), (len(self.path), 0, 0)).save(file, "PNG")
        self.send_response(404 if self.path == "/robots.txt" else 200)
        self.send_header("Content-Length", str(file.tell()))
        self.end_headers()
        self.wfile.write(file.getvalue())


@pytest.fixture
def urls(tmp_path):
    """A manifest of images at two sites of this machine, which a server answers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), ImageHandler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        hosts = [f"http://{host}:{server.server_port}" for host in ("127.0.0.1", "localhost")]
        uris = [f"{host}/{'x' * n}" for host in hosts for n in range(1, 5)]
        table = pa.table({"image_id": [str(n) for n in range(len(uris))], "uri": uris})
        pq.write_table(table, tmp_path / "urls.parquet")
        yield tmp_path / "urls.parquet"
        server.shutdown()


def test_parts_of_a_fetch_are_the_fetch(urls, tmp_path, contents):
    """One store for each part, which a last call joins."""
    common = {"manifest": urls, "allow_private": True, **QUIET}
    parts = [
        api.fetch_images(**common, store=tmp_path / f"parts/{n}", shard=f"{n}/2") for n in (1, 2)
    ]
    joined = api.join_stores(tmp_path / "parts", tmp_path / "joined", progress=False)
    last = api.fetch_images(**common, store=tmp_path / "joined")
    whole = api.fetch_images(**common, store=tmp_path / "whole")

    assert sum(part.n_new for part in parts) == joined.n_new == 8
    assert sum(part.n_left for part in parts) == 8
    assert (last.n_new, last.counts) == (0, {"ok": 8})
    assert contents(last.path / "images") == contents(whole.path / "images")


STUDY = """
dataset = "shapes"
seeds = [0, 1]
configs = [{ noise = "red", levels = [40] }]
methods = [{ name = "vanilla" }]
changes = { epochs = 1, net = "mlp1", batch_size = 50 }
"""


@pytest.mark.usefixtures("one_process")
def test_parts_of_a_study_are_the_study(built, tmp_path, monkeypatch):
    """Each call trains its share of the runs; finished runs are kept, and failures are told."""
    monkeypatch.chdir(tmp_path)
    Path("study.toml").write_text(STUDY)
    common = {"builds": built.path.parent, "device": "cpu", "progress": False}
    parts = [api.sweep("study.toml", **common, out="runs", shard=shard) for shard in SHARDS]
    study = api.sweep("study.toml", **common, out="runs")
    whole = api.sweep("study.toml", **common)

    assert [[*part.runs] for part in parts] == [["red_40/vanilla_s0"], ["red_40/vanilla_s1"]]
    assert [*study.runs] == [*whole.runs] == ["red_40/vanilla_s0", "red_40/vanilla_s1"]
    for name, run in whole.runs.items():
        assert run.result == study.runs[name].result
    assert whole.failures == {}


def test_a_run_that_fails_is_told(built, tmp_path):
    """The others go on; if none can work, it is an error and nothing is written."""
    text = STUDY.replace('[{ name = "vanilla" }]', '[{ name = "l2r" }]')
    (tmp_path / "study.toml").write_text(text)
    common = {"builds": built.path.parent, "device": "cpu", "progress": False}
    with pytest.raises(ValueError, match=r"study\.toml: no run can work: .*probe"):
        api.sweep(tmp_path / "study.toml", **common, out=tmp_path / "runs")

    assert not (tmp_path / "runs").exists()


def mix_builds(built: api.Build, folder: Path) -> None:
    """Build parts of two and of three."""
    api.build_shard("1/2", **BLUE, **QUIET, out=folder / "x")
    api.build_shard("1/3", **BLUE, **QUIET, out=folder / "x")


def mix_checks(built: api.Build, folder: Path) -> None:
    """Look at parts of two and of three."""
    api.validate_shard("1/2", built, **QUIET, out=folder / "x")
    api.validate_shard("1/3", built, **QUIET, out=folder / "x")


def mix_fetches(built: api.Build, folder: Path) -> None:
    """Fetch parts of two and of three."""
    pq.write_table(pa.table({"image_id": ["a"], "uri": ["http://127.0.0.1/a"]}), folder / "u")
    api.fetch_images(manifest=folder / "u", store=folder / "x", shard="1/2", progress=False)
    api.fetch_images(manifest=folder / "u", store=folder / "x", shard="1/3", progress=False)


def mix_sweeps(built: api.Build, folder: Path) -> None:
    """Make parts of two and of three; there is only one run, in the first part of each."""
    (folder / "study.toml").write_text(STUDY)
    common = {"out": folder / "x", "builds": built.path.parent, "device": "cpu"}
    for shard in ("3/3", "1/4"):
        api.sweep(folder / "study.toml", **common, shard=shard, progress=False)


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("mix", [mix_builds, mix_checks, mix_fetches, mix_sweeps])
def test_numbers_of_parts_that_are_mixed_are_an_error(mix, built, tmp_path):
    """One line that names both."""
    with pytest.raises(ValueError, match=r"2 and 3|3 and 4") as error:
        mix(built, tmp_path)

    assert "\n" not in str(error.value)


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "", "a/b"])
@pytest.mark.parametrize(
    "call",
    [
        lambda shard: api.build_shard(shard, "shapes", "blue"),
        lambda shard: api.validate_shard(shard, "builds/shapes", out="checks"),
        lambda shard: api.fetch_images("shapes", shard=shard),
        lambda shard: api.sweep("jiang_table1", shard=shard),
    ],
)
def test_a_part_that_does_not_exist_is_an_error(call, shard, tmp_path, monkeypatch):
    """The same error for all functions, before anything is written."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=rf"shard '{shard}' is not allowed: write it as 2/5"):
        call(shard)

    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: api.fetch_images("shapes", shard="1/2", engine="dask"),
            "together with --engine dask",
        ),
        (
            lambda: api.fetch_images("shapes", kep=84),
            "fetch_images: unknown key 'kep'. Did you mean 'keep'",
        ),
        (lambda: api.fetch_images("shapes", quality=9), "--quality needs --keep"),
        (lambda: api.sweep("jiang_table1", scale="small", engine="dask", jobs=2), "omit --jobs"),
        (lambda: api.sweep("jiang_table1", jobs=0), "jobs = 0: it must be a number of at least 1"),
        (lambda: api.sweep("jiang_table1", job=2), "sweep: unknown key 'job'. Did you mean 'jobs'"),
    ],
)
def test_arguments_that_do_not_go_together_are_an_error(call, message, tmp_path, monkeypatch):
    """Before anything is written."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        call()

    assert [*tmp_path.iterdir()] == []


class Stripes:
    """Forty grey stripes of two classes, made from their numbers."""

    name = "stripes"

    def classes(self):
        return ("dark", "light")

    def manifest(self):
        splits = ["train"] * 40 + ["validation"] * 10
        return make_manifest([f"s{i}" for i in range(50)], [i % 2 for i in range(50)], splits)

    def read(self, image_id):
        number = int(image_id[1:])
        return Image.new("RGB", (8, 8), (5 * number, number, 200 * (number % 2)))


def swap(base, pool, level, n_classes):
    """Flip labels to the next class."""
    noisy = np.zeros(len(base.label), bool)
    noisy[corruption_order(base)[: n_noisy(level, len(base.label))]] = True
    label = np.where(noisy, (base.label + 1) % n_classes, base.label)
    rows = np.arange(len(label))
    return Draw(rows, label, np.full(len(label), -1))


def swap_expected(base, level, n_classes):
    rate = n_noisy(level, len(base.label)) / len(base.label)
    matrix = np.eye(n_classes) * (1 - rate) + np.roll(np.eye(n_classes), 1, 1) * rate
    n_clean = np.bincount(base.label, minlength=n_classes) * (1 - rate)
    return Expected(rate, 0.0, matrix, n_clean)


@pytest.fixture
def no_model_stays():
    """Forget the models that a test adds."""
    names = set(noise.NOISE)
    yield
    for name in set(noise.NOISE) - names:
        del noise._MODELS[name]


@pytest.mark.usefixtures("no_model_stays")
def test_a_source_and_a_noise_model_of_ones_own_are_passed_in(tmp_path):
    """Objects, without a line in a dict; the build is proved against them, in other processes too."""
    model = NoiseModel(swap, swap_expected, frozenset({"exact", "nested"}))
    build = api.build(Stripes(), noise=model, level=50, out=tmp_path / "b", progress=False)
    report = api.validate(build, source=Stripes(), workers=2, progress=False)

    assert build.configs["swap_50"].rate == 0.5
    assert report.ok
    assert "source" not in [result.name for result in report.results if result.skipped]
    assert build.load("swap_50", split="validation").num_rows == 10


def test_a_noise_model_may_not_take_a_name_of_the_package():
    """Two models of one name would make configs of one name and different contents."""

    def blue(base, pool, level, n_classes):
        """Another blue."""

    with pytest.raises(ValueError, match="give your function another name"):
        api.plan(noise=NoiseModel(blue, swap_expected, frozenset()), level=40)


ADDRESS = "ftp://host/b"  # of no storage that is known


@pytest.mark.parametrize(
    "call",
    [
        lambda: api.Build(ADDRESS),
        lambda: api.build("shapes", "blue", level=40, out=ADDRESS),
        lambda: api.build("shapes", "blue", level=40, out=Path(ADDRESS)),
        lambda: api.build("shapes", "blue", level=40, data_dir=ADDRESS),
        lambda: api.build("shapes", "blue", level=40, store=ADDRESS),
        lambda: api.build("shapes", "blue", level=40, root=ADDRESS),
        lambda: api.build("shapes", "foreign", level=40, donors={"svhn": ADDRESS}),
        lambda: api.load_dataset(ADDRESS, "red_40"),
        lambda: api.validate(ADDRESS),
        lambda: api.train(ADDRESS, "red_40"),
        lambda: cnlw_tools.Trainer("builds/shapes", "red_40", out=ADDRESS),
        lambda: api.predict(ADDRESS, "photos"),
        lambda: api.report(ADDRESS),
        lambda: api.report("runs", out=ADDRESS),
        lambda: api.import_source("folder", ADDRESS),
        lambda: api.build("shapes", "blue", level=40, join=ADDRESS),
        lambda: api.sweep("jiang_table1", scale="small", out=ADDRESS),
        lambda: api.sweep("jiang_table1", scale="small", builds=ADDRESS),
        lambda: api.import_source("folder", "photos", root=ADDRESS),
        lambda: api.new("flowers", "photos", "list.csv", root=ADDRESS),
        lambda: cnlw_tools.Trainer("builds/shapes", "red_40", root=ADDRESS),
    ],
)
def test_an_address_is_no_folder(call, tmp_path, monkeypatch):
    """An address is refused wherever a function takes a path, and no folder of its name is made."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(
        ValueError, match=r"^ftp:/+host/b(/shapes)?: (this is an address|no storage is known)"
    ):
        call()

    assert [] == [*tmp_path.iterdir()]
