"""`cnlw validate --end-to-end`: checks that the noise of a build affects a learner as expected.

A small reference network is trained briefly on every config. With p the share of n validation
images that it classifies correctly, and s = sqrt(p (1 - p) / n):

    above_chance   p > 1 / C + 3 s        C classes, if the true label is the most frequent one
    clean_first    mean loss of noisy examples > that of clean ones, over the epochs,
                   by 3 standard errors, if labels are flipped
    level_harms    p at the lowest level > p at the highest, by 3 sqrt(s^2 + s'^2),
                   if the levels are at least 40 points apart
    red_milder     p under red > p under blue - 3 sqrt(s^2 + s'^2):
                   blue must not be clearly milder than red

The reference is vanilla cross-entropy on images of 16 pixels, whatever the dataset, since the
checks are about labels, not about methods. Two processes with one thread each are faster than one
process with two threads, so several configs are trained at the same time.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnlw_tools.builds import ground_truth
from cnlw_tools.card import metadata
from cnlw_tools.checks.finding import CheckResult, Finding, error
from cnlw_tools.executor import SERIAL, Executor, Progress, limits, no_progress
from cnlw_tools.files import scratch_folder
from cnlw_tools.files.parquet import read_table
from cnlw_tools.recipe.preset import Preset
from cnlw_tools.recipe.recipe import Recipe, recorded_choices
from cnlw_tools.trainer import Trainer, data
from cnlw_tools.trainer import device as devices
from cnlw_tools.trainer.pixel_cache import Resizing

MARGIN = 3  # standard errors
LEVEL_DISTANCE = 40  # percent points from which on a higher level must lower the accuracy
NOISE_KEYS = ("noise", "options")  # keys of a recipe that differ between kinds of noise
FIX = (
    "look at `cnlw show`; if classes cannot be distinguished at 16 pixels, run `cnlw train` at the "
    "size of the build"
)
REFERENCE = Preset(
    net="conv_small", epochs=8, batch_size=100, lr=0.1, size=16, views={"standard": ("flip",)}
)


class Outcome(NamedTuple):
    """The result of the reference on one config."""

    config: str
    recipe: Recipe
    level: int | None
    n_classes: int
    accuracy: float  # share of the validation images, after the last epoch
    n_images: int  # of validation
    loss: NDArray[np.float64]  # (n,) of each training example, mean over epochs; nan: never drawn
    is_noisy: NDArray[np.bool_]  # (n,)
    only_flips: bool  # is every noisy example an image of the dataset under another label?
    truth_is_likeliest: bool  # is the true label the likeliest of each class?

    @property
    def standard_error(self) -> float:
        """Standard error of the accuracy."""
        return math.sqrt(self.accuracy * (1 - self.accuracy) / self.n_images)


class Rule(NamedTuple):
    """What must hold of the outcomes."""

    name: str
    claim: str
    run: Callable[[Sequence[Outcome]], Iterator[Finding]]


def check_learnability(
    build: Path,
    executor: Executor = SERIAL,
    progress: Progress = no_progress,
    cache: Path | None = None,
) -> Iterator[CheckResult]:
    """Train on every config of a build, and yield what came of each rule.

    Args:
        build: a folder that `cnlw build` made
        executor: where configs are learned
        progress: is told how many of them are
        cache: folder of decoded pixels; None: `default_cache()`

    Raises:
        ValueError, LookupError, OSError: nothing to validate on, or fewer images than a batch
    """
    names = list(metadata.read_card(build).configs)
    _fill_cache(build, names, cache, min(executor.workers, limits.workers()))
    by_config = {}
    outcomes = executor.map(partial(_learn_in_one_thread, build, cache), names)
    for done, outcome in enumerate(outcomes, 1):
        progress("learn", done, len(names))
        by_config[outcome.config] = outcome
    in_order = [by_config[name] for name in names]
    for rule in RULES:
        yield CheckResult(rule.name, rule.claim, None, list(rule.run(in_order)))


def skip_learnability(reason: str) -> list[CheckResult]:
    """Return the results of rules that nothing was trained for."""
    return [CheckResult(rule.name, rule.claim, reason, []) for rule in RULES]


def _fill_cache(build: Path, configs: Sequence[str], cache: Path | None, threads: int) -> None:
    """Decode all images now: the processes would decode what configs share once each."""
    resizing = Resizing(REFERENCE.size, REFERENCE.resize)
    for config in configs:
        data.load_splits(build, config, resizing, cache, threads)


def _learn_in_one_thread(build: Path, cache: Path | None, config: str) -> Outcome:
    devices.limit_resources(None, threads=1)
    return learn(build, config, cache=cache)


def learn(build: Path, config: str, **changes: Any) -> Outcome:
    """Train the reference on a config; ``changes`` replace the usual arguments of `Trainer`."""
    card = metadata.read_card(build).configs[config]
    truth = ground_truth.load(build, config)
    with scratch_folder() as folder:
        arguments = {"preset": REFERENCE, "device": "cpu", "out": folder / "run", **changes}
        trainer = Trainer(build, config, **arguments)
        result = trainer.fit()
        loss = _mean_loss(trainer.folder / "examples.parquet")
    matrix = truth.matrix
    return Outcome(
        config,
        card.recipe,
        card.level,
        n_classes=len(truth.classes),
        accuracy=result["last"] / 100,
        n_images=card.rows["validation"],
        loss=loss,
        is_noisy=truth.noisy,
        only_flips=truth.foreign == ["base"],
        truth_is_likeliest=bool((matrix.argmax(1) == np.arange(len(matrix))).all()),
    )


def _mean_loss(examples: Path) -> NDArray[np.float64]:
    """Return (n,) the loss of each example, averaged over the epochs in which it was drawn."""
    tables = [read_table(path) for path in sorted(examples.glob("*.parquet"))]
    losses = np.stack([table["loss"].to_numpy() for table in tables])
    was_drawn = ~np.isnan(losses)
    n_epochs = np.maximum(was_drawn.sum(0), 1)
    return np.where(was_drawn.any(0), np.nansum(losses, 0) / n_epochs, np.nan)


def above_chance(outcomes: Sequence[Outcome]) -> Iterator[Finding]:
    """Yield configs that the reference learns nothing from."""
    for outcome in outcomes:
        bar = 1 / outcome.n_classes + MARGIN * outcome.standard_error
        if outcome.truth_is_likeliest and outcome.accuracy <= bar:
            top1 = f"top-1 {_percent(outcome.accuracy)}"
            message = f"{top1} is not above chance by {MARGIN} standard errors, {_percent(bar)}"
            yield error(message, outcome.config, fix=FIX)


def clean_first(outcomes: Sequence[Outcome]) -> Iterator[Finding]:
    """Yield configs whose flipped labels are learned as soon as the clean ones."""
    for outcome in outcomes:
        was_drawn = ~np.isnan(outcome.loss)
        clean = outcome.loss[was_drawn & ~outcome.is_noisy]
        noisy = outcome.loss[was_drawn & outcome.is_noisy]
        if not outcome.only_flips or min(len(clean), len(noisy)) < 2:
            continue
        margin = MARGIN * math.hypot(_standard_error(clean), _standard_error(noisy))
        if noisy.mean() <= clean.mean() + margin:
            losses = f"wrong labels have loss {noisy.mean():.3f}, right ones {clean.mean():.3f}"
            yield error(f"{losses}: they are learned as soon", outcome.config, fix=FIX)


def level_harms(outcomes: Sequence[Outcome]) -> Iterator[Finding]:
    """Yield kinds of noise whose highest level does no more harm than the lowest."""
    with_level = [outcome for outcome in outcomes if outcome.level is not None]
    with_level.sort(key=lambda outcome: (_shared_choices(outcome), outcome.level))
    for _, group in groupby(with_level, key=_shared_choices):
        levels = list(group)
        low, high = levels[0], levels[-1]
        distance = (high.level or 0) - (low.level or 0)
        fall = low.accuracy - high.accuracy
        if distance >= LEVEL_DISTANCE and fall <= _margin(low, high):
            low_text = f"{_percent(low.accuracy)} at {low.level} %"
            high_text = f"{_percent(high.accuracy)} at {high.level} %"
            message = f"top-1 {low_text}, {high_text}: no clear fall"
            yield error(message, f"{low.config}, {high.config}", fix=FIX)


def red_milder(outcomes: Sequence[Outcome]) -> Iterator[Finding]:
    """Yield levels at which blue noise is clearly milder than red."""
    blues = {}
    for outcome in outcomes:
        if outcome.recipe.noise == "blue":
            blues[_shared_choices(outcome, NOISE_KEYS), outcome.level] = outcome
    for red in outcomes:
        blue = blues.get((_shared_choices(red, NOISE_KEYS), red.level))
        if red.recipe.noise != "red" or blue is None:
            continue
        if blue.accuracy > red.accuracy + _margin(red, blue):
            accuracies = f"{_percent(red.accuracy)} under red, {_percent(blue.accuracy)} under blue"
            yield error(f"top-1 {accuracies}", f"{red.config}, {blue.config}", fix=FIX)


RULES = (
    Rule("above_chance", "the reference learns every config, above chance", above_chance),
    Rule("clean_first", "it learns clean labels sooner than flipped ones", clean_first),
    Rule("level_harms", "it is worse at the highest level than at the lowest", level_harms),
    Rule("red_milder", "red noise harms it no more than blue of the same level", red_milder),
)


def _shared_choices(outcome: Outcome, exclude: tuple[str, ...] = ()) -> str:
    """Return what two configs must share to be compared: all of the recipe but some keys."""
    choices = recorded_choices(outcome.recipe)
    shared = {key: value for key, value in choices.items() if key not in exclude}
    return json.dumps(shared, sort_keys=True)


def _margin(first: Outcome, second: Outcome) -> float:
    return MARGIN * math.hypot(first.standard_error, second.standard_error)


def _standard_error(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values)))


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
