"""Every command works on every kind of dataset, or says in one line why it cannot."""

import os
import shlex
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from cnlw_tools import checks
from cnlw_tools.cli import main
from cnlw_tools.dataset.tables import MANIFEST, VOTES
from tests.conftest import make_cifar, tiny_root
from tests.sources.conftest import draw_jpeg, put
from tests.sources.released import mini_imagenet

CLASSES = ("iris", "rose", "tulip")
EACH = {"train": 12, "validation": 4}  # images of a class
N_CANDIDATES = 8  # of a class


class Kind(NamedTuple):
    """A kind of dataset."""

    path: str = ""  # what --data-dir names
    source: str = ""  # what `cnlw import` is told; empty: the dataset is not imported


KINDS = {
    "shapes": Kind(),  # comes with the package, with candidates and votes
    "flowers": Kind("folder", "folder"),
    "birds": Kind("csv/list.csv", "folder"),
    "boats": Kind("parquet", "hf"),
    "digits": Kind("cifar", "cifar10"),  # pixel arrays
    "cifar10": Kind("cifar"),  # the same, read anew by every command
    "trees": Kind("folder", "folder"),  # with candidates on a web site, and votes
    "mini_imagenet": Kind("release", "cnlw_release"),  # with candidates, votes and web images
}

# Commands in the order in which a user gives them.
COMMANDS = {
    "import": "import {source} {path} --as {name} --root root --workers 1",
    "list": "list datasets --root root",
    "plan blue": "plan {dataset} --noise blue --level 40 --out {name}_p.parquet",
    "plan red": "plan {dataset} --noise red --level 10 -o top=10 --out {name}_r.parquet",
    "show plan": "show {name}_p.parquet",
    "diff plans": "diff {name}_p.parquet {name}_p.parquet",
    "build blue": "build {dataset} --noise blue --level 40 --out {name}_b",
    "show build": "show {name}_b",
    "diff builds": "diff {name}_b {name}_b",
    "validate": "validate {name}_b --workers 1",
    "validate with images": "validate {name}_b --workers 1 {data_dir}",
    "export labels": "export labels {name}_b blue_40 --out {name}_l",
    "export imagefolder": "export imagefolder {name}_b blue_40 --out {name}_f",
    "features": "features {dataset} --size 2 --out {name}_s.parquet",
    "build instance": (
        "build {dataset} --noise instance --level 20 --side-table {name}_s.parquet --out {name}_i"
    ),
    "fetch": (
        "fetch --dataset {name} --root root --store {name}_w --allow-private --no-robots --workers 1"
    ),
    "build red": "build {dataset} --noise red --level 10 -o top=10 --out {name}_x",
    "build red from store": (
        "build {dataset} --noise red --level 10 -o top=10 --store {name}_w --out {name}_y"
    ),
    "validate with store": "validate {name}_y --workers 1 --store {name}_w {data_dir}",
    "validate without store": "validate {name}_y --workers 1 {data_dir}",
    "votes import": "votes import {name}_votes.csv --dataset {name} --root root",
    "votes report": "votes report --dataset {name} --root root",
    "votes export": "votes export --dataset {name} --root root --out {name}_t.json",
    "build openset": "build {dataset} --noise openset --level 10 --donor white --out {name}_o",
    "build standin": (
        "build {dataset} --noise red_standin --level 10 --donor boats=parquet --out {name}_n"
    ),
    "be a donor": (
        "build --dataset shapes --root root --workers 1 --noise openset --level 5 "
        "--donor {name}={path} --out {name}_d"
    ),
    "validate a donor": "validate {name}_d --workers 1 --donor {name}={path}",
    "sweep": "sweep {name}.toml --root root --workers 1 --out {name}_runs {data_dir}",
}
LEARNING_COMMANDS = {
    "build blue": COMMANDS["build blue"],
    "build probe": "build {dataset} --noise blue --level 0 --probe 4 --out {name}_q",
    "train": "train --data {name}_b --config blue_40 --epochs 1 --out {name}_run",
    "train with a preset": (
        "train --data {name}_b --config blue_40 --epochs 1 --batch-size 8 --preset shapes "
        "--out {name}_run2"
    ),
    "predict-labels": (
        "predict-labels --data {name}_q --config blue_00_probe4 --epochs 1 --batch-size 4 "
        "--preset shapes --out {name}_labels.parquet"
    ),
}
STUDY = """# Builds of one dataset.
dataset = "{name}"
methods = []
[[configs]]
noise = "symmetric"
levels = [20]
"""
LEFT_OUT = {
    ("import", "shapes"),  # comes with the package
    ("import", "cifar10"),  # a dataset may be read without
    ("fetch", "shapes"),  # the addresses of its candidates are invented,
    ("fetch", "mini_imagenet"),  # and these are real ones
}
NO_CANDIDATES = {  # commands on a dataset without candidates, and a part of the line that says why
    "plan red": "wrong web images and has 0",
    "build red": "wrong web images and has 0",
    "fetch": "no candidates to fetch",
    "votes export": "has no candidates, so there is nothing to vote on",
    "votes import": "no candidate to vote on",
}
NO_STORE = {
    "build red from store": "no image store here",
    "validate with store": "no build here",
    "validate without store": "no build here",
}


