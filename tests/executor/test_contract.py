"""What holds for every executor: a new entry of EXECUTORS inherits these tests."""

import math
import os
import signal

import pytest

from cnlw_tools.builds.build import build
from cnlw_tools.executor import EXECUTORS, SERIAL
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe

every = pytest.mark.parametrize("name", EXECUTORS)
workers = pytest.mark.parametrize("workers", [1, 2])


def process_id(_: int) -> int:
    """The process that a task runs in."""
    return os.getpid()


@every
@workers
@pytest.mark.parametrize("items", [[], [4], list(range(25))])
def test_every_item_gives_its_result(name, workers, items):
    """In any order, by as many workers as were asked for."""
    with EXECUTORS[name](workers) as executor:
        assert executor.workers == workers
        assert sorted(executor.map(math.sqrt, items)) == [math.sqrt(n) for n in items]


@every
def test_without_a_number_there_are_some_workers(name):
    """An executor knows how many."""
    with EXECUTORS[name](None) as executor:
        assert executor.workers >= 1


@every
@workers
def test_an_error_comes_out_as_it_is(name, workers):
    """And the executor can be used again."""
    with EXECUTORS[name](workers) as executor:
        with pytest.raises(ValueError, match=r"math domain error|expected a nonnegative input"):
            list(executor.map(math.sqrt, [1, 4, -1, 9]))

        assert sorted(executor.map(math.sqrt, [1, 4])) == [1, 2]


@every
@workers
def test_an_error_ends_the_run(name, workers, tmp_path):
    """After an error few more tasks are begun, of many."""
    missing = tmp_path / "missing"
    folders = [missing / "x", *(tmp_path / str(i) for i in range(200))]

    with EXECUTORS[name](workers) as executor, pytest.raises(FileNotFoundError):
        list(executor.map(os.mkdir, folders))

    assert len(list(tmp_path.iterdir())) < 50


@every
@workers
def test_a_caller_may_stop_listening(name, workers, tmp_path):
    """Few more tasks are begun, and the executor can be used again."""
    folders = [tmp_path / str(i) for i in range(200)]
    with EXECUTORS[name](workers) as executor:
        results = executor.map(os.mkdir, folders)
        next(results)
        results.close()

        assert sorted(executor.map(math.sqrt, [1, 4])) == [1, 2]

    assert len(list(tmp_path.iterdir())) < 50


@every
def test_a_killed_worker_is_an_error_with_a_remedy(name):
    """An OSError, as when memory runs out; the next tasks have new workers."""
    with EXECUTORS[name](2) as executor:
        if os.getpid() in executor.map(process_id, range(4)):
            pytest.skip(f"{name} runs its tasks in this process")
        with pytest.raises(OSError, match=r"died: \w+"):
            list(executor.map(signal.raise_signal, [signal.SIGKILL]))

        assert sorted(executor.map(math.sqrt, [1, 4])) == [1, 2]


@every
def test_a_build_has_the_same_bytes(name, tiny, tmp_path, contents):
    """Wherever its images are encoded and its shards are written."""
    inputs = Inputs(tiny(tmp_path / "root"))
    recipe = Recipe("shapes", "blue", levels=(0, 40), size=16, shard_rows=60)
    build(recipe, inputs, tmp_path / "expected", SERIAL)
    with EXECUTORS[name](2) as executor:
        build(recipe, inputs, tmp_path / "actual", executor)

    assert contents(tmp_path / "actual") == contents(tmp_path / "expected")
