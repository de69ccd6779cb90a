"""MD-DYR-SH combines dynamic mixup with bootstrapping that turns from soft to hard.

Source: Arazo, Ortego, Albert, O'Connor and McGuinness, ICML 2019, "Unsupervised label noise
modeling and loss correction".

In the name, MD stands for dynamic mixup, DY for dynamic bootstrapping, R for the regularisation
term R of the formula, and SH for soft to hard.

Each example i of the batch is blended with a partner j. The label of i is wrong with the
probability w_i, according to a mixture of two Beta distributions (`beta_mixture`). T is a
temperature, R keeps the predictions from collapsing to a few classes, and eta is an option:

x~  = d_i x_i + (1 - d_i) x_j           d_i = (1 - w_i) / ((1 - w_i) + (1 - w_j))
                                        j: from a random permutation of the batch; l_j: as l_i
l_i = (1 - w_i) CE(y_i, z~) + w_i CE(softmax(z_i / T), z~)     z~ = f(x~);  z_i = f(x_i), a constant
L   = mean [l_i + l_j] / 2 + eta R(z~)
R   = sum_c (1 / K) log((1 / K) / h_c)  h: mean of softmax(z~) over the batch
T   = 1 at first; falls linearly, epoch by epoch, to 0.001

At high noise levels, most blends of two images contain a wrong label. In this method, the image
whose label is more likely correct makes up the larger part of the blend, so the network learns more
from correct labels. The target of an example is a blend of its label and the network's prediction.
Early predictions are unreliable, so they are used as probabilities (soft). As T falls, each
prediction approaches a single class (hard).

Training begins with plain mixup, for ``warmup`` epochs. Dynamic mixup with the given labels
follows, for ``dynamic`` epochs, with l_i = CE(y_i, z~) and without R. The formula above applies to
all later epochs, and T falls during the first ``cooling`` of them.

The defaults are those of the authors, who train for 300 epochs. Here, the length of each phase is a
share of all epochs: ``warmup`` = 0.35 stands for the authors' 105 epochs. As with M-DYR-H
(mdyrh.py), a smaller alpha and a longer warm-up than the defaults work better for short training
runs. As in the authors' code, the prediction comes from a pass in training mode, which also changes
the running averages of batch normalisation. The probabilities w come from the losses of a second
pass over the images of the batch, in evaluation mode. These losses are logged, and 1 - w is the
logged weight. With several ranks, each rank draws its own partners and computes its own R.

On `shapes` (blue 40, 16 x 16 pixels, 12 epochs, mean of three seeds), MD-DYR-SH ends at an accuracy
of 50.9 %, and `vanilla` at 55.4 %. With the preset `shapes`, plain mixup takes half of these few
epochs. Predictions as targets may help only in longer training runs: the related method M-DYR-H
with this preset ends at 66 % after 25 epochs, and `vanilla` at 47 % (one run each, with seed 0).

The mixture of Beta distributions (`beta_mixture`) is fitted to the losses on images without
augmentation. In the epochs of dynamic mixup with given labels, both l_i and l_j have the weight
1/2; the authors' code weights them by a random number near 1/2.
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
from cnlw_tools.methods.components.validation import (
    check_number,
    resolve_epochs,
    resolve_first_epochs,
)


def bootstrap_temperature(epoch: int, cooling: int) -> float:
    """Return T in an epoch of the bootstrapping; it falls during the first ``cooling`` epochs."""
    cooled_share = min(epoch / max(cooling - 1, 1), 1)
    return 1 - 0.999 * cooled_share


class MDDYRSH(Method):
    """Favours likely correct labels in mixup, and blends the others with predictions.

    Args:
        task: the learning task
        alpha: parameter of the Beta distribution of mixup
        warmup: epochs of plain mixup; a value below 1 is a share of all epochs
        dynamic: epochs of dynamic mixup with the given labels; a value below 1 is a share of all
            epochs
        cooling: epochs in which T falls; a value below 1 is a share of all epochs
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
        alpha: float = 32.0,  # of the mixup in the warm-up
        warmup: float = 0.35,
        dynamic: float = 1 / 60,  # epochs of dynamic mixup alone
        cooling: float = 89 / 300,
        eta: float = 1.0,
    ) -> None:
        super().__init__(task)
        self.alpha = check_number("alpha", alpha, 0)
        self.eta = check_number("eta", eta, 0)
        self.warmup = resolve_first_epochs("warmup", warmup, task.epochs)
        self.dynamic = resolve_first_epochs(
            "dynamic", dynamic, task.epochs, least=0, n_other_epochs=self.warmup + 1
        )
        self.cooling = resolve_epochs("cooling", cooling, task.epochs)
        self.mixture = BetaMixture()

    def loss(self, batch: Batch) -> Tensor:
        """Return the loss of mixup, of dynamic mixup, or of that with bootstrapped labels."""
        x, y = batch.x, batch.y
        j = torch.randperm(len(y), device=y.device)
        epoch = int(self.progress * self.task.epochs + 1e-6)
        if epoch < self.warmup:
            loss, given_losses = mixup_loss(self.net, batch, j, self.alpha)
            self.log_examples(batch, given_losses)
            return loss
        bootstrap_epoch = epoch - self.warmup - self.dynamic
        if bootstrap_epoch >= 0:
            with torch.no_grad():
                temperature = bootstrap_temperature(bootstrap_epoch, self.cooling)
                guess = (self.net(x).float() / temperature).softmax(1)
        losses, _ = evaluate_batch(self.net, batch)
        w = self.mixture(losses)
        self.log_examples(batch, losses, 1 - w)
        w_j = w[j]
        d = (1 - w) / (2 - w - w_j)
        blend = mix(x, x[j], d)
        z = self.net(blend)
        if bootstrap_epoch < 0:
            loss = cross_entropy(z, y)
            partner_loss = cross_entropy(z, y[j])
            return (loss + partner_loss) / 2
        l_i = bootstrap_losses(z, y, guess, w)
        l_j = bootstrap_losses(z, y[j], guess[j], w_j)
        mean_loss = (l_i + l_j).mean() / 2
        return mean_loss + self.eta * balance_penalty(z)

    def begin_epoch(self, epoch: int, train_batches: BatchSource) -> None:
        """Fit the mixture once the warm-up is over."""
        if epoch >= self.warmup:
            refit_mixture(self.mixture, self.net, train_batches)
