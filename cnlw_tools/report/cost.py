"""What methods cost, in what vanilla costs; and accuracy over what is known of each network.

seconds: of an epoch, the median over a run's epochs, the mean over runs        memory: the most that a run took
Pearson's r = sum (x - mean x)(y - mean y) / sqrt(sum (x - mean x)^2 sum (y - mean y)^2)
"""

import math
from collections.abc import Mapping, Sequence
from statistics import mean, median

from matplotlib.axes import Axes

from cnlw_tools.report.context import Drawn, Seen
from cnlw_tools.report.plotting import MARKS, OKABE, TOP1, Draw, panels
from cnlw_tools.report.runs import Run
from cnlw_tools.report.tables import NOTHING, Sheet

Points = Mapping[str, tuple[float, float]]  # by network: what is known of it, and top-1
COST = [
    "Dataset",
    "Network",
    "Method",
    "Seconds an epoch",
    "× vanilla",
    "Peak memory, MiB",
    "× vanilla",
    "Runs",
]
COST_ABOUT = "Median epoch of a run, mean over runs. Memory: of tensors on a GPU; on the host of the whole process."
SCATTER = ["Dataset", "Noise", "Method", "Network", "x", "Ours"]


def cost(seen: Seen) -> Drawn:
    """Write down time and memory of each method."""
    groups: dict[tuple[str, str, str], list[Run]] = {}
    labels = seen.said.labels()
    for run in seen.runs.values():
        if run.history:
            method = labels.get(run.name, run.config.method)
            groups.setdefault((run.dataset, run.config.net, method), []).append(run)
    found = {key: spent(some) for key, some in sorted(groups.items())}
    rows = []
    for (dataset, net, method), (seconds, memory) in found.items():
        base = found.get((dataset, net, "vanilla"), (math.nan, math.nan))
        times = (_times(seconds, base[0]), _times(memory, base[1]))
        numbers = [
            f"{seconds:.2f}",
            times[0],
            f"{memory:,.0f}",
            times[1],
            str(len(groups[dataset, net, method])),
        ]
        rows.append([dataset, net, method, *numbers])
    return Drawn(
        "Cost", tables=[Sheet("Time and memory", COST, rows, COST_ABOUT, words=3)] if rows else []
    )


def spent(runs: Sequence[Run]) -> tuple[float, float]:
    """Return seconds an epoch and the peak of memory in MiB."""
    seconds = mean(median(line["seconds"] for line in run.history) for run in runs)
    return seconds, max(line.get("peak_mb", math.nan) for run in runs for line in run.history)


def _times(value: float, base: float) -> str:
    return f"{value / base:.2f}" if base > 0 and not math.isnan(value) else NOTHING


def scatter(seen: Seen) -> Drawn:
    """Draw top-1 of each network over what is known of it, a line of points a method, a panel a kind of noise."""
    found: dict[tuple[str, str], dict[str, Points]] = {}
    for dataset, family, method in dict.fromkeys(
        (t.dataset, t.family, t.name) for t in seen.trials
    ):
        if of := points(seen, dataset, family, method):
            found.setdefault((dataset, family), {})[method] = of
    drawers = {f"{dataset}, {family}": _points(some) for (dataset, family), some in found.items()}
    rows = [
        [dataset, family, method, net, f"{x:g}", f"{y:.2f}"]
        for (dataset, family), some in found.items()
        for method, of in some.items()
        for net, (x, y) in of.items()
    ]
    notes = [
        f"{', '.join(key)}: {_named(m, of)}."
        for key, some in found.items()
        for m, of in some.items()
    ]
    about = f"Ours: mean of {seen.rule} over the configs; of networks that ran on all of them."
    tables = [Sheet("Networks", SCATTER, rows, about, notes, words=4)] if rows else []
    return Drawn(
        "Accuracy over what is known of each network",
        panels("x: known of the network", TOP1, drawers),
        tables=tables,
    )


def points(seen: Seen, dataset: str, family: str, method: str) -> Points:
    """Return x and the mean top-1 over the configs of a kind of noise, by network that ran on all of them."""
    of = [t for t in seen.trials if (t.dataset, t.family, t.name) == (dataset, family, method)]
    configs = {t.config for t in of}
    came = {(seen.of(t)[0].config.net, t.config): t.came_to[seen.rule].mean for t in of}
    whole = [net for net in seen.said.study.x if all((net, config) in came for config in configs)]
    return {
        net: (float(seen.said.study.x[net]), mean(came[net, config] for config in configs))
        for net in whole
    }


def pearson(some: Points) -> float:
    """Return r; nan of fewer than two points, or where nothing varies."""
    xs, ys = ([point[i] for point in some.values()] for i in (0, 1))
    dx, dy = [x - mean(xs) for x in xs], [y - mean(ys) for y in ys]
    scale = math.sqrt(sum(d * d for d in dx) * sum(d * d for d in dy))
    return sum(a * b for a, b in zip(dx, dy, strict=True)) / scale if scale else math.nan


def _named(method: str, of: Points) -> str:
    """Return a method with its r, if there is one."""
    r = pearson(of)
    return method if math.isnan(r) else f"{method}, r = {r:.2f}"


def _points(some: Mapping[str, Points]) -> Draw:
    def draw(axes: Axes) -> None:
        for i, (method, of) in enumerate(some.items()):
            xs, ys = zip(*of.values(), strict=True)
            axes.plot(
                xs, ys, MARKS[i % len(MARKS)], color=OKABE[i % len(OKABE)], label=_named(method, of)
            )
            for net, at in of.items():
                axes.annotate(net, at, (4, 4), textcoords="offset points", fontsize=8)
        axes.margins(x=0.3, y=0.1)

    return draw
