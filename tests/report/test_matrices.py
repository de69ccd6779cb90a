"""Squares."""

import numpy as np
import pytest

from cnlw_tools.build.ground_truth import Truth
from cnlw_tools.recipe.recipe import Recipe
from cnlw_tools.report import runs
from cnlw_tools.report.context import Seen
from cnlw_tools.report.matrices import grid, squares, transitions
from cnlw_tools.report.study_file import Said
from cnlw_tools.report.trials import best, trials
from cnlw_tools.study.spec import Study


class Known(Truth):
    """A build of which only the matrix is known."""

    matrix = np.array([[0.75, 0.25], [0.5, 0.5]])
    classes = ("a", "b")
    digest = "0" * 64


def seen(folder, said=None, truths=None):
    """What a report knows of the runs of a folder."""
    found = runs.load(folder)
    of = said or Said()
    chosen = best(trials(runs.table(found), {of.study.over, of.study.across}))
    return Seen(of, {run.name: run for run in found}, chosen, {}, "last", truths or {})


def test_a_grid_has_a_square_for_every_planned_cell(tmp_path, run_maker, cell_maker):
    """Of two sizes and two levels one was not run."""
    cells = []
    for clean in (100, 200):
        recipe = Recipe("toy", "blue", clean=clean)
        for level in (0, 40):
            cells.append(cell_maker(f"blue_{level:02d}_clean{clean}", "vanilla", recipe=recipe))
    for one, top in zip(cells[:3], (90.0, 70.0, 95.0), strict=True):
        run_maker(tmp_path / one.config, [top], config=one.config)
    of = seen(tmp_path, Said("toy", "", Study("toy", (), (), over="clean", across="level"), cells))

    assert squares(of) == {
        "toy, blue: vanilla": {(100, 0): 90.0, (100, 40): 70.0, (200, 0): 95.0, (200, 40): None},
    }
    assert grid(of).pictures[0].svg.count("<!-- not run -->") == 1


@pytest.fixture
def learned(tmp_path, run_maker):
    """Two runs of a method that kept a matrix for two epochs and three, and one that kept none."""
    for seed, many in ((0, 2), (1, 3)):
        folder = run_maker(tmp_path / f"s{seed}", [50.0] * many, method="noise_layer", seed=seed)
        for name in ("transition", "confusion"):
            (folder / name).mkdir()
        for epoch in range(1, many + 1):
            t = (
                np.eye(2)
                if epoch == 1
                else np.full((2, 2), 0.5) + seed * np.array([[0.2, -0.2], [-0.2, 0.2]])
            )
            np.save(folder / "transition" / f"epoch-{epoch:04d}.npy", t)
            np.save(folder / "confusion" / f"epoch-{epoch:04d}.npy", np.array([[0.8, 0.2], [0, 1]]))
    run_maker(tmp_path / "vanilla", [50.0])
    (build,) = {run.build for run in runs.load(tmp_path)}
    return seen(
        tmp_path, truths={(build, "blue_40"): Known(build, "blue_40", "blue", 40, {}, None)}
    )


def test_distance_and_trace_are_of_the_mean_over_runs(learned):
    """By hand: T is I, then [[.6, .4], [.4, .6]], M T [[.56, .44], [.4, .6]], beside [[.75, .25], [.5, .5]]."""
    drawn = transitions(learned)
    last, still = (0.15**2 + 0.15**2 + 0.1**2 + 0.1**2) ** 0.5, (2 * 0.25**2 + 2 * 0.5**2) ** 0.5
    told = (0.19**2 + 0.19**2 + 0.1**2 + 0.1**2) ** 0.5

    titles = [p.title.removeprefix("toy, blue_40: ") for p in drawn.pictures]
    assert titles == ["distance", "with the network", "trace"]
    assert [title for title, _ in drawn.images] == [
        "toy, blue_40: T*, realised",
        "toy, blue_40: noise_layer",
    ]
    assert drawn.tables[0].rows == [
        [
            "toy",
            "blue_40",
            "noise_layer",
            f"{last:.3f}",
            f"{told:.3f}",
            f"{still:.3f}",
            "1.200",
            "1.250",
        ],
    ]


def test_without_its_build_nothing_is_drawn_of_a_matrix(learned):
    """And of a build that has become another it is said."""
    (place,) = learned.truths
    learned.truths[place].__class__.digest = "1" * 64
    try:
        assert "is not what it learned from any more" in transitions(learned).lacking[0]
    finally:
        Known.digest = "0" * 64
    learned.truths.clear()
    assert not transitions(learned)
