"""Predictions in evaluation mode: running averages of batch norm, no dropout, no gradient."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, BatchSource


@contextmanager
def eval_mode(net: nn.Module) -> Iterator[None]:
    """Switch a network to evaluation mode without gradients, then back to the mode it was in."""
    was_training = net.training
    net.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        net.train(was_training)


def predict_batches(net: nn.Module, batches: BatchSource) -> Iterator[tuple[Batch, Tensor]]:
    """Yield each batch with its (B, K) logits."""
    for batch in batches():
        with eval_mode(net):
            z: Tensor = net(batch.x)
        yield batch, z


def evaluate_batch(net: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the cross-entropy of each given label, (B,), and whether it is predicted, (B,)."""
    with eval_mode(net):
        z = net(batch.x).float()
    losses = cross_entropy(z, batch.y, reduction="none")
    return losses, z.argmax(1) == batch.y


def evaluate_dataset(net: nn.Module, batches: BatchSource) -> tuple[Tensor, Tensor]:
    """Return the cross-entropy of each given label, (n,), and whether it is predicted, (n,).

    The examples are in the order of the batches.
    """
    losses, agrees = [], []
    for batch in batches():
        batch_losses, batch_agrees = evaluate_batch(net, batch)
        losses.append(batch_losses)
        agrees.append(batch_agrees)
    return torch.cat(losses), torch.cat(agrees)
