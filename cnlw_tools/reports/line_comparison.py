"""Lines in one panel, to be compared: of methods, over epochs or over a number.

Up to eight lines stand in colours of their own, above a legend. Of more, the eye cannot tell all
apart at once. So the first line, which the others are compared with, and the seven that end
highest are strong; the others step back; every line is named at its end, in the order of the ends;
and a second picture has small axes for each line, with the others in grey.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from matplotlib.axes import Axes

from cnlw_tools.reports.layout import EndLabel
from cnlw_tools.reports.looks import (
    COLOURS,
    EARLIER_STAGE,
    GREY,
    REFERENCE_COLOUR,
    Look,
    mute,
)
from cnlw_tools.reports.plotting import Plot, PlotFunction

MOST_STRONG = len(COLOURS)
MOST_LISTED = 4  # results in a sentence
MOST_MARKERS = 8  # of a line
FEW_POINTS = 10  # each has a marker
MOST_TICKS = 8  # least distances of two x in the span of all; with more, numbers would touch
BAND_OPACITY = 0.18
ALL_TITLE = "each line"
DODGE_WIDTH = 0.55  # of the least distance of two x
LINE_LOOK = Look(COLOURS[0], "-", "o")  # of a line among grey ones


class Line(NamedTuple):
    """A line through points, with what lies around each of them."""

    label: str
    look: Look
    xs: Sequence[float]
    means: Sequence[float]
    lows: Sequence[float] = ()  # nan: nothing is known; empty: of no point
    highs: Sequence[float] = ()
    n_earlier: int = 0  # the first points, of earlier stages of a method


@dataclass(frozen=True, slots=True)
class Spread:
    """What lies around points: a band that joins them, or bars side by side."""

    is_band: bool
    is_interval: bool  # of a mean; else from the lowest to the highest


SEED_BAND = Spread(is_band=True, is_interval=False)
INTERVAL_BARS = Spread(is_band=False, is_interval=True)


def comparison_plots(
    title: str,
    lines: Sequence[Line],
    spread: Spread,
    end: str,
    unit: str,
) -> dict[str, Plot]:
    """Return one plot of a few lines, or of many one of all and one of each; by title.

    Args:
        title: of the panel
        lines: the first is the one that others are compared with
        spread: what lies around the points
        end: when or where the lines end, ``After the last epoch``
        unit: of the numbers
    """
    finding = describe_ends(lines, spread, end, unit)
    strong = strong_lines(lines)
    if len(strong) == len(lines):
        return {title: Plot({"": _plot_lines(lines, strong, spread)}, finding)}
    labels = []
    for line in lines:
        look = line.look if line.label in strong else _step_back(line.look)
        is_strong = line.label in strong
        labels.append(EndLabel(line.label, line.xs[-1], line.means[-1], look, is_strong))
    overview = Plot(
        {"": _plot_lines(lines, strong, spread)},
        f"{finding} Bold: {lines[0].label} and the {len(strong) - 1} others that end highest.",
        labels,
        is_wide=True,
    )
    cells = {line.label: _plot_among(line, lines, spread) for line in lines}
    each = Plot(
        cells,
        f"Each of {len(lines)} lines, the others in grey; dashed: {lines[0].label}.",
        is_wide=True,
    )
    return {title: overview, f"{title}: {ALL_TITLE}": each}


def strong_lines(lines: Sequence[Line]) -> set[str]:
    """Return the labels of the lines that the eye should find: all, if they are few."""
    if len(lines) <= MOST_STRONG:
        return {line.label for line in lines}
    others = sorted(lines[1:], key=_end_of, reverse=True)
    return {line.label for line in (lines[0], *others[: MOST_STRONG - 1])}


def _end_of(line: Line) -> float:
    return line.means[-1]


def _step_back(look: Look) -> Look:
    return look._replace(colour=mute(look.colour))


def describe_ends(
    lines: Sequence[Line],
    spread: Spread,
    end: str,
    unit: str,
) -> str:
    """Return sentences on where lines end: all of a few; of many the highest, first and lowest."""
    ranked = sorted(lines, key=_end_of, reverse=True)
    results = [f"{line.label} {_describe_end(line, spread, unit)}" for line in ranked]
    if len(lines) <= MOST_LISTED:
        return f"{end}: {', '.join(results)}."
    rank = ranked.index(lines[0])
    sentences = [f"{end} the highest are {', '.join(results[: MOST_LISTED - 1])}"]
    if rank >= MOST_LISTED - 1:
        sentences.append(f"{results[rank]} is number {rank + 1} of {len(lines)}")
    if rank < len(lines) - 1:
        sentences.append(f"the lowest of {len(lines)} is {results[-1]}")
    return f"{'; '.join(sentences)}."


def _describe_end(line: Line, spread: Spread, unit: str) -> str:
    """Return the last mean of a line, and what lies around it."""
    mean = line.means[-1]
    if not line.lows:
        return f"{mean:.1f}{unit}"
    if math.isnan(line.lows[-1]):
        return f"{mean:.1f}{unit} (one seed)"
    low, high = line.lows[-1], line.highs[-1]
    if spread.is_interval:
        return f"{mean:.1f} ± {high - mean:.1f}{unit}"
    return f"{mean:.1f}{unit} ({low:.1f} to {high:.1f})"


def _plot_lines(
    lines: Sequence[Line],
    strong: set[str],
    spread: Spread,
) -> PlotFunction:
    """Return a plot of all lines, the strong ones on top."""

    def plot(axes: Axes) -> None:
        for line in lines:
            if line.label not in strong:
                _draw_line(axes, line._replace(look=_step_back(line.look)), width=0.8)
        strong_ones = [line for line in lines if line.label in strong]
        offsets = dodge(strong_ones) if not spread.is_band else [0.0] * len(strong_ones)
        for i, (line, offset) in enumerate(zip(strong_ones, offsets, strict=True)):
            moved = line._replace(xs=[x + offset for x in line.xs])
            _draw_spread(axes, moved, spread)
            _draw_line(axes, moved, first_marker=i)
        _set_x_axis(axes, lines, spread)

    return plot


def _plot_among(
    line: Line,
    lines: Sequence[Line],
    spread: Spread,
) -> PlotFunction:
    """Return a plot of one line among all others in grey; the first of these is dashed."""
    first = lines[0]

    def plot(axes: Axes) -> None:
        for other in lines[1:]:
            axes.plot(other.xs, other.means, color=GREY, linewidth=0.5)
        axes.plot(first.xs, first.means, color=REFERENCE_COLOUR, linewidth=0.9, linestyle="--")
        shown = line._replace(look=LINE_LOOK)
        _draw_spread(axes, shown, spread)
        _draw_line(axes, shown)
        _set_x_axis(axes, lines, spread)

    return plot


def dodge(lines: Sequence[Line]) -> list[float]:
    """Return how far each line moves along x, so that no bars lie on each other."""
    xs = sorted({x for line in lines for x in line.xs})
    gaps = [b - a for a, b in zip(xs, xs[1:], strict=False)]
    step = DODGE_WIDTH * min(gaps, default=1) / len(lines)
    middle = (len(lines) - 1) / 2
    return [(i - middle) * step for i in range(len(lines))]


def _draw_line(
    axes: Axes,
    line: Line,
    width: float = 1.5,
    first_marker: int = 0,
) -> None:
    """Draw a line with its markers; the part of earlier stages is dotted."""
    n_points, n_earlier = len(line.xs), line.n_earlier
    step = 1 if n_points <= FEW_POINTS else math.ceil(n_points / MOST_MARKERS)
    look = {"color": line.look.colour, "linewidth": width, "clip_on": False}
    if n_earlier:
        earlier = slice(0, n_earlier + 1)
        axes.plot(line.xs[earlier], line.means[earlier], linestyle=EARLIER_STAGE, **look)
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


def _draw_spread(axes: Axes, line: Line, spread: Spread) -> None:
    """Draw what lies around the points of a line; a band of one point is a bar."""
    if not line.lows or all(map(math.isnan, line.lows)):
        return
    if spread.is_band and len(line.xs) > 1:
        axes.fill_between(
            line.xs,
            line.lows,
            line.highs,
            color=line.look.colour,
            alpha=BAND_OPACITY,
            linewidth=0,
        )
        return
    below = [mean - low for mean, low in zip(line.means, line.lows, strict=True)]
    above = [high - mean for mean, high in zip(line.means, line.highs, strict=True)]
    axes.errorbar(
        line.xs,
        line.means,
        yerr=[below, above],
        color=line.look.colour,
        linestyle="none",
        linewidth=1,
    )


def _set_x_axis(axes: Axes, lines: Sequence[Line], spread: Spread) -> None:
    """Set the limits of epochs, or the ticks of numbers if they are few and far enough apart."""
    xs = sorted({x for line in lines for x in line.xs})
    span = xs[-1] - xs[0]
    if spread.is_band:
        margin = 0.03 * span if span else 0.5
        axes.set_xlim(xs[0] - margin, xs[-1] + margin)
        return
    gaps = [b - a for a, b in zip(xs, xs[1:], strict=False)]
    if gaps and span <= MOST_TICKS * min(gaps):
        axes.set_xticks(xs, [f"{x:g}" for x in xs])
