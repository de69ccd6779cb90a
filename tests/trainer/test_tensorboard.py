"""Curves for TensorBoard."""

import sys
import time

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cnlw_tools.trainer.tensorboard import TensorBoardWriter


def curves(folder):
    """What TensorBoard would draw."""
    read = EventAccumulator(str(folder))
    read.Reload()
    return {
        tag: [(e.step, round(e.value, 3)) for e in read.Scalars(tag)]
        for tag in read.Tags()["scalars"]
    }


def line(epoch):
    """The metrics of an epoch."""
    return {
        "epoch": epoch,
        "train_loss": 2.0 / epoch,
        "val_top1": 10.0 * epoch,
        "seconds": 1.0,
        "peak_mb": 5,
    }


def test_metrics_are_curves(tmp_path):
    """All but the epoch itself, seconds and memory."""
    board = TensorBoardWriter(tmp_path, 0)
    for epoch in (1, 2):
        board.add_metrics(line(epoch))
    board.close()

    assert curves(tmp_path) == {
        "train_loss": [(1, 2.0), (2, 1.0)],
        "val_top1": [(1, 10.0), (2, 20.0)],
    }


def test_a_run_that_goes_on_takes_back_what_was_beyond(tmp_path, monkeypatch):
    """Epoch 2 was drawn, and is drawn again, more than a second later: names of files have that."""
    board = TensorBoardWriter(tmp_path, 0)
    for epoch in (1, 2):
        board.add_metrics(line(epoch))
    board.close()
    later = time.time() + 2
    monkeypatch.setattr(time, "time", lambda: later)
    again = TensorBoardWriter(tmp_path, 1)
    again.add_metrics(line(2) | {"val_top1": 33.0})
    again.close()

    assert curves(tmp_path)["val_top1"] == [(1, 10.0), (2, 33.0)]


def test_without_tensorboard_there_are_no_curves(tmp_path, monkeypatch):
    """It says so, and nothing fails."""
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)

    with pytest.warns(UserWarning, match="TensorBoard is not installed"):
        board = TensorBoardWriter(tmp_path, 0)
    board.add_metrics(line(1))
    board.close()

    assert not list(tmp_path.iterdir())
