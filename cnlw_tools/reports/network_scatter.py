"""Accuracy over a value of each network from the study file, such as its accuracy on ImageNet.

Pearson's r = sum (x - mean x)(y - mean y) / sqrt(sum (x - mean x)^2 sum (y - mean y)^2)
"""

import math
from collections.abc import Mapping
from statistics import mean
from typing import TYPE_CHECKING

from cnlw_tools.reports.context import Figure, ReportContext
from cnlw_tools.reports.looks import line_look
from cnlw_tools.reports.plotting import PERCENT, TOP1_LABEL, Plot, PlotFunction, draw_panels
from cnlw_tools.reports.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Points = Mapping[str, tuple[float, float]]  # network -> its value in `net_values`, and top-1
HEADER = ["Dataset", "Noise", "Method", "Network", "x", "Ours"]


def plot_network_scatter(context: ReportContext) -> Figure:
    """Draw top-1 of each network over its value: a panel per kind of noise, a colour per method."""
    points_by_noise: dict[tuple[str, str], dict[str, Points]] = {}
    for trial in context.trials:
        noise = (trial.dataset, trial.family)
        methods = points_by_noise.setdefault(noise, {})
        if trial.method_name not in methods:
            points = network_points(context, *noise, trial.method_name)
            methods[trial.method_name] = points
    rows, notes = [], []
    plots = {}
    for (dataset, family), methods in points_by_noise.items():
        methods_with_points = {method: points for method, points in methods.items() if points}
        if not methods_with_points:
            continue
        plots[f"{dataset}, {family}"] = Plot(
            {"": _scatter_plot(methods_with_points)}, _describe_points(methods_with_points)
        )
        for method, points in methods_with_points.items():
            notes.append(f"{dataset}, {family}: {_method_with_r(method, points)}.")
            for net, (x, y) in points.items():
                rows.append([dataset, family, method, net, f"{x:g}", f"{y:.2f}"])
    figure = Figure("Accuracy over a value of each network")
    figure.panels = draw_panels(
        "x: the network's value in net_values",
        TOP1_LABEL,
        plots,
        y_bounds=PERCENT,
    )
    if rows:
        caption = (
            f"Our number is the mean of {context.select_by} over the configs, for networks that "
            "ran on all configs."
        )
        figure.tables = [
            Table(
                "Networks",
                HEADER,
                rows,
                caption,
                notes,
                n_text_columns=4,
            )
        ]
    return figure


def network_points(
    context: ReportContext,
    dataset: str,
    family: str,
    method_name: str,
) -> Points:
    """Return x and the mean top-1 over the configs of a kind of noise, by network.

    Networks that did not run on all of these configs are left out.
    """
    accuracies: dict[tuple[str, str], float] = {}  # by network and config
    for trial in context.trials:
        if (trial.dataset, trial.family, trial.method_name) == (dataset, family, method_name):
            net = context.finished_runs(trial)[0].config.net
            accuracies[net, trial.config] = trial.results[context.select_by].mean
    configs = {config for _, config in accuracies}
    points = {}
    for net, x in context.study_record.study.net_values.items():
        if all((net, config) in accuracies for config in configs):
            top1 = mean(accuracies[net, config] for config in configs)
            points[net] = (float(x), top1)
    return points


def pearson_r(points: Points) -> float:
    """Return the correlation of x and y, or nan if x or y is constant or there is one point."""
    xs = [x for x, _ in points.values()]
    ys = [y for _, y in points.values()]
    dx = [x - mean(xs) for x in xs]
    dy = [y - mean(ys) for y in ys]
    scale = math.sqrt(sum(d * d for d in dx) * sum(d * d for d in dy))
    if not scale:
        return math.nan
    return sum(a * b for a, b in zip(dx, dy, strict=True)) / scale


def _method_with_r(method: str, points: Points) -> str:
    """Return the name of a method with its r, if there is one."""
    r = pearson_r(points)
    return method if math.isnan(r) else f"{method}, r = {r:.2f}"


def _describe_points(methods: Mapping[str, Points]) -> str:
    """Return a sentence on the best network of each method."""
    sentences = []
    for method, points in methods.items():
        net, (_, top1) = max(points.items(), key=lambda item: item[1][1])
        sentences.append(f"{_method_with_r(method, points)}: {net} is highest with {top1:.1f} %")
    return f"{'; '.join(sentences)}."


def _scatter_plot(methods: Mapping[str, Points]) -> PlotFunction:
    def plot(axes: "Axes") -> None:
        for i, (method, points) in enumerate(methods.items()):
            xs, ys = zip(*points.values(), strict=True)
            look = line_look(i)
            axes.plot(
                xs,
                ys,
                look.marker,
                color=look.colour,
                label=_method_with_r(method, points),
            )
            for net, position in points.items():
                axes.annotate(
                    net,
                    position,
                    (4, 4),
                    textcoords="offset points",
                )
        axes.margins(x=0.3, y=0.1)

    return plot
