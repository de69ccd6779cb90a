"""A preset that adapts to a dataset: the values of the keys named in `adapt` are chosen here.

    size        None, so images as they are stored, if all are of one size, from 8 pixels on the
                shorter side to the preset's size on the longer one; else squares: of the median of
                the shorter sides, from 8 to the preset's size
    batch_size  the largest power of two of which an epoch has 4, at most the preset's
    lr          the preset's times sqrt(batch_size / the preset's batch_size)
    epochs      as many as make 2,000 steps: from the preset's to 100

A value that the user gives is not adapted. The numbers follow from the dataset alone, so every
machine, method and seed gets the same ones, and a run records them.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from cnlw_tools.recipe.preset import Preset, change_preset

SMALLEST_SIDE = 8  # pixels that the preset's network takes
BATCHES = 4  # that an epoch has at least
STEPS = 2000
MAX_EPOCHS = 100


class ImageSides(NamedTuple):
    """Which sizes the images of a config have, in pixels."""

    common: tuple[int, int] | None  # height and width of all; None: they differ
    median: int  # of the shorter sides


def adapt_preset(
    preset: Preset, changes: Mapping[str, Any], n_examples: int, sides: ImageSides
) -> Preset:
    """Return a preset with the values that the user gives and those that the data ask for.

    Args:
        preset: may name values to adapt
        changes: values that the user gives; None changes nothing
        n_examples: in the training set
        sides: of the images

    Raises:
        ValueError: an unknown key, or a value out of range
    """
    changed = change_preset(preset, changes)
    user_keys = {name for name, value in changes.items() if value is not None}
    adapted: dict[str, Any] = {}
    for name in preset.adapt:
        if name not in user_keys:
            adapted[name] = ADAPTED[name](preset, changed, n_examples, sides)
            changed = replace(changed, **{name: adapted[name]})
    return replace(changed, adapt=())


def describe_adapted(preset: Preset, adapted: Preset) -> dict[str, str]:
    """Return in words, by key, the values that were adapted, or that were given instead."""
    texts = {}
    for name in preset.adapt:
        value = getattr(adapted, name)
        texts[name] = "as stored" if value is None else f"{value:g}"
    return texts


def _adapt_size(preset: Preset, changed: Preset, n_examples: int, sides: ImageSides) -> int | None:
    largest = preset.size or max(sides.common or (sides.median,))
    if sides.common is not None:
        is_small = max(sides.common) <= largest
        if is_small and min(sides.common) >= SMALLEST_SIDE:
            return None
    return min(max(sides.median, SMALLEST_SIDE), largest)


def _adapt_batch_size(preset: Preset, changed: Preset, n_examples: int, sides: ImageSides) -> int:
    power = int(math.log2(max(n_examples // BATCHES, 1)))
    return min(1 << power, preset.batch_size)


def _adapt_lr(preset: Preset, changed: Preset, n_examples: int, sides: ImageSides) -> float:
    factor = math.sqrt(changed.batch_size / preset.batch_size)
    return float(f"{preset.lr * factor:.3g}")


def _adapt_epochs(preset: Preset, changed: Preset, n_examples: int, sides: ImageSides) -> int:
    steps_per_epoch = max(n_examples // changed.batch_size, 1)
    epochs = math.ceil(STEPS / steps_per_epoch)
    return max(min(epochs, MAX_EPOCHS), preset.epochs)


ADAPTED = {
    "size": _adapt_size,
    "batch_size": _adapt_batch_size,
    "lr": _adapt_lr,
    "epochs": _adapt_epochs,
}
