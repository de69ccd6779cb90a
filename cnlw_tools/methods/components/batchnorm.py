"""What batch normalisation keeps: running averages, and a counter that nobody reads."""

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


@contextmanager
def uncounted_batches(net: nn.Module) -> Iterator[None]:
    """Leave the counters of batches as they are, for as long as the context lasts.

    Each would take a launch a pass, and only a layer without momentum, whose running averages are
    plain means, reads its own.
    """
    layers = [m for m in net.modules() if isinstance(m, _BatchNorm) and m.momentum is not None]
    counters = [layer.num_batches_tracked for layer in layers]
    for layer in layers:
        layer.num_batches_tracked = None
    try:
        yield
    finally:
        for layer, counter in zip(layers, counters, strict=True):
            layer.num_batches_tracked = counter
