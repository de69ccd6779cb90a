"""Transition matrices that methods estimate."""

import numpy as np
import pytest

from cnlw_tools.builds.ground_truth import Truth
from cnlw_tools.reports import runs
from cnlw_tools.reports.transition_matrices import plot_transition_matrices


class MatrixTruth(Truth):
    """A build of which only the matrix is known."""

    matrix = np.array([[0.75, 0.25], [0.5, 0.5]])
    classes = ("a", "b")
    digest = "0" * 64


@pytest.fixture
def context(tmp_path, run_maker, context_maker):
    """Two runs of a method that stored a matrix in two epochs, and one that stored none."""
    confusion = np.array([[0.8, 0.2], [0, 1]])
    for seed, n_epochs in ((0, 2), (1, 2)):
        folder = run_maker(
            tmp_path / f"s{seed}", [50.0] * n_epochs, method="noise_layer", seed=seed
        )
        for name in ("transition", "confusion"):
            (folder / name).mkdir()
        for epoch in range(1, n_epochs + 1):
            transition = np.full((2, 2), 0.5) + seed * np.array([[0.2, -0.2], [-0.2, 0.2]])
            if epoch == 1:
                transition = np.eye(2)
            np.save(folder / "transition" / f"epoch-{epoch:04d}.npy", transition)
            np.save(folder / "confusion" / f"epoch-{epoch:04d}.npy", confusion)
    run_maker(tmp_path / "vanilla", [50.0])
    (build,) = {run.build for run in runs.read_run_folders(tmp_path)}
    truth = MatrixTruth(build, "blue_40", "blue", 40, {}, None)
    return context_maker(tmp_path, truths={(build, "blue_40"): truth})


def test_distance_and_trace_are_of_the_mean_over_runs(context):
    """By hand: T is I, then [[.6, .4], [.4, .6]]; M T is [[.56, .44], [.4, .6]]; T* as above."""
    figure = plot_transition_matrices(context)
    distance_of_t = (0.15**2 + 0.15**2 + 0.1**2 + 0.1**2) ** 0.5
    distance_of_mt = (0.19**2 + 0.19**2 + 0.1**2 + 0.1**2) ** 0.5
    distance_of_i = (2 * 0.25**2 + 2 * 0.5**2) ** 0.5

    titles = [panel.title.removeprefix("toy, blue_40: ") for panel in figure.panels]
    assert titles == ["distance", "with the network", "trace"]
    assert [title for title, _ in figure.images] == [
        "toy, blue_40: T*, realised",
        "toy, blue_40: noise_layer",
    ]
    distances = [f"{d:.3f}" for d in (distance_of_t, distance_of_mt, distance_of_i)]
    assert figure.tables[0].rows == [
        ["toy", "blue_40", "noise_layer", *distances, "1.200", "1.250"]
    ]


def test_without_its_build_no_matrix_is_drawn(context):
    """A build that has become another is a problem that is reported."""
    (build_config,) = context.truths
    context.truths[build_config].__class__.digest = "1" * 64
    try:
        problem = plot_transition_matrices(context).problems[0]
        assert "has changed since the run learned from it" in problem
    finally:
        MatrixTruth.digest = "0" * 64
    context.truths.clear()
    assert plot_transition_matrices(context).is_empty


def test_matrices_of_another_size_are_a_problem(context):
    """The run is named, and nothing is drawn of its method."""
    folder = next(run.folder for run in context.runs.values() if run.config.seed == 1)
    for path in (folder / "transition").iterdir():
        np.save(path, np.eye(3))
    figure = plot_transition_matrices(context)

    assert figure.problems == [
        f"{folder}: its matrices have the shapes (3, 3) and (2, 2), but that of the build has the shape (2, 2): "
        "train the run again"
    ]
    assert figure.is_empty
