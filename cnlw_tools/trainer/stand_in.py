"""A task whose data are black images, for a method that is made and learns nothing.

A check makes a method so before there are data, and a prediction after they are gone.
"""

from collections.abc import Callable, Collection

import torch
from torch import nn

from cnlw_tools.methods import Batch, ProbeSet, Task
from cnlw_tools.trainer.nets.network import HeightWidth

ALL_SETS = ("probe", "verified", "holdout")


def stand_in_task(
    make_net: Callable[[], nn.Module],
    n_examples: int,
    n_classes: int,
    image_size: HeightWidth,
    epochs: int,
    noise_rate: float | None,
    sets: Collection[str] = ALL_SETS,
) -> Task:
    """Return a task with a black image of each class in each of its sets.

    Args:
        make_net: makes a network
        n_examples: to train on
        n_classes: of the labels
        image_size: of the images, pixels
        epochs: of the run
        noise_rate: share of wrong labels, if it is known
        sets: those of probe, verified and holdout that there are
    """
    batch = _black_batch(n_classes, image_size)
    is_correct = torch.ones(n_classes, dtype=torch.bool)
    return Task(
        make_net=make_net,
        n_examples=n_examples,
        n_classes=n_classes,
        epochs=epochs,
        probe=ProbeSet(lambda n: batch, lambda: [batch]) if "probe" in sets else None,
        verified=(lambda: [(batch, is_correct)]) if "verified" in sets else None,
        holdout=(lambda: [batch]) if "holdout" in sets else None,
        noise_rate=noise_rate,
    )


def _black_batch(n_classes: int, image_size: HeightWidth) -> Batch:
    """Return a batch of a black image of each class, which takes the memory of one."""
    labels = torch.arange(n_classes)
    images = torch.zeros(1, 3, *image_size).expand(n_classes, -1, -1, -1)
    return Batch(labels, (images,), labels)
