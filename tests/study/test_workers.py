"""Runs at work, without any training; tests/test_sweep.py has some."""

import os
import signal
from concurrent.futures import Future
from pathlib import Path
from threading import Timer

import pytest

from cnlw_tools import files
from cnlw_tools.executor.signals import StopRequest
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.study import workers
from cnlw_tools.study.expand import expand_study
from cnlw_tools.study.spec import parse_study
from cnlw_tools.study.workers import Outcome, SweepPaths
from cnlw_tools.trainer import device


@pytest.fixture
def run():
    """A run of a study."""
    configs = [{"noise": "blue", "levels": [40]}]
    return expand_study(
        parse_study(
            {"dataset": "shapes", "configs": configs, "methods": [{"name": "vanilla"}]}, "test"
        ),
        files.default_root(),
    )[0]


def test_whatever_a_run_raises_is_an_outcome(run, monkeypatch):
    """Even what no library error is."""
    monkeypatch.setattr("cnlw_tools.trainer.trainer.Trainer", lambda *_, **__: 1 / 0)
    outcome = workers.train_run(
        workers.RunJob(run, SweepPaths(Path("runs"), Inputs(files.default_root())), 0, None)
    )

    assert (outcome.state, outcome.reason) == ("failed", "ZeroDivisionError: division by zero")


def test_a_sweep_that_is_asked_to_stop_tells_its_processes_once(run, monkeypatch):
    """Runs that wait are undone; those at work say what became of them."""
    waiting, working = Future(), Future()
    working.set_running_or_notify_cancel()

    class Process:
        """A run at work."""

        told = 0

        def terminate(self):
            self.told += 1
            Timer(0.6, working.set_result, [Outcome(run, "stopped", {}, "saved", 130)]).start()

    process = Process()
    monkeypatch.setattr(workers, "active_children", lambda: [process])
    stop = StopRequest()
    stop.signal = signal.SIGINT

    outcomes = list(workers._outcomes({waiting: run, working: run}, stop))
    assert [(o.state, o.exit_code) for o in outcomes] == [("undone", 130), ("stopped", 130)]
    assert waiting.cancelled()
    assert process.told == 1


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_last_epoch_of_a_run_leaves_the_others_undone(run, signal_number):
    """That run comes to its end, and is done; the exit code is in those that did not begin."""
    stop = StopRequest()
    ending, waiting = Future(), [Future(), Future()]
    ending.set_running_or_notify_cancel()
    ending.set_result(Outcome(run, "done", {}))
    stop.signal = signal_number
    outcomes = list(workers._outcomes(dict.fromkeys([ending, *waiting], run), stop))

    assert [(o.state, o.exit_code) for o in outcomes] == [
        ("done", 0),
        ("undone", 128 + signal_number),
        ("undone", 128 + signal_number),
    ]


def test_gpus_are_shared_out(monkeypatch):
    """Those that can be seen, a process each."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert device.visible_gpus() == ["2", "3"]

    device.limit_resources("3", 0)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"
