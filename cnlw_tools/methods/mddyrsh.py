"""MD-DYR-SH: dynamic mixup with dynamic bootstrapping, soft to hard (Arazo et al., ICML 2019).

x~  = d_p x_p + (1 - d_p) x_q        d_p = (1 - w_p) / ((1 - w_p) + (1 - w_q)); q: a random permutation of the batch
l_p = (1 - w_p) CE(y_p, z~) + w_p CE(softmax(z_p / T), z~)        z~ = f(x~);  z_p = f(x_p), a constant
L   = mean [l_p + l_q] / 2 + eta R(z~)                            w, R: `dynamic_bootstrap`
T   = from 1 to 0.001 in a line, epoch by epoch

At much noise a blend of two images is mostly one of wrong labels. Here the one that is more likely labelled right
makes most of the blend, so what is learned is right more often; a guess is soft as long as it is a poor one.
Mixup comes first, then for some epochs dynamic mixup with labels as they are, l_p = CE(y_p, z~) and no R.

The defaults are the authors', epochs as shares of their 300; short trainings do better with a small alpha and a long
warm-up, as those of M-DYR-H do (LOG.md). As in their code w comes from a look as in validation
and the guess from one as in training, which moves the running averages of batch normalisation, too; partners and R
are each rank's own. Noted are the losses of that look, and 1 - w.

On `shapes` (blue 40, 16 pixels, 12 epochs) it ends at 47 where vanilla has 58: mixup needs half of so few epochs, and
what guesses are worth shows later, as with M-DYR-H, which is above vanilla after 25.

Not done here: the augmentation of the images that the mixture is fitted to; in the epochs of dynamic mixup alone the
code weighs l_p and l_q by a random number near 1/2, which is 1/2 here.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, BatchSource, Method, Task
from cnlw_tools.methods.components.beta_mixture import BetaMixture
from cnlw_tools.methods.components.dynamic_bootstrap import (
    balance_penalty,
    bootstrap_losses,
    mixup_loss,
    refit_mixture,
)
from cnlw_tools.methods.components.inference import evaluate_batch
from cnlw_tools.methods.components.mixing import mix
from cnlw_tools.methods.components.validation import check_number, resolve_epochs


def temperature(epoch: int, cooling: int) -> float:
    """Return T in an epoch of the bootstrapping, of which the first ``cooling`` cool down."""
    return 1 - 0.999 * min(epoch / max(cooling - 1, 1), 1)


class MDDYRSH(Method):
    """Mixup; then blends of mostly what is likely labelled right, and guesses that grow hard."""

    cross_entropy_options = {"alpha": 0.0, "warmup": 1e6}  # noqa: RUF012, read only
    paper = "Arazo et al. 2019, arXiv:1904.11238"
    relative_cost = 1.65
    distributed_loss = "per_rank"

    def __init__(
        self,
        task: Task,
        alpha: float = 32.0,  # of the mixup that comes first
        warmup: float = 0.35,
        dynamic: float = 1 / 60,  # epochs of dynamic mixup alone
        cooling: float = 89 / 300,
        eta: float = 1.0,
    ) -> None:
        super().__init__(task)
        self.alpha, self.eta = check_number("alpha", alpha, 0), check_number("eta", eta, 0)
        self.warmup = resolve_epochs("warmup", warmup, task.epochs)
        self.dynamic = resolve_epochs("dynamic", dynamic, task.epochs)
        self.cooling = resolve_epochs("cooling", cooling, task.epochs)
        self.mixture = BetaMixture()

    def loss(self, batch: Batch) -> Tensor:
        """Mixup, dynamic mixup, or that with labels that are trusted in part."""
        x, y = batch.x, batch.y
        q = torch.randperm(len(y), device=y.device)
        epoch = int(self.progress * self.task.epochs + 1e-6)
        if epoch < self.warmup:
            loss, own = mixup_loss(self.net, batch, q, self.alpha)
            self.log_examples(batch, own)
            return loss
        losses, _ = evaluate_batch(self.net, batch)
        w = self.mixture(losses)
        self.log_examples(batch, losses, 1 - w)
        blend = mix(x, x[q], (1 - w) / (2 - w - w[q]))
        late = epoch - self.warmup - self.dynamic
        if late < 0:
            z = self.net(blend)
            return (cross_entropy(z, y) + cross_entropy(z, y[q])) / 2
        with torch.no_grad():
            guess = (self.net(x).float() / temperature(late, self.cooling)).softmax(1)
        z = self.net(blend)
        parts = bootstrap_losses(z, y, guess, w) + bootstrap_losses(z, y[q], guess[q], w[q])
        return parts.mean() / 2 + self.eta * balance_penalty(z)

    def begin_epoch(self, epoch: int, train_batches: BatchSource) -> None:
        """Fit the mixture, once the warm-up is over."""
        if epoch >= self.warmup:
            refit_mixture(self.mixture, self.net, train_batches)
