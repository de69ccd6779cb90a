"""`cnlw validate --end-to-end`: what a build must do to a learner. A small reference learns every config briefly.

With p the share of n validation images that is right, and s = sqrt(p (1 - p) / n):

    learns   p > 1 / C + 3 s                                   C classes, where the true label is the likeliest
    sooner   mean loss of noisy examples > that of clean ones  over the epochs, by 3 standard errors, where labels flip
    falls    p at the lowest level > p at the highest          by 3 sqrt(s^2 + s'^2), levels 40 points apart or more
    milder   p under red > p under blue                        less the same margin: blue must not be clearly the milder

The reference is vanilla cross-entropy on images of 16 pixels, whatever the dataset: it proves labels, not methods. Two
processes of one thread each do more of it than one of two, so the configs share the processors.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cnlw_tools.build import ground_truth
from cnlw_tools.card import metadata
from cnlw_tools.checks.finding import Finding, error
from cnlw_tools.executor import SERIAL, Executor, Progress, no_progress
from cnlw_tools.recipe.preset import Preset
from cnlw_tools.recipe.recipe import Recipe, recorded_choices
from cnlw_tools.trainer import Trainer, data
from cnlw_tools.trainer import device as devices

MARGIN = 3  # standard errors
APART = 40  # points of level
NOISE = (
    "noise",
    "options",
)  # keys of a recipe that may differ between red and blue; each noise has its own options
REMEDY = "look at `cnlw show`; classes that 16 pixels do not tell apart need `cnlw train` at their own size"
REFERENCE = Preset(
    net="conv_small", epochs=8, batch_size=100, lr=0.1, size=16, views={"standard": ("flip",)}
)


class Learned(NamedTuple):
    """What became of one config."""

    config: str
    recipe: Recipe
    level: int | None
    classes: int
    top1: float  # share of the validation images, after the last epoch
    images: int  # of validation
    loss: NDArray[np.float64]  # (n,) of each training example, mean over epochs; nan: never drawn
    noisy: NDArray[np.bool_]  # (n,)
    flipped: bool  # is all that is noisy an image of the dataset under another label?
    likely: bool  # is the true label the likeliest of each class?

    @property
    def error(self) -> float:
        """Standard error of top1."""
        return math.sqrt(self.top1 * (1 - self.top1) / self.images)


class Rule(NamedTuple):
    """What must hold."""

    name: str
    proves: str
    run: Callable[[Sequence[Learned]], Iterator[Finding]]


def validate(
    build: Path, executor: Executor = SERIAL, progress: Progress = no_progress
) -> Iterator[tuple[Rule, str | None, list[Finding]]]:
    """Train on every config of a build and yield each rule, why it does not apply (or none), and what it found.

    Args:
        build: a folder that `cnlw build` made
        executor: where configs are learned
        progress: is told how many of them are

    Raises:
        ValueError, LookupError, OSError: nothing to validate on, or fewer images than a batch
    """
    names = list(metadata.read_card(build).configs)
    for name in names:  # before the processes do, which would decode what configs share once each
        data.load_splits(
            build,
            name,
            data.ImageSize(REFERENCE.size, REFERENCE.resize),
            threads=executor.workers,
        )
    found = {}
    for done, one in enumerate(executor.map(partial(_alone, build), names)):
        progress("learn", done + 1, len(names))
        found[one.config] = one
    for rule in RULES:
        yield rule, None, list(rule.run([found[name] for name in names]))


def _alone(build: Path, config: str) -> Learned:
    devices.limit_resources(None, threads=1)
    return learn(build, config)


def learn(build: Path, config: str, **how: Any) -> Learned:
    """Train the reference on a config; ``how``: what `Trainer` is to be told instead."""
    card = metadata.read_card(build).configs[config]
    held = ground_truth.load(build, config)
    with TemporaryDirectory() as folder:
        trainer = Trainer(
            build,
            config,
            **{"plan": REFERENCE, "device": "cpu", "out": Path(folder) / "run", **how},
        )
        top1 = trainer.fit()["last"] / 100
        epochs = sorted((trainer.folder / "examples.parquet").glob("*.parquet"))
        losses = np.stack(
            [pq.read_table(path, partitioning=None)["loss"].to_numpy() for path in epochs]
        )
    seen = np.maximum((~np.isnan(losses)).sum(0), 1)
    matrix = held.matrix
    return Learned(
        config,
        card.recipe,
        card.level,
        len(held.classes),
        top1,
        card.rows["validation"],
        np.where(np.isnan(losses).all(0), np.nan, np.nansum(losses, 0) / seen),
        held.noisy,
        held.foreign == ["base"],
        bool((matrix.argmax(1) == np.arange(len(matrix))).all()),
    )


def learns(found: Sequence[Learned]) -> Iterator[Finding]:
    """Yield configs that the reference learns nothing from."""
    for one in found:
        bar = 1 / one.classes + MARGIN * one.error
        if one.likely and one.top1 <= bar:
            what = f"top-1 {_percent(one.top1)} is not above chance by {MARGIN} standard errors, {_percent(bar)}"
            yield error("learns", what, one.config, mend=REMEDY)


def sooner(found: Sequence[Learned]) -> Iterator[Finding]:
    """Yield configs whose flipped labels are learned as soon as the clean ones."""
    for one in found:
        clean, noisy = (
            one.loss[~np.isnan(one.loss) & (one.noisy == which)] for which in (False, True)
        )
        if not one.flipped or min(len(clean), len(noisy)) < 2:
            continue
        margin = MARGIN * math.hypot(
            *(some.std(ddof=1) / math.sqrt(len(some)) for some in (clean, noisy))
        )
        if noisy.mean() <= clean.mean() + margin:
            what = f"wrong labels cost {noisy.mean():.3f}, right ones {clean.mean():.3f}: they are learned as soon"
            yield error("sooner", what, one.config, mend=REMEDY)


def falls(found: Sequence[Learned]) -> Iterator[Finding]:
    """Yield kinds of noise whose highest level does no more harm than the lowest."""
    levelled = sorted(
        (one for one in found if one.level is not None), key=lambda one: (_kind(one), one.level)
    )
    for _, group in groupby(levelled, key=_kind):
        some = list(group)
        low, high = some[0], some[-1]
        if (high.level or 0) - (low.level or 0) >= APART and low.top1 - high.top1 <= _margin(
            low, high
        ):
            what = f"top-1 {_percent(low.top1)} at {low.level} %, {_percent(high.top1)} at {high.level} %: no clear fall"
            yield error("falls", what, f"{low.config}, {high.config}", mend=REMEDY)


def milder(found: Sequence[Learned]) -> Iterator[Finding]:
    """Yield levels at which blue noise is clearly the milder."""
    blues = {(_kind(one, NOISE), one.level): one for one in found if one.recipe.noise == "blue"}
    for red in (one for one in found if one.recipe.noise == "red"):
        blue = blues.get((_kind(red, NOISE), red.level))
        if blue and blue.top1 > red.top1 + _margin(red, blue):
            what = f"top-1 {_percent(red.top1)} under red, {_percent(blue.top1)} under blue"
            yield error("milder", what, f"{red.config}, {blue.config}", mend=REMEDY)


RULES = (
    Rule("learns", "the reference learns every config, above chance", learns),
    Rule("sooner", "it learns clean labels sooner than flipped ones", sooner),
    Rule("falls", "it is worse at the highest level than at the lowest", falls),
    Rule("milder", "red noise harms it no more than blue of the same level", milder),
)


def _kind(one: Learned, but: tuple[str, ...] = ()) -> str:
    """Name what two configs have to share to be compared: all that their recipes say, ``but`` some keys."""
    choices = recorded_choices(one.recipe)
    shared = {key: value for key, value in choices.items() if key not in but}
    return json.dumps(shared, sort_keys=True)


def _margin(one: Learned, other: Learned) -> float:
    return MARGIN * math.hypot(one.error, other.error)


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
