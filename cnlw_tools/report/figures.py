"""What a report can draw: a function each, by its name in a study. What it shows, and whose it is: study.FIGURES."""

from collections.abc import Callable, Mapping

from cnlw_tools.report import build_figures, cost, example_weights, line_plots, matrices, outliers
from cnlw_tools.report.context import Drawn, Seen
from cnlw_tools.report.study_file import sentence


def over(seen: Seen) -> Drawn:
    """Draw accuracy over a number."""
    of = seen.said
    key = of.study.over
    return Drawn(
        f"Accuracy ({seen.rule}) over {key}", line_plots.over(seen.trials, seen.rule, key, of.place)
    )


def belts(seen: Seen) -> Drawn:
    """Draw how far levels lie apart while training goes on."""
    return Drawn("Belts over levels", line_plots.belts(seen.trials, seen.curves))


def drop(seen: Seen) -> Drawn:
    """Draw what is lost after the peak, over a number."""
    of = seen.said
    return Drawn(
        "Drop after the peak", line_plots.over(seen.trials, "drop", of.study.over, of.place)
    )


def curves(seen: Seen) -> Drawn:
    """Draw accuracy over epochs."""
    of = seen.said
    return Drawn("Training", line_plots.learning(seen.trials, seen.curves, of.study.over, of.place))


def draw(name: str, seen: Seen) -> Drawn:
    """Draw a figure; of one of builds, say which are not there."""
    drawn = FIGURES[name](seen)
    gone = [config for build, config in seen.said.places() if (build, config) not in seen.truths]
    drawn.lacking += filter(None, [sentence("Not built", gone) if name in BUILDS else ""])
    return drawn


BUILDS = ("labels", "sizes")  # of builds alone
FIGURES: Mapping[str, Callable[[Seen], Drawn]] = {
    "over": over,
    "belts": belts,
    "drop": drop,
    "curves": curves,
    "grid": matrices.grid,
    "weights": example_weights.weights,
    "transitions": matrices.transitions,
    "labels": build_figures.labels,
    "recall": outliers.recall,
    "sizes": build_figures.sizes,
    "cost": cost.cost,
    "scatter": cost.scatter,
}
