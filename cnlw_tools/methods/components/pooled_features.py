"""The pooled features below a network's head, for a set of images."""

from typing import Any

import torch
from torch import Tensor, nn

from cnlw_tools.methods.base import BatchSource
from cnlw_tools.methods.components.inference import eval_mode


def require_features(net: nn.Module, method: str) -> None:
    """Check that a network offers its features.

    Raises:
        ValueError: it has no ``features`` method
    """
    if not hasattr(net, "features"):
        raise ValueError(
            f"{method} needs a network with a method features(x) that returns (B, D), from which "
            "it predicts: add one to your network, or use one of `cnlw list nets`"
        )


def extract_features(net: Any, batches: BatchSource) -> tuple[Tensor, Tensor]:
    """Return (n, D) features in 32 bits and (n,) given labels, in the order of the batches.

    The network is in evaluation mode.
    """
    features, labels = [], []
    with eval_mode(net):
        for batch in batches():
            features.append(net.features(batch.x).float())
            labels.append(batch.y)
    return torch.cat(features), torch.cat(labels)
