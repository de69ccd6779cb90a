"""Pictures as SVG, a small one each panel, so that they flow on a page of any width. All can tell the colours apart."""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cnlw_tools.report.spread import Spread

OKABE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")  # Okabe and Ito
MARKS = "osD^vPX*"
STYLE: Any = {
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E7",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "figure.subplot.left": 0.14,
    "figure.subplot.right": 0.97,
    "figure.subplot.bottom": 0.14,
    "figure.subplot.top": 0.91,
    "svg.fonttype": "path",
    "svg.hashsalt": "cnlw",
}
TOP1 = "top-1, %"
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
        figures = {title: Figure(figsize=(5, 3.6)) for title in drawers}
        for title, draw in drawers.items():
            axes = figures[title].add_subplot()
            axes.set(xlabel=x, ylabel=y)
            if x == "epoch":
                axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            draw(axes)
            axes.set_title(title, fontsize=11)
            if many := len(axes.get_legend_handles_labels()[0]):
                axes.legend(loc="best", ncols=2 if many > 5 else 1)
        limits = [figure.axes[0].get_ylim() for figure in figures.values()]
        for figure in figures.values() if alike else ():
            figure.axes[0].set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
        return [Picture(title, _svg(figure)) for title, figure in figures.items()]


def lines(some: Mapping[str, Sequence[Point]]) -> Draw:
    """Draw lines through points, with bars where there is an interval."""

    def draw(axes: Axes) -> None:
        for i, (name, points) in enumerate(sorted(some.items())):
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
