"""M-DYR-H combines mixup with dynamic hard bootstrapping, which blends labels with predictions.

Source: Arazo, Ortego, Albert, O'Connor and McGuinness, ICML 2019, "Unsupervised label noise
modeling and loss correction".

In the name, M stands for mixup, DY for dynamic bootstrapping, R for the regularisation term R of
the formula, and H for hard.

Each example i of the batch is blended with a partner j, and w_i is the probability that the label
of i is wrong. R keeps the predictions from collapsing to a few classes, and alpha and eta are
options:

x~  = lam x_i + (1 - lam) x_j           lam ~ Beta(alpha, alpha), one per batch
                                        j: from a random permutation of the batch; l_j: as l_i
l_i = (1 - w_i) CE(y_i, z~) + w_i CE(argmax z_i, z~)     z~ = f(x~);  z_i = f(x_i), a constant
L   = mean [lam l_i + (1 - lam) l_j] + eta R(z~)
R   = sum_c (1 / K) log((1 / K) / h_c)                  h: mean of softmax(z~) over the batch

With mixup, a network memorises wrong labels only late in training. After some epochs, examples with
wrong labels therefore mostly have larger losses than examples with correct ones. A mixture of two
Beta distributions (`beta_mixture`), fitted to these losses, then gives the probability that each
label is wrong. When the warm-up (option ``warmup``) is over, the target of each example is a blend
of its label and the network's prediction, and w_i is the share of the prediction. The mixture is
fitted again before every epoch, to the losses on images without augmentation.

The defaults are those of the authors. They warm up for 105 of 300 epochs, a share of 0.35. If the
network recognises few classes when the warm-up ends, it learns its own mistakes from then on. With
few epochs and a large alpha, which blends the images strongly, the network recognises too few
classes by that time. For a short training run, a smaller alpha and a longer warm-up than the
defaults therefore work better.

On `shapes` (blue 40, 16 x 16 pixels, 25 epochs, preset `shapes`, one run with seed 0 for each
number), M-DYR-H ends at 66 %, and `vanilla` at 47 %.

As in the authors' code, the prediction comes from a pass in training mode over the images. This
pass and the pass over the blends change the running averages of batch normalisation. After them, a
pass in evaluation mode over the images gives the losses from which w is computed. These losses are
logged, and 1 - w is the logged weight. With several ranks, each rank draws its own lam and
partners, and computes its own R.
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
from cnlw_tools.methods.components.validation import check_number, resolve_first_epochs


class MDYRH(Method):
    """Trains with mixup, and blends likely wrong labels with the network's predictions.

    Args:
        task: the learning task
        alpha: parameter of the Beta distribution of mixup
        warmup: epochs of plain mixup; a value below 1 is a share of all epochs
        eta: weight of R
    """

    paper = "Arazo et al. 2019, arXiv:1904.11238"
    repeats_within = "epoch"
    is_staged = True
    relative_cost = 1.65
    distributed_loss = "per_rank"

    def __init__(
        self,
        task: Task,
        alpha: float = 32.0,
        warmup: float = 0.35,
        eta: float = 1.0,
    ) -> None:
        super().__init__(task)
        self.alpha = check_number("alpha", alpha, 0)
        self.eta = check_number("eta", eta, 0)
        self.warmup = resolve_first_epochs("warmup", warmup, task.epochs)
        self.mixture = BetaMixture()

    def loss(self, batch: Batch) -> Tensor:
        """Return the mixup loss, and after the warm-up that with bootstrapped labels."""
        x, y = batch.x, batch.y
        j = torch.randperm(len(y), device=y.device)
        epochs_done = self.progress * self.task.epochs
        if epochs_done < self.warmup - 1e-6:
            loss, given_losses = mixup_loss(self.net, batch, j, self.alpha)
            self.log_examples(batch, given_losses)
            return loss
        with torch.no_grad():
            guess = self.net(x).argmax(1)
        lam = sample_beta(self.alpha, (), x)
        z = self.net(mix(x, x[j], lam))
        losses, _ = evaluate_batch(self.net, batch)
        w = self.mixture(losses)
        self.log_examples(batch, losses, 1 - w)
        l_i = bootstrap_losses(z, y, guess, w)
        l_j = bootstrap_losses(z, y[j], guess[j], w[j])
        mean_loss = mix(l_i, l_j, lam).mean()
        return mean_loss + self.eta * balance_penalty(z)

    def begin_epoch(self, epoch: int, train_batches: BatchSource) -> None:
        """Fit the mixture once the warm-up is over."""
        if epoch >= self.warmup:
            refit_mixture(self.mixture, self.net, train_batches)
