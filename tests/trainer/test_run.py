"""The folder of a run."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from cnlw_tools.methods.components import distributed
from cnlw_tools.recipe.run_files import RunConfig
from cnlw_tools.trainer.run import RunWriter

CONFIG = RunConfig(
    build="builds/toy",
    config="blue_40",
    noise="blue",
    level=40,
    data={"train": "abc"},
    method="vanilla",
    options={},
    net="mlp1",
    seed=0,
    preset={"lr": 0.1},
    ranks=1,
    pretrained=False,
    weights=None,
    versions={},
    command=("a",),
)


def line(epoch, top1):
    """The metrics of an epoch."""
    return {"epoch": epoch, "train_loss": 1.0, "val_top1": top1, "val_top5": 90.0}


def save_run(folder, **changes):
    """Write a run that can be resumed."""
    run = RunWriter(folder, replace(CONFIG, **changes), resume=False)
    run.write_checkpoint({"epoch": 1, "method": {"w": torch.ones(2)}})
    return run


def test_metrics_are_a_line_an_epoch(tmp_path):
    """Each line is a JSON object."""
    run = RunWriter(tmp_path, CONFIG, resume=False)
    run.write_metrics([line(1, 40.0), line(2, 50.0)])

    read = [json.loads(text) for text in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert read == [line(1, 40.0), line(2, 50.0)]


def test_an_artifact_has_a_file_for_each_epoch(tmp_path):
    """Each is an array, and a resumed run writes it again."""
    run = RunWriter(tmp_path, CONFIG, resume=False)
    for epoch, value in ((1, 3.0), (2, 4.0), (2, 5.0)):
        run.write_artifacts(epoch, {"transition": torch.full((2, 2), value)})

    result = [np.load(path) for path in sorted((tmp_path / "transition").iterdir())]
    assert np.array_equal(result, [np.full((2, 2), 3.0), np.full((2, 2), 5.0)])


def test_predictions_are_ordered_by_split_and_row(tmp_path):
    """In one table."""
    run = RunWriter(tmp_path, CONFIG, resume=False)
    columns = {"row": np.array([1, 0]), "confidence": np.array([0.25, 0.5])}
    run.write_predictions({"validation": columns, "test_outliers": columns})

    assert pq.read_table(tmp_path / "predictions.parquet").to_pydict() == {
        "split": ["validation"] * 2 + ["test_outliers"] * 2,
        "row": [0, 1, 0, 1],
        "confidence": [0.5, 0.25, 0.5, 0.25],
    }


def test_examples_are_ordered_by_row_and_unseen_ones_null(tmp_path):
    """One file an epoch, which read together are one table."""
    run = RunWriter(tmp_path, CONFIG, resume=False)
    row = np.array([2, 0, 1])
    for epoch in (1, 2):
        loss, weight = (
            torch.tensor([0.2, 0.5, math.nan]) * epoch,
            torch.tensor([1.0, 0.0, math.nan]),
        )
        run.write_examples(epoch, row, {"loss": loss, "weight": weight})

    table = pq.read_table(tmp_path / "examples.parquet")

    assert table["epoch"].to_pylist() == [1, 1, 1, 2, 2, 2]
    assert table["row"].to_pylist() == [0, 1, 2, 0, 1, 2]
    assert table["loss"].to_pylist() == pytest.approx([0.5, None, 0.2, 1.0, None, 0.4])
    assert table["weight"].to_pylist()[:3] == [0.0, None, 1.0]


def test_an_existing_run_is_not_overwritten(tmp_path):
    """It is resumed if that is asked for."""
    save_run(tmp_path)

    with pytest.raises(
        ValueError,
        match=r"there is already a run here: --resume continues it, --overwrite deletes its files "
        r"\(config\.json, checkpoint\.pt\) and begins again, or give another --out$",
    ):
        RunWriter(tmp_path, CONFIG, resume=False)
    assert RunWriter(tmp_path, CONFIG, resume=True).restored_state["epoch"] == 1


def save_whole_run(folder):
    """Write every file that a run of three epochs leaves; return their paths."""
    run = save_run(folder)
    run.write_metrics([{**line(i, 40.0), "seconds": 1.0} for i in (1, 2, 3)])
    run.write_result([line(i, 40.0) for i in (1, 2, 3)], 3)
    run.write_predictions({"validation": {"row": np.array([0])}})
    for epoch in (1, 2, 3):
        run.write_examples(epoch, np.arange(2), {"loss": torch.ones(2)})
        run.write_artifacts(epoch, {"transition": torch.eye(2), "own_matrix": torch.eye(2)})
    (folder / "tensorboard").mkdir()
    (folder / "tensorboard" / "events.out.tfevents.1.host.2.0").write_bytes(b"curves")
    run.close()
    return [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]


def test_every_file_of_a_run_alone_makes_its_folder_a_run(tmp_path):
    """Whatever is left of a run, another is not begun beside it; nothing is deleted."""
    paths = save_whole_run(tmp_path / "whole")
    assert len(paths) == 15
    for number, path in enumerate(paths):
        copy = tmp_path / str(number) / path
        copy.parent.mkdir(parents=True)
        content = (tmp_path / "whole" / path).read_bytes()
        copy.write_bytes(content)

        with pytest.raises(ValueError, match=f"there is already a run here: .* \\({path}\\)"):
            RunWriter(tmp_path / str(number), CONFIG, resume=False)
        assert copy.read_bytes() == content
        assert len([p for p in (tmp_path / str(number)).rglob("*") if p.is_file()]) == 1


@pytest.mark.parametrize("lost", ["", "checkpoint.pt", "config.json", "metrics.jsonl"])
def test_overwriting_deletes_all_files_of_the_run_and_no_others(tmp_path, lost):
    """Only config.json of the new run and what is not of a run is there; also of a part of one."""
    save_whole_run(tmp_path)
    if lost:
        (tmp_path / lost).unlink()
    others = ["notes.txt", "transition/mine.npy", "tensorboard/profile/x", "tuned/epochs.npy"]
    for name in others:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")
    new = RunWriter(tmp_path, replace(CONFIG, method="mixup"), resume=False, overwrite=True)

    files = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert files == {"config.json", *others}
    assert not (tmp_path / "examples.parquet").exists()
    assert json.loads((tmp_path / "config.json").read_text())["method"] == "mixup"
    assert new.restored_state is None


def test_overwriting_spares_what_is_no_run(tmp_path):
    """A model of another program has a config.json, too; it stays as it is."""
    (tmp_path / "config.json").write_text('{"architectures": ["ViT"]}')

    with pytest.raises(ValueError, match=r"deletes only whole runs.* or delete the folder"):
        RunWriter(tmp_path, CONFIG, resume=False, overwrite=True)
    assert (tmp_path / "config.json").read_text() == '{"architectures": ["ViT"]}'


def test_resuming_and_overwriting_exclude_each_other(tmp_path):
    """Nothing is deleted."""
    paths = save_whole_run(tmp_path)

    with pytest.raises(ValueError, match="cannot be used together"):
        RunWriter(tmp_path, CONFIG, resume=True, overwrite=True)
    assert all((tmp_path / path).exists() for path in paths)


def test_a_run_that_lost_its_checkpoint_is_not_resumed(tmp_path):
    """Its result would be lost, or appear beside other epochs; nothing is deleted."""
    paths = save_whole_run(tmp_path)
    (tmp_path / "checkpoint.pt").unlink()

    with pytest.raises(
        ValueError,
        match=r"checkpoint\.pt is missing.*\(config\.json, metrics\.jsonl, result\.json and",
    ):
        RunWriter(tmp_path, CONFIG, resume=True)
    assert sum((tmp_path / path).exists() for path in paths) == 14


def test_a_run_that_was_killed_in_its_first_epoch_begins_again(tmp_path):
    """Before the first checkpoint nothing is there to go on from; what it wrote is deleted."""
    killed = RunWriter(tmp_path, CONFIG, resume=False)
    killed.write_examples(1, np.arange(2), {"loss": torch.ones(2)})
    killed.write_artifacts(1, {"transition": torch.eye(2)})
    killed.close()
    run = RunWriter(tmp_path, CONFIG, resume=True)

    assert run.restored_state is None
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize("epoch", [1, 7])
def test_the_best_weights_of_a_later_epoch_are_never_deleted(tmp_path, epoch):
    """Somebody kept them alone; only those of the first epoch are of a run that was killed."""
    run = RunWriter(tmp_path, CONFIG, resume=False)
    run.write_best_weights({"epoch": epoch, "method": {"w": torch.ones(2)}})
    run.close()

    if epoch == 1:
        RunWriter(tmp_path, CONFIG, resume=True)
    else:
        with pytest.raises(ValueError, match=r"checkpoint\.pt is missing.*best\.pt"):
            RunWriter(tmp_path, CONFIG, resume=True)
    assert (tmp_path / "best.pt").exists() == (epoch > 1)


def test_resuming_without_a_run_begins_one(tmp_path):
    """There is no state to restore."""
    assert RunWriter(tmp_path, CONFIG, resume=True).restored_state is None


def test_resuming_with_another_config_is_an_error(tmp_path):
    """The message names the innermost key that differs."""
    save_run(tmp_path)

    with pytest.raises(ValueError, match=r"preset\.lr = 0\.1, and now it is 0\.2"):
        RunWriter(tmp_path, replace(CONFIG, preset={"lr": 0.2}), resume=True)
    assert json.loads((tmp_path / "config.json").read_text())["preset"] == {"lr": 0.1}


def test_a_run_gets_no_more_epochs(tmp_path):
    """The message says why, and how another run begins with the weights."""
    asked = replace(CONFIG, preset={"epochs": 1, "lr": 0.1})
    run = RunWriter(tmp_path, asked, resume=False)
    run.write_checkpoint({"epoch": 1})
    run.close()

    message = r"for 1 epoch, and now for 2: .*: ask for 1, or give another --out, and --weights"
    with pytest.raises(ValueError, match=message):
        RunWriter(tmp_path, replace(CONFIG, preset={"epochs": 2, "lr": 0.1}), resume=True)


def test_a_value_that_a_config_lacks_is_said_to_be_missing(tmp_path):
    """An older version wrote none; one that is no more is said to be gone."""
    save_run(tmp_path)

    with pytest.raises(
        ValueError, match=r"began without preset\.ema, and now it is 0: .* an older version"
    ):
        RunWriter(tmp_path, replace(CONFIG, preset={"lr": 0.1, "ema": 0}), resume=True)
    with pytest.raises(
        ValueError, match=r"began with preset\.lr = 0\.1, and now there is none: ask for the same"
    ):
        RunWriter(tmp_path, replace(CONFIG, preset={}), resume=True)


def test_other_data_are_an_error(tmp_path):
    """A build that changed under a checkpoint."""
    save_run(tmp_path)

    with pytest.raises(
        ValueError, match="the images or labels of train are not those that the run began with"
    ):
        RunWriter(tmp_path, replace(CONFIG, data={"train": "xyz"}), resume=True)


def test_another_command_is_no_error(tmp_path):
    """The command line may differ."""
    save_run(tmp_path)

    assert (
        RunWriter(tmp_path, replace(CONFIG, command=("b",)), resume=True).restored_state is not None
    )


def test_a_folder_belongs_to_one_run_at_a_time(tmp_path):
    """A second run is refused until the first is closed."""
    first = RunWriter(tmp_path, CONFIG, False)

    with pytest.raises(BlockingIOError, match="another run is at work here: wait for it"):
        RunWriter(tmp_path, CONFIG, True)
    first.close()
    RunWriter(tmp_path, CONFIG, True)


@pytest.mark.parametrize(
    "change", [lambda whole: whole[:100], lambda whole: b"", lambda whole: b"no checkpoint"]
)
def test_a_torn_checkpoint_is_an_error(tmp_path, change):
    """Half a checkpoint, an empty one or another file: training does not begin anew in silence."""
    run = save_run(tmp_path)
    run.checkpoint_path.write_bytes(change(run.checkpoint_path.read_bytes()))
    run.close()

    with pytest.raises(ValueError, match="the run cannot be read"):
        RunWriter(tmp_path, CONFIG, resume=True)


def test_a_flipped_bit_of_a_checkpoint_is_seen(tmp_path):
    """Wherever it is, in the sha256 too, the run is not resumed, and the error names the file."""
    run = save_run(tmp_path)
    run.close()
    content = run.checkpoint_path.read_bytes()
    positions = {*range(0, len(content), 7), *range(len(content) - 100, len(content))}
    for position in sorted(positions):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        run.checkpoint_path.write_bytes(flipped)

        with pytest.raises(
            ValueError, match=r"checkpoint.pt: the file is damaged, .* or delete the run"
        ):
            RunWriter(tmp_path, CONFIG, resume=True)

    run.checkpoint_path.write_bytes(content)
    assert 1 == RunWriter(tmp_path, CONFIG, resume=True).restored_state["epoch"]


@pytest.mark.parametrize("n_flips", [0, 1, 30])
def test_a_checkpoint_of_an_earlier_version(tmp_path, n_flips):
    """Without a sha256 the checksums of its parts are compared."""
    run = save_run(tmp_path)
    run.close()
    weights = torch.arange(1000.0)
    torch.save({"epoch": 1, "method": {"w": weights}}, run.checkpoint_path)
    content = bytearray(run.checkpoint_path.read_bytes())
    begin = content.index(weights.numpy().tobytes())
    for flip in range(n_flips):
        content[begin + 99 * flip] ^= 1 << flip % 8
    run.checkpoint_path.write_bytes(content)

    if n_flips:
        with pytest.raises(
            ValueError,
            match=r"checkpoint.pt: the file is damaged, because the checksum of .*data/0",
        ):
            RunWriter(tmp_path, CONFIG, resume=True)
    else:
        assert 1 == RunWriter(tmp_path, CONFIG, resume=True).restored_state["epoch"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_an_error_and_keeps_the_checkpoint(tmp_path, monkeypatch):
    """The checkpoint that was written before stays."""
    run, save = save_run(tmp_path), torch.save
    old_bytes = run.checkpoint_path.read_bytes()
    monkeypatch.setattr(torch, "save", lambda state, _: save(state, "/dev/full"))

    with pytest.raises(OSError, match=r"checkpoint.pt cannot be written .*: free some"):
        run.write_checkpoint({"epoch": 2, "method": {"w": torch.ones(1 << 20)}})
    assert run.checkpoint_path.read_bytes() == old_bytes


class Ranks:
    """Stands for two ranks, of which rank zero runs first: it sends, and the other one receives."""

    def __init__(self, monkeypatch):
        self.rank = 0
        self.sent = []
        monkeypatch.setattr(distributed, "rank", lambda: self.rank)
        monkeypatch.setattr(distributed, "send_from_rank_zero", self.send)

    def send(self, value):
        if self.rank == 0:
            self.sent.append(value)
            return value
        return self.sent.pop(0)


def test_a_rank_on_another_machine_need_not_see_the_run(tmp_path, monkeypatch):
    """It goes on from the checkpoint that rank zero sends, and writes nothing."""
    save_run(tmp_path / "first").close()
    ranks = Ranks(monkeypatch)
    RunWriter(tmp_path / "first", CONFIG, resume=True).close()
    ranks.rank = 1
    second = RunWriter(tmp_path / "second", CONFIG, resume=True)
    second.write_metrics([line(1, 40.0)])

    assert second.restored_state["epoch"] == 1
    assert not (tmp_path / "second").exists()
    assert not ranks.sent


def test_all_ranks_refuse_what_rank_zero_refuses(tmp_path, monkeypatch):
    """With the same words: a rank that began alone would wait for the others."""
    save_run(tmp_path / "first").close()
    ranks = Ranks(monkeypatch)
    for rank, folder in enumerate(("first", "second")):
        ranks.rank = rank
        with pytest.raises(ValueError, match="first: there is already a run here"):
            RunWriter(tmp_path / folder, CONFIG, resume=False)
    ranks.rank = 0
    run = save_run(tmp_path / "third")
    ranks.sent.clear()
    for ranks.rank in (0, 1):
        with pytest.raises(ValueError, match=r"best.pt: the weights of the best epoch, 1, are mis"):
            run.check_best_weights(1)


def test_ranks_must_be_asked_for_the_same(tmp_path, monkeypatch):
    """Each machine may have its own copy of the build at another path, with the same content."""
    ranks = Ranks(monkeypatch)
    RunWriter(tmp_path / "first", CONFIG, resume=False).close()
    ranks.rank = 1
    sent = [*ranks.sent]
    RunWriter(tmp_path / "second", replace(CONFIG, build="copy"), resume=False)
    ranks.sent = sent
    monkeypatch.setattr(distributed, "gather_values", lambda value: [[], value])
    with pytest.raises(ValueError, match=r"process 1 of torchrun differs .* in data, seed: start"):
        RunWriter(tmp_path / "second", replace(CONFIG, data={"train": "b"}, seed=1), resume=False)
