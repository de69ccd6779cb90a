"""A run at an address: what is there goes on anywhere, to the same bytes."""

import json
import signal
import subprocess
import sys
import time

import pytest
import torch

from cnlw_tools.recipe.run_files import METRICS, read_result
from cnlw_tools.trainer import loop
from cnlw_tools.trainer.run_upload import RunUpload, copy_run
from cnlw_tools.trainer.seeds import fit_all, trainers_of_seeds

MEMORY = "memory://bucket/run"
S3 = "s3://bucket/deep/run"
SAME = ("examples.parquet/", "predictions.parquet", "network_input.json", "result.json")
TRAIN = """
import sys
import torch
from cnlw_tools.trainer import Trainer, loop

torch.set_num_threads(int(sys.argv[4]))
loop.CHECKPOINT_SECONDS = 0
Trainer(
    sys.argv[1], "blue_40_probe2", out=sys.argv[2], device="cpu", net="conv_small", resume=True,
    changes={"epochs": 3, "batch_size": 30}, cache=sys.argv[3],
).fit(on_epoch=lambda metrics: print("epoch", metrics["epoch"], flush=True))
"""


class Killed(BaseException):
    """Ends a run as nothing in it expects."""


def kill_after(epoch):
    """Return what ends a run after an epoch."""

    def kill(metrics):
        if metrics["epoch"] == epoch:
            raise Killed

    return kill


