"""M-DYR-H: mixup with dynamic hard bootstrapping (Arazo, Ortego, Albert, O'Connor and McGuinness, ICML 2019).

x~  = lam x_p + (1 - lam) x_q        lam ~ Beta(alpha, alpha), one a batch; q: a random permutation of the batch
l_p = (1 - w_p) CE(y_p, z~) + w_p CE(argmax z_p, z~)              z~ = f(x~);  z_p = f(x_p), a constant
L   = mean [lam l_p + (1 - lam) l_q] + eta R(z~)                  w, R: `dynamic_bootstrap`

Mixup learns wrong labels by heart late, so after a while the losses of right and wrong labels lie apart, and a mixture
of two Betas tells how likely each label is wrong (`beta_mixture`). From then on each example listens to its label as
far as it is right, and to the network's guess for the rest. The mixture is fitted anew before every epoch.

The defaults are the authors', epochs as shares of their 300. A guess is worth no more than the network: if it knows
few classes when the warm-up ends, it goes on to learn its own mistakes, and a short training does better with a small
alpha and a long warm-up (LOG.md). As in their code w comes from a look as in validation
and the guess from one as in training, which moves the running averages of batch normalisation, too; lam, partners and
R are each rank's own. Noted are the losses of that look, and 1 - w.

Not done here: the augmentation of the images that the mixture is fitted to.
"""

import torch
from torch import Tensor

from cnlw_tools.methods.base import Batch, BatchSource, Method, Task
from cnlw_tools.methods.components.beta_mixture import BetaMixture
from cnlw_tools.methods.components.dynamic_bootstrap import (
    balance_penalty,
    bootstrap_losses,
    mixup_loss,
    refit_mixture,
)
from cnlw_tools.methods.components.inference import evaluate_batch
from cnlw_tools.methods.components.mixing import mix, sample_beta
from cnlw_tools.methods.components.validation import check_number, resolve_epochs


class MDYRH(Method):
    """Mixup; then, label by label, the network's guess as far as the label is likely wrong."""

    cross_entropy_options = {"alpha": 0.0, "warmup": 1e6}  # noqa: RUF012, read only
    paper = "Arazo et al. 2019, arXiv:1904.11238"
    relative_cost = 1.65
    distributed_loss = "per_rank"

    def __init__(
        self, task: Task, alpha: float = 32.0, warmup: float = 0.35, eta: float = 1.0
    ) -> None:
        super().__init__(task)
        self.alpha, self.eta = check_number("alpha", alpha, 0), check_number("eta", eta, 0)
        self.warmup = resolve_epochs("warmup", warmup, task.epochs)
        self.mixture = BetaMixture()

    def loss(self, batch: Batch) -> Tensor:
        """Mixup, and after the warm-up with labels that are trusted in part."""
        x, y = batch.x, batch.y
        q = torch.randperm(len(y), device=y.device)
        if self.progress * self.task.epochs < self.warmup - 1e-6:
            loss, own = mixup_loss(self.net, batch, q, self.alpha)
            self.log_examples(batch, own)
            return loss
        losses, _ = evaluate_batch(self.net, batch)
        w = self.mixture(losses)
        self.log_examples(batch, losses, 1 - w)
        with torch.no_grad():
            guess = self.net(x).argmax(1)
        lam = sample_beta(self.alpha, (), x)
        z = self.net(mix(x, x[q], lam))
        parts = bootstrap_losses(z, y, guess, w), bootstrap_losses(z, y[q], guess[q], w[q])
        return mix(*parts, lam).mean() + self.eta * balance_penalty(z)

    def begin_epoch(self, epoch: int, train_batches: BatchSource) -> None:
        """Fit the mixture, once the warm-up is over."""
        if epoch >= self.warmup:
            refit_mixture(self.mixture, self.net, train_batches)
