"""What a network sees in a set of images: the pooled features below its head."""

from typing import Any

import torch
from torch import Tensor, nn

from cnlw_tools.methods.base import BatchSource
from cnlw_tools.methods.components.inference import evaluating


def seeing(net: nn.Module, method: str) -> nn.Module:
    """Return the network.

    Raises:
        ValueError: it has no ``features``
    """
    if not hasattr(net, "features"):
        raise ValueError(
            f"{method} needs a network with features: those of `cnlw list nets` have them"
        )
    return net


def features(net: Any, batches: BatchSource) -> tuple[Tensor, Tensor]:
    """Return (n, D) features of a set, in its order and 32 bits, and its (n,) given labels.

    The network sees as in validation.
    """
    with evaluating(net):
        seen = [(net.features(batch.x).float(), batch.y) for batch in batches()]
    return torch.cat([f for f, _ in seen]), torch.cat([y for _, y in seen])
