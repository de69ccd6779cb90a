"""Lines of methods in one panel, over epochs or over a number, to be compared.

Up to eight lines have colours of their own and a legend below. The eye cannot tell more apart at
once. So the first line, which the others are compared with, and the seven that end highest are
strong, and the others pale. Every line is named at its end, in the order of the ends, and a second
picture has small axes for each line, with the others in grey.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean
from typing import TYPE_CHECKING, Any, NamedTuple

from cnlw_tools.reports.layout import EndLabel
from cnlw_tools.reports.looks import (
    COLOURS,
    EARLIER_STAGE,
    GREY,
    REFERENCE_COLOUR,
    Look,
    line_look,
    mute,
)
from cnlw_tools.reports.plotting import Plot, PlotFunction

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_STRONG = len(COLOURS)
MAX_LISTED = 4  # results in a sentence
MAX_MARKERS = 8  # of a line
MAX_GREY_POINTS = 12  # of a line in small axes
FEW_POINTS = 10  # each has a marker
MAX_TICKS = 8  # least distances of two x in the span of all; with more, numbers would touch
BAND_OPACITY = 0.18
EACH_TITLE = "one by one"
# The most that bars of one x stand apart: all of them together as a share of the least distance of
# two x, and two neighbours as a share of the span of all x.
DODGE_WIDTH, DODGE_STEP = 0.55, 0.03
LINE_LOOK = Look(COLOURS[0], "-", "o")  # of a line among grey ones


class Line(NamedTuple):
    """A line through points, with what lies around each of them."""

    label: str
    xs: Sequence[float]
    means: Sequence[float]
    lows: Sequence[float] = ()  # nan: one seed alone; empty: there are no seeds
    highs: Sequence[float] = ()
    n_earlier: int = 0  # the first points, of earlier stages of a method
    look: Look = LINE_LOOK

    @property
    def end(self) -> float:
        """The last mean."""
        return self.means[-1]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What lines are compared by."""

    unit: str  # of the numbers, after a space if it needs one
    is_band: bool  # a band joins what lies around the points; else bars stand side by side
    is_interval: bool  # it is the interval of the mean; else from the lowest to the highest
    low_is_good: bool = False
    x_limits: tuple[float, float] | None = None  # None: the axis ends at the outer points


def epoch_plot(curves: Mapping[str, Sequence[float]], references: Mapping[str, float] = {}) -> Plot:
    """Return a plot of values over epochs, without any spread.

    Args:
        curves: label -> values by epoch
        references: label -> a constant to compare with, drawn as a dashed line
    """
    lines = []
    for i, (label, values) in enumerate(curves.items()):
        epochs = range(1, len(values) + 1)
        lines.append(Line(label, epochs, values, look=line_look(i)))

    def plot(axes: "Axes") -> None:
        for i, line in enumerate(lines):
            draw_line(axes, line, first_marker=i)
        for label, value in references.items():
            axes.axhline(
                value,
                color=REFERENCE_COLOUR,
                linestyle="--",
                linewidth=1.2,
                label=label,
            )
        set_outer_limits(axes, lines)

    ends = {line.label: line.end for line in lines} | dict(references)
    results = [f"{label} {end:.3g}" for label, end in ends.items() if not math.isnan(end)]
    caption = f"After the last epoch: {', '.join(results)}." if results else ""
    return Plot({"": plot}, caption)


def compare_lines(
    panels: Mapping[str, Sequence[Line]],
    order: Sequence[str],
    comparison: Comparison,
    describe_end: Callable[[float], str],
) -> dict[str, Plot]:
    """Return plots by title: one of few lines; of many lines one of all, and one of each.

    A line looks alike in all panels.

    Args:
        panels: lines by title
        order: labels; the first line of a panel is the one that others are compared with
        comparison: what they are compared by
        describe_end: x of the last points -> when or where that is, ``After the last epoch``
    """
    present = {line.label for lines in panels.values() for line in lines}
    order = [label for label in order if label in present]
    strong = strong_labels(panels, order, comparison)
    ranked = sorted(order, key=lambda label: label not in strong)
    looks = {label: line_look(i) for i, label in enumerate(ranked)}
    plots: dict[str, Plot] = {}
    for title, members in panels.items():
        lines = []
        for line in sorted(members, key=lambda line: order.index(line.label)):
            lines.append(line._replace(look=looks[line.label]))
        caption = _describe_panel(lines, comparison, describe_end)
        if len(lines) <= MAX_STRONG:
            all_labels = {line.label for line in lines}
            plots[title] = Plot({"": plot_lines(lines, all_labels, comparison)}, caption)
        else:
            plots |= _plot_many(title, lines, strong, comparison, caption)
    return plots


