"""What the builds of a study hold: given labels, sizes. Nothing needs to be trained for it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.builds.ground_truth import Truth
from cnlw_tools.card.metadata import read_card
from cnlw_tools.reports.context import Figure, ReportContext
from cnlw_tools.reports.looks import COLOURS
from cnlw_tools.reports.plotting import PERCENT, Plot, PlotFunction, draw_panels
from cnlw_tools.reports.published import BuildCounts
from cnlw_tools.reports.study_file import BuildConfig
from cnlw_tools.reports.tables import EMPTY, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHOWN_CLASS = 0  # the class whose given labels are shown
TRUE_LABEL_COLOUR, FALSE_LABEL_COLOUR = COLOURS[2], COLOURS[1]
MAX_TICKS = 24  # more class names cannot be read
MAX_TICK_LETTERS = 24
MAX_NARROW_TICKS = 12  # in a picture that is not as wide as the page
SIZES_CAPTION = (
    "Number of images in each split. Noise is the share of wrong labels in train, realised and "
    "expected."
)


def plot_given_labels(context: ReportContext) -> Figure:
    """Draw the given labels of the images of the first class, a panel a config.

    The true label stands first. The others are ranked by the config whose false labels differ the
    most; of equals by the first.
    """
    figure = Figure("Given labels of one class")
    configs_by_build: dict[Path, list[BuildConfig]] = {}
    for build_config in built_configs(context):
        configs_by_build.setdefault(build_config[0], []).append(build_config)
    for build_configs in configs_by_build.values():
        classes = context.truths[build_configs[0]].classes
        shares = [label_shares(context.truths[key], SHOWN_CLASS) for key in build_configs]
        order = rank_labels(shares, SHOWN_CLASS)
        is_wide = MAX_NARROW_TICKS < len(classes) <= MAX_TICKS
        plots = {}
        for (build, config), share in zip(build_configs, shares, strict=True):
            plot = _bar_plot(share, order, classes)
            caption = _describe_shares(share, order, classes)
            plots[f"{build.name}, {config}"] = Plot({"": plot}, caption, is_wide=is_wide)
        x_label = f"given label of true {classes[SHOWN_CLASS]}"
        figure.panels += draw_panels(
            x_label,
            "share, %",
            plots,
            y_bounds=PERCENT,
        )
    return figure


def tabulate_sizes(context: ReportContext) -> Figure:
    """Return a table of the images of each split, the classes and the wrong labels by config."""
    figure = Figure("Sizes")
    config_cards = {}
    for build, config in built_configs(context):
        config_cards[build, config] = read_card(build).configs[config]
    split_names = {split for card in config_cards.values() for split in card.rows}
    splits = sorted(split_names, key=lambda split: (split != "train", split))
    rows = []
    for (build, config), card in config_cards.items():
        n_classes = len(context.truths[build, config].classes)
        counts = [f"{card.rows[split]:,}" if split in card.rows else EMPTY for split in splits]
        rates = [f"{100 * card.rate:.2f}", f"{100 * card.expected:.2f}"]
        rows.append([build.name, config, str(n_classes), *counts, *rates])
    if rows:
        split_titles = [split.capitalize() for split in splits]
        header = ["Dataset", "Config", "Classes", *split_titles, "Noise, %", "Expected, %"]
        table = Table(
            "Sizes as built",
            header,
            rows,
            SIZES_CAPTION,
            n_text_columns=2,
        )
        figure.tables = [table]
    return figure


def built_configs(context: ReportContext) -> list[BuildConfig]:
    """Return the configs that are built, in the order of the study."""
    configs = dict.fromkeys([*context.study_record.build_configs(), *context.truths])
    return [build_config for build_config in configs if build_config in context.truths]


def label_shares(truth: Truth, true_class: int) -> Floats:
    """Return (C,) the given labels of the training images of a class, in percent of them."""
    is_train = pc.equal(truth.rows["split"], "train")
    is_of_class = pc.equal(truth.rows["clean_label"], true_class)
    rows = truth.rows.filter(pc.and_(is_train, is_of_class))
    counts = np.bincount(rows["label"].to_numpy(), minlength=len(truth.classes))
    percent: Floats = 100 * counts / max(len(rows), 1)
    return percent


def rank_labels(shares: Sequence[Floats], true_class: int) -> Ints:
    """Return (C,) the labels, the true one first, then by their shares.

    Args:
        shares: (C,) for each config; the one whose false labels differ the most decides
        true_class: the true label
    """
    is_false = np.arange(len(shares[0])) != true_class
    spreads = [np.round(share[is_false].std(), 6) for share in shares]
    decisive = shares[int(np.argmax(spreads))]
    sort_key = np.where(is_false, -decisive, -np.inf)
    return np.argsort(sort_key, kind="stable")


def count_images(context: ReportContext) -> dict[tuple[str, str], BuildCounts]:
    """Return the images of each split and the classes, by name of the build and config."""
    counts: dict[tuple[str, str], BuildCounts] = {}
    for (build, config), truth in context.truths.items():
        rows = read_card(build).configs[config].rows
        counts[build.name, config] = {"classes": len(truth.classes), **rows}
    return counts


def _describe_shares(share: Floats, order: Ints, classes: Sequence[str]) -> str:
    """Return a sentence on the true label and the largest false one."""
    false_labels = [label for label in order if label != SHOWN_CLASS]
    sentence = f"{share[SHOWN_CLASS]:.1f} % are labelled {classes[SHOWN_CLASS]}"
    if false_labels:
        largest = max(false_labels, key=lambda label: share[label])
        sentence += (
            f"; the most frequent false label is {classes[largest]}, with {share[largest]:.1f} %"
        )
    return f"{sentence}."


def _bar_plot(
    share: Floats,
    order: Ints,
    classes: Sequence[str],
) -> PlotFunction:
    """Return a plot of a bar for each label, (C,), in the given order, (C,)."""

    def plot(axes: "Axes") -> None:
        positions = range(len(order))
        colours = [FALSE_LABEL_COLOUR] * len(order)
        for position, label in enumerate(order):
            if label == SHOWN_CLASS:
                colours[position] = TRUE_LABEL_COLOUR
        axes.bar(positions, share[order], color=colours)
        if len(order) <= MAX_TICKS:
            names = [_shorten(classes[label]) for label in order]
            axes.set_xticks(positions, names, rotation=60, ha="right", rotation_mode="anchor")
        axes.grid(visible=False, axis="x")

    return plot


def _shorten(name: str) -> str:
    if len(name) <= MAX_TICK_LETTERS:
        return name
    return f"{name[: MAX_TICK_LETTERS - 1]}…"
