"""What a network says of a whole set of examples, as for validation."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from cnlw_tools.methods.base import Batch, Sweep


@torch.no_grad()
def predictions(net: nn.Module, sweep: Sweep) -> Iterator[tuple[Batch, Tensor]]:
    """Yield each batch of a sweep with its (B, K) logits; the network is left in the mode it was in."""
    training = net.training
    net.eval()
    try:
        for batch in sweep():
            yield batch, net(batch.x)
    finally:
        net.train(training)
