"""Validation: top-1 and top-5 accuracy, predictions of all images, confusion of classes."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnlw_tools.methods import Batch, Method
from cnlw_tools.methods.components import distributed
from cnlw_tools.trainer import device as devices
from cnlw_tools.trainer.batches import BatchLoader
from cnlw_tools.trainer.errors import NonfinitePredictions

OUTLIER = "outlier"  # the class that noise of this name adds


def evaluation_splits(names: Iterable[str]) -> list[str]:
    """Return the names of the splits to validate and to test on."""
    return [name for name in names if name.startswith(("validation", "test"))]


def validation_accuracies(method: Method, loaders: Mapping[str, BatchLoader]) -> dict[str, float]:
    """Return top-1 and top-5 in percent of every split whose name begins with `validation`.

    The keys are ``val_top1``, ``val_top5``, ``val_ilsvrc12_top1`` and so on.
    """
    accuracies = {}
    for name, loader in loaders.items():
        if not name.startswith("validation"):
            continue
        short_name = name.replace("validation", "val")
        top1, top5 = accuracy(method, loader)
        accuracies[f"{short_name}_top1"] = top1
        accuracies[f"{short_name}_top5"] = top5
    return accuracies


def accuracy(method: Method, loader: BatchLoader) -> tuple[float, float]:
    """Return top-1 and top-5 in percent; each rank predicts its share of the images."""
    n_correct = torch.zeros(2, device=loader.device)
    for batch, logits in _predict_batches(method, loader):
        n_correct += count_correct(logits, batch.y)
    distributed.average_over_ranks([n_correct])
    top1, top5 = n_correct.tolist()
    n_images = len(loader.labels)
    factor = 100 * distributed.world_size()
    return factor * top1 / n_images, factor * top5 / n_images


def predict_split(method: Method, loader: BatchLoader) -> dict[str, NDArray[Any]]:
    """Return the predictions for each image of a split, (n,) each.

    `row` in the build, `label`, `prediction`, `confidence`, which is the probability of the
    prediction, `p_label`, that of the label, and `p_outlier`, that of the class "outlier" if the
    build has one. Probabilities are the softmax of the logits.
    """
    split = loader.split
    values = torch.full((len(split), 4), torch.nan, device=loader.device)
    for batch, logits in _predict_batches(method, loader):
        p = logits.float().softmax(1)
        p_max, top_class = p.max(1)
        p_label = p.gather(1, batch.y[:, None]).squeeze(1)
        p_last_class = p[:, -1]
        batch_values = [top_class.float(), p_max, p_label, p_last_class]
        values[batch.index] = torch.stack(batch_values, 1)
    merged = distributed.merge_ranks(values).cpu().numpy()
    prediction, confidence, p_labels, p_outlier = merged.T
    columns: dict[str, NDArray[Any]] = {
        "row": split.rows,
        "label": split.labels,
        "prediction": prediction.astype(np.int64),
        "confidence": confidence,
        "p_label": p_labels,
    }
    if split.class_names[-1] == OUTLIER:
        columns["p_outlier"] = p_outlier
    return columns


def confusion_matrix(method: Method, loader: BatchLoader) -> Tensor:
    """Return (K, K): row i is the mean softmax over the images of label i, or 0 without images."""
    n_classes = len(loader.split.class_names)
    total = torch.zeros(n_classes, n_classes, device=loader.device)
    for batch, logits in _predict_batches(method, loader):
        p = logits.float().softmax(1)
        total.index_add_(0, batch.y, p)
    distributed.average_over_ranks([total])
    n_images = torch.bincount(loader.labels, minlength=n_classes)
    n_images = n_images.clamp(min=1)
    total = distributed.world_size() * total
    return total / n_images[:, None]


@torch.no_grad()
def count_correct(logits: Tensor, labels: Tensor) -> Tensor:
    """Return (2,): how many labels have the highest logit, and one of the five highest.

    Args:
        logits: (B, K)
        labels: (B,)
    """
    k = min(5, logits.shape[1])
    top_classes = logits.topk(k, dim=1).indices  # (B, 5)
    is_correct = top_classes == labels[:, None]
    n_top1 = is_correct[:, 0].sum()
    n_top5 = is_correct.sum()
    return torch.stack([n_top1, n_top5]).float()


@torch.no_grad()
def _predict_batches(method: Method, loader: BatchLoader) -> Iterator[tuple[Batch, Tensor]]:
    """Yield this rank's share of a split in batches, each with its logits, (B, K).

    Raises:
        NonfinitePredictions: when all batches are done, because a logit of one is not finite
    """
    positions = torch.arange(len(loader.labels))
    rank_positions = positions[distributed.rank() :: distributed.world_size()]
    n_nonfinite = torch.zeros((), device=loader.device)
    method.eval()
    for batch in loader.plain_batches(rank_positions):
        with devices.autocast(loader.device):
            logits = method.predict(batch.x)
        n_nonfinite += (~logits.isfinite()).any(1).sum()
        yield batch, logits
    distributed.average_over_ranks([n_nonfinite])
    if n_nonfinite > 0:
        n_images = len(loader.labels)
        total = round(float(n_nonfinite) * distributed.world_size())
        raise NonfinitePredictions(loader.split.name, total, n_images)
