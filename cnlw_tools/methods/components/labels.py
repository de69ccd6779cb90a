"""Labels as tensors: targets, and the entries that belong to them."""

import torch
from torch import Tensor


def one_hot(y: Tensor, n_classes: int) -> Tensor:
    """Return (B, K) one-hot targets.

    Torch's own ``one_hot`` synchronises with the device to check that the labels are in range.
    """
    classes = torch.arange(n_classes, device=y.device)
    return (y.unsqueeze(-1) == classes).float()


def select_labels(x: Tensor, y: Tensor) -> Tensor:
    """Return x[b, y_b] for each example, (B,), of x, (B, K), and labels y, (B,)."""
    return x.gather(1, y[:, None])[:, 0]
