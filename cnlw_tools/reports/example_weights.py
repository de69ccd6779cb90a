"""What methods recorded of each example, by epoch: noisy ones against clean ones.

    weight    1 where an example counts in full, 0 where it does not count; left out where all
              weigh the same
    own       1 where the given label is learned, 0 where one that the method made up is
              (lambda* of Zhang et al. 2020)
    loss      cross-entropy of the given label

Each is the mean over the examples of a kind that were drawn in an epoch, and then over runs.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnlw_tools.reports.context import Figure, ReportContext
from cnlw_tools.reports.detection import ExampleRecords, read_example_records
from cnlw_tools.reports.line_comparison import epoch_plot
from cnlw_tools.reports.plotting import EPOCH_LABEL, draw_panels
from cnlw_tools.reports.trials import Trial

Y_LABELS = {
    "weight": "mean weight",
    "own": "share learned by the given label",
    "loss": "mean loss",
}


class NoisyAndClean(NamedTuple):
    """Means of the examples of either kind by epoch; nan where nothing was recorded."""

    noisy: list[float]
    clean: list[float]


def plot_example_weights(context: ReportContext) -> Figure:
    """Draw the weights and losses of noisy and clean examples, a panel a method and config."""
    figure = Figure("Noisy and clean examples")
    means_by_measure: dict[str, dict[str, NoisyAndClean]] = {name: {} for name in Y_LABELS}
    for trial in context.trials:
        title = f"{trial.method}: {trial.dataset}, {trial.config}"
        try:
            means_of_trial = mean_records(context, trial)
        except ValueError as error:
            figure.problems.append(str(error))
            continue
        for measure, means in means_of_trial.items():
            means_by_measure[measure][title] = means
    for measure, y_label in Y_LABELS.items():
        plots = {}
        for title, means in means_by_measure[measure].items():
            plots[title] = epoch_plot({"noisy": means.noisy, "clean": means.clean})
        figure.panels += draw_panels(EPOCH_LABEL, y_label, plots)
    return figure


def mean_records(context: ReportContext, trial: Trial) -> dict[str, NoisyAndClean]:
    """Return the means of what a trial recorded, by measure, for the epochs that all runs have.

    Raises:
        ValueError: the build is not the one that a run learned from
    """
    records_by_run = []
    for run in context.finished_runs(trial):
        truth = context.truth(run)
        if truth is not None:
            records_by_run.append(list(read_example_records(run, truth)))
    records_by_epoch = list(zip(*records_by_run, strict=False))
    if not records_by_epoch:
        return {}

    means = {}
    for measure in Y_LABELS:
        noisy = _mean_by_epoch(records_by_epoch, measure, noisy=True)
        clean = _mean_by_epoch(records_by_epoch, measure, noisy=False)
        all_alike = np.ptp(np.nan_to_num([noisy, clean])) == 0
        if measure == "loss" or not all_alike:
            means[measure] = NoisyAndClean(noisy, clean)
    return means


def _mean_by_epoch(
    records_by_epoch: Sequence[Iterable[ExampleRecords]],
    measure: str,
    noisy: bool,
) -> list[float]:
    """Return the mean over runs of the mean over examples, by epoch; nan without records."""
    means = []
    for records_by_run in records_by_epoch:
        run_means = []
        for records in records_by_run:
            values = _measured(records, measure)[records.is_noisy == noisy]
            values = values[~np.isnan(values)]
            if len(values):
                run_means.append(values.mean())
        means.append(float(np.mean(run_means)) if run_means else float("nan"))
    return means


def _measured(records: ExampleRecords, measure: str) -> NDArray[np.float64]:
    """Return (n,) one measure of all examples."""
    columns = {
        "weight": records.weight,
        "own": records.uses_given_label,
        "loss": records.loss,
    }
    return columns[measure]
