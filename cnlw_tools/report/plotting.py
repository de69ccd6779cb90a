"""Pictures as SVG, a small one each panel, so that they flow on a page of any width. All can tell the colours apart."""

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

from cnlw_tools.report.statistics import Spread
from cnlw_tools.report.trials import natural

OKABE = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#7F7F7F",
)  # Okabe and Ito
MARKS = "osD^vPX*"
STYLE: Any = {
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E7",
    "legend.frameon": False,
    "legend.fontsize": 9,  # of which LETTER and HANDLE are the inches
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
TOP1 = "top-1, %"
WIDTH, HEIGHT = 5, 3.6  # inches, without what a long title and the legend add
LETTER, HANDLE, LINE, TITLE = (
    0.072,
    0.4,
    0.2,
    52,
)  # inches of a letter, a key and a line; letters of a line of title
Point = tuple[float, Spread]
Draw = Callable[[Axes], None]


@dataclass(frozen=True, slots=True)
class Picture:
    """One panel."""

    title: str
    svg: str


def panels(x: str, y: str, drawers: Mapping[str, Draw], alike: bool = True) -> list[Picture]:
    """Return panels of one size, and of one scale if they are to be alike; the same data give the same bytes."""
    with mpl.rc_context(STYLE):
        figures = {title: Figure(figsize=(WIDTH, HEIGHT)) for title in drawers}
        for title, draw in drawers.items():
            axes = figures[title].add_subplot()
            axes.set(xlabel=x, ylabel=y)
            if x == "epoch":
                axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            draw(axes)
            axes.set_title(textwrap.fill(title, TITLE), fontsize=11)
        _room([*figures.values()])
        limits = [figure.axes[0].get_ylim() for figure in figures.values()]
        for figure in figures.values() if alike else ():
            figure.axes[0].set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
        return [Picture(title, _svg(figure)) for title, figure in figures.items()]


def _room(figures: Sequence[Figure]) -> None:
    """Make all as much taller as the longest title and legend ask; legends stand below, and hide nothing."""
    above = LINE * max((figure.axes[0].get_title().count("\n") for figure in figures), default=0)
    below = LINE * max((_legend(figure) for figure in figures), default=0)
    below += LINE / 2 if below else 0
    for figure in figures:
        space, tall = figure.subplotpars, HEIGHT + above + below
        figure.set_figheight(tall)
        figure.subplots_adjust(
            bottom=(space.bottom * HEIGHT + below) / tall, top=(space.top * HEIGHT + below) / tall
        )


def _legend(figure: Figure) -> int:
    """Put a legend at the foot, to be read line by line, and return how many lines it has."""
    keys, names = figure.axes[0].get_legend_handles_labels()
    if not names:
        return 0
    columns = max(1, min(len(names), int(WIDTH / (LETTER * max(map(len, names)) + HANDLE))))
    order = [
        i for column in range(columns) for i in range(column, len(names), columns)
    ]  # it is filled by columns
    figure.legend(
        [keys[i] for i in order], [names[i] for i in order], loc="lower center", ncols=columns
    )
    return -(-len(names) // columns)


def lines(some: Mapping[str, Sequence[Point]]) -> Draw:
    """Draw lines through points, with bars where there is an interval."""

    def draw(axes: Axes) -> None:
        for i, (name, points) in enumerate(sorted(some.items(), key=lambda line: natural(line[0]))):
            ordered = sorted(points)
            bars = [0.0 if math.isnan(p.half) else p.half for _, p in ordered]
            axes.errorbar(
                [x for x, _ in ordered],
                [p.mean for _, p in ordered],
                yerr=bars if any(bars) else None,
                color=OKABE[i % len(OKABE)],
                marker=MARKS[i % len(MARKS)],
                markersize=5,
                capsize=3,
                label=name,
            )

    return draw


def epochs(some: Mapping[str, Sequence[float]], dashed: Mapping[str, float] | None = None) -> Draw:
    """Draw a line over epochs each, from the first on; dashed: what stays as it is."""

    def draw(axes: Axes) -> None:
        for i, (name, values) in enumerate(some.items()):
            axes.plot(range(1, len(values) + 1), values, color=OKABE[i % len(OKABE)], label=name)
        for name, value in (dashed or {}).items():
            axes.axhline(value, color="#3F3F46", linestyle="--", linewidth=1.2, label=name)

    return draw


def _svg(figure: Figure) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()
