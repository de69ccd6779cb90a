"""A build at an address: the same bytes as in a folder, the card last, whatever the storage does."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import fsspec
import pytest
from click.testing import CliRunner

import cnlw_tools as cnlw
from cnlw_tools import files
from cnlw_tools.builds import remote
from cnlw_tools.builds.build import build
from cnlw_tools.builds.remote import build_at, build_shard_at
from cnlw_tools.card.metadata import CARD
from cnlw_tools.cli import main
from cnlw_tools.executor.work_shard import WorkShard
from cnlw_tools.files.folders import list_names
from cnlw_tools.files.mirror import Mirror, local_copy, name_addresses
from cnlw_tools.files.storage import RemoteFolder
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe

MEMORY = "memory://bucket/shapes"
S3 = "s3://bucket/deep/cifar10"
NEW_EACH_TIME = {
    "/bucket/shapes/README.md",
    "/bucket/shapes/croissant.json",
    "/bucket/shapes/samples_blue.png",
}
BLUE = Recipe("cifar10", "blue", levels=(0, 40), shard_rows=15)
WRITER = """
import sys
from pathlib import Path
from cnlw_tools import files
from cnlw_tools.builds.remote import build_at, build_shard_at
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe

recipe = Recipe("cifar10", "blue", levels=(0, 40), shard_rows=15)
build_at(recipe, Inputs(files.default_root(), Path(sys.argv[1])), sys.argv[2])
"""


@pytest.fixture(scope="module")
def inputs(cifar) -> Inputs:
    return Inputs(files.default_root(), cifar)


@pytest.fixture(scope="module")
def local(inputs, tmp_path_factory, contents) -> dict[str, bytes]:
    """The files of the build in a folder."""
    out = tmp_path_factory.mktemp("local") / "cifar10"
    build(BLUE, inputs, out)
    return contents(out)


def stored(memory) -> dict[str, bytes]:
    names = memory.find("/bucket/shapes")
    return {name.removeprefix("/bucket/shapes/"): memory.cat_file(name) for name in names}


def changed_since(memory, times) -> set[str]:
    """Return the files that were put again."""
    return {name for name, put in times.items() if memory.created(name) != put}


def test_the_bytes_are_those_of_a_folder(memory, inputs, local):
    """Each file is there, the card came last, and the summary names the address."""
    summary = build_at(BLUE, inputs, MEMORY)

    assert local == stored(memory)
    times = {name: memory.created(f"/bucket/shapes/{name}") for name in local}
    assert CARD == max(times, key=times.get)
    assert MEMORY == summary.address
    assert {"blue_00", "blue_40"} == set(summary.configs)


def test_what_is_there_is_not_put_again(memory, inputs):
    """The same build puts no shard, and another level only what is new, from another machine too."""
    build_at(BLUE, inputs, MEMORY)
    times = {name: memory.created(name) for name in memory.find("/bucket/shapes")}
    shutil.rmtree(Mirror(MEMORY).home)

    same = build_at(BLUE, inputs, MEMORY)
    assert 0 == same.new_bytes
    assert NEW_EACH_TIME >= changed_since(memory, times)

    more = build_at(Recipe("cifar10", "blue", levels=(80,), shard_rows=15), inputs, MEMORY)
    assert more.new_bytes > 0
    assert NEW_EACH_TIME >= changed_since(memory, times)
    assert {"blue_00", "blue_40", "blue_80"} == set(cnlw.Build(MEMORY).configs)


def test_a_build_that_the_user_deleted_is_begun_anew(memory, inputs, local):
    """The mirror holds what is no longer true, and is not believed."""
    build_at(BLUE, inputs, MEMORY)
    memory.rm("/bucket/shapes", recursive=True)

    build_at(BLUE, inputs, MEMORY)

    assert local == stored(memory)


def test_a_damaged_card_at_the_address_is_an_error(memory, inputs):
    """The error names the address, not the mirror in the cache, and nothing is put."""
    build_at(BLUE, inputs, MEMORY)
    memory.pipe_file("/bucket/shapes/README.md", b"")
    before = stored(memory)

    with pytest.raises(FileExistsError, match=f"^{MEMORY}: its README.md is not the card of a"):
        build_at(BLUE, inputs, MEMORY)
    with pytest.raises(ValueError, match=f"^{MEMORY}/README.md: not the card of a build"):
        cnlw.Build(MEMORY)

    assert before == stored(memory)


@pytest.mark.parametrize("name", ["thesis.tex", "shard-000.tar"])
def test_something_else_at_the_address_is_an_error(memory, inputs, name):
    """Nothing is put beside what is not a build, and nothing of it is taken for a leftover."""
    memory.pipe_file(f"/bucket/shapes/{name}", b"x")

    with pytest.raises(FileExistsError, match=f"^{MEMORY} is not a build, because {name} is th"):
        build_at(BLUE, inputs, MEMORY)

    assert {name: b"x"} == stored(memory)


def test_a_build_that_another_machine_finishes_meanwhile_is_kept(memory, inputs, monkeypatch):
    """The card of the other one is not replaced; the same command then adds to it."""

    def build_with_another(*arguments, **choices):
        summary = build(*arguments, **choices)
        memory.pipe_file(f"/bucket/shapes/{CARD}", b"of another machine")
        return summary

    monkeypatch.setattr(remote, "build", build_with_another)
    with pytest.raises(BlockingIOError, match="another build has just finished here: run the same"):
        build_at(BLUE, inputs, MEMORY)

    assert b"of another machine" == stored(memory)[CARD]


def test_a_build_that_finishes_while_shards_are_put_is_kept(memory, inputs, monkeypatch):
    """The card is compared again after the last shard, and nothing of the other build changes."""
    push = Mirror.push

    def push_beside_another(mirror, names, *arguments):
        push(mirror, names, *arguments)
        memory.pipe_file(f"/bucket/shapes/{CARD}", b"of another machine")

    monkeypatch.setattr(Mirror, "push", push_beside_another)
    with pytest.raises(BlockingIOError, match="another build has just finished here: run the same"):
        build_at(BLUE, inputs, MEMORY)

    assert b"of another machine" == stored(memory)[CARD]


def test_processes_build_at_an_address(memory, inputs, local, tmp_path, monkeypatch):
    """Each on a machine of its own; a last build writes the card, and deletes their records."""
    for number in (2, 1):
        monkeypatch.setenv("CNLW_CACHE", str(tmp_path / f"cache{number}"))
        summary = build_shard_at(BLUE, inputs, MEMORY, WorkShard(2, number))
        assert summary.n_files < summary.n_planned
    assert {"shard-1-of-2.json", "shard-2-of-2.json"} < set(stored(memory))
    assert CARD not in stored(memory)
    monkeypatch.setenv("CNLW_CACHE", str(tmp_path / "last"))
    summary = build_at(BLUE, inputs, MEMORY)

    assert 0 == summary.new_bytes
    assert local == stored(memory)


def test_a_process_takes_what_it_has_put_and_nothing_of_others(
    memory, inputs, tmp_path, monkeypatch
):
    """Started again on another machine, it writes nothing."""
    build_shard_at(BLUE, inputs, MEMORY, WorkShard(2, 1))
    build_shard_at(BLUE, inputs, MEMORY, WorkShard(2, 2))
    before = stored(memory)
    monkeypatch.setenv("CNLW_CACHE", str(tmp_path / "another"))
    summary = build_shard_at(BLUE, inputs, MEMORY, WorkShard(2, 2))

    assert 0 == summary.new_bytes
    assert before == stored(memory)
    names = {path.name for path in (tmp_path / "another").rglob("data/*")}
    assert summary.n_files == len(names & {Path(name).name for name in before})


def test_mixed_counts_of_processes_at_an_address(memory, inputs):
    """One line that names the address, and nothing is put."""
    build_shard_at(BLUE, inputs, MEMORY, WorkShard(2, 1))
    before = stored(memory)

    with pytest.raises(
        ValueError, match="divided in different ways, into 2 and 3 parts: give every"
    ) as caught:
        build_shard_at(BLUE, inputs, MEMORY, WorkShard(3, 2))

    assert name_addresses(str(caught.value)).startswith(f"{MEMORY}: the work of these")
    assert before == stored(memory)


def test_a_record_that_the_user_deleted_is_forgotten(memory, inputs, local):
    """The mirror still has it."""
    build_shard_at(BLUE, inputs, MEMORY, WorkShard(2, 1))
    memory.rm("/bucket/shapes", recursive=True)
    build_shard_at(BLUE, inputs, MEMORY, WorkShard(3, 1))
    memory.rm("/bucket/shapes", recursive=True)
    build_shard_at(BLUE, inputs, MEMORY, WorkShard(2, 1))
    build_at(BLUE, inputs, MEMORY)

    assert local == stored(memory)


def test_a_card_that_is_put_at_the_same_moment_is_kept(s3, inputs, monkeypatch):
    """S3 refuses the second one, which the comparison just before has not seen."""
    storage = fsspec.filesystem("s3", use_listings_cache=False)
    put_file = storage.put_file

    def put_after_another(path, name, **choices):
        if name == f"bucket/deep/cifar10/{CARD}":
            storage.pipe_file(name, b"of another machine")
        return put_file(path, name, **choices)

    monkeypatch.setattr(storage, "put_file", put_after_another)
    with pytest.raises(BlockingIOError, match="another build has just finished here: run the same"):
        build_at(BLUE, inputs, S3)

    assert b"of another machine" == s3.contents("bucket/deep/cifar10")[CARD]


def test_shards_that_no_card_lists_are_deleted_after_a_day(memory, inputs, local, monkeypatch):
    """Until then, a build of another machine may still need them."""
    litter = "data/0123456789abcdef-00000-of-00001.parquet"
    memory.pipe_file(f"/bucket/shapes/{litter}", b"x")
    build_at(BLUE, inputs, MEMORY)
    assert {*local, litter} == set(stored(memory))
    now = time.time()
    monkeypatch.setattr(remote.time, "time", lambda: now + remote.DAY + 60)

    build_at(BLUE, inputs, MEMORY)

    assert local == stored(memory)


def test_a_bucket_that_is_not_there_stops_the_build_at_once(s3, inputs, tmp_path):
    """One line says so, and no image was read."""
    result = CliRunner().invoke(main, ["build", "--noise", "blue", "--out", "s3://nothing/shapes"])

    assert (1, 1) == (result.exit_code, len(result.output.splitlines()))
    assert "Error: s3://nothing/shapes cannot be listed (The specified bucket" in result.output
    assert [] == list((tmp_path / "cache").rglob("*.parquet"))


def test_a_bucket_that_may_not_be_written_stops_the_build_at_once(s3, tmp_path):
    """One line says so, and no image was read."""
    s3.fail({"method": "PUT", "status": 403, "times": 1})

    result = CliRunner().invoke(main, ["build", "--noise", "blue", "--out", S3])

    assert (1, 1) == (result.exit_code, len(result.output.splitlines()))
    assert f"Error: {S3} cannot be written (" in result.output
    assert {} == s3.contents("bucket/deep")
    assert [] == list((tmp_path / "cache").rglob("*.parquet"))


def test_a_server_that_fails_now_and_then_gets_the_same_bytes(s3, inputs, local):
    """Errors and slow answers, in the middle of it, change nothing."""
    s3.fail(
        {"method": "PUT", "status": 200, "seconds": 0.05, "times": 3},
        {"method": "PUT", "status": 500, "times": 3},
        {"method": "PUT", "status": 503, "times": 3},
        {"method": "HEAD", "status": 500, "times": 2},
        {"method": "GET", "status": 503, "times": 2},
    )

    build_at(BLUE, inputs, S3)

    assert local == s3.contents("bucket/deep/cifar10")


@pytest.mark.slow
def test_a_writer_that_is_killed_leaves_what_the_next_one_takes(
    s3, cifar, inputs, local, tmp_path, monkeypatch
):
    """Another machine ends with the same bytes, and puts no shard again that is there."""
    s3.fail({"method": "PUT", "status": 200, "seconds": 0.1, "times": 1000})
    environment = {**os.environ, "PYTHONPATH": str(files.default_root())}
    with subprocess.Popen([sys.executable, "-c", WRITER, cifar, S3], env=environment) as writer:
        while len(s3.requests("PUT")) < 12 and writer.poll() is None:
            time.sleep(0.05)
        writer.send_signal(signal.SIGKILL)
    left = s3.contents("bucket/deep/cifar10")
    assert -signal.SIGKILL == writer.returncode
    assert CARD not in left
    assert left.items() <= local.items()
    assert len(left) > 5
    with pytest.raises(ValueError, match=f"^{S3}: no build here"):
        cnlw.Build(S3)
    monkeypatch.setenv("CNLW_CACHE", str(tmp_path / "another machine"))
    s3.fail()

    build_at(BLUE, inputs, S3)

    assert local == s3.contents("bucket/deep/cifar10")
    put = {path.removeprefix("/bucket/deep/cifar10/") for path in s3.requests("PUT")}
    assert not put & left.keys() & {name for name in left if name.startswith("data/")}


@pytest.mark.usefixtures("reads_back_here")
def test_a_build_at_an_address_is_read_like_one_in_a_folder(s3, tiny, tmp_path, monkeypatch):
    """It is built, proved, shown, compared and loaded; then no file is copied twice."""
    root = tiny(tmp_path / "root")
    address = "s3://bucket/builds/shapes"

    def run(*words: object) -> str:
        result = CliRunner().invoke(main, [str(word) for word in words])
        assert 0 == result.exit_code, result.output
        return result.output

    built = run("build", "--root", root, "--noise", "blue", "--level", 40, "--out", address)
    run("build", "--root", root, "--noise", "blue", "--level", 40, "--out", tmp_path / "shapes")
    monkeypatch.setenv("CNLW_CACHE", str(tmp_path / "another machine"))
    assert f'cnlw_tools.load_dataset("{address}", "blue_40")' in built
    assert "blue_40: the same" in run("diff", address, tmp_path / "shapes")
    s3.fail()
    assert "blue_40" in run("show", address)
    assert f"{address}: 0 errors" in run("validate", address, "--workers", 1)
    run("export", "labels", address, "blue_40", "--out", tmp_path / "labels")
    train = cnlw.load_dataset(address, "blue_40", split="train")
    assert 0.4 == sum(train["is_noisy"]) / len(train)
    assert all(path.endswith("/bucket") for path in s3.requests("GET"))


def test_tables_and_images_may_be_at_addresses(memory, cifar, tiny, tmp_path, contents):
    """A root and a copy of images at addresses give the bytes of those in folders."""
    root = tiny(tmp_path / "root")
    memory.put(f"{root}/", "/bucket/root/", recursive=True)
    memory.put(f"{cifar}/", "/bucket/cifar/", recursive=True)
    here = {"workers": 1, "progress": False, "level": 40}

    for number, place in enumerate((root, "memory://bucket/root")):
        cnlw.build("shapes", "blue", root=place, out=tmp_path / f"shapes{number}", **here)
    for number, place in enumerate((cifar, "memory://bucket/cifar")):
        cnlw.build("cifar10", "blue", data_dir=place, out=tmp_path / f"cifar{number}", **here)

    assert contents(tmp_path / "shapes0") == contents(tmp_path / "shapes1")
    assert contents(tmp_path / "cifar0") == contents(tmp_path / "cifar1")


@pytest.mark.usefixtures("reads_back_here")
@pytest.mark.parametrize(
    ("storage_name", "place"), [("gs", "gs://bucket"), ("hf", "hf://datasets/lab/noise")]
)
def test_a_build_in_other_storages(
    request, cifar, local, tmp_path, monkeypatch, storage_name, place
):
    """Its images are read at an address, its files have the same bytes, and it can be loaded."""
    server = request.getfixturevalue(storage_name)
    images = RemoteFolder(f"{place}/cifar")
    for name in list_names(cifar):
        images.put(cifar / name, name)

    summary = build_at(
        BLUE, Inputs(files.default_root(), local_copy(f"{place}/cifar")), f"{place}/builds/blue"
    )

    stored_files = server.objects if storage_name == "gs" else server.files
    prefix = "builds/blue/"
    built = {name: data for name, data in stored_files.items() if name.startswith(prefix)}
    assert local == {name.removeprefix(prefix): data for name, data in built.items()}
    assert f"{place}/builds/blue" == summary.address
    monkeypatch.setenv("CNLW_CACHE", str(tmp_path / "another machine"))
    train = cnlw.load_dataset(f"{place}/builds/blue", "blue_40", split="train")
    assert 0.4 == sum(train["is_noisy"]) / len(train)
    n_puts = len(server.puts)
    build_at(BLUE, Inputs(files.default_root(), cifar), f"{place}/builds/blue")
    assert not any(name.startswith(f"{prefix}data/") for name in server.puts[n_puts:])
    assert any(name.startswith(f"{prefix}data/") for name in server.puts[:n_puts])
