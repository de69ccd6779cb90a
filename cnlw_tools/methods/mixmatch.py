"""MixMatch and MixMatch-KL are semi-supervised: they do not use the noisy labels.

Source: Berthelot, Carlini, Goodfellow, Papernot, Oliver and Raffel 2019 and their code. For
MixMatch-KL (the method `mixmatch_kl`), the source is Zhang, Zhang, Arik, Lee and Pfister 2020
(IEG), section 5.4.

Let X be B trusted images with labels Y_p, and U and U^ two views of the B images of the batch.
These 3B images are called rows. After mixing, row r has the label vector t'_r and the logits z'_r.
mean_X is the mean over the rows that come from X, and mean_U is the mean over those from U and U^.
The options in the formula are beta, tau (``temperature``), w, ramp and, for MixMatch-KL, k.
Progress is the completed share of the training. The pseudo-labels g are those of `pseudo_labels`:

g    = mean of softmax(z_U) and softmax(z_U^), sharpened with tau; a constant
rows = [X, U, U^], labels [Y_p, g, g]                   3B rows r; pi is a random permutation
x'_r = lam_r x_r + (1 - lam_r) x_pi(r)                  t'_r: the same mixture of the labels
                                                        lam_r: the larger of u and 1 - u, with
                                                        u ~ Beta(beta, beta)
L    = mean_X CE(t'_r, z'_r) + w min(1, progress / ramp) mean_U,c (t'_rc - softmax(z'_r)_c)^2
                                                        c runs over the classes
MixMatch-KL adds k mean_b KL(softmax(z_U) || softmax(z_U^)), with z_U as a constant

In MixMatch-KL, the second view of each image is augmented as the entry `policy` under the key
`views` of the preset says. If the preset has no such entry, the run stops at the start, with an
error that says how to add it. Both methods are baselines: they show what accuracy is possible
without the noisy labels, and a method that also uses the noisy labels should be better. The given
label y affects only what is logged: the logged weight of an example is g[y], the probability of its
given label in the pseudo-label. Learning from a few labels per class takes many steps: the authors'
code trains for 2^20 steps of 64 images.

The 3B rows pass through the network in three batches, each with equal parts of X, U and U^, so that
batch normalisation sees a mixture. Only the first batch changes the running averages. As in the
authors' code, the weight decay (option ``decay``) is decoupled from the gradient: after each step,
parameters with two or more dimensions are multiplied by ``1 - lr * decay``, where lr is the
learning rate. The default of ``ramp`` is 1/64, as in the authors' code. With several ranks, rows
are mixed only with rows of the same rank.

For MixMatch, the default of w is 75, the value of the authors' code for CIFAR-10. The values of k
and w for MixMatch-KL are not published. Its defaults are k = 20, as in IEG, and w = 30, which is
our choice, because small networks reach a low accuracy with w = 75 and the KL term.

After t steps, the running averages of batch normalisation use the smaller of two decays, as in the
authors' code: ``norm_decay`` (0.999 by default) and (1 + t) / (10 + t). The running average of the
network's weights follows the same rule, with the preset's `ema` in place of ``norm_decay``.

We have numbers only for `mixmatch`, not for `mixmatch_kl`. On `shapes` (blue 40, 16 x 16 pixels, 8
epochs, one seed), `mixmatch` ends at an accuracy of 24.7 % with the default options, at 24.6 % with
``norm_decay`` = 0.9, and at 22.8 % without the weight decay. In the study `jiang_levels`, on the
same dataset and at the same level and image size, `vanilla` ends at 51.7 % (mean of two seeds), but
after 20 epochs. We do not know how much of the difference is due to the shorter training.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.modules.batchnorm import _BatchNorm

from cnlw_tools.methods.base import Batch, Method, Task
from cnlw_tools.methods.components.batchnorm import batch_statistics
from cnlw_tools.methods.components.distributed import world_size
from cnlw_tools.methods.components.labels import one_hot, select_labels
from cnlw_tools.methods.components.lookahead import at_least_float32, draw_probe
from cnlw_tools.methods.components.mixing import at_least_half, mix, sample_beta
from cnlw_tools.methods.components.pseudo_labels import kl_divergence, sharpened_pseudo_labels
from cnlw_tools.methods.components.validation import check_number


def interleave(x: Tensor, n_blocks: int) -> Tensor:
    """Reorder (n, ...) rows of equal blocks: the first of each block, then the second ..."""
    blocks = x.view(n_blocks, -1, *x.shape[1:])
    return blocks.transpose(0, 1).reshape(x.shape)


class MixMatch(Method):
    """Learns from trusted labels and from pseudo-labels for all other images.

    Args:
        task: the learning task
        w: weight of the loss of unlabelled images
        beta: parameter of the Beta distribution
        temperature: tau, which sharpens the pseudo-labels
        ramp: share of the training in which the weight grows from 0 to w
        decay: weight decay, decoupled from the gradient
        norm_decay: highest decay of the running averages of batch normalisation
    """

    views = ("standard", "standard")
    requires = ("probe",)
    paper = "Berthelot et al. 2019"
    relative_cost = 3.67  # two passes for pseudo-labels, three batches
    distributed_loss = "per_rank"

    def __init__(
        self,
        task: Task,
        w: float = 75.0,
        beta: float = 0.75,
        temperature: float = 0.5,
        ramp: float = 1 / 64,
        decay: float = 0.02,
        norm_decay: float = 0.999,
    ) -> None:
        super().__init__(task)
        self.w = check_number("w", w, 0)
        self.beta = check_number("beta", beta, 0)
        self.temperature = check_number("temperature", temperature, 0.001)
        self.ramp = check_number("ramp", ramp, 0, 1)
        self.decay = check_number("decay", decay, 0)
        self.norm_decay = check_number("norm_decay", norm_decay, 0, 1)

    def loss(self, batch: Batch) -> Tensor:
        """Return the cross-entropy of mixed trusted rows plus the squared error of the others."""
        with batch_statistics(self.net):
            z_views = self.view_logits(batch)
        detached = [z.detach() for z in z_views]
        guess = sharpened_pseudo_labels(detached, self.temperature, logit_norm=False)
        losses = cross_entropy(z_views[0], batch.y, reduction="none")
        self.log_examples(batch, losses, weights=select_labels(guess, batch.y))
        batch_size = len(batch.y)
        probe = draw_probe(self.task, batch_size * world_size())
        rows = torch.cat([probe.x, *batch.views])  # (3B, 3, H, W)
        probe_label = one_hot(probe.y, self.task.n_classes)
        target = torch.cat([probe_label, guess, guess])
        lam = at_least_half(sample_beta(self.beta, (len(rows),), rows))
        partner = torch.randperm(len(rows), device=rows.device)
        z = self.mixture_logits(mix(rows, rows[partner], lam))
        target = mix(target, target[partner], lam)
        p = z[batch_size:].softmax(1)
        squared_error = (target[batch_size:] - p).square().mean()
        ramp = min(1.0, self.progress / self.ramp) if self.ramp else 1.0
        labelled_loss = cross_entropy(z[:batch_size], target[:batch_size])
        guess_loss = self.w * ramp * squared_error
        return labelled_loss + guess_loss + self.view_penalty(z_views)

    def view_logits(self, batch: Batch) -> list[Tensor]:
        """Return the logits of each view, (B, K), without a gradient."""
        with torch.no_grad():
            return [at_least_float32(self.net(x)) for x in batch.views]

    def mixture_logits(self, rows: Tensor) -> Tensor:
        """Return (3B, K) logits, from three batches; only the first moves the running averages."""
        first, *remaining = interleave(rows, 3).chunk(3)
        self.slow_running_averages(len(first))
        z = [self.net(first)]
        with batch_statistics(self.net):
            z += [self.net(x) for x in remaining]
        batch_size = len(rows) // 3
        return interleave(at_least_float32(torch.cat(z)), batch_size)

    def slow_running_averages(self, batch_size: int) -> None:
        """Set by how much the running averages of batch normalisation follow the next batch.

        ``batch_size`` is this rank's.
        """
        n_seen = self.progress * self.task.epochs * self.task.n_examples
        steps = round(n_seen / (batch_size * world_size()))
        decay = min(self.norm_decay, (1 + steps) / (10 + steps))
        for layer in self.net.modules():
            if isinstance(layer, _BatchNorm):
                layer.momentum = 1 - decay

    def view_penalty(self, z_views: list[Tensor]) -> Tensor:
        """Return the penalty on views that differ, a scalar; here it is 0."""
        return z_views[0].new_zeros(())

    @torch.no_grad()
    def after_step(self) -> None:
        """Apply the decoupled weight decay to the kernels."""
        if not self.decay:
            return
        for group in self.optimiser.param_groups:
            for p in group["params"]:
                if p.ndim > 1:
                    p.mul_(1 - group["lr"] * self.decay)


class MixMatchKL(MixMatch):
    """Trains like MixMatch and also penalises predictions that differ between two augmentations.

    Args:
        task: the learning task
        k: weight of the KL divergence between the two views
    """

    views = ("standard", "policy")
    paper = "Zhang et al. 2020"
    relative_cost = 4.33  # one of the passes for pseudo-labels has a gradient

    def __init__(
        self,
        task: Task,
        w: float = 30.0,
        beta: float = 0.75,
        temperature: float = 0.5,
        ramp: float = 1 / 64,
        decay: float = 0.02,
        norm_decay: float = 0.999,
        k: float = 20.0,
    ) -> None:
        super().__init__(task, w, beta, temperature, ramp, decay, norm_decay)
        self.k = check_number("k", k, 0)

    def view_logits(self, batch: Batch) -> list[Tensor]:
        """Return the logits of both views, (B, K), the second with its gradient."""
        with torch.no_grad():
            z = at_least_float32(self.net(batch.x))
        z_hat = at_least_float32(self.net(batch.views[1]))
        return [z, z_hat]

    def view_penalty(self, z_views: list[Tensor]) -> Tensor:
        """Return k times the mean divergence of the second view from the first."""
        z, z_hat = z_views
        return self.k * kl_divergence(z, z_hat, detach=True).mean()
