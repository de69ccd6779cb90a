"""Batch normalisation in forward passes that no optimiser step follows."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def batch_statistics(net: nn.Module) -> Iterator[None]:
    """Normalise by the statistics of the batch, and leave the running averages unchanged.

    For a network in training mode. A first look at a batch (MentorMix) and passes with other
    weights (L2R, IEG) must not move the averages that validation uses. Forward-mode
    differentiation needs this as well, because it cannot write in place.
    """
    layers = [m for m in net.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    for layer in layers:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in layers:
            layer.track_running_stats = True
