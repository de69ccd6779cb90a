"""Line plots: accuracy over a number, accuracy over epochs, and belts over levels."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from cnlw_tools.reports.context import Figure, ReportContext
from cnlw_tools.reports.line_comparison import (
    Comparison,
    Line,
    compare_lines,
    describe_ends,
    draw_line,
    plot_lines,
    set_outer_limits,
)
from cnlw_tools.reports.looks import LINE_STYLES, MARKERS, Look, line_look
from cnlw_tools.reports.method_order import method_sort_key
from cnlw_tools.reports.plotting import (
    EPOCH_LABEL,
    PERCENT,
    TOP1_LABEL,
    Panel,
    Plot,
    draw_panels,
)
from cnlw_tools.reports.statistics import MeanInterval, mean_interval
from cnlw_tools.reports.trials import Curves, Trial, mean_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NOISE_COLOURS = {"red": "#B91C1C", "red_standin": "#B91C1C", "blue": "#1E3A8A"}
TRAINING = Comparison(unit=" %", is_band=True, is_interval=False)
ACCURACY = Comparison(unit=" %", is_band=False, is_interval=True)
DROP = Comparison(unit=" points", is_band=False, is_interval=True, low_is_good=True)
BELT = Comparison(unit=" %", is_band=True, is_interval=True, x_limits=PERCENT)
Curve = list[float]  # values by epoch


class NoiseKind(NamedTuple):
    """A kind of noise, whatever its level."""

    family: str  # name of its configs without the level
    noise: str  # name of the model


class Place(NamedTuple):
    """Where a trial stands over the x axis of a study."""

    x: float
    trial: Trial


def plot_accuracy(context: ReportContext) -> Figure:
    """Draw accuracy over the x axis of the study."""
    title = f"Accuracy ({context.select_by}) over {context.study_record.study.x_axis}"
    return Figure(title, draw_results(context, context.select_by, TOP1_LABEL, ACCURACY))


def plot_drop(context: ReportContext) -> Figure:
    """Draw what is lost after the best epoch, over the x axis of the study."""
    return Figure("Drop after the peak", draw_results(context, "drop", "drop, points", DROP))


def plot_training_curves(context: ReportContext) -> Figure:
    """Draw accuracy over epochs, of the mean over seeds; those of earlier stages are dotted.

    There is a panel a config, with a line a method. If no config has two methods to compare, there
    is a panel for each line over the x axis of the study, with a curve for each of its values.
    """
    trials_by_config: dict[str, list[Trial]] = {}
    places: dict[str, list[Place]] = {}
    panel_configs: dict[str, set[str]] = {}
    for trial in context.trials:
        if not mean_curve(trial, context.curves):
            continue
        config = f"{trial.dataset}, {trial.config}"
        trials_by_config.setdefault(config, []).append(trial)
        position = context.study_record.position(trial)
        if position:
            panel_configs.setdefault(position.panel, set()).add(config)
            title = f"{position.line}: {position.panel}"
            places.setdefault(title, []).append(Place(position.x, trial))
    plots: dict[str, Plot] = {}
    x_name = context.study_record.study.x_axis
    shaded = set()
    for title, members in places.items():
        configs = {f"{place.trial.dataset}, {place.trial.config}" for place in members}
        if len(configs) > 1 and all(len(trials_by_config[config]) == 1 for config in configs):
            plots[title] = _shaded_plot(members, context.curves, x_name)
            shaded |= configs
    lines_by_config = {}
    for config, trials in trials_by_config.items():
        if config not in shaded:
            lines_by_config[config] = [epoch_line(trial, context.curves) for trial in trials]
    order = order_methods(context, {trial.method: trial for trial in context.trials})
    lengths = {len(line.xs) for lines in lines_by_config.values() for line in lines}
    end = "After the last epoch" if len(lengths) == 1 else "After the last epoch of each"
    plots |= compare_lines(lines_by_config, order, TRAINING, lambda _: end)
    return Figure("Training", draw_panels(EPOCH_LABEL, TOP1_LABEL, plots, y_bounds=PERCENT))


def order_methods(context: ReportContext, trials: Mapping[str, Trial]) -> list[str]:
    """Return labels of lines in the order of the study, by one trial of each."""
    study_methods = context.study_record.method_names()

    def sort_key(label: str) -> tuple[object, ...]:
        return method_sort_key(trials[label].method_name, label, study_methods)

    return sorted(trials, key=sort_key)


def epoch_line(trial: Trial, curves: Curves) -> Line:
    """Return the mean over the seeds of a trial by epoch, with the lowest and the highest."""
    run_curves = [curves[name] for name in trial.run_names if name in curves]
    means = mean_curve(trial, curves)
    lows, highs = [math.nan] * len(means), [math.nan] * len(means)
    if len(run_curves) > 1:
        values_by_epoch = list(zip(*run_curves, strict=False))
        lows = [min(values) for values in values_by_epoch]
        highs = [max(values) for values in values_by_epoch]
    epochs = range(1, len(means) + 1)
    return Line(
        trial.method,
        epochs,
        means,
        lows,
        highs,
        trial.n_earlier,
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
    plots: dict[str, Plot] = {}
    for title, kinds in curves.items():
        belts = {kind: levels for kind, levels in kinds.items() if len(levels) > 1}
        if belts:
            plots[title] = _belt_plot(belts)
    return Figure(
        "Belts over levels",
        draw_panels("progress, %", TOP1_LABEL, plots, y_bounds=PERCENT),
    )


def draw_results(
    context: ReportContext,
    metric: str,
    y_label: str,
    comparison: Comparison,
) -> list[Panel]:
    """Return panels of a metric over the x axis of the study, with 95 % t-intervals.

    Trials that have no x are left out, and so are panels with one x alone.
    """
    results: dict[str, dict[str, dict[float, MeanInterval]]] = {}
    trials_by_label: dict[str, Trial] = {}
    for trial in context.trials:
        position = context.study_record.position(trial)
        if position:
            by_label = results.setdefault(position.panel, {})
            by_label.setdefault(position.line, {})[position.x] = trial.results[metric]
            trials_by_label[position.line] = trial
    panels = {}
    for title, by_label in results.items():
        if len({x for by_x in by_label.values() for x in by_x}) > 1:
            panels[title] = [_result_line(label, by_x) for label, by_x in by_label.items()]
    x_name = context.study_record.study.x_axis
    plots = compare_lines(
        panels,
        order_methods(context, trials_by_label),
        comparison,
        lambda x: f"At {_describe_x(x_name, x)}",
    )
    x_label = "level, %" if x_name == "level" else x_name
    return draw_panels(x_label, y_label, plots, y_bounds=PERCENT)


def _result_line(label: str, results: Mapping[float, MeanInterval]) -> Line:
    """Return a line through means, with their intervals."""
    xs = sorted(results)
    return Line(
        label,
        xs,
        means=[results[x].mean for x in xs],
        lows=[results[x].mean - results[x].half_width for x in xs],
        highs=[results[x].mean + results[x].half_width for x in xs],
    )


def _describe_x(x_name: str, x: float) -> str:
    return f"{x:g} %" if x_name == "level" else f"{x_name} {x:g}"


def _shaded_plot(
    places: Sequence[Place],
    curves: Curves,
    x_name: str,
) -> Plot:
    """Return a plot of trials over epochs; the higher its number x, the darker a curve."""
    import matplotlib as mpl
    from matplotlib.colors import to_hex

    colour_map = mpl.colormaps["viridis_r"]
    lines = []
    ordered = sorted(places, key=lambda place: place.x)
    for i, (x, trial) in enumerate(ordered):
        colour = to_hex(colour_map(0.25 + 0.75 * i / max(1, len(places) - 1)))
        look = Look(colour, "-", MARKERS[i % len(MARKERS)])
        line = epoch_line(trial, curves)
        lines.append(line._replace(label=_describe_x(x_name, x), look=look))

    def plot(axes: "Axes") -> None:
        for i, line in enumerate(lines):
            draw_line(axes, line, first_marker=i)
        set_outer_limits(axes, lines)

    ends = [f"{line.end:.1f} % at {line.label}" for line in lines]
    return Plot({"": plot}, f"After the last epoch: {', '.join(ends)}.")


def _belt_plot(belts: Mapping[NoiseKind, Sequence[Curve]]) -> Plot:
    """Return a plot of one belt for each kind of noise, over the curves of its levels."""
    lines = []
    noises: list[str] = []
    for i, (kind, curves) in enumerate(belts.items()):
        intervals = _intervals_over_curves(curves)
        n_steps = len(intervals)
        look = line_look(i)
        line_style = LINE_STYLES[noises.count(kind.noise) % len(LINE_STYLES)]
        noises.append(kind.noise)
        colour = NOISE_COLOURS.get(kind.noise, look.colour)
        line = Line(
            label=f"{kind.family} ({len(curves)} levels)",
            xs=[100 * (i + 1) / n_steps for i in range(n_steps)],
            means=[y.mean for y in intervals],
            lows=[y.mean - y.half_width for y in intervals],
            highs=[y.mean + y.half_width for y in intervals],
            look=Look(colour, line_style, look.marker),
        )
        lines.append(line)
    caption = describe_ends(lines, ACCURACY, "At the end, over levels")
    return Plot({"": plot_lines(lines, {line.label for line in lines}, BELT)}, caption)


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
