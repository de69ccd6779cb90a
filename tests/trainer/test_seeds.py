"""One request with several seeds."""

import signal
from pathlib import Path

import pytest

from cnlw_tools.executor.signals import StopRequest
from cnlw_tools.trainer import Trainer, TrainingStopped
from cnlw_tools.trainer.seeds import fit_all, parse_seeds, trainers_of_seeds


def test_a_number_and_a_list_are_seeds():
    """Three are 0, 1 and 2."""
    assert parse_seeds("3") == [0, 1, 2]
    assert parse_seeds("0,1, 5") == [0, 1, 5]
    for text in ("", "a", "1,", "-1", "1.5"):
        with pytest.raises(ValueError, match="write a number"):
            parse_seeds(text)


def test_each_seed_has_its_folder_and_goes_on():
    """Below the one that was asked for, if any."""
    trainers = trainers_of_seeds(Trainer("b", "c", out="x"), [0, 5])

    assert [(one.seed, one.out, one.resume) for one in trainers] == [
        (0, Path("x/s0"), True),
        (5, Path("x/s5"), True),
    ]
    assert trainers_of_seeds(Trainer("b", "c"), [1])[0].out is None
    assert not trainers_of_seeds(Trainer("b", "c", overwrite=True), [1])[0].resume


def test_a_signal_in_the_last_epoch_of_a_seed_leaves_the_others(tmp_path, monkeypatch):
    """The loop lets that run end; the next is not begun, and the exit code says so."""
    monkeypatch.setattr(Trainer, "find_folder", lambda trainer: tmp_path)
    trained = []

    def fit(trainer):
        trained.append(trainer.seed)
        with StopRequest():
            signal.raise_signal(signal.SIGINT)
        return {"last": 1.0}

    with pytest.raises(TrainingStopped, match="2 of 3 seeds are left") as stopped:
        fit_all(trainers_of_seeds(Trainer("b", "c"), [0, 1, 2]), fit)
    assert trained == [0]
    assert stopped.value.exit_code == 130
