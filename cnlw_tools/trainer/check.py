"""Check whether a run can work before any image is read.

A method refuses what it cannot do when it is made, so it is made here: for as many examples and
classes as it will have, with a network that takes no memory (torch's device "meta").
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from cnlw_tools.methods import METHODS, Method
from cnlw_tools.recipe.preset import Preset
from cnlw_tools.registry import pick
from cnlw_tools.trainer.nets import NETS, build_network
from cnlw_tools.trainer.predict import without_trainer_options
from cnlw_tools.trainer.schedule import parse_schedule
from cnlw_tools.trainer.stand_in import stand_in_task
from cnlw_tools.trainer.trainer import (
    DEFAULT_HOLDOUT,
    check_batch_size,
    check_method,
    check_options,
    require_split,
)

MAX_EXAMPLES = 10_000  # that a method is made for: some have a row of classes for each
BATCHES = 64  # that these are at least, so that the size of a batch is judged alike


@dataclass(frozen=True, slots=True)
class DataSize:
    """What a run will learn from, in numbers."""

    rows: Mapping[str, int]  # examples by split
    n_classes: int
    image_size: tuple[int, int] | None  # height and width; None: unknown, as images are stored


def check_run(
    preset: Preset,
    method: str,
    options: Mapping[str, Any],
    pretrained: bool,
    size: DataSize | None,
) -> None:
    """Raise what would end the run before its first step.

    Args:
        preset: how to train
        method: of METHODS
        options: of the method, those of the preset among them
        pretrained: whether the network begins with published weights
        size: of the data; None: unknown, so that less is checked

    Raises:
        ValueError, LookupError: with value, place and remedy
    """
    parse_schedule(preset.schedule)
    method_class = pick(METHODS, method, "method")
    pick(NETS, preset.net, "network")
    check_method(preset, method_class)
    check_options(method_class, options)
    if pretrained:
        _check_published_weights(preset.net)
    if size is None:
        return
    for split in ("train", "validation"):
        require_split(split, size.rows, "the build")
    if size.image_size is not None:
        instance = _make_method(preset, method_class, options, size, size.image_size)
        check_batch_size(preset, instance)


def _check_published_weights(net: str) -> None:
    """Raise if nobody publishes weights of a network."""
    from cnlw_tools.trainer.nets.weights import TIMM, TORCHVISION

    if net not in (*TORCHVISION, *TIMM):
        names = ", ".join((*TORCHVISION, *TIMM))
        raise ValueError(
            f"{net} has no published weights; these networks have them: {names}. "
            "Fix: omit --pretrained, or give --weights FILE"
        )


def _make_method(
    preset: Preset,
    method_class: type[Method],
    options: Mapping[str, Any],
    size: DataSize,
    image_size: tuple[int, int],
) -> Method:
    """Return the method, made for the data that it will have."""

    def make_net() -> nn.Module:
        with torch.device("meta"):
            return build_network(preset.net, size.n_classes, image_size)

    n_examples = min(size.rows["train"], max(MAX_EXAMPLES, BATCHES * preset.batch_size))
    default_holdout = DEFAULT_HOLDOUT if "holdout" in method_class.requires else 0
    holdout = options.get("holdout", default_holdout)
    if holdout:
        n_examples -= max(1, round(holdout * n_examples))
    sets = {name for name in ("probe", "verified") if name in size.rows}
    task = stand_in_task(
        make_net,
        n_examples,
        size.n_classes,
        image_size,
        preset.epochs,
        options.get("noise_rate"),
        sets | {"holdout"} if holdout else sets,
    )
    return method_class(task, **without_trainer_options(options))