def strong_labels(
    panels: Mapping[str, Sequence[Line]],
    order: Sequence[str],
    comparison: Comparison,
) -> set[str]:
    """Return the lines that the eye should find: all, if they are few.

    Of many they are the first, and those with the best mean of their ends over panels.
    """
    if len(order) <= MAX_STRONG:
        return set(order)
    ends: dict[str, list[float]] = {}
    for lines in panels.values():
        for line in lines:
            ends.setdefault(line.label, []).append(line.end)
    sign = 1 if comparison.low_is_good else -1
    ranking = sorted(order[1:], key=lambda label: sign * mean(ends[label]))
    return {order[0], *ranking[: MAX_STRONG - 1]}


def _plot_many(
    title: str,
    lines: Sequence[Line],
    strong: set[str],
    comparison: Comparison,
    caption: str,
) -> dict[str, Plot]:
    """Return a plot of all lines with their names at their ends, and one of each among all."""
    offsets = _offsets(lines, strong, comparison)
    labels = []
    for line in lines:
        is_strong = line.label in strong
        look = line.look if is_strong else _step_back(line.look)
        x = line.xs[-1] + offsets.get(line.label, 0)
        labels.append(EndLabel(line.label, x, line.end, look, is_strong))
    best = "lowest" if comparison.low_is_good else "highest"
    first = lines[0].label
    overview = Plot(
        {"": plot_lines(lines, strong, comparison)},
        f"{caption} Bold lines are {first} and the {best} in the mean over panels.",
        labels,
        is_wide=True,
    )
    single_lines = Plot(
        {line.label: _plot_among(line, lines, comparison) for line in lines},
        f"Each of the {len(lines)} lines alone, the others in grey and {first} dashed. {caption}",
        is_wide=True,
    )
    return {title: overview, f"{title}: {EACH_TITLE}": single_lines}


def _describe_panel(
    lines: Sequence[Line],
    comparison: Comparison,
    describe_end: Callable[[float], str],
) -> str:
    """Return sentences on where lines end; over a number, of those that reach the greatest x."""
    greatest = max(line.xs[-1] for line in lines)
    reaching: list[Line] = []
    short: list[Line] = []
    for line in lines:
        is_short = line.xs[-1] < greatest and not comparison.is_band
        (short if is_short else reaching).append(line)
    caption = describe_ends(reaching, comparison, describe_end(greatest))
    if short:
        caption += f" There is no result there for {', '.join(line.label for line in short)}."
    return caption


def _step_back(look: Look) -> Look:
    return look._replace(colour=mute(look.colour))


def describe_ends(
    lines: Sequence[Line],
    comparison: Comparison,
    end: str,
) -> str:
    """Return a sentence on where lines end: all of a few; of many the best, first and last."""
    sign = 1 if comparison.low_is_good else -1
    ranked = sorted(lines, key=lambda line: sign * line.end)
    results = [f"{line.label} {_describe_end(line, comparison)}" for line in ranked]
    if len(lines) <= MAX_LISTED:
        return f"{end}: {', '.join(results)}."
    best, last = ("lowest", "highest") if comparison.low_is_good else ("highest", "lowest")
    n_lines, rank = len(lines), ranked.index(lines[0])
    parts = [f"{end} the {best} are {', '.join(results[: MAX_LISTED - 1])}"]
    if MAX_LISTED - 1 <= rank < n_lines - 1:
        parts.append(f"{results[rank]} is number {rank + 1}")
    parts.append(f"the {last} of {n_lines} is {results[-1]}")
    return f"{'; '.join(parts)}."


def _describe_end(line: Line, comparison: Comparison) -> str:
    """Return the last mean of a line, and what lies around it."""
    unit = comparison.unit
    if not line.lows:
        return f"{line.end:.1f}{unit}"
    low, high = line.lows[-1], line.highs[-1]
    if math.isnan(low):
        return f"{line.end:.1f}{unit} (one seed)"
    if comparison.is_interval:
        return f"{line.end:.1f} ± {high - line.end:.1f}{unit}"
    return f"{line.end:.1f}{unit} ({low:.1f} to {high:.1f})"


def plot_lines(
    lines: Sequence[Line],
    strong: set[str],
    comparison: Comparison,
) -> PlotFunction:
    """Return a plot of all lines, the strong ones on top."""
    offsets = _offsets(lines, strong, comparison)

    def plot(axes: "Axes") -> None:
        for line in lines:
            if line.label not in strong:
                draw_line(axes, line._replace(look=_step_back(line.look)), width=0.8)
        for i, line in enumerate(lines):
            if line.label in strong:
                offset = offsets.get(line.label, 0)
                moved = line._replace(xs=[x + offset for x in line.xs])
                _draw_spread(axes, moved, comparison)
                draw_line(axes, moved, first_marker=i)
        _set_x_axis(axes, lines, comparison)

    return plot


