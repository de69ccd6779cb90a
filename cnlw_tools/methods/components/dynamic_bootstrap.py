"""Dynamic bootstrapping: each label is trusted as far as its loss says (Arazo et al. 2019). Two methods share it.

l_b = (1 - w_b) CE(y_b, z_b) + w_b CE(guess_b, z_b)                w_b: how likely y_b is wrong (`beta_mixture`)
R   = sum_c (1 / K) log((1 / K) / h_c)                             h: mean of softmax(z) over the batch

Nothing in l holds against calling everything one class; R does: it is least, 0, where h is even. Plain mixup comes
first, until the losses of right and wrong labels lie apart.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax

from cnlw_tools.methods.base import Batch, BatchSource
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.beta_mixture import BetaMixture
from cnlw_tools.methods.components.inference import swept
from cnlw_tools.methods.components.mixing import beta, mix


def mixup(net: nn.Module, batch: Batch, q: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Return the loss of mixup with partners q, (B,), and what the own labels cost on the blends, (B,)."""
    x, y, lam = batch.x, batch.y, beta(alpha, (), batch.x)
    z = net(mix(x, x[q], lam))
    own, other = (cross_entropy(z, target, reduction="none") for target in (y, y[q]))
    return mix(own, other, lam).mean(), own


def bootstrapped(z: Tensor, y: Tensor, guess: Tensor, w: Tensor) -> Tensor:
    """Return l, (B,), of logits, (B, K); guess: classes, (B,), or their probabilities, (B, K)."""
    own, other = (cross_entropy(z, target, reduction="none") for target in (y, guess))
    return (1 - w) * own + w * other


def unevenness(z: Tensor) -> Tensor:
    """Return R of logits, (B, K)."""
    log_h = log_softmax(z.float(), 1).logsumexp(0) - math.log(len(z))
    return -math.log(z.shape[1]) - log_h.mean()


@torch.no_grad()
def refit(mixture: BetaMixture, net: nn.Module, batches: BatchSource) -> None:
    """Fit the mixture to what the training set costs now; batch normalisation of ranks differs, so their mean."""
    losses, _ = swept(net, batches)
    distributed.average_over_ranks([losses])
    mixture.fit(losses)
