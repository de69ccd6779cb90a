"""Lines: accuracy over a number, over epochs, and belts over levels."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes

from cnlw_tools.report.plotting import TOP1, Draw, Picture, Point, epochs, lines, panels
from cnlw_tools.report.statistics import spread
from cnlw_tools.report.study_file import Place
from cnlw_tools.report.trials import Trial, mean_curve

Curves = Mapping[str, list[float]]
COLOURS = {"red": "#B91C1C", "red_standin": "#B91C1C", "blue": "#1E3A8A"}  # by noise


def over(
    trials: Sequence[Trial], metric: str, key: str, place: Callable[[Trial], Place | None]
) -> list[Picture]:
    """Draw a metric over a number of each trial; bars: 95 % t-intervals. One that stands nowhere is left out."""
    kinds: dict[str, dict[str, list[Point]]] = {}
    for trial in trials:
        if at := place(trial):
            kinds.setdefault(at.panel, {}).setdefault(at.line, []).append(
                (at.x, trial.came_to[metric])
            )
    several = {
        title: some
        for title, some in kinds.items()
        if len({x for points in some.values() for x, _ in points}) > 1
    }
    said = "drop, points" if metric == "drop" else TOP1
    return panels(
        "level, %" if key == "level" else key,
        said,
        {title: lines(some) for title, some in several.items()},
    )


def learning(
    trials: Sequence[Trial], curves: Curves, key: str, place: Callable[[Trial], Place | None]
) -> list[Picture]:
    """Draw top-1 over epochs: a panel for each line over a number; of trials that stand nowhere, one a config."""
    along: dict[str, list[tuple[float, list[float]]]] = {}
    apart: dict[str, dict[str, list[float]]] = {}
    for trial in trials:
        if at := place(trial):
            along.setdefault(f"{at.line}: {at.panel}", []).append((at.x, mean_curve(trial, curves)))
        else:
            apart.setdefault(f"{trial.dataset}, {trial.config}", {})[trial.method] = mean_curve(
                trial, curves
            )
    drawers = {title: _shades(some, key) for title, some in along.items()}
    return panels("epoch", TOP1, drawers | {title: epochs(some) for title, some in apart.items()})


def _shades(some: Sequence[tuple[float, list[float]]], key: str) -> Draw:
    """Draw curves over epochs, the darker the higher the number."""

    def draw(axes: Axes) -> None:
        shades = mpl.colormaps["viridis_r"]
        for i, (x, values) in enumerate(sorted(some)):
            name = f"{x:g} %" if key == "level" else f"{key} {x:g}"
            shade = shades(0.25 + 0.75 * i / max(1, len(some) - 1))
            axes.plot(range(1, len(values) + 1), values, color=shade, label=name)

    return draw


class Kind(NamedTuple):
    """A kind of noise."""

    family: str  # what its configs are called, less the level
    noise: str


def belts(trials: Sequence[Trial], curves: Curves) -> list[Picture]:
    """Draw the 95 % t-interval of top-1 over levels against progress, a belt a kind of noise, a panel a method.

    The wider the belt, the more the level matters (Jiang et al., 2020).
    """
    kinds: dict[str, dict[Kind, list[list[float]]]] = {}
    for trial in trials:
        if trial.level is not None and (curve := mean_curve(trial, curves)):
            kind = Kind(trial.family, trial.noise)
            panel = kinds.setdefault(f"{trial.method}: {trial.dataset}", {})
            panel.setdefault(kind, []).append(curve)
    several = {
        title: {f: c for f, c in some.items() if len(c) > 1} for title, some in kinds.items()
    }
    return panels(
        "progress, %", TOP1, {title: _belts(some) for title, some in several.items() if some}
    )


def _belts(some: Mapping[Kind, list[list[float]]]) -> Draw:
    def draw(axes: Axes) -> None:
        for (family, noise), found in some.items():
            colour = COLOURS.get(noise, "#3F3F46")
            steps = min(map(len, found))
            at = [100 * (i + 1) / steps for i in range(steps)]
            points = [
                spread([curve[math.ceil((i + 1) * len(curve) / steps) - 1] for curve in found])
                for i in range(steps)
            ]
            axes.plot(
                at, [p.mean for p in points], color=colour, label=f"{family} ({len(found)} levels)"
            )
            axes.fill_between(
                at,
                [p.mean - p.half for p in points],
                [p.mean + p.half for p in points],
                color=colour,
                alpha=0.2,
                lw=0,
            )

    return draw
