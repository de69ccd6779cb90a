"""Processes without a coordinator write one build: the bytes are those of one process, whatever happens."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, replace

import pytest

from cnlw_tools import files
from cnlw_tools.builds import shards, work_shards
from cnlw_tools.builds.build import build, build_shard
from cnlw_tools.builds.segments import cut_segments
from cnlw_tools.builds.staging import shared_folder
from cnlw_tools.card.metadata import read_card
from cnlw_tools.executor import SERIAL
from cnlw_tools.executor.work_shard import WorkShard, parse_work_shard
from cnlw_tools.images.pixels import Storage
from cnlw_tools.ingest.resolve import load_dataset
from cnlw_tools.plans.plan import plan
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe
from cnlw_tools.sources.cifar10 import Cifar10

BLUE = Recipe("cifar10", "blue", levels=(0, 40), shard_rows=30)
STORM = """
import os, signal, sys, time
from pathlib import Path
from cnlw_tools import files
from cnlw_tools.builds.build import build_shard
from cnlw_tools.executor.work_shard import WorkShard
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe

data, out = map(Path, sys.argv[1:])
recipe = Recipe("cifar10", "blue", levels=(0, 40), shard_rows=30)

def start(number):
    pid = os.fork()
    if not pid:
        build_shard(recipe, Inputs(files.default_root(), data), out, WorkShard(3, number))
        os._exit(0)
    return pid

