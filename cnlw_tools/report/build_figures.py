"""What the builds of a study hold: given labels of a class, sizes. Nothing need be trained for it."""

from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc
from matplotlib.axes import Axes
from numpy.typing import NDArray

from cnlw_tools.build.ground_truth import Truth
from cnlw_tools.card import metadata
from cnlw_tools.report.context import Build, Drawn, Seen
from cnlw_tools.report.plotting import OKABE, Draw, panels
from cnlw_tools.report.published import Counts
from cnlw_tools.report.tables import NOTHING, Sheet

Floats = NDArray[np.float64]
OF = 0  # the class whose given labels are shown


def labels(seen: Seen) -> Drawn:
    """Draw the given labels of the images of the first class, a panel a config.

    Labels stand, after the true one, as the config ranks them whose false ones differ the most; of equals the first.
    """
    drawn = Drawn("Given labels of one class")
    there = planned(seen)
    for build in dict.fromkeys(build for build, _ in there):
        some = {config: seen.truths[b, config] for b, config in there if b == build}
        classes = next(iter(some.values())).classes
        found = {config: shares(held, OF) for config, held in some.items()}
        order = ranked(list(found.values()), OF)
        drawers = {
            f"{build.name}, {config}": _bars(found[config], order, classes) for config in found
        }
        drawn.pictures += panels(f"given label of true {classes[OF]}", "share, %", drawers)
    return drawn


def planned(seen: Seen) -> list[Build]:
    """Return the configs that are built, in the order of the study."""
    return [
        place
        for place in dict.fromkeys([*seen.said.places(), *seen.truths])
        if place in seen.truths
    ]


def shares(truth: Truth, of: int) -> Floats:
    """Return (C,) which labels the training images of a class bear, in percent of them."""
    rows = truth.rows.filter(
        pc.and_(pc.equal(truth.rows["split"], "train"), pc.equal(truth.rows["clean_label"], of))
    )
    count = np.bincount(rows["label"].to_numpy(), minlength=len(truth.classes))
    percent: Floats = 100 * count / max(len(rows), 1)
    return percent


def ranked(found: Sequence[Floats], of: int) -> NDArray[np.int64]:
    """Return (C,) the labels, class ``of`` first, the others by their shares where these differ the most."""
    false = np.arange(len(found[0])) != of
    first = found[int(np.argmax([np.round(some[false].std(), 6) for some in found]))]
    return np.argsort(np.where(false, -first, -np.inf), kind="stable")


def _bars(share: Floats, order: NDArray[np.int64], classes: Sequence[str]) -> Draw:
    def draw(axes: Axes) -> None:
        colours = [OKABE[2] if i == OF else OKABE[1] for i in order]
        axes.bar(range(len(order)), share[order], color=colours)
        if len(order) <= 24:  # more names than that cannot be read
            names = [classes[i] if len(classes[i]) <= 10 else f"{classes[i][:9]}…" for i in order]
            axes.set_xticks(range(len(order)), names, rotation=40, ha="right", fontsize=8)
            axes.figure.subplots_adjust(bottom=0.26)
        axes.grid(visible=False, axis="x")

    return draw


def counted(seen: Seen) -> dict[tuple[str, str], Counts]:
    """Return how many images each split of a config has, and how many classes there are."""
    return {
        (build.name, config): {
            "classes": len(truth.classes),
            **metadata.read_card(build).configs[config].rows,
        }
        for (build, config), truth in seen.truths.items()
    }


def sizes(seen: Seen) -> Drawn:
    """Write down how many images each split of a config has, of how many classes, and how many are wrong."""
    cards = {
        build: metadata.read_card(build)
        for build in dict.fromkeys(build for build, _ in seen.truths)
    }
    held = {place: cards[place[0]].configs[place[1]] for place in planned(seen)}
    splits = sorted(
        {split for config in held.values() for split in config.rows},
        key=lambda s: (s != "train", s),
    )
    rows = [
        [
            build.name,
            config,
            str(len(seen.truths[build, config].classes)),
            *(f"{said.rows[split]:,}" if split in said.rows else NOTHING for split in splits),
            f"{100 * said.rate:.2f}",
            f"{100 * said.expected:.2f}",
        ]
        for (build, config), said in held.items()
    ]
    head = ["Dataset", "Config", "Classes", *map(str.capitalize, splits), "Noise, %", "Expected, %"]
    return Drawn(
        "Sizes", tables=[Sheet("Sizes as built", head, rows, ABOUT, words=2)] if rows else []
    )


ABOUT = "Images of each split; noise: share of wrong labels in train, realised and promised."