def list_errors() -> dict[tuple[str, str], str]:
    """Return what must not succeed: by command and kind, a part of the line that says why."""
    errors = {
        ("votes import", "cifar10"): "the dataset 'cifar10' comes with the package",
        ("be a donor", "shapes"): "no donor 'shapes' for shapes",
        ("validate a donor", "shapes"): "no build here",
        ("build standin", "boats"): "no donor 'boats' for boats",
        ("build standin", "shapes"): "needs 2 images that look like it",
        ("build red", "trees"): "fetch the candidates with `cnlw fetch`",
    }
    for name in ("flowers", "birds", "boats", "digits", "cifar10"):
        for command, message in NO_CANDIDATES.items():
            errors.setdefault((command, name), message)
    for name in KINDS.keys() - {"trees"}:
        for command, message in NO_STORE.items():
            errors[command, name] = message
    return errors


ERRORS = list_errors()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a web site with the candidates of `trees`."""
    folder = tmp_path_factory.mktemp("site")
    for i in range(N_CANDIDATES * len(CLASSES)):
        put(folder / f"{i}.jpg", draw_jpeg(5000 + i))
    handler = partial(QuietHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder."""

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, site: str) -> Iterator[Path]:
    """A folder with a copy of the images of every kind, and a root of tables."""
    folder = tmp_path_factory.mktemp("lab")
    lay_out_folder(folder / "folder")
    lay_out_csv(folder / "csv")
    lay_out_parquet(folder / "parquet")
    make_cifar(folder / "cifar", each=20)
    (folder / "release").mkdir()
    mini_imagenet(folder / "release")
    tiny_root(folder / "root")
    write_candidates(folder / "root", "trees", site)
    shapes = pq.read_table(folder / "root/manifests/shapes/web.parquet")
    candidates = {"shapes": shapes["image_id"][0].as_py(), "mini_imagenet": "w0a"}
    for name in KINDS:
        (folder / f"{name}.toml").write_text(STUDY.format(name=name))
        vote = f"{candidates.get(name, 'w0')},0,zoe,no"
        put(folder / f"{name}_votes.csv", f"image_id,label,annotator,correct\n{vote}\n")
    start = Path.cwd()
    os.chdir(folder)
    with pytest.MonkeyPatch.context() as patch:
        without = [check for check in checks.CHECKS if check.name != "roundtrip"]
        patch.setattr(checks, "CHECKS", tuple(without))  # it starts an interpreter each time
        for name, kind in KINDS.items():
            if kind.source:
                assert run(COMMANDS["import"], name).exit_code == 0
        yield folder
    os.chdir(start)