def end(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

victim = start(1)
shards = out.with_name(out.name + ".partial") / "data"
while not list(shards.glob("*.parquet")):
    time.sleep(0.001)
os.kill(victim, signal.SIGKILL)
exit_codes = [end(victim)]
processes = [start(number) for number in (1, 2, 3, 3)]
exit_codes += map(end, processes)
print(*exit_codes)
"""  # an import takes longer than such a build, so all processes are forked from one


def inputs(cifar):
    """Where the tables and images are."""
    return Inputs(files.default_root(), cifar)


def run_shard(cifar, out, text, recipe=BLUE):
    """Write the files of one process."""
    return build_shard(recipe, inputs(cifar), out, parse_work_shard(text))


def run(cifar, out, recipe=BLUE, joined=()):
    """Write what is left, and the card."""
    return build(recipe, inputs(cifar), out, joined_folders=joined)


def shard_names(folder):
    """The names of all shards in the folder of a build."""
    return {path.name for path in folder.glob("data/*.parquet")}


@pytest.fixture(scope="module")
def built(cifar, tmp_path_factory):
    """What one process makes."""
    out = tmp_path_factory.mktemp("built") / "cifar10"
    run(cifar, out)
    return out


@pytest.fixture(scope="module")
def planned(cifar):
    """The rows of every file of the build, by name."""
    data = load_dataset(BLUE, inputs(cifar))
    rows = {}
    for level in BLUE.levels:
        for _, segment in cut_segments(plan(BLUE, data, level), Storage(shard_rows=30)):
            rows |= segment.files()
    return rows


@pytest.fixture
def parts(cifar, tmp_path):
    """The folder of three folders, each of one process."""
    for number in (1, 2, 3):
        run_shard(cifar, tmp_path / "parts" / str(number), f"{number}/3")
    return tmp_path / "parts"


@pytest.mark.parametrize("count", [1, 2, 3, 100])
def test_every_file_has_one_process(planned, count):
    """Whatever the order of the files; processes may be left without any."""
    numbers = work_shards.assign_files(planned, count)
    backwards = dict(reversed(planned.items()))

    assert planned.keys() == numbers.keys()
    assert set(numbers.values()) <= set(range(1, count + 1))
    assert numbers == work_shards.assign_files(backwards, count)


def test_processes_have_as_many_rows(planned):
    """No process has more than the average and what the largest group of files has."""
    numbers = work_shards.assign_files(planned, 3)
    n_rows = Counter()
    for name, rows in planned.items():
        n_rows[numbers[name]] += len(rows)

    assert max(n_rows.values()) - min(n_rows.values()) <= 2 * 30


def test_files_that_share_images_have_one_process(planned):
    """Clean and noisy labels of the same images: so nobody encodes an image of somebody else."""
    numbers = work_shards.assign_files(planned, 3)
    processes = {}
    for name, rows in planned.items():
        for image_id in rows["image_id"].to_pylist():
            processes.setdefault(image_id, set()).add(numbers[name])

    assert {1} == {len(found) for found in processes.values()}


def test_processes_side_by_side(cifar, built, tmp_path, contents):
    """One is killed and begun again, and one is begun twice; a last build finds all files there."""
    command = [sys.executable, "-c", STORM, str(cifar), str(tmp_path / "x")]
    env = {**os.environ, "PYTHONPATH": str(files.default_root())}
    output = subprocess.check_output(command, env=env, text=True)
    assert ["-9", "0", "0", "0", "0"] == output.split()
    assert shard_names(built) == shard_names(tmp_path / "x.partial")

    summary = run(cifar, tmp_path / "x")

    assert 0 == summary.new_bytes
    assert contents(built) == contents(tmp_path / "x")
    assert ["x"] == [path.name for path in tmp_path.iterdir()]


def test_the_last_build_writes_what_no_process_wrote(cifar, built, tmp_path, contents):
    """The files of a process that never began."""
    first, second = (run_shard(cifar, tmp_path / "x", f"{number}/3") for number in (1, 2))
    n_files = first.n_files + second.n_files
    assert n_files == len(shard_names(tmp_path / "x.partial")) < first.n_planned

    assert run(cifar, tmp_path / "x").new_bytes > 0
    assert contents(built) == contents(tmp_path / "x")


def test_a_process_that_ended_has_nothing_to_do(cifar, tmp_path):
    """It only writes again what was damaged meanwhile."""
    first = run_shard(cifar, tmp_path / "x", "1/3")
    again = run_shard(cifar, tmp_path / "x", "1/3")
    assert first.new_bytes == first.total_bytes == again.total_bytes
    assert 0 == again.new_bytes

    path = min((tmp_path / "x.partial" / "data").iterdir())
    whole = path.read_bytes()
    path.write_bytes(whole[:-9] + b"something")
    assert len(whole) == run_shard(cifar, tmp_path / "x", "1/3").new_bytes
    assert whole == path.read_bytes()


def test_each_process_reads_its_own_images(cifar, tmp_path, monkeypatch):
    """Together they read every image once, though each shows it with two labels."""
    count = Counter()
    read = Cifar10.read
    monkeypatch.setattr(
        Cifar10, "read", lambda self, image_id: count.update([image_id]) or read(self, image_id)
    )

    for number in (1, 2, 3):
        run_shard(cifar, tmp_path / "x", f"{number}/3")
    run(cifar, tmp_path / "x")

    assert {1} == set(count.values())
    assert 360 == len(count)


@pytest.mark.parametrize("max_owners", [0, shards.MAX_OWNERS])
def test_levels_are_added_by_processes(cifar, tmp_path, monkeypatch, contents, max_owners):
    """A build that is there keeps its files; images come from its files, or from the pool."""
    monkeypatch.setattr(shards, "MAX_OWNERS", max_owners)
    more = replace(BLUE, levels=(60,))
    for name in ("one", "many"):
        run(cifar, tmp_path / name)
    run(cifar, tmp_path / "one", more)

    for number in (1, 2):
        run_shard(cifar, tmp_path / "many", f"{number}/2", more)
        assert set(read_card(tmp_path / "many").configs) == {"blue_00", "blue_40"}
    run(cifar, tmp_path / "many", more)

    assert contents(tmp_path / "one") == contents(tmp_path / "many")


def test_files_that_share_many_images_have_a_pool(cifar, built, tmp_path, monkeypatch, contents):
    """Blocks of a process stay for those that are at work; the last build deletes them."""
    monkeypatch.setattr(shards, "MAX_OWNERS", 0)
    for number in (1, 2, 3):
        run_shard(cifar, tmp_path / "x", f"{number}/3")
    assert [*(tmp_path / "x.partial" / "data").glob("*.arrow")] != []

    run(cifar, tmp_path / "x")

    assert contents(built) == contents(tmp_path / "x")


def test_folders_of_their_own_are_joined(cifar, built, parts, tmp_path, contents):
    """Each is named, or the folder that holds them; their files stay where they are."""
    before = contents(parts)

    summary = run(cifar, tmp_path / "x", joined=[parts])
    run(cifar, tmp_path / "y", joined=[parts / "1", parts / "2.partial", parts / "3"])

    assert (0, len(shard_names(built))) == (summary.new_bytes, summary.n_joined)
    assert contents(built) == contents(tmp_path / "x") == contents(tmp_path / "y")
    assert before == contents(parts)


def test_joining_twice_changes_nothing(cifar, built, parts, tmp_path, contents):
    """Nor does a folder that is given twice."""
    run(cifar, tmp_path / "x", joined=[parts, parts / "1"])

    summary = run(cifar, tmp_path / "x", joined=[parts])

    assert (0, 0) == (summary.new_bytes, summary.n_joined)
    assert contents(built) == contents(tmp_path / "x")


def test_files_are_copied_where_they_cannot_be_linked(
    cifar, built, parts, tmp_path, contents, monkeypatch
):
    """As from another disk."""

    def refuse(self, target):
        raise OSError("another disk")

    monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)
    run(cifar, tmp_path / "x", joined=[parts])

    assert contents(built) == contents(tmp_path / "x")
    assert {1} == {path.stat().st_nlink for path in (tmp_path / "x" / "data").iterdir()}


def test_a_damaged_file_is_not_joined(cifar, built, parts, tmp_path, contents):
    """It is written anew; so is one that is missing, and those of a process that was killed."""
    damaged, missing = sorted((parts / "1.partial" / "data").iterdir())[:2]
    damaged.write_bytes(damaged.read_bytes()[:-9] + b"something")
    missing.unlink()
    (parts / "2.partial" / "shard-2-of-3.json").unlink()

    summary = run(cifar, tmp_path / "x", joined=[parts])

    assert summary.new_bytes > 0
    assert contents(built) == contents(tmp_path / "x")


def test_a_copy_that_is_damaged_on_the_way(cifar, parts, tmp_path, monkeypatch):
    """It does not stay."""

    def copy(source, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("something")

    monkeypatch.setattr(files, "link_or_copy", copy)
    with pytest.raises(OSError, match=r"its copy in .* is damaged: run the command again"):
        run(cifar, tmp_path / "x", joined=[parts])
    assert ["parts"] == [path.name for path in tmp_path.iterdir()]


def test_a_damaged_file_of_a_shared_folder_is_written_again(cifar, built, tmp_path, contents):
    """The record says what it was."""
    for number in (1, 2):
        run_shard(cifar, tmp_path / "x", f"{number}/2")
    path = min((tmp_path / "x.partial" / "data").iterdir())
    path.write_bytes(path.read_bytes()[:-9] + b"something")

    run(cifar, tmp_path / "x")

    assert contents(built) == contents(tmp_path / "x")


MIXED = "divided in different ways, into 2 and 3 parts: give every"


def test_mixed_counts(cifar, tmp_path, contents):
    """One line, and nothing changes."""
    run_shard(cifar, tmp_path / "x", "1/3")
    before = contents(tmp_path)

    with pytest.raises(ValueError, match=MIXED):
        run_shard(cifar, tmp_path / "x", "2/2")
    assert before == contents(tmp_path)


def test_mixed_counts_of_joined_folders(cifar, tmp_path, contents):
    """One line, and nothing changes."""
    run_shard(cifar, tmp_path / "x", "1/3")
    run_shard(cifar, tmp_path / "y", "1/2")
    before = contents(tmp_path)

    with pytest.raises(ValueError, match=MIXED):
        run(cifar, tmp_path / "z", joined=[tmp_path])
    assert before == contents(tmp_path)


def test_mixed_counts_at_the_same_time(tmp_path, monkeypatch):
    """A process that sees the record of another only after it wrote its own takes it back."""
    folder = tmp_path / "x"
    theirs = work_shards.make_record(WorkShard(3, 1), "contents")
    write = work_shards.write_record

    def write_later(folder, record):
        write(folder, record)
        write(folder, theirs)

    monkeypatch.setattr(work_shards, "write_record", write_later)
    own = work_shards.make_record(WorkShard(2, 1), "contents")
    with (
        pytest.raises(ValueError, match="divided in different ways, into 2 and 3 parts"),
        work_shards.recorded_shard(folder, own, ()),
    ):
        pass
    assert [theirs] == [*work_shards.read_records(folder).values()]


def test_another_recipe(cifar, tmp_path, contents):
    """The files of one build are not lost to a build of others."""
    run_shard(cifar, tmp_path / "x", "1/2")
    before = contents(tmp_path)
    more = replace(BLUE, levels=(0, 60))
    message = r"shard-1-of-2.json belongs to another recipe or to other"

    with pytest.raises(ValueError, match=message):
        run(cifar, tmp_path / "x", more)
    with pytest.raises(ValueError, match=message):
        run_shard(cifar, tmp_path / "x", "2/2", more)
    assert before == contents(tmp_path)


def test_other_programs(cifar, tmp_path, monkeypatch):
    """They may make other bytes."""
    versions = {**work_shards.program_versions(), "pillow": "1.0"}
    with monkeypatch.context() as patch:
        patch.setattr(work_shards, "program_versions", lambda: versions)
        run_shard(cifar, tmp_path / "x", "1/2")

    with pytest.raises(ValueError, match=r"this process has pillow .* instead of 1.0: install the"):
        run(cifar, tmp_path / "x")


def test_two_processes_that_wrote_other_bytes(cifar, tmp_path):
    """As from another copy of the images."""
    for name in ("1", "2"):
        run_shard(cifar, tmp_path / name, "1/2")
    (path, record), _ = work_shards.find_records([tmp_path]).items()
    hashes = dict.fromkeys(record.hashes, "0" * 64)
    work_shards.write_record(path.parent, replace(record, hashes=hashes))

    with pytest.raises(
        ValueError, match="differs from the same file of another shard: compare the images"
    ):
        run(cifar, tmp_path / "x", joined=[tmp_path])


@pytest.mark.parametrize("name", ["", "nothing", "parts/3.partial/data"])
def test_a_folder_without_shards(cifar, tmp_path, name):
    """It is named, and nothing is built."""
    run_shard(cifar, tmp_path / "parts" / "3", "3/3")

    with pytest.raises(FileNotFoundError, match="no shard of a build here: give a folder that"):
        run(cifar, tmp_path / "x", joined=[tmp_path / name])
    assert ["parts"] == [path.name for path in tmp_path.iterdir()]


def test_tables_of_other_data_that_a_killed_build_left(cifar, cifar_maker, tmp_path, contents):
    """A process may not delete them, as others may be at work there."""
    other = cifar_maker(tmp_path / "other", seed=1).parent
    run_shard(other, tmp_path / "x", "1/2")
    (tmp_path / "x.partial" / "shard-1-of-2.json").unlink()
    before = contents(tmp_path / "x.partial")

    with pytest.raises(ValueError, match="was left by a killed build of other data: use another"):
        run_shard(cifar, tmp_path / "x", "2/2")
    assert before == contents(tmp_path / "x.partial")


def test_an_error_before_the_first_file_leaves_nothing(cifar, tmp_path, monkeypatch):
    """The same folder can be used for another build."""

    def fail(job, shard):
        raise OSError("no image")

    monkeypatch.setattr(shards, "write_file", fail)
    with pytest.raises(OSError, match="no image"):
        run_shard(cifar, tmp_path / "x", "1/2")
    assert [] == [*tmp_path.iterdir()]


def test_a_build_waits_for_its_processes(cifar, tmp_path):
    """It would take their folder away."""
    with (
        shared_folder(tmp_path / "x"),
        pytest.raises(BlockingIOError, match="another build is at work here"),
    ):
        run(cifar, tmp_path / "x")


def test_a_record_is_read_strictly(tmp_path, fuzz):
    """Whatever is in the file, the error names it."""
    record = work_shards.make_record(WorkShard(2, 1), "contents")
    path = tmp_path / record.file_name

    def read(value):
        path.write_text(work_shards.json.dumps(value))
        return work_shards.read_records(tmp_path)

    fuzz(asdict(replace(record, hashes={"x": "y"})), read, str(path))


def test_a_record_under_another_name(cifar, tmp_path):
    """A file that somebody copied."""
    run_shard(cifar, tmp_path / "x", "1/2")
    folder = tmp_path / "x.partial"
    shutil.copy(folder / "shard-1-of-2.json", folder / "shard-2-of-2.json")

    with pytest.raises(
        ValueError,
        match=r"shard-2-of-2.json is the record of shard 1/2, not of the shard in its name: delete",
    ):
        run(cifar, tmp_path / "x")


def test_a_record_of_a_file_that_is_not_of_the_build(cifar, tmp_path):
    """Somebody edited it; the card would list the file."""
    run_shard(cifar, tmp_path / "x", "1/2")
    path = tmp_path / "x.partial" / "shard-1-of-2.json"
    record = work_shards.json.loads(path.read_text())
    path.write_text(work_shards.json.dumps(record | {"hashes": {"../evil": "00"}}))

    with pytest.raises(
        ValueError, match=r"it names '../evil', which is not a file of this build: delete"
    ):
        run(cifar, tmp_path / "x")


def test_progress(cifar, tmp_path):
    """Of the rows of this process."""
    news = []
    build_shard(
        BLUE, inputs(cifar), tmp_path / "x", WorkShard(3, 1), SERIAL, lambda *new: news.append(new)
    )
    stage, done, total = news[-1]

    assert ("images", total) == (stage, done)
    assert total < 480
