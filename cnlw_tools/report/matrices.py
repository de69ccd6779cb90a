"""Squares: accuracy over two numbers, and the transition matrices that methods estimate.

T[i, j] = P(given j | true i), rows sum to 1, is Q^t of Sukhbaatar et al. (2015); T* the realised one of the build.
M[i, j] = mean of p_j over validation images of i, C^t of the paper: with the layer the network says M T = (Q C)^t.
    distance of T = |T - T*| = sqrt sum_ij (T_ij - T*_ij)^2        trace of T = sum_i T_ii, K if T = I
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from cnlw_tools.build.ground_truth import Truth
from cnlw_tools.card import heatmap
from cnlw_tools.report import detection
from cnlw_tools.report.context import Drawn, Seen
from cnlw_tools.report.plotting import Draw, Picture, epochs, panels
from cnlw_tools.report.runs import Run
from cnlw_tools.report.study_file import Place, config_of
from cnlw_tools.report.tables import NOT_RUN, Sheet
from cnlw_tools.report.trials import Trial

Floats = NDArray[np.float64]
Square = dict[tuple[float, float], float | None]  # what a place comes to; none: it has not been run
HEAD = [
    "Dataset",
    "Config",
    "Method",
    "Distance of T",
    "Distance of M T",
    "Distance of I",
    "Trace of T",
    "Trace of T*",
]
ABOUT = (
    "T: last epoch, mean over runs; T*: as realised in the build, over the images that stayed; I: no noise; "
    "M: the mean prediction for images of each class of validation."
)


def grid(seen: Seen) -> Drawn:
    """Draw accuracy over two numbers as squares, a panel a method."""
    of = seen.said.study
    found = squares(seen)
    there = [v for some in found.values() for v in some.values() if v is not None]
    drawers = {
        title: _square(some, min(there), max(there)) for title, some in found.items() if there
    }
    return Drawn(
        f"Accuracy ({seen.rule}) over {of.over} and {of.across}",
        panels(of.over, of.across, drawers, False),
    )


def squares(seen: Seen) -> dict[str, Square]:
    """Return top-1 by both numbers for every panel, planned places that have not been run among them."""
    said, across = seen.said, seen.said.study.across
    found: dict[str, Square] = {}

    def put(place: Place | None, y: float | None, value: float | None) -> None:
        if place and y is not None:
            found.setdefault(f"{place.panel}: {place.line}", {})[place.x, y] = value

    for cell in (cell for cell in said.cells if cell.method):
        y = said.number(across, config_of(cell), {**cell.changes, **cell.options})
        put(said.planned_place(cell, [across]), y, None)
    for trial in seen.trials:
        y = said.number(across, trial.dataset_config, trial.options)
        put(said.place(trial, [across]), y, trial.came_to[seen.rule].mean)
    return found


def _square(some: Square, low: float, high: float) -> Draw:
    def draw(axes: Axes) -> None:
        across, up = (sorted({at[i] for at in some}) for i in (0, 1))
        values = np.array(
            [[some.get((x, y), None) for x in across] for y in up], np.float64
        )  # None is nan
        axes.imshow(values, origin="lower", aspect="auto", cmap="viridis", vmin=low, vmax=high)
        for (j, i), value in np.ndenumerate(values):
            planned = (across[i], up[j]) in some
            text = (NOT_RUN if planned else "") if np.isnan(value) else f"{value:.1f}"
            colour = "black" if np.isnan(value) or value > (low + high) / 2 else "white"
            axes.text(i, j, text, ha="center", va="center", color=colour, fontsize=10)
        axes.set_xticks(range(len(across)), [f"{x:g}" for x in across])
        axes.set_yticks(range(len(up)), [f"{y:g}" for y in up])
        axes.grid(visible=False)

    return draw


class Learned(NamedTuple):
    """What a trial took the noise for."""

    trial: Trial
    truth: Truth
    by_epoch: Floats  # (E, K, K), mean over runs
    told: Floats  # (E, K, K), M T, likewise

    @property
    def distance(self) -> list[float]:
        """|T - T*| by epoch."""
        return [apart(t, self.truth.matrix) for t in self.by_epoch]

    @property
    def beyond(self) -> list[float]:
        """|M T - T*| by epoch."""
        return [apart(t, self.truth.matrix) for t in self.told]

    @property
    def trace(self) -> list[float]:
        """Tr T by epoch."""
        return [float(np.trace(t)) for t in self.by_epoch]


def apart(t: Floats, other: Floats) -> float:
    """Return the Frobenius distance of two matrices."""
    return float(np.sqrt(((t - other) ** 2).sum()))


def transitions(seen: Seen) -> Drawn:
    """Draw the matrices that methods came to, and how they came there."""
    drawn = Drawn("Transition matrices by methods")
    by_config: dict[str, list[Learned]] = {}
    for trial in seen.trials:
        try:
            if found := learned(seen, trial):
                by_config.setdefault(f"{trial.dataset}, {trial.config}", []).append(found)
        except ValueError as error:
            drawn.lacking.append(str(error))
    rows = []
    for title, some in by_config.items():
        known = some[0].truth
        drawn.pictures += _traces(title, some, known.matrix)
        shown = [
            ("T*, realised", known.matrix),
            *((found.trial.method, found.by_epoch[-1]) for found in some),
        ]
        drawn.images += [
            (f"{title}: {name}", heatmap.draw_matrices([("", matrix)], known.classes))
            for name, matrix in shown
        ]
        rows += [_row(found) for found in some]
    drawn.tables = (
        [Sheet("Distance to the realised matrix", HEAD, rows, ABOUT, words=3)] if rows else []
    )
    return drawn


def learned(seen: Seen, trial: Trial) -> Learned | None:
    """Return the mean matrices of a trial's runs, for the epochs that all have; none where it keeps none.

    Raises:
        ValueError: the build is not the one that a run learned from
    """
    found: list[Floats] = []
    known = None
    for run in seen.of(trial):
        if len(t := matrices(run, "transition")) and (known := seen.truth(run)):
            detection.check(run, known)
            m = matrices(run, "confusion")[: len(t)]
            found.append(np.array([t[: len(m)], m @ t[: len(m)]]))
    if known is None:
        return None
    least = min(both.shape[1] for both in found)
    by_epoch, told = np.mean([both[:, :least] for both in found], axis=0)
    return Learned(trial, known, by_epoch, told)


def matrices(run: Run, name: str) -> Floats:
    """Return the matrices that a run kept, (E, K, K), in the order of epochs."""
    found = [np.load(path) for path in sorted((run.folder / name).glob("epoch-*.npy"))]
    return np.array(found, np.float64)


def _traces(title: str, some: Sequence[Learned], realised: Floats) -> list[Picture]:
    still: Mapping[str, float] = {"no noise, T = I": apart(np.eye(len(realised)), realised)}
    distance = epochs({found.trial.method: found.distance for found in some}, still)
    beyond = epochs({found.trial.method: found.beyond for found in some})
    trace = epochs(
        {found.trial.method: found.trace for found in some}, {"realised": float(np.trace(realised))}
    )
    return [
        *panels("epoch", "|T − T*|", {f"{title}: distance": distance}),
        *panels("epoch", "|M T − T*|", {f"{title}: with the network": beyond}),
        *panels("epoch", "tr T", {f"{title}: trace": trace}),
    ]


def _row(found: Learned) -> list[str]:
    t, realised, trial = found.by_epoch[-1], found.truth.matrix, found.trial
    distances = (apart(t, realised), found.beyond[-1], apart(np.eye(len(t)), realised))
    numbers = (*distances, np.trace(t), np.trace(realised))
    return [trial.dataset, trial.config, trial.method, *(f"{v:.3f}" for v in numbers)]
