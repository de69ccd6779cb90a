"""Figures as SVG, a small one each panel, so that they flow on a page of any width. All can tell the colours apart."""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cnlw_tools.report.said import Place
from cnlw_tools.report.spread import Spread, spread
from cnlw_tools.report.trials import Trial, mean_curve

OKABE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")  # Okabe and Ito
MARKS = "osD^vPX*"
STYLE: Any = {
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
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
Curves = Mapping[str, list[float]]
Point = tuple[float, Spread]


@dataclass(frozen=True, slots=True)
class Picture:
    """One panel."""

    title: str
    svg: str


def over(trials: Sequence[Trial], metric: str, key: str, place: Callable[[Trial], Place | None]) -> list[Picture]:
    """Draw a metric over a number of each trial; bars: 95 % t-intervals. One that stands nowhere is left out."""
    panels: dict[str, dict[str, list[Point]]] = {}
    for trial in trials:
        if at := place(trial):
            panels.setdefault(at.panel, {}).setdefault(at.line, []).append((at.x, trial.came_to[metric]))
    found = {
        title: lines for title, lines in panels.items() if len({x for some in lines.values() for x, _ in some}) > 1
    }
    said = "drop, points" if metric == "drop" else TOP1
    return _panels(
        "level, %" if key == "level" else key, said, {title: _lines(lines) for title, lines in found.items()}
    )


def learning(trials: Sequence[Trial], curves: Curves) -> list[Picture]:
    """Draw top-1 over epochs, a line a config from light to dark, a panel a method and kind of noise."""
    panels: dict[str, list[Trial]] = {}
    for trial in trials:
        panels.setdefault(f"{trial.method}: {trial.dataset}, {trial.family}", []).append(trial)

    def lines(some: list[Trial]) -> Callable[[Axes], None]:
        def draw(axes: Axes) -> None:
            shades = mpl.colormaps["viridis_r"]
            for i, trial in enumerate(some):
                values = mean_curve(trial, curves)
                name = trial.config if trial.level is None else f"{trial.level} %"
                axes.plot(
                    range(1, len(values) + 1), values, color=shades(0.15 + 0.85 * i / max(1, len(some) - 1)), label=name
                )

        return draw

    return _panels("epoch", TOP1, {title: lines(some) for title, some in panels.items()})


def belts(trials: Sequence[Trial], curves: Curves) -> list[Picture]:
    """Draw the 95 % t-interval of top-1 over levels against progress, a belt a kind of noise, a panel a method.

    The wider the belt, the more the level matters (Jiang et al., 2020).
    """
    panels: dict[str, dict[str, list[list[float]]]] = {}
    for trial in trials:
        if trial.level is not None and (curve := mean_curve(trial, curves)):
            panels.setdefault(f"{trial.method}: {trial.dataset}", {}).setdefault(trial.family, []).append(curve)
    several = {title: {f: c for f, c in some.items() if len(c) > 1} for title, some in panels.items()}
    return _panels("progress, %", TOP1, {title: _belts(some) for title, some in several.items() if some})


def _belts(some: Mapping[str, list[list[float]]]) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        for family, found in some.items():
            colour = {"red": "#B91C1C", "blue": "#1E3A8A"}.get(family.split("_")[0], "#3F3F46")
            steps = min(map(len, found))
            at = [100 * (i + 1) / steps for i in range(steps)]
            points = [
                spread([curve[math.ceil((i + 1) * len(curve) / steps) - 1] for curve in found]) for i in range(steps)
            ]
            axes.plot(at, [p.mean for p in points], color=colour, label=f"{family} ({len(found)} levels)")
            axes.fill_between(
                at, [p.mean - p.half for p in points], [p.mean + p.half for p in points], color=colour, alpha=0.2, lw=0
            )

    return draw


def _lines(lines: Mapping[str, list[Point]]) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        for i, (name, points) in enumerate(sorted(lines.items())):
            points.sort()
            bars = [0.0 if math.isnan(p.half) else p.half for _, p in points]
            axes.errorbar(
                [x for x, _ in points],
                [p.mean for _, p in points],
                yerr=bars if any(bars) else None,
                color=OKABE[i % len(OKABE)],
                marker=MARKS[i % len(MARKS)],
                markersize=5,
                capsize=3,
                label=name,
            )

    return draw


def _panels(x: str, y: str, drawers: Mapping[str, Callable[[Axes], None]]) -> list[Picture]:
    """Return panels of one size and one scale; the same data give the same bytes."""
    with mpl.rc_context(STYLE):
        figures = {title: Figure(figsize=(5, 3.6)) for title in drawers}
        for title, draw in drawers.items():
            axes = figures[title].add_subplot()
            draw(axes)
            axes.set(xlabel=x, ylabel=y)
            axes.set_title(title, fontsize=11)
            axes.legend(loc="best", ncols=2 if len(axes.get_legend_handles_labels()[0]) > 5 else 1)
        limits = [figure.axes[0].get_ylim() for figure in figures.values()]
        for figure in figures.values():
            figure.axes[0].set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
        return [Picture(title, _svg(figure)) for title, figure in figures.items()]


def _svg(figure: Figure) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()
