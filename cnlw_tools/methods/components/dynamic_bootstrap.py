"""Dynamic bootstrapping gives a label less weight if its loss suggests that it is wrong.

Source: Arazo et al. 2019 (see beta_mixture.py).

The loss l_b of example b is a weighted mean of two cross-entropies: one with the given label, and
one with a guess, which is the network's own prediction for the image:

l_b = (1 - w_b) CE(y_b, z_b) + w_b CE(guess_b, z_b)     w_b: P(y_b is wrong), from `beta_mixture`
R   = sum_c (1 / K) log((1 / K) / h_c)                  h: mean of softmax(z) over the batch

With l alone as the loss, a network could lower it by predicting the same class for every image.
The methods M-DYR-H (mdyrh.py) and MD-DYR-SH (mddyrsh.py) therefore add a multiple of R to the loss;
R is 0 if h is uniform, and positive otherwise.

The Beta mixture can tell correct labels from wrong ones only once their losses differ. Training
therefore begins with a warm-up of plain mixup, during which the losses of correct labels fall
first.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax

from cnlw_tools.methods.base import Batch, BatchSource
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.beta_mixture import BetaMixture
from cnlw_tools.methods.components.inference import evaluate_dataset
from cnlw_tools.methods.components.mixing import mix, sample_beta


def mixup_loss(
    net: nn.Module,
    batch: Batch,
    j: Tensor,
    alpha: float,
) -> tuple[Tensor, Tensor]:
    """Return the mean loss of mixup, and the loss of each given label on its blend, (B,).

    Args:
        net: the network
        batch: B examples
        j: (B,) positions of their partners in the batch
        alpha: of the Beta distribution
    """
    x, y = batch.x, batch.y
    lam = sample_beta(alpha, (), x)
    z = net(mix(x, x[j], lam))
    given_losses = cross_entropy(z, y, reduction="none")
    partner_losses = cross_entropy(z, y[j], reduction="none")
    return mix(given_losses, partner_losses, lam).mean(), given_losses


def bootstrap_losses(
    z: Tensor,
    y: Tensor,
    guess: Tensor,
    w: Tensor,
) -> Tensor:
    """Return l, (B,), of logits, (B, K).

    Args:
        z: the logits
        y: (B,) given labels
        guess: (B,) predicted classes, or their probabilities, (B, K)
        w: (B,) the probability that the given label is wrong
    """
    given_losses = cross_entropy(z, y, reduction="none")
    guess_losses = cross_entropy(z, guess, reduction="none")
    return (1 - w) * given_losses + w * guess_losses


def balance_penalty(z: Tensor) -> Tensor:
    """Return R of logits, (B, K): a scalar that is 0 if the mean prediction is uniform."""
    batch_size, n_classes = z.shape
    log_p = log_softmax(z.float(), 1)
    log_h = log_p.logsumexp(0) - math.log(batch_size)
    return -math.log(n_classes) - log_h.mean()


@torch.no_grad()
def refit_mixture(
    mixture: BetaMixture,
    net: nn.Module,
    batches: BatchSource,
) -> None:
    """Fit the mixture to the network's current losses on the training set.

    The losses are averaged over ranks, whose running averages of batch normalisation differ.
    """
    losses, _ = evaluate_dataset(net, batches)
    distributed.average_over_ranks([losses])
    mixture.fit(losses)
