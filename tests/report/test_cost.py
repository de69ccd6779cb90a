"""Cost and scatter."""

import json
import math

import numpy as np
import pytest

from cnlw_tools.report import runs
from cnlw_tools.report.context import Seen
from cnlw_tools.report.cost import cost, pearson, points, scatter
from cnlw_tools.report.study_file import Said
from cnlw_tools.report.trials import best, trials
from cnlw_tools.study.spec import Study


def seen(folder, **study):
    """What a report knows of the runs of a folder."""
    found = runs.load(folder)
    said = Said("toy", "", Study("toy", (), (), **study))
    return Seen(
        said, {run.name: run for run in found}, best(trials(runs.table(found))), {}, "last", {}
    )


def test_cost_is_the_median_epoch_in_those_of_vanilla(tmp_path, run_maker):
    """The slow first epoch does not count; memory is the most of all."""
    for method, seconds, memory in (("vanilla", (9, 2, 2), 100), ("ieg", (9, 8, 6), 250)):
        folder = run_maker(tmp_path / method, [1.0, 2.0, 3.0], method=method)
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        told = [
            line | {"seconds": s, "peak_mb": memory} for line, s in zip(lines, seconds, strict=True)
        ]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in told))

    assert cost(seen(tmp_path)).tables[0].rows == [
        ["toy", "mlp1", "ieg", "8.00", "4.00", "250", "2.50", "1"],
        ["toy", "mlp1", "vanilla", "2.00", "1.00", "100", "1.00", "1"],
    ]


def test_points_are_of_networks_that_ran_on_every_config(tmp_path, run_maker):
    """The mean over two levels; one network lacks a level, and one is not known."""
    for net, tops in (("a", (80.0, 60.0)), ("b", (90.0, 80.0)), ("c", (50.0,)), ("d", (1.0, 1.0))):
        for level, top in zip((0, 40), tops, strict=False):
            run_maker(tmp_path / f"{net}{level}", [top], net=net, config=f"blue_{level:02d}")
    of = seen(tmp_path, x={"a": 70, "b": 75.5, "c": 71})

    assert points(of, "toy", "blue", "vanilla") == {"a": (70, 70), "b": (75.5, 85)}
    assert scatter(of).tables[0].notes == ["toy, blue: vanilla, r = 1.00."]


def test_r_is_that_of_numpy():
    """Of random points; nothing of one, or of a level line."""
    xs, ys = np.random.default_rng(0).random((2, 9))

    assert pearson({str(i): p for i, p in enumerate(zip(xs, ys, strict=True))}) == pytest.approx(
        np.corrcoef(xs, ys)[0, 1]
    )
    assert math.isnan(pearson({"a": (1, 2)}))
    assert math.isnan(pearson({"a": (1, 2), "b": (2, 2)}))
