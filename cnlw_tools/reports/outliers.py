"""How well inliers are told from outliers: of the images of validation and of test_outliers.

An image counts the more as an inlier the lower its probability of the class "outlier". At every
threshold of that:

    recall = inliers accepted / inliers        precision = inliers accepted / accepted
    average precision = sum over thresholds of precision times the recall gained

Source: Sukhbaatar et al., 2015, figure 4.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.files.parquet import read_table
from cnlw_tools.reports.context import Figure, ReportContext
from cnlw_tools.reports.looks import line_look
from cnlw_tools.reports.plotting import PERCENT, Plot, draw_panels
from cnlw_tools.reports.runs import RunFolder
from cnlw_tools.reports.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
OUTLIER_SPLIT = "test_outliers"
HEADER = ["Dataset", "Config", "Method", "Inliers", "Outliers", "Average precision, %"]
CAPTION = (
    "Inliers are ranked by the probability of the class outlier after the last epoch, in the first "
    "run of each trial."
)


class PrecisionRecall(NamedTuple):
    """Precision over recall at m thresholds."""

    recall: Floats  # (m,) rising
    precision: Floats  # (m,)
    n_inliers: int
    n_outliers: int

    @property
    def average_precision(self) -> float:
        """The precision, averaged over recall."""
        recall_gained = np.diff(self.recall, prepend=0)
        return float((self.precision * recall_gained).sum())


def plot_outlier_recall(context: ReportContext) -> Figure:
    """Draw precision over recall, a line a method, a panel a config."""
    curves_by_config: dict[str, dict[str, PrecisionRecall]] = {}
    rows = []
    problems = []
    for trial in context.trials:
        try:
            curve = read_precision_recall(context.finished_runs(trial)[0])
        except (ValueError, OSError) as error:
            problems.append(str(error))
            continue
        if curve is None:
            continue
        title = f"{trial.dataset}, {trial.config}"
        curves_by_config.setdefault(title, {})[trial.method] = curve
        numbers = [
            f"{curve.n_inliers:,}",
            f"{curve.n_outliers:,}",
            f"{100 * curve.average_precision:.2f}",
        ]
        rows.append([trial.dataset, trial.config, trial.method, *numbers])
    plots = {title: _curve_plot(curves) for title, curves in curves_by_config.items()}
    figure = Figure(
        "Inliers told from outliers",
        draw_panels(
            "recall, %",
            "precision, %",
            plots,
            y_bounds=PERCENT,
        ),
        problems=problems,
    )
    if rows:
        figure.tables = [
            Table(
                "Average precision",
                HEADER,
                rows,
                CAPTION,
                n_text_columns=3,
            )
        ]
    return figure


def read_precision_recall(run: RunFolder) -> PrecisionRecall | None:
    """Return the curve of a run; None if it predicted no outliers."""
    path = run.folder / "predictions.parquet"
    if not path.is_file():
        return None
    table = read_table(path)
    if "p_outlier" not in table.column_names:
        return None
    if OUTLIER_SPLIT not in pc.unique(table["split"]).to_pylist():
        return None
    return precision_recall(
        inlier_scores=_inlier_scores(table, "validation"),
        outlier_scores=_inlier_scores(table, OUTLIER_SPLIT),
    )


def precision_recall(inlier_scores: Floats, outlier_scores: Floats) -> PrecisionRecall:
    """Return precision over recall; images with equal scores are accepted together.

    Args:
        inlier_scores: (n,) the higher, the more an image counts as an inlier
        outlier_scores: (k,) likewise
    """
    n_inliers, n_outliers = len(inlier_scores), len(outlier_scores)
    scores = np.append(inlier_scores, outlier_scores)
    order = np.argsort(-scores, kind="stable")
    is_inlier = order < n_inliers
    n_correct = np.cumsum(is_inlier)
    n_accepted = np.arange(1, len(scores) + 1)
    is_last_of_equals = np.append(np.diff(scores[order]) != 0, True)
    n_correct = n_correct[is_last_of_equals]
    n_accepted = n_accepted[is_last_of_equals]
    return PrecisionRecall(
        recall=n_correct / n_inliers,
        precision=n_correct / n_accepted,
        n_inliers=n_inliers,
        n_outliers=n_outliers,
    )


def _inlier_scores(predictions: pa.Table, split: str) -> Floats:
    """Return (n,) one less the probability of being an outlier, for the images of a split."""
    rows = predictions.filter(pc.equal(predictions["split"], split))
    scores: Floats = 1 - rows["p_outlier"].to_numpy().astype(np.float64)
    return scores


def _curve_plot(curves: dict[str, PrecisionRecall]) -> Plot:
    """Return a plot of precision over recall, a line a method."""

    def plot(axes: "Axes") -> None:
        for i, (method, curve) in enumerate(curves.items()):
            look = line_look(i)
            axes.plot(
                100 * curve.recall,
                100 * curve.precision,
                color=look.colour,
                linestyle=look.line_style,
                label=method,
            )

    precisions = []
    for method, curve in curves.items():
        precisions.append(f"{method} {100 * curve.average_precision:.1f} %")
    return Plot({"": plot}, f"Average precision: {', '.join(precisions)}.")
