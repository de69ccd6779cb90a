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
    outcome = workers._train(
        workers._Job(run, SweepPaths(Path("runs"), Inputs(files.default_root())), 0, None)
    )

    assert (outcome.state, outcome.reason) == ("failed", "ZeroDivisionError: division by zero")


def test_a_sweep_that_is_asked_to_stop_tells_its_processes_once(run, monkeypatch):
    """Cells that wait are not begun; those at work say what became of them."""
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

    assert [o.reason for o in workers._outcomes([waiting, working], stop)] == ["saved"]
    assert waiting.cancelled()
    assert process.told == 1


def test_gpus_are_shared_out(monkeypatch):
    """Those that can be seen, a process each."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert device.visible_gpus() == ["2", "3"]

    device.limit_resources("3", 0)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"
