"""Validation: the share of images whose label is the first guess, or among the first five; and what was guessed."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnlw_tools.methods import Method
from cnlw_tools.methods.components import distributed
from cnlw_tools.trainer import device as devices
from cnlw_tools.trainer.batches import Feed

OUTLIER = "outlier"  # the class that noise of this name adds


def held_out(splits: Iterable[str]) -> list[str]:
    """Return the splits to validate and to test on."""
    return [name for name in splits if name.startswith(("validation", "test"))]


def validate(method: Method, feeds: Mapping[str, Feed]) -> dict[str, float]:
    """Return top-1 and top-5 of every split that is called so: ``val_top1``, ``val_top5``, ``val_ilsvrc12_top1`` ..."""
    found = {}
    for name in (name for name in feeds if name.startswith("validation")):
        short = name.replace("validation", "val")
        found[f"{short}_top1"], found[f"{short}_top5"] = accuracy(method, feeds[name])
    return found


@torch.no_grad()
def accuracy(method: Method, feed: Feed) -> tuple[float, float]:
    """Return top-1 and top-5 in percent; each rank looks at its share of the images."""
    label = feed.label
    right = torch.zeros(2, device=label.device)
    method.eval()
    for batch in feed.batches(torch.split(_share(feed), feed.at_once), ("plain",), 0):
        with devices.autocast(label.device):
            logits = method.predict(batch.x)
        right += hits(logits, batch.y)
    distributed.average_over_ranks([right])
    top1, top5 = (100 * distributed.world_size() * count / len(label) for count in right.tolist())
    return top1, top5


@torch.no_grad()
def guesses(method: Method, feed: Feed) -> dict[str, NDArray[Any]]:
    """Return what is predicted of each image of a split, (n,) each: softmax of the logits.

    `row` in the build, `label`, `prediction`, `confidence` = its probability, `p_label` = that of the label, and
    `p_outlier` = that of the class "outlier", where the build has one.
    """
    split = feed.pixels.split
    found = torch.full((len(feed.label), 4), torch.nan, device=feed.label.device)
    method.eval()
    for batch in feed.batches(torch.split(_share(feed), feed.at_once), ("plain",), 0):
        with devices.autocast(feed.label.device):
            p = method.predict(batch.x).float().softmax(1)
        top, own = p.max(1), p.gather(1, batch.y[:, None])[:, 0]
        found[batch.index] = torch.stack([top.indices.float(), top.values, own, p[:, -1]], 1)
    prediction, confidence, p_label, last = distributed.merge_ranks(found).cpu().numpy().T
    told = {"row": split.row, "label": split.label, "prediction": prediction.astype(np.int64)}
    told |= {"confidence": confidence, "p_label": p_label}
    return told | ({"p_outlier": last} if split.classes[-1] == OUTLIER else {})


@torch.no_grad()
def confusion(method: Method, feed: Feed) -> Tensor:
    """Return (K, K) the mean softmax over the images of each label, a row a label; of a label without images, 0."""
    label, classes = feed.label, len(feed.pixels.split.classes)
    total = torch.zeros(classes, classes, device=label.device)
    method.eval()
    for batch in feed.batches(torch.split(_share(feed), feed.at_once), ("plain",), 0):
        with devices.autocast(label.device):
            p = method.predict(batch.x).float().softmax(1)
        total.index_add_(0, batch.y, p)
    distributed.average_over_ranks([total])
    return (
        distributed.world_size()
        * total
        / torch.bincount(label, minlength=classes).clamp(min=1)[:, None]
    )


def _share(feed: Feed) -> Tensor:
    """Return the positions of a split that this rank looks at."""
    return torch.arange(len(feed.label))[distributed.rank() :: distributed.world_size()]


def hits(logits: Tensor, label: Tensor) -> Tensor:
    """Count the labels, (B,), that are the highest of the logits, (B, K), and those among the five highest."""
    guesses = logits.topk(min(5, logits.shape[1]), dim=1).indices  # (B, 5)
    found = guesses == label[:, None]
    return torch.stack([found[:, 0].sum(), found.sum()]).float()
