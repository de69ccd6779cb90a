"""From recipe to build, on a CIFAR-10 of noise pictures: what is planned is read back, whatever happens on the way."""

import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import fields, replace
from io import BytesIO

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cnlw_tools import files, sources
from cnlw_tools.builds import shards
from cnlw_tools.builds.build import build, last_build
from cnlw_tools.card.metadata import read_block, read_card, read_text
from cnlw_tools.dataset import dataset, hashing
from cnlw_tools.executor import EXECUTORS
from cnlw_tools.files.yaml_text import dump_yaml
from cnlw_tools.images.pixels import Storage
from cnlw_tools.ingest.resolve import load_dataset
from cnlw_tools.plans.plan import plan
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe, storage_choices
from cnlw_tools.sources.cifar10 import Cifar10

BLUE = Recipe("cifar10", "blue", levels=(0, 40))
NEW_EACH_TIME = {"README.md", "croissant.json", "samples_blue.png"}
NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]

FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from cnlw_tools import files
from cnlw_tools.builds.build import build
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe
if __name__ == "__main__":
    data, out, limit = sys.argv[1:]
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    recipe = Recipe("cifar10", "blue", levels=(0, 40))
    build(recipe, Inputs(files.default_root(), Path(data)), Path(out))
"""

STORM = """
import os, signal, sys, time
from pathlib import Path
from cnlw_tools import files
from cnlw_tools.builds.build import build
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe

data, folder = map(Path, sys.argv[1:])
recipe = Recipe("cifar10", "blue", levels=(0, 40), shard_rows=15)

def start(out):
    pid = os.fork()
    if not pid:
        build(recipe, Inputs(files.default_root(), data), folder / out)
        os._exit(0)
    return pid

def has_ended(pid):
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

