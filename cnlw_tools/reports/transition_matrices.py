"""The transition matrices that methods estimate, beside the realised ones.

T[i, j] = P(given j | true i)       rows sum to 1; Q^t of Sukhbaatar et al. (2015)
T*                                  the realised matrix of the build
M[i, j] = mean of p_j over validation images of class i, C^t of the paper
M T = (Q C)^t                       what the network says with the noise layer

distance of T = |T - T*| = sqrt sum_ij (T_ij - T*_ij)^2        trace of T = sum_i T_ii, K if T = I
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnlw_tools.builds.ground_truth import Truth
from cnlw_tools.card import heatmap
from cnlw_tools.files.arrays import read_npy
from cnlw_tools.reports.context import Figure, ReportContext, TitledImage
from cnlw_tools.reports.detection import check_same_data
from cnlw_tools.reports.line_comparison import epoch_plot
from cnlw_tools.reports.plotting import Panel, draw_panels
from cnlw_tools.reports.runs import RunFolder
from cnlw_tools.reports.tables import Table
from cnlw_tools.reports.trials import Trial

Floats = NDArray[np.float64]
HEADER = [
    "Dataset",
    "Config",
    "Method",
    "Distance of T",
    "Distance of M T",
    "Distance of I",
    "Trace of T",
    "Trace of T*",
]
CAPTION = (
    "T is the transition matrix that the method estimates after the last epoch, averaged over "
    "runs. T* is the realised matrix, that is, the shares of the given labels in each true class "
    "of the build; images that were replaced are left out. I is the identity, which stands for "
    "no noise. A row of M holds the mean probabilities that the network predicts for the "
    "validation images of one class. The same row of M T holds the mean probabilities of the "
    "given labels that follow from them. The distance of a matrix A is the Frobenius norm |A - "
    "T*|."
)


class MatrixEstimate(NamedTuple):
    """The transition matrices that a trial estimated, mean over its runs."""

    trial: Trial
    truth: Truth
    by_epoch: Floats  # (E, K, K) T
    with_network: Floats  # (E, K, K) M T

    @property
    def distances(self) -> list[float]:
        """|T - T*| by epoch."""
        return [matrix_distance(t, self.truth.matrix) for t in self.by_epoch]

    @property
    def network_distances(self) -> list[float]:
        """|M T - T*| by epoch."""
        return [matrix_distance(t, self.truth.matrix) for t in self.with_network]

    @property
    def traces(self) -> list[float]:
        """Tr T by epoch."""
        return [float(np.trace(t)) for t in self.by_epoch]


def matrix_distance(a: Floats, b: Floats) -> float:
    """Return the Frobenius norm of the difference of two matrices."""
    return float(np.sqrt(((a - b) ** 2).sum()))


def plot_transition_matrices(context: ReportContext) -> Figure:
    """Draw the matrices of the last epoch, and their distances to the truth over epochs."""
    figure = Figure("Transition matrices by methods")
    estimates_by_config: dict[str, list[MatrixEstimate]] = {}
    for trial in context.trials:
        try:
            estimate = mean_estimate(context, trial)
        except ValueError as error:
            figure.problems.append(str(error))
            continue
        if estimate:
            title = f"{trial.dataset}, {trial.config}"
            estimates_by_config.setdefault(title, []).append(estimate)
    rows = []
    for title, estimates in estimates_by_config.items():
        figure.panels += _epoch_panels(title, estimates)
        figure.images += _heatmaps(title, estimates)
        rows += [_table_row(estimate) for estimate in estimates]
    if rows:
        title = "Distance to the realised matrix"
        figure.tables = [
            Table(
                title,
                HEADER,
                rows,
                CAPTION,
                n_text_columns=3,
            )
        ]
    return figure


def mean_estimate(context: ReportContext, trial: Trial) -> MatrixEstimate | None:
    """Return the mean matrices of a trial's runs, for the epochs that all runs have.

    Returns:
        None if no run stored matrices, or the build of all that did is missing

    Raises:
        ValueError: the build is not the one that a run learned from, or a matrix has another size
    """
    truth = None
    t_by_run, mt_by_run = [], []
    for run in context.finished_runs(trial):
        t = read_matrices(run, "transition")
        run_truth = context.truth(run)
        if not len(t) or run_truth is None:
            continue
        truth = run_truth
        check_same_data(run, truth)
        m = read_matrices(run, "confusion")
        size = truth.matrix.shape
        if t.shape[1:] != size or m.shape[1:] != size:
            raise ValueError(
                f"{run.folder}: its matrices have the shapes {t.shape[1:]} and {m.shape[1:]}, "
                f"but that of the build has the shape {size}: train the run again"
            )
        n_epochs = min(len(t), len(m))
        t_by_run.append(t[:n_epochs])
        mt_by_run.append(m[:n_epochs] @ t[:n_epochs])
    if truth is None:
        return None
    shared_epochs = min(len(t) for t in t_by_run)
    by_epoch = np.mean([t[:shared_epochs] for t in t_by_run], axis=0)
    with_network = np.mean([mt[:shared_epochs] for mt in mt_by_run], axis=0)
    return MatrixEstimate(trial, truth, by_epoch, with_network)


def read_matrices(run: RunFolder, name: str) -> Floats:
    """Return (E, K, K) the matrices that a run stored in a folder of its own, by epoch."""
    paths = sorted((run.folder / name).glob("epoch-*.npy"))
    return np.array([read_npy(path) for path in paths], np.float64)


def _epoch_panels(title: str, estimates: list[MatrixEstimate]) -> list[Panel]:
    """Return a panel of each measure over epochs, for all methods on a config."""
    realised = estimates[0].truth.matrix
    distance_of_identity = matrix_distance(np.eye(len(realised)), realised)
    distance_plot = epoch_plot(
        {estimate.trial.method: estimate.distances for estimate in estimates},
        {"no noise, T = I": distance_of_identity},
    )
    network_plot = epoch_plot(
        {estimate.trial.method: estimate.network_distances for estimate in estimates}
    )
    trace_plot = epoch_plot(
        {estimate.trial.method: estimate.traces for estimate in estimates},
        {"realised": float(np.trace(realised))},
    )
    return [
        *draw_panels(
            "epoch",
            "|T − T*|",
            {f"{title}: distance": distance_plot},
        ),
        *draw_panels(
            "epoch",
            "|M T − T*|",
            {f"{title}: with the network": network_plot},
        ),
        *draw_panels(
            "epoch",
            "tr T",
            {f"{title}: trace": trace_plot},
        ),
    ]


def _heatmaps(title: str, estimates: list[MatrixEstimate]) -> list[TitledImage]:
    """Return pictures of the realised matrix and of each estimate at the last epoch."""
    truth = estimates[0].truth
    matrices = [("T*, realised", truth.matrix)]
    for estimate in estimates:
        matrices.append((estimate.trial.method, estimate.by_epoch[-1]))
    images = []
    for name, matrix in matrices:
        image = heatmap.draw_matrices([("", matrix)], truth.classes)
        images.append((f"{title}: {name}", image))
    return images


def _table_row(estimate: MatrixEstimate) -> list[str]:
    trial = estimate.trial
    t, realised = estimate.by_epoch[-1], estimate.truth.matrix
    numbers = (
        matrix_distance(t, realised),
        estimate.network_distances[-1],
        matrix_distance(np.eye(len(t)), realised),
        np.trace(t),
        np.trace(realised),
    )
    return [trial.dataset, trial.config, trial.method, *(f"{number:.3f}" for number in numbers)]