def _plot_among(
    line: Line,
    lines: Sequence[Line],
    comparison: Comparison,
) -> PlotFunction:
    """Return a plot of one line among all others in grey; the first of these is dashed."""
    first = lines[0]
    grey_xs: list[float] = []
    grey_means: list[float] = []
    for grey_line in lines[1:]:
        step = math.ceil(len(grey_line.xs) / MAX_GREY_POINTS)
        grey_xs += [*grey_line.xs[::-step], math.nan]
        grey_means += [*grey_line.means[::-step], math.nan]

    def plot(axes: "Axes") -> None:
        axes.plot(grey_xs, grey_means, color=GREY, linewidth=0.5)
        axes.plot(first.xs, first.means, color=REFERENCE_COLOUR, linewidth=0.9, linestyle="--")
        front_line = line._replace(look=LINE_LOOK)
        _draw_spread(axes, front_line, comparison)
        draw_line(axes, front_line, width=1.2)
        _set_x_axis(axes, lines, comparison)

    return plot


def _offsets(
    lines: Sequence[Line],
    strong: set[str],
    comparison: Comparison,
) -> dict[str, float]:
    """Return how far each strong line moves along x, so that no bars lie on each other.

    On an axis with limits, single points stand before the place where they would lie together.
    """
    xs = sorted({x for line in lines for x in line.xs})
    if comparison.is_band and len(xs) > 1:
        return {}
    gaps = [b - a for a, b in pairwise(xs)]
    labels = [line.label for line in lines if line.label in strong]
    if comparison.x_limits is not None:
        low, high = comparison.x_limits
        step = DODGE_STEP * (high - low)
        return {label: (i + 1 - len(labels)) * step for i, label in enumerate(labels)}
    step = DODGE_WIDTH * min(gaps, default=1) / len(labels)
    if len(xs) > 1:
        step = min(step, DODGE_STEP * (xs[-1] - xs[0]))
    middle = (len(labels) - 1) / 2
    return {label: (i - middle) * step for i, label in enumerate(labels)}


def draw_line(
    axes: "Axes",
    line: Line,
    width: float = 1.5,
    first_marker: int = 0,
) -> None:
    """Draw a line with its markers; earlier stages are dotted, and apart from the last."""
    n_points, n_earlier = len(line.xs), line.n_earlier
    step = 1 if n_points <= FEW_POINTS else math.ceil(n_points / MAX_MARKERS)
    look: Any = {"color": line.look.colour, "linewidth": width, "clip_on": False}
    if n_earlier:
        epochs, means = line.xs[:n_earlier], line.means[:n_earlier]
        axes.plot(epochs, means, linestyle=EARLIER_STAGE, marker=".", markersize=2, **look)
    axes.plot(
        line.xs[n_earlier:],
        line.means[n_earlier:],
        linestyle=line.look.line_style,
        marker=line.look.marker,
        markersize=2.5 * width,
        markevery=(first_marker % step if n_points - n_earlier > step else 0, step),
        label=line.label,
        **look,
    )


def _draw_spread(axes: "Axes", line: Line, comparison: Comparison) -> None:
    """Draw what lies around the points of a line; a band of one point is a bar."""
    if not line.lows or all(map(math.isnan, line.lows)):
        return
    if comparison.is_band and len(line.xs) > 1:
        axes.fill_between(
            line.xs,
            line.lows,
            line.highs,
            color=line.look.colour,
            alpha=BAND_OPACITY,
            linewidth=0,
        )
        return
    lengths_down = [mean - low for mean, low in zip(line.means, line.lows, strict=True)]
    lengths_up = [high - mean for mean, high in zip(line.means, line.highs, strict=True)]
    axes.errorbar(
        line.xs,
        line.means,
        yerr=[lengths_down, lengths_up],
        color=line.look.colour,
        linestyle="none",
        linewidth=1,
    )


def _set_x_axis(axes: "Axes", lines: Sequence[Line], comparison: Comparison) -> None:
    """Set the limits of epochs, or the ticks of numbers if they are few and far enough apart."""
    xs = sorted({x for line in lines for x in line.xs})
    span = xs[-1] - xs[0]
    if comparison.x_limits is not None:
        axes.set_xlim(comparison.x_limits)
        return
    if comparison.is_band:
        set_outer_limits(axes, lines)
        return
    gaps = [b - a for a, b in pairwise(xs)]
    if gaps and span <= MAX_TICKS * min(gaps):
        axes.set_xticks(xs, [f"{x:g}" for x in xs])


def set_outer_limits(axes: "Axes", lines: Sequence[Line]) -> None:
    """Let the axis of x end at the outer points; one alone stands in the middle."""
    xs = [x for line in lines for x in line.xs]
    left, right = min(xs), max(xs)
    margin = 0.03 * (right - left) or 0.5
    axes.set_xlim(left - margin, right + margin)
