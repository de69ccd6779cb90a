"""What methods cost, absolutely and as multiples of vanilla.

seconds: of an epoch, the median over a run's epochs, the mean over runs
memory: the peak of all runs
"""

import math
from collections.abc import Sequence
from statistics import mean, median
from typing import NamedTuple

from cnlw_tools.reports.context import Figure, ReportContext
from cnlw_tools.reports.method_order import method_sort_key
from cnlw_tools.reports.runs import RunFolder
from cnlw_tools.reports.tables import EMPTY, Table

HEADER = [
    "Dataset",
    "Network",
    "Method",
    "Seconds an epoch",
    "× vanilla",
    "Peak memory, MiB",
    "× vanilla",
    "Runs",
]
CAPTION = (
    "Seconds are the median over the epochs of a run, and the mean over runs. Memory is that of "
    "tensors on a GPU, or of the whole process on the host."
)


class Cost(NamedTuple):
    """What a method costs; nan where it is not known."""

    seconds: float  # of an epoch
    memory: float  # peak, MiB


NO_COST = Cost(math.nan, math.nan)


def tabulate_cost(context: ReportContext) -> Figure:
    """Return a table of the time and memory of each method."""
    labels = context.study_record.method_labels()
    runs_by_method: dict[tuple[str, str, str], list[RunFolder]] = {}
    for run in context.runs.values():
        if run.history:
            method = labels.get(run.name, run.config.method)
            key = (run.dataset, run.config.net, method)
            runs_by_method.setdefault(key, []).append(run)

    study_methods = context.study_record.method_names()

    def sort_key(key: tuple[str, str, str]) -> tuple[object, ...]:
        dataset, net, method = key
        return dataset, net, method_sort_key(method, study_methods=study_methods)

    costs = {}
    for key in sorted(runs_by_method, key=sort_key):
        costs[key] = measure_cost(runs_by_method[key])
    rows = []
    for (dataset, net, method), cost in costs.items():
        vanilla = costs.get((dataset, net, "vanilla"), NO_COST)
        row = [
            dataset,
            net,
            method,
            f"{cost.seconds:.2f}",
            _ratio(cost.seconds, vanilla.seconds),
            f"{cost.memory:,.0f}",
            _ratio(cost.memory, vanilla.memory),
            str(len(runs_by_method[dataset, net, method])),
        ]
        rows.append(row)
    figure = Figure("Cost")
    if rows:
        figure.tables = [
            Table(
                "Time and memory",
                HEADER,
                rows,
                CAPTION,
                n_text_columns=3,
            )
        ]
    return figure


def measure_cost(runs: Sequence[RunFolder]) -> Cost:
    """Return the cost of a method from its runs."""
    medians = []
    peaks = []
    for run in runs:
        medians.append(median(metrics["seconds"] for metrics in run.history))
        peaks += [metrics.get("peak_mb", math.nan) for metrics in run.history]
    return Cost(seconds=mean(medians), memory=max(peaks))


def _ratio(value: float, base: float) -> str:
    if base > 0 and not math.isnan(value):
        return f"{value / base:.2f}"
    return EMPTY