@pytest.fixture
def every_epoch(monkeypatch):
    """A checkpoint is due after each epoch."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0)


@pytest.fixture
def new_cache(monkeypatch, tmp_path):
    """Give this process the cache of another machine."""

    def change():
        monkeypatch.setenv("CNLW_CACHE", str(tmp_path / f"cache{time.monotonic_ns()}"))

    return change


def stored(memory, folder="/bucket/run/"):
    """The files of a run at the address that have the same bytes whenever they are written."""
    names = memory.find(folder)
    files = {name.removeprefix(folder): memory.cat_file(name) for name in names}
    return {name: data for name, data in files.items() if name.startswith(SAME)}


def local(folder):
    """The same files of a run in a folder."""
    names = [path for path in folder.rglob("*") if path.is_file()]
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in names}
    return {name: data for name, data in files.items() if name.startswith(SAME)}


def test_the_files_are_those_of_a_folder(memory, make_trainer, tmp_path):
    """All of them are there, and the result is what `fit` returns."""
    result = make_trainer(out=MEMORY).fit()
    make_trainer(out=tmp_path / "run").fit()

    assert local(tmp_path / "run") == stored(memory)
    names = {
        path.relative_to(tmp_path / "run").as_posix() for path in (tmp_path / "run").rglob("*.*")
    }
    there = {name.removeprefix("/bucket/run/") for name in memory.find("/bucket/run")}
    assert {n for n in names if "tensorboard/" not in n} - there == {"examples.parquet"}
    assert result == json.loads(memory.cat_file("/bucket/run/result.json"))


def test_another_machine_goes_on(memory, make_trainer, tmp_path, every_epoch, new_cache):
    """From the last checkpoint that is there; epochs that are there are not trained again."""
    with pytest.raises(Killed):
        make_trainer(out=MEMORY).fit(on_epoch=kill_after(2))
    new_cache()
    epochs = []
    trainer = make_trainer(out=MEMORY, resume=True)
    trainer.fit(on_epoch=lambda metrics: epochs.append(metrics["epoch"]))
    make_trainer(out=tmp_path / "run").fit()

    assert [3] == epochs
    assert MEMORY == trainer.place
    assert local(tmp_path / "run") == stored(memory)


def test_the_address_is_believed_and_not_the_mirror(memory, make_trainer, every_epoch):
    """What a killed run did not put is trained again."""
    with pytest.raises(Killed):
        make_trainer(out=MEMORY).fit(on_epoch=kill_after(1))
    before = {name: memory.cat_file(name) for name in memory.find("/bucket/run")}
    with pytest.raises(Killed):
        make_trainer(out=MEMORY, resume=True).fit(on_epoch=kill_after(2))
    for name in memory.find("/bucket/run"):
        memory.rm_file(name)
    for name, data in before.items():
        memory.pipe_file(name, data)
    epochs = []
    make_trainer(out=MEMORY, resume=True).fit(on_epoch=lambda m: epochs.append(m["epoch"]))

    assert [2, 3] == epochs


def test_a_run_that_is_there_is_not_overwritten(memory, make_trainer, new_cache):
    """The error names the address; --overwrite deletes the run, and nothing else."""
    make_trainer(out=MEMORY).fit()
    memory.pipe_file("/bucket/run/notes.txt", b"mine")
    memory.pipe_file("/bucket/run/examples.parquet/epoch-0009.parquet", b"old")
    new_cache()

    with pytest.raises(ValueError, match=rf"^{MEMORY}: there is already a run here: --resume"):
        make_trainer(out=MEMORY).fit()
    with pytest.raises(ValueError, match=rf"^{MEMORY}: the run began with seed = 0, and now"):
        make_trainer(out=MEMORY, seed=1, resume=True).fit()
    make_trainer(out=MEMORY, overwrite=True, seed=1).fit()

    names = {name.removeprefix("/bucket/run/") for name in memory.find("/bucket/run")}
    assert "notes.txt" in names
    assert "examples.parquet/epoch-0009.parquet" not in names
    assert json.loads(memory.cat_file("/bucket/run/config.json"))["seed"] == 1


def test_two_machines_do_not_train_at_one_address(memory, make_trainer, every_epoch, new_cache):
    """The second one to put a checkpoint stops, and what is there stays whole."""

    def train_elsewhere(metrics):
        if metrics["epoch"] == 1:
            new_cache()
            make_trainer(out=MEMORY, resume=True).fit()

    with pytest.raises(
        BlockingIOError, match=rf"^{MEMORY}: another machine is training the same run"
    ):
        make_trainer(out=MEMORY).fit(on_epoch=train_elsewhere)

    assert 3 == read_result(copy_run(MEMORY)).epochs


def test_two_commands_of_a_machine(memory, make_trainer):
    """The second one is refused before it trains."""
    upload = RunUpload(MEMORY)
    upload.begin()
    try:
        with pytest.raises(BlockingIOError, match="another command of this machine is at work"):
            make_trainer(out=MEMORY).fit()
    finally:
        upload.close()
    assert [] == memory.find("/bucket/run")


def test_a_failure_before_the_first_checkpoint_leaves_nothing(memory, make_trainer, monkeypatch):
    """As in a folder."""

    def fail(*args):
        raise ValueError("no numbers")

    monkeypatch.setattr(loop, "validation_accuracies", fail)
    with pytest.raises(ValueError, match="no numbers"):
        make_trainer(out=MEMORY).fit()

    assert [] == memory.find("/bucket/run")


def test_seeds_are_runs_below_the_address(memory, make_trainer, new_cache):
    """Finished ones are not trained again, even if their checkpoint was deleted."""
    trainer = make_trainer(out=MEMORY, changes={"epochs": 1})
    first = fit_all(trainers_of_seeds(trainer, [0, 1]), lambda one: one.fit())
    memory.rm_file("/bucket/run/s1/checkpoint.pt")
    new_cache()
    trained = []
    again = fit_all(
        trainers_of_seeds(trainer, [0, 1]),
        lambda one: one.fit(on_epoch=lambda metrics: trained.append(metrics)),
    )

    assert (first, []) == (again, trained)


def test_an_address_that_may_not_be_written(s3, make_trainer):
    """It is found out before anything is trained."""
    s3.fail({"method": "PUT", "status": 403, "times": 1})

    with pytest.raises(OSError, match=rf"^{S3} cannot be written .*: check the rights"):
        make_trainer(out=S3).fit(on_epoch=lambda metrics: pytest.fail("trained"))


def test_a_killed_training_goes_on_from_a_bucket(
    s3, builds, tmp_path, make_trainer, every_epoch, new_cache
):
    """On another machine, with a fresh cache, while the server fails now and then: same bytes."""
    n_threads = str(torch.get_num_threads())  # another number would give other bytes
    command = [sys.executable, "-c", TRAIN, str(builds), S3, str(tmp_path / "cache"), n_threads]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert "epoch 1" == process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
    new_cache()
    s3.fail(*({"method": method, "status": 503, "times": 1} for method in ("PUT", "GET")))
    choices = {"preset": None, "net": "conv_small", "changes": {"epochs": 3, "batch_size": 30}}
    trained = []
    make_trainer(out=S3, resume=True, **choices).fit(on_epoch=trained.append)
    make_trainer(**choices).fit()
    there = s3.contents("bucket/deep/run")

    assert len(trained) < 3
    assert local(tmp_path / "run") == {n: d for n, d in there.items() if n.startswith(SAME)}
    assert METRICS in there
