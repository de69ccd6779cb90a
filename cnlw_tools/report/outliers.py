"""Inliers told from outliers (Sukhbaatar et al., 2015, figure 4): of the images of validation and of test_outliers.

An image counts the more as an inlier the lower its probability of the class "outlier". At every cut of that:
    recall = inliers taken / inliers        precision = inliers taken / taken
    average precision = sum over cuts of precision times the recall gained
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from matplotlib.axes import Axes
from numpy.typing import NDArray

from cnlw_tools.report.context import Drawn, Seen
from cnlw_tools.report.plotting import OKABE, Draw, panels
from cnlw_tools.report.runs import Run
from cnlw_tools.report.tables import Sheet

Floats = NDArray[np.float64]
OUT = "test_outliers"
HEAD = ["Dataset", "Config", "Method", "Inliers", "Outliers", "Average precision, %"]
ABOUT = "Of inliers, by the probability of the class outlier after the last epoch; the first run of each trial."


class Curve(NamedTuple):
    """Precision over recall, (m,) each, and how many images of either kind there are."""

    recall: Floats
    precision: Floats
    inliers: int
    outliers: int

    @property
    def average(self) -> float:
        """Average precision."""
        return float((self.precision * np.diff(self.recall, prepend=0)).sum())


def recall(seen: Seen) -> Drawn:
    """Draw precision over recall, a line a method, a panel a config."""
    drawn = Drawn("Inliers told from outliers")
    found: dict[str, dict[str, Curve]] = {}
    rows = []
    for trial in seen.trials:
        if of := told(seen.of(trial)[0]):
            found.setdefault(f"{trial.dataset}, {trial.config}", {})[trial.method] = of
            numbers = (f"{of.inliers:,}", f"{of.outliers:,}", f"{100 * of.average:.2f}")
            rows.append([trial.dataset, trial.config, trial.method, *numbers])
    drawn.pictures = panels(
        "recall, %", "precision, %", {title: _lines(some) for title, some in found.items()}
    )
    drawn.tables = [Sheet("Average precision", HEAD, rows, ABOUT, words=3)] if rows else []
    return drawn


def told(run: Run) -> Curve | None:
    """Return the curve of a run; none where it predicted no outliers."""
    path = run.folder / "predictions.parquet"
    table = pq.read_table(path, partitioning=None) if path.is_file() else pa.table({})
    if "p_outlier" not in table.column_names or OUT not in pc.unique(table["split"]).to_pylist():
        return None
    inside, outside = (
        table.filter(pc.equal(table["split"], split)) for split in ("validation", OUT)
    )
    return curve(
        *(1 - some["p_outlier"].to_numpy().astype(np.float64) for some in (inside, outside))
    )


def curve(inside: Floats, outside: Floats) -> Curve:
    """Return precision over recall of inliers by their scores and those of outliers; equals are taken together."""
    score = np.append(inside, outside)
    order = np.argsort(-score, kind="stable")
    right = np.cumsum(order < len(inside))
    last = np.append(np.diff(score[order]) != 0, True)  # of its equals
    taken = np.arange(1, len(score) + 1)
    return Curve(right[last] / len(inside), right[last] / taken[last], len(inside), len(outside))


def _lines(some: dict[str, Curve]) -> Draw:
    def draw(axes: Axes) -> None:
        for i, (name, of) in enumerate(some.items()):
            axes.plot(100 * of.recall, 100 * of.precision, color=OKABE[i % len(OKABE)], label=name)

    return draw