def end(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

exit_codes = [end(start("calm"))]
n_shards = len(list((folder / "calm/data").iterdir()))
for share in (0.0, 0.1, 0.4, 0.6, 0.8):  # of the shards that are there when it is killed
    storm = start("storm")
    shards = folder / "storm.partial/data"
    while len(list(shards.glob("*.parquet"))) < share * n_shards and not has_ended(storm):
        time.sleep(0.002)
    os.kill(storm, signal.SIGKILL)
    exit_codes.append(end(storm))
exit_codes.append(end(start("storm")))
print(*exit_codes)
"""  # an import takes longer than such a build, so all builds are forked from one process


def run(recipe, cifar, out, workers=1):
    with EXECUTORS["local"](workers) as executor:
        return build(recipe, Inputs(files.default_root(), cifar), out, executor)


def pixels(cifar, image_id):
    """The pixels of an image, straight from the pickle."""
    part, number = image_id.split("-")
    name = f"data_batch_{int(number) // 60 + 1}" if part == "train" else "test_batch"
    raw = pickle.loads((cifar / "cifar-10-batches-py" / name).read_bytes(), encoding="latin1")
    return raw["data"][int(number) % 60].reshape(3, 32, 32).transpose(1, 2, 0)


@pytest.fixture(scope="module")
def built(cifar, tmp_path_factory):
    """A build of blue noise at 0 and 40 %."""
    out = tmp_path_factory.mktemp("built") / "cifar10"
    run(BLUE, cifar, out)
    return out


@pytest.fixture
def copy(built, tmp_path):
    """A copy of it that a test may change."""
    return shutil.copytree(built, tmp_path / "copy")


def rows(out, config):
    """All rows of a config, by split, from the files that the card names."""
    found = read_card(out).configs[config].segments
    paths = {
        split: [p for name in names for p in sorted(out.glob(f"data/{name}-*"))]
        for split, names in found.items()
    }
    return {
        split: pa.concat_tables(map(pq.read_table, part)).to_pylist()
        for split, part in paths.items()
    }


@pytest.mark.parametrize("level", [0, 40])
def test_planned_is_built(built, cifar, level):
    """Every row of the plan is in the files, once, with the pixels of the pickle."""
    table = plan(BLUE, load_dataset(BLUE, Inputs(files.default_root(), cifar)), level)
    found = rows(built, f"blue_{level:02d}")
    planned = {row["image_id"]: row for row in table.to_pylist()}

    assert {split: len(part) for split, part in found.items()} == {"train": 300, "validation": 60}
    assert len(planned) == 360
    for split, part in found.items():
        for row in part:
            image = row.pop("image")
            assert {**row, "split": split} == planned.pop(row["image_id"])
            assert np.array_equal(
                Image.open(BytesIO(image["bytes"])), pixels(cifar, row["image_id"])
            )
    assert planned == {}


def test_datasets(built, cifar, tmp_path):
    """`datasets.load_dataset` gives named labels, pictures and the right rows."""
    data = datasets.load_dataset(str(built), "blue_40", cache_dir=str(tmp_path))
    train, validation = data["train"], data["validation"]

    assert sorted(data) == ["train", "validation"]
    assert train.column_names == [
        "image",
        "label",
        "clean_label",
        "is_noisy",
        "origin",
        "image_id",
        "replaces",
    ]
    assert (
        train.features["label"] == train.features["clean_label"] == datasets.ClassLabel(names=NAMES)
    )
    assert (len(train), len(validation)) == (300, 60)
    assert (sum(train["is_noisy"]), sum(validation["is_noisy"])) == (120, 0)
    assert validation["label"] == validation["clean_label"]
    for row in (train[0], train[299], validation[7]):
        assert np.array_equal(row["image"], pixels(cifar, row["image_id"]))


def test_configs_of_datasets(built, tmp_path):
    """Both configs are there, and level 0 has no noise."""
    clean = datasets.load_dataset(str(built), "blue_00", split="train", cache_dir=str(tmp_path))

    assert datasets.get_dataset_config_names(str(built)) == ["blue_00", "blue_40"]
    assert clean["label"] == clean["clean_label"]
    assert sum(clean["is_noisy"]) == 0


def test_record(built, cifar):
    """The card says what was built, and the hashes are those of the files."""
    record = read_card(built)
    table = plan(BLUE, load_dataset(BLUE, Inputs(files.default_root(), cifar)), 40)
    config = record.configs["blue_40"]

    assert record.shards == {p.name: files.digest(p) for p in sorted((built / "data").iterdir())}
    assert (config.level, config.rate, config.rows) == (40, 0.4, {"train": 300, "validation": 60})
    assert config.digest == hashing.digest(table)
    assert record.tables == dataset.read_tables("x", built / "tables", built / "tables").digests


def test_nothing_else(built):
    """A build is a card, shards, tables and a picture."""
    names = {
        re.sub(r"data/[0-9a-f]{16}-00000-of-00001", "data/x", str(p.relative_to(built)))
        for p in built.rglob("*.*")
    }

    assert names == {
        "README.md",
        "croissant.json",
        "data/x.parquet",
        "samples_blue.png",
        "tables/base.parquet",
        "tables/classes.csv",
    }
    assert [p.name for p in built.parent.iterdir()] == ["cifar10"]


def test_same_bytes(built, cifar, tmp_path, contents):
    """The same inputs give the same bytes of every file, with two workers as with one."""
    run(BLUE, cifar, tmp_path / "again", workers=2)

    assert contents(tmp_path / "again") == contents(built)


def test_a_build_of_an_earlier_version(copy, cifar, contents):
    """Its card lists the shards; the next build moves the list, and encodes no image again."""
    before = contents(copy)
    block, text = read_block(copy), read_text(copy)
    block["cnlw"]["shards"] = read_card(copy).shards
    (copy / "README.md").write_text(f"---\n{dump_yaml(block)}---\n{text}")
    (copy / "croissant.json").unlink()

    summary = run(BLUE, cifar, copy)

    assert contents(copy) == before
    assert summary.new_bytes == 0


def test_without_the_list_of_files(copy, cifar, contents):
    """Nobody knows which shards are whole: the build stays as it is, and the error says why."""
    (copy / "croissant.json").unlink()
    before = contents(copy)

    with pytest.raises(ValueError, match=r"croissant.json, which lists the files .* is missing"):
        run(BLUE, cifar, copy)
    assert contents(copy) == before


def test_again(copy, cifar, contents):
    """A build that stands is not written again."""
    before, times = contents(copy), {p: p.stat().st_mtime_ns for p in copy.glob("data/*")}

    summary = run(BLUE, cifar, copy)

    assert contents(copy) == before
    assert {p: p.stat().st_mtime_ns for p in copy.glob("data/*")} == times
    assert summary.new_bytes == 0


def changed(before, after):
    """Files that are other than before, apart from the card, the list of files and the picture."""
    return {n for n in before if after.get(n) != before[n]} - NEW_EACH_TIME


@pytest.mark.parametrize(
    ("recipe", "added"),
    [
        (
            replace(BLUE, levels=(20,)),
            0,
        ),  # its noisy bands stand in blue_40, its clean ones in blue_00
        (replace(BLUE, levels=(37,)), 2),
        (replace(BLUE, levels=(0,), seed=1), 10),
    ],
)
def test_another_config(copy, cifar, contents, recipe, added):
    """Another config leaves every other file as it was, and writes only the bands that are new."""
    before = contents(copy)

    run(recipe, cifar, copy)
    new = set(contents(copy)) - set(before)

    assert changed(before, contents(copy)) == set()
    assert set(read_card(copy).configs) > {"blue_00", "blue_40"}
    assert set(read_card(copy).shards) == {p.name for p in (copy / "data").iterdir()}
    assert len(new) == added


def test_order_of_builds(built, cifar, tmp_path, contents):
    """Configs that are built one after the other are those that are built at once."""
    for level in (40, 0):
        run(replace(BLUE, levels=(level,)), cifar, tmp_path / "x")
    found = read_card(tmp_path / "x")

    assert found.configs == read_card(built).configs
    assert set(found.shards) == set(read_card(built).shards)
    assert rows(tmp_path / "x", "blue_40") == rows(built, "blue_40")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            replace(BLUE, size=16),
            "was built with no size, but this command asks for size 16: use another folder",
        ),
        (
            replace(BLUE, quality=90),
            "was built with quality 95, but this command asks for quality 90: use another folder",
        ),
        (
            replace(BLUE, layout="flat"),
            "was built with layout shared, but this command asks for layout flat: use another "
            "folder",
        ),
    ],
)
def test_other_storage(copy, cifar, contents, other, message):
    """A build of images that are stored in another way is refused, and what stands stands."""
    before = contents(copy)

    with pytest.raises(ValueError, match=message):
        run(other, cifar, copy)
    assert contents(copy) == before


def test_other_data(copy, cifar_maker, tmp_path, contents):
    """A build from other images is refused, and what stands stands."""
    cifar_maker(tmp_path / "other", seed=1)
    before = contents(copy)

    with pytest.raises(
        ValueError, match=r"its table base differs from the table that cifar10 has now: use another"
    ):
        run(BLUE, tmp_path / "other", copy)
    assert contents(copy) == before


def test_flat(cifar, tmp_path, built):
    """A flat layout holds the same rows, one segment a split."""
    run(replace(BLUE, layout="flat"), cifar, tmp_path / "flat")
    found, expected = rows(tmp_path / "flat", "blue_40"), rows(built, "blue_40")

    assert {k: sorted(v, key=str) for k, v in found.items()} == {
        k: sorted(v, key=str) for k, v in expected.items()
    }
    assert [
        len(names) for names in read_card(tmp_path / "flat").configs["blue_40"].segments.values()
    ] == [1, 1]


@pytest.mark.parametrize("layout", ["shared", "flat"])
def test_read_once(cifar, tmp_path, monkeypatch, layout):
    """Every image is read and encoded once, however many rows and files show it."""
    count = Counter()
    read = Cifar10.read
    monkeypatch.setattr(
        Cifar10, "read", lambda self, image_id: count.update([image_id]) or read(self, image_id)
    )
    small = replace(BLUE, shard_rows=25, layout=layout)

    run(replace(small, levels=(0, 20, 40)), cifar, tmp_path / "x")
    run(replace(small, levels=(60,)), cifar, tmp_path / "x")

    assert set(count.values()) == {1}
    assert len(count) == 360


def test_many_files(cifar, tmp_path, built):
    """Segments of many files are read back whole and in order."""
    run(replace(BLUE, shard_rows=7), cifar, tmp_path / "x")
    found, expected = rows(tmp_path / "x", "blue_40"), rows(built, "blue_40")

    assert {k: sorted(v, key=str) for k, v in found.items()} == {
        k: sorted(v, key=str) for k, v in expected.items()
    }


def test_truncated_batch(cifar, tmp_path):
    """A truncated batch ends the build with its name, and leaves nothing."""
    shutil.copytree(cifar / "cifar-10-batches-py", tmp_path / "data" / "cifar-10-batches-py")
    batch = tmp_path / "data" / "cifar-10-batches-py" / "data_batch_3"
    batch.write_bytes(batch.read_bytes()[:5000])

    with pytest.raises(
        ValueError, match=r"data_batch_3 cannot be read as a batch of CIFAR-10 .*: unpack"
    ):
        run(BLUE, tmp_path / "data", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["data"]


def test_error_on_the_way(built, cifar, tmp_path, monkeypatch, contents):
    """An error after some shards keeps them, and the next run ends with the same bytes."""
    write_file, done = shards.write_file, []

    def fail(job, shard):
        done.append(shard.name)
        if len(done) == 5:
            raise OSError("no space left")
        return write_file(job, shard)

    monkeypatch.setattr(shards, "write_file", fail)
    with pytest.raises(OSError, match="no space left"):
        run(BLUE, cifar, tmp_path / "x")

    assert [p.name for p in tmp_path.iterdir()] == ["x.partial"]
    assert len(list((tmp_path / "x.partial" / "data").iterdir())) == 4
    run(BLUE, cifar, tmp_path / "x")
    assert contents(tmp_path / "x") == contents(built)


@pytest.mark.parametrize("change", ["size", "data", "level"])
def test_other_build_on_the_way(built, cifar, cifar_maker, tmp_path, monkeypatch, contents, change):
    """What a killed build of other images, another size or other levels left does not come into this one."""
    first = (
        replace(BLUE, levels=(60,))
        if change == "level"
        else replace(BLUE, size=16)
        if change == "size"
        else BLUE
    )
    data = cifar_maker(tmp_path / "other", seed=1).parent if change == "data" else cifar
    monkeypatch.setattr("cnlw_tools.card.render.write_card", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(first, data, tmp_path / "x")
    monkeypatch.undo()

    run(BLUE, cifar, tmp_path / "x")

    assert contents(tmp_path / "x") == contents(built)


def test_killed_addition(copy, cifar, monkeypatch, contents):
    """Shards that a killed addition left in a build are gone after the next run, which needs them not."""
    before = contents(copy)
    monkeypatch.setattr("cnlw_tools.card.render.write_card", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(replace(BLUE, levels=(40,), seed=1), cifar, copy)
    monkeypatch.undo()
    assert len(contents(copy)) > len(before)

    run(BLUE, cifar, copy)

    assert contents(copy) == before


def test_full_disk(cifar, tmp_path):
    """A disk that fills up is an OSError; no half file bears a name."""
    command = [sys.executable, "-c", FULL_DISK, str(cifar), str(tmp_path / "x"), "60000"]
    env = {**os.environ, "PYTHONPATH": str(files.default_root())}
    failing = subprocess.run(command, env=env, stderr=subprocess.PIPE, text=True)
    names = [p.name for p in tmp_path.rglob("*") if p.is_file()]

    assert failing.returncode == 1
    assert "OSError: [Errno 27] " in failing.stderr
    assert not (tmp_path / "x").exists()
    assert [name for name in names if name.startswith(files.TEMPORARY_PREFIX)] == []
    for path in tmp_path.rglob("*.parquet"):
        assert pq.read_table(path).num_rows > 0


def test_red(cifar, tmp_path, monkeypatch, toy):
    """Red noise is built from two kinds of images, and read back."""

    class Toy:
        """Pictures of one colour, that of the id."""

        def __init__(self, data_dir) -> None:
            self.data_dir = data_dir

        def read(self, image_id):
            return Image.new("RGB", (8, 8), tuple(image_id.encode().rjust(3)[-3:]))

    monkeypatch.setattr(sources, "SOURCES", {"toy": Toy})
    recipe = Recipe("toy", "red", levels=(0, 40, 80))
    build(recipe, Inputs(toy), tmp_path / "x")
    data = datasets.load_dataset(str(tmp_path / "x"), "red_40", cache_dir=str(tmp_path / "cache"))
    table = plan(recipe, dataset.read_dataset("toy", toy), 40)

    assert sorted(data["train"].remove_columns("image").to_list(), key=str) == sorted(
        (
            {k: row[k] for k in data["train"].column_names[1:]}
            for row in table.to_pylist()
            if row["split"] == "train"
        ),
        key=str,
    )
    assert all(
        row["image"].getpixel((0, 0)) == tuple(row["image_id"].encode().rjust(3)[-3:])
        for row in data["train"]
    )
    assert data["train"].features["label"].names == ["class a", "class b", "class c", "class d"]
    assert dataset.read_tables(
        "toy", tmp_path / "x" / "tables", tmp_path / "x" / "tables"
    ) == dataset.read_dataset("toy", toy)


def test_no_source(toy):
    """A dataset whose images nobody reads yet is refused with what it wants."""
    with pytest.raises(ValueError, match="toy: no source reads its images yet; it needs the tar"):
        build(Recipe("toy", "red", data_dir_layout="the tar"), Inputs(toy), toy / "out")
    assert not (toy / "out").exists()


def test_plan_without_source(toy):
    """A plan needs tables alone."""
    assert len(load_dataset(Recipe("toy", "red"), Inputs(toy)).base) > 0


def test_no_data_dir(tmp_path):
    """Without the user's copy the folder is asked for, and nothing is made."""
    with pytest.raises(ValueError, match="cifar10 needs --data-dir"):
        run(BLUE, None, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_tell(cifar, tmp_path):
    """Progress is told, up to all rows."""
    told = []

    build(
        BLUE,
        Inputs(files.default_root(), cifar),
        tmp_path / "x",
        progress=lambda *news: told.append(news),
    )

    assert told[:2] == [("plans", 1, 2), ("plans", 2, 2)]
    assert told[-1] == ("images", 480, 480)  # 300 + 60 once, and 120 flipped


def test_last(built, tmp_path, cifar):
    """The last build is the one with the newest card."""
    with pytest.raises(FileNotFoundError, match="no build here yet: run `cnlw build"):
        last_build(tmp_path)
    for name in ("b", "a"):
        shutil.copytree(built, tmp_path / name)
    os.utime(tmp_path / "a" / "README.md", (1, 1))

    assert last_build(tmp_path) == tmp_path / "b"


@pytest.mark.slow
def test_kill_storm(cifar, tmp_path, contents):
    """A build that is killed again and again ends with the bytes of one that is left alone."""
    command = [sys.executable, "-c", STORM, str(cifar), str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": str(files.default_root())}
    output = subprocess.check_output(command, env=env, text=True)

    assert output.split() == ["0", *5 * [str(-signal.SIGKILL)], "0"]
    assert contents(tmp_path / "storm") == contents(tmp_path / "calm")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["calm", "storm"]


def test_damaged_shard(copy, cifar, contents):
    """A file that is not the recorded one is written again where it is wanted, and never copied from."""
    before = contents(copy)
    path = min((copy / "data").glob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-9] + b"something")

    run(BLUE, cifar, copy)

    assert contents(copy) == before


def test_damage_does_not_spread(copy, cifar, tmp_path):
    """A new config takes nothing from a damaged file of another."""
    for path in (copy / "data").glob("*.parquet"):
        path.write_bytes(path.read_bytes()[:-9] + b"something")
    run(replace(BLUE, levels=(20,)), cifar, copy)
    run(replace(BLUE, levels=(20,)), cifar, tmp_path / "sound")

    assert rows(copy, "blue_20") == rows(tmp_path / "sound", "blue_20")


def test_lost_tables(copy, cifar, contents):
    """Tables that somebody deleted are there again after the next build."""
    before = contents(copy)
    shutil.rmtree(copy / "tables")

    run(BLUE, cifar, copy)

    assert contents(copy) == before


def test_files_of_somebody(copy, cifar):
    """A build deletes only what a build left."""
    (copy / "data" / "mine.parquet").write_text("precious")

    run(BLUE, cifar, copy)

    assert (copy / "data" / "mine.parquet").read_text() == "precious"


def test_every_choice_of_storage_is_recorded_in_the_card():
    """What the keys of a recipe say of storage is what a build is compared by."""
    keys = set(storage_choices(Recipe("toy", "red")))

    assert keys == {field.name for field in fields(Storage)} | {"layout"}
