"""What a report can draw: a function each, by its name in a study. What it shows, and whose it is: study.FIGURES."""

from collections.abc import Callable, Mapping

from cnlw_tools.report import builds, examples, lines, matrices, outliers, tallies
from cnlw_tools.report.said import sentence
from cnlw_tools.report.seen import Drawn, Seen


def over(seen: Seen) -> Drawn:
    """Draw accuracy over a number."""
    of = seen.said
    key = of.study.over
    return Drawn(f"Accuracy ({seen.rule}) over {key}", lines.over(seen.trials, seen.rule, key, of.place))


def belts(seen: Seen) -> Drawn:
    """Draw how far levels lie apart while training goes on."""
    return Drawn("Belts over levels", lines.belts(seen.trials, seen.curves))


def drop(seen: Seen) -> Drawn:
    """Draw what is lost after the peak, over a number."""
    of = seen.said
    return Drawn("Drop after the peak", lines.over(seen.trials, "drop", of.study.over, of.place))


def curves(seen: Seen) -> Drawn:
    """Draw accuracy over epochs."""
    of = seen.said
    return Drawn("Training", lines.learning(seen.trials, seen.curves, of.study.over, of.place))


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
    "weights": examples.weights,
    "transitions": matrices.transitions,
    "labels": builds.labels,
    "recall": outliers.recall,
    "sizes": builds.sizes,
    "cost": tallies.cost,
    "scatter": tallies.scatter,
}
