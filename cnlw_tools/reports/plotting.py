"""Plots as SVG, one small file for each panel, so that they flow on a page of any width.

The colours are those of Okabe and Ito, which the colour-blind can tell apart.
"""

import io
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cnlw_tools.reports.statistics import MeanInterval
from cnlw_tools.reports.trials import natural_sort_key

COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#7F7F7F",
)
REFERENCE_COLOUR = "#3F3F46"  # of what lines are compared with
MARKERS = "osD^vPX*"
STYLE: Any = {
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E7",
    "legend.frameon": False,
    "legend.fontsize": 9,  # LETTER_WIDTH and HANDLE_WIDTH are inches at this size
    "legend.handlelength": 1.6,
    "legend.columnspacing": 1.2,
    "lines.linewidth": 1.8,
    "figure.subplot.left": 0.14,
    "figure.subplot.right": 0.97,
    "figure.subplot.bottom": 0.14,
    "figure.subplot.top": 0.91,
    "svg.fonttype": "path",
    "svg.hashsalt": "cnlw",
}
TOP1_LABEL = "top-1, %"

# Inches. A long title and the legend add to the height.
WIDTH, HEIGHT = 5, 3.6
LETTER_WIDTH, HANDLE_WIDTH, LINE_HEIGHT = 0.072, 0.4, 0.2

TITLE_LETTERS = 52  # in a line of a title

Point = tuple[float, MeanInterval]
PlotFunction = Callable[[Axes], None]  # draws into the axes of a panel


@dataclass(frozen=True, slots=True)
class Panel:
    """One small plot."""

    title: str
    svg: str
    finding: str = ""  # sentences: what it shows, in numbers
    is_wide: bool = False  # as wide as the page


def draw_panels(
    x_label: str,
    y_label: str,
    plots: Mapping[str, PlotFunction],
    same_scale: bool = True,
) -> list[Panel]:
    """Return panels of one size; the same data give the same bytes.

    Args:
        x_label: of all panels; "epoch" has whole numbers
        y_label: of all panels
        plots: title -> function that draws the panel
        same_scale: all panels have the same limits of y
    """
    with mpl.rc_context(STYLE):
        figures = {title: Figure(figsize=(WIDTH, HEIGHT)) for title in plots}
        for title, plot in plots.items():
            axes = figures[title].add_subplot()
            axes.set(xlabel=x_label, ylabel=y_label)
            if x_label == "epoch":
                axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            plot(axes)
            axes.set_title(textwrap.fill(title, TITLE_LETTERS), fontsize=11)
        _make_room(list(figures.values()))
        if same_scale:
            _share_y_limits(list(figures.values()))
        return [Panel(title, _to_svg(figure)) for title, figure in figures.items()]


def line_plot(lines: Mapping[str, Sequence[Point]]) -> PlotFunction:
    """Return a plot of lines through points, with error bars where there is an interval.

    Args:
        lines: label -> points in any order
    """

    def plot(axes: Axes) -> None:
        for i, label in enumerate(sorted(lines, key=natural_sort_key)):
            points = sorted(lines[label])
            half_widths = [0.0 if math.isnan(y.half_width) else y.half_width for _, y in points]
            axes.errorbar(
                [x for x, _ in points],
                [y.mean for _, y in points],
                yerr=half_widths if any(half_widths) else None,
                color=cycle_colour(i),
                marker=cycle_marker(i),
                markersize=5,
                capsize=3,
                label=label,
            )

    return plot


def epoch_plot(
    curves: Mapping[str, Sequence[float]],
    references: Mapping[str, float] = {},
    n_earlier: Mapping[str, int] = {},
) -> PlotFunction:
    """Return a plot of values over epochs.

    Args:
        curves: label -> values by epoch
        references: label -> a constant to compare with, drawn as a dashed line
        n_earlier: label -> the number of first epochs that are of earlier stages
    """

    def plot(axes: Axes) -> None:
        for i, (label, values) in enumerate(curves.items()):
            draw_curve(axes, values, n_earlier.get(label, 0), cycle_colour(i), label)
        for label, value in references.items():
            axes.axhline(
                value,
                color=REFERENCE_COLOUR,
                linestyle="--",
                linewidth=1.2,
                label=label,
            )

    return plot


def draw_curve(
    axes: Axes,
    values: Sequence[float],
    n_earlier: int,
    colour: Any,
    label: str,
) -> None:
    """Draw values over epochs; those of earlier stages are dotted, and apart from the last.

    Args:
        axes: of the panel
        values: by epoch
        n_earlier: the number of first epochs that are of earlier stages
        colour: of the curve
        label: in the legend
    """
    epochs = range(1, len(values) + 1)
    axes.plot(epochs[n_earlier:], values[n_earlier:], color=colour, label=label)
    if n_earlier:
        axes.plot(epochs[:n_earlier], values[:n_earlier], color=colour, linestyle=":")


def cycle_colour(i: int) -> str:
    """Return the colour of the i-th line; colours repeat when there are too few."""
    return COLOURS[i % len(COLOURS)]


def cycle_marker(i: int) -> str:
    """Return the marker of the i-th line; markers repeat when there are too few."""
    return MARKERS[i % len(MARKERS)]


def _make_room(figures: Sequence[Figure]) -> None:
    """Add height for the longest title and legend; legends stand below and hide nothing."""
    title_breaks = [figure.axes[0].get_title().count("\n") for figure in figures]
    legend_lines = [_add_legend(figure) for figure in figures]
    title_height = LINE_HEIGHT * max(title_breaks, default=0)
    legend_height = LINE_HEIGHT * max(legend_lines, default=0)
    if legend_height:
        legend_height += LINE_HEIGHT / 2
    height = HEIGHT + title_height + legend_height
    for figure in figures:
        margins = figure.subplotpars
        figure.set_figheight(height)
        figure.subplots_adjust(
            bottom=(margins.bottom * HEIGHT + legend_height) / height,
            top=(margins.top * HEIGHT + legend_height) / height,
        )


def _add_legend(figure: Figure) -> int:
    """Add a legend at the bottom, to be read line by line; return its number of lines."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    if not labels:
        return 0
    column_width = LETTER_WIDTH * max(map(len, labels)) + HANDLE_WIDTH
    n_columns = max(1, min(len(labels), int(WIDTH / column_width)))
    # Matplotlib fills a legend by columns.
    order: list[int] = []
    for column in range(n_columns):
        order += range(column, len(labels), n_columns)
    figure.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        loc="lower center",
        ncols=n_columns,
    )
    return math.ceil(len(labels) / n_columns)


def _share_y_limits(figures: Sequence[Figure]) -> None:
    limits = [figure.axes[0].get_ylim() for figure in figures]
    for figure in figures:
        lowest = min(low for low, _ in limits)
        highest = max(high for _, high in limits)
        figure.axes[0].set_ylim(lowest, highest)


def _to_svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
