"""Line plots: accuracy over a number, accuracy over epochs, and belts over levels."""

import math
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes

from cnlw_tools.reports.context import Figure, ReportContext
from cnlw_tools.reports.plotting import (
    REFERENCE_COLOUR,
    TOP1_LABEL,
    Panel,
    PlotFunction,
    Point,
    draw_curve,
    draw_panels,
    epoch_plot,
    line_plot,
)
from cnlw_tools.reports.statistics import MeanInterval, mean_interval
from cnlw_tools.reports.trials import Curves, Trial, mean_curve

NOISE_COLOURS = {"red": "#B91C1C", "red_standin": "#B91C1C", "blue": "#1E3A8A"}
Curve = list[float]  # values by epoch


class NoiseKind(NamedTuple):
    """A kind of noise, whatever its level."""

    family: str  # name of its configs without the level
    noise: str  # name of the model


def plot_accuracy(context: ReportContext) -> Figure:
    """Draw accuracy over the x axis of the study."""
    title = f"Accuracy ({context.select_by}) over {context.study_record.study.x_axis}"
    return Figure(title, draw_results(context, context.select_by, TOP1_LABEL))


def plot_drop(context: ReportContext) -> Figure:
    """Draw what is lost after the best epoch, over the x axis of the study."""
    return Figure("Drop after the peak", draw_results(context, "drop", "drop, points"))


def plot_training_curves(context: ReportContext) -> Figure:
    """Draw accuracy over epochs; those of earlier stages of a method are dotted.

    There is a panel for each line over the x axis of the study, and one for each config of trials
    that have no x.
    """
    trials_by_x: dict[str, list[tuple[float, Trial]]] = {}
    trials_by_method: dict[str, dict[str, Trial]] = {}
    for trial in context.trials:
        position = context.study_record.position(trial)
        if position:
            title = f"{position.line}: {position.panel}"
            trials_by_x.setdefault(title, []).append((position.x, trial))
        else:
            title = f"{trial.dataset}, {trial.config}"
            trials_by_method.setdefault(title, {})[trial.method] = trial
    x_name = context.study_record.study.x_axis
    plots: dict[str, PlotFunction] = {}
    for title, trials in trials_by_x.items():
        plots[title] = _shaded_curves(trials, context.curves, x_name)
    for title, methods in trials_by_method.items():
        curves = {name: mean_curve(trial, context.curves) for name, trial in methods.items()}
        n_earlier = {name: trial.n_earlier for name, trial in methods.items()}
        plots[title] = epoch_plot(curves, n_earlier=n_earlier)
    return Figure(
        "Training",
        draw_panels(
            "epoch",
            TOP1_LABEL,
            plots,
        ),
    )


def plot_belts(context: ReportContext) -> Figure:
    """Draw the 95 % t-interval of top-1 over levels against progress in training.

    There is a belt for each kind of noise, and a panel for each method. The wider a belt, the more
    the level matters (Jiang et al., 2020). Of a method in stages it shows the last one.
    """
    curves: dict[str, dict[NoiseKind, list[Curve]]] = {}
    for trial in context.trials:
        curve = mean_curve(trial, context.curves)[trial.n_earlier :]
        if trial.level is None or not curve:
            continue
        panel = curves.setdefault(f"{trial.method}: {trial.dataset}", {})
        panel.setdefault(NoiseKind(trial.family, trial.noise), []).append(curve)
    plots: dict[str, PlotFunction] = {}
    for title, kinds in curves.items():
        belts = {kind: levels for kind, levels in kinds.items() if len(levels) > 1}
        if belts:
            plots[title] = _belt_plot(belts)
    return Figure(
        "Belts over levels",
        draw_panels(
            "progress, %",
            TOP1_LABEL,
            plots,
        ),
    )


def draw_results(
    context: ReportContext,
    metric: str,
    y_label: str,
) -> list[Panel]:
    """Return panels of a metric over the x axis of the study, with 95 % t-intervals.

    Trials that have no x are left out, and so are panels with one x alone.
    """
    points: dict[str, dict[str, list[Point]]] = {}
    for trial in context.trials:
        position = context.study_record.position(trial)
        if position:
            lines = points.setdefault(position.panel, {})
            lines.setdefault(position.line, []).append((position.x, trial.results[metric]))
    plots = {title: line_plot(lines) for title, lines in points.items() if _n_xs(lines) > 1}
    x_name = context.study_record.study.x_axis
    x_label = "level, %" if x_name == "level" else x_name
    return draw_panels(
        x_label,
        y_label,
        plots,
    )


def _n_xs(lines: Mapping[str, Sequence[Point]]) -> int:
    """Return how many different x the points of some lines have."""
    xs: set[float] = set()
    for points in lines.values():
        xs.update(x for x, _ in points)
    return len(xs)


def _shaded_curves(
    trials: Sequence[tuple[float, Trial]], curves: Curves, x_name: str
) -> PlotFunction:
    """Return a plot of trials over epochs; the higher its number x, the darker a curve."""

    def plot(axes: Axes) -> None:
        colour_map = mpl.colormaps["viridis_r"]
        for i, (x, trial) in enumerate(sorted(trials, key=itemgetter(0))):
            label = f"{x:g} %" if x_name == "level" else f"{x_name} {x:g}"
            colour = colour_map(0.25 + 0.75 * i / max(1, len(trials) - 1))
            draw_curve(axes, mean_curve(trial, curves), trial.n_earlier, colour, label)

    return plot


def _belt_plot(belts: Mapping[NoiseKind, Sequence[Curve]]) -> PlotFunction:
    """Return a plot of one belt for each kind of noise, over the curves of its levels."""

    def plot(axes: Axes) -> None:
        for kind, curves in belts.items():
            intervals = _intervals_over_curves(curves)
            n_steps = len(intervals)
            progress = [100 * (i + 1) / n_steps for i in range(n_steps)]
            colour = NOISE_COLOURS.get(kind.noise, REFERENCE_COLOUR)
            label = f"{kind.family} ({len(curves)} levels)"
            axes.plot(progress, [y.mean for y in intervals], color=colour, label=label)
            axes.fill_between(
                progress,
                [y.mean - y.half_width for y in intervals],
                [y.mean + y.half_width for y in intervals],
                color=colour,
                alpha=0.2,
                lw=0,
            )

    return plot


def _intervals_over_curves(curves: Sequence[Curve]) -> list[MeanInterval]:
    """Return the mean over curves at as many points of progress as the shortest has epochs."""
    n_steps = min(map(len, curves))
    intervals = []
    for step in range(1, n_steps + 1):
        values = []
        for curve in curves:
            epoch = math.ceil(step * len(curve) / n_steps)
            values.append(curve[epoch - 1])
        intervals.append(mean_interval(values))
    return intervals
