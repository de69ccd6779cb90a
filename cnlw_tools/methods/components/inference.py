"""What a network says as in validation: running averages of batch normalisation, no dropout, no gradient."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, BatchSource


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Let a network predict as in validation, and go back to the mode that it was in."""
    training = net.training
    net.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        net.train(training)


def predictions(net: nn.Module, batches: BatchSource) -> Iterator[tuple[Batch, Tensor]]:
    """Yield each batch with its (B, K) logits."""
    for batch in batches():
        with evaluating(net):
            z: Tensor = net(batch.x)
        yield batch, z


def judged(net: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return what each label costs, (B,), and whether it is the network's first guess, (B,)."""
    with evaluating(net):
        z = net(batch.x).float()
    return cross_entropy(z, batch.y, reduction="none"), z.argmax(1) == batch.y


def swept(net: nn.Module, batches: BatchSource) -> tuple[Tensor, Tensor]:
    """Return the same of all examples of a set, in its order, (n,) each."""
    found = [judged(net, batch) for batch in batches()]
    return torch.cat([losses for losses, _ in found]), torch.cat([agrees for _, agrees in found])