def lay_out_folder(folder: Path) -> None:
    """Write class folders below folders of splits."""
    seed = 0
    for split, each in EACH.items():
        for name in CLASSES:
            for i in range(each):
                put(folder / split / name / f"{i}.jpg", draw_jpeg(seed))
                seed += 1


def lay_out_csv(folder: Path) -> None:
    """Write the images of a csv file, and this file."""
    lines = ["path,label,split"]
    for split, each in EACH.items():
        for name in CLASSES:
            for i in range(each):
                put(folder / f"pictures/{split}{name}{i}.jpg", draw_jpeg(1000 + len(lines)))
                lines.append(f"pictures/{split}{name}{i}.jpg,{name},{split}")
    put(folder / "list.csv", "\n".join(lines))


def lay_out_parquet(folder: Path) -> None:
    """Write a file for each split, as the Hub has them."""
    folder.mkdir()
    seed = 2000
    for split, each in EACH.items():
        rows = []
        for i in range(each * len(CLASSES)):
            image = {"bytes": draw_jpeg(seed), "path": None}
            rows.append({"image": image, "label": i % len(CLASSES)})
            seed += 1
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{split}-00000-of-00001.parquet")


def write_candidates(root: Path, name: str, site: str) -> None:
    """Write candidates of a dataset, all of them judged wrong."""
    web, votes = [], []
    for i in range(N_CANDIDATES * len(CLASSES)):
        key = {"image_id": f"w{i}", "label": i % len(CLASSES)}
        web.append({**key, "split": "web", "uri": f"{site}/{i}.jpg"})
        for annotator in ("ann", "bob", "eve"):
            votes.append({**key, "annotator": annotator, "correct": False})
    for kind, table, schema in (("manifests", web, MANIFEST), ("annotations", votes, VOTES)):
        (root / kind / name).mkdir(parents=True)
        file = "web" if kind == "manifests" else "votes"
        rows = pa.Table.from_pylist(table, schema)
        pq.write_table(rows, root / kind / name / f"{file}.parquet")


def run(command: str, name: str) -> Result:
    """Run a command on a dataset."""
    kind = KINDS[name]
    data_dir = f"--data-dir {kind.path}" if kind.path else ""
    dataset = f"--dataset {name} --root root --workers 1 {data_dir}"
    words = command.format(
        name=name, path=kind.path, source=kind.source, data_dir=data_dir, dataset=dataset
    )
    return CliRunner().invoke(main, shlex.split(words))


def fault(command: str, name: str, result: Result) -> str:
    """Return what is wrong with the result of a command; nothing if it is as it should be."""
    expected = ERRORS.get((command, name))
    is_crash = result.exception is not None and not isinstance(result.exception, SystemExit)
    lines = result.output.strip().splitlines()
    last = lines[-1] if lines else ""
    if is_crash:
        return f"{command} of {name}: traceback {result.exception!r}"
    if expected is None and result.exit_code:
        return f"{command} of {name}: {result.output[-600:]}"
    if expected is not None and not (result.exit_code and expected in last and "Error: " in last):
        return f"{command} of {name}: exit {result.exit_code}, {last!r}, expected {expected!r}"
    return ""


@pytest.mark.parametrize("name", KINDS)
def test_every_command_on_every_kind_of_dataset(name: str, lab: Path) -> None:
    """Each command succeeds, or ends with the one line that the list says."""
    faults = []
    for command, words in COMMANDS.items():
        if (command, name) not in LEFT_OUT:
            faults.append(fault(command, name, run(words, name)))

    assert [text for text in faults if text] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flowers", "boats", "digits"])
def test_every_kind_of_dataset_is_learned_from(name: str, lab: Path) -> None:
    """A dataset of one's own is trained on, with the preset that adapts to it or with another."""
    faults = []
    for command, words in LEARNING_COMMANDS.items():
        faults.append(fault(command, name, run(words, name)))

    assert [text for text in faults if text] == []
