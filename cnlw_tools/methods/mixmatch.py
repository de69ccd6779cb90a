"""MixMatch: labels for the trusted examples alone, guesses for all others, and everything mixed (two methods).

Berthelot, Carlini, Goodfellow, Papernot, Oliver and Raffel 2019 and their code; MixMatch-KL: Zhang, Zhang, Arik, Lee
and Pfister 2020 (IEG), section 5.4. X: B trusted images with labels Y_p; U, U^: two views of the B of the batch.

g    = sharpened mean of softmax(z_U), softmax(z_U^)          constant, at temperature tau: `guesses`
rows = [X, U, U^], labels [Y_p, g, g]                         3B
x'_r = lam_r x_r + (1 - lam_r) x_pi(r)                        labels likewise, lam ~ Beta(beta, beta), folded: >= 1/2
L    = mean_X CE(t'_r, z'_r) + w ramp mean_U,k (t'_rk - softmax(z'_r)_k)^2       ramp = min(1, progress / ramp)
MixMatch-KL adds k mean_b KL(softmax(z_b) || softmax(z^_b)), z constant; its second view is the policy's

Semi-supervised learning is what remains when the given labels are taken for worthless: what a method for noisy labels
is to beat, if it has the same trusted set. No given label is used; the weight that is noted of one is g[y]. It takes
long to spread ten labels a class (the paper: 2^20 steps); a thousand steps on `shapes` end far below vanilla.

The 3B rows go through the network in three batches, each with as much of X as of U and U^, so that batch
normalisation sees a mixture; the first alone moves the running averages. ``decay`` is the code's weight decay, apart
from the gradient: kernels <- kernels (1 - lr decay) after each step. The ramp is the code's, 2^20 of 2^26 images; w is
that for CIFAR-10. Of MixMatch-KL neither k nor w is known: k is IEG's here, and w ours, as small networks take 75
beside it badly. With several ranks, rows are mixed with those of their own.

Not done here: more than two views of an unlabelled image.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, Method, Task
from cnlw_tools.methods.components.batchnorm import batch_statistics
from cnlw_tools.methods.components.distributed import world_size
from cnlw_tools.methods.components.lookahead import at_least_float32, draw_probe
from cnlw_tools.methods.components.mixing import at_least_half, mix, one_hot, sample_beta
from cnlw_tools.methods.components.pseudo_labels import kl_divergence, sharpened_pseudo_labels
from cnlw_tools.methods.components.validation import check_number


def woven(x: Tensor, parts: int) -> Tensor:
    """Reorder rows of ``parts`` equal blocks: the first of each, the second of each ...; (n, ...) -> (n, ...)."""
    return x.view(parts, -1, *x.shape[1:]).transpose(0, 1).reshape(x.shape)


class MixMatch(Method):
    """Semi-supervised: trusted labels, guesses for the rest, all mixed."""

    views = ("standard", "standard")
    requires = ("probe",)
    paper = "Berthelot et al. 2019"
    relative_cost = 3.67  # two guesses, three batches
    distributed_loss = "per_rank"

    def __init__(
        self,
        task: Task,
        w: float = 75.0,
        beta: float = 0.75,
        temperature: float = 0.5,
        ramp: float = 1 / 64,
        decay: float = 0.0,
    ) -> None:
        super().__init__(task)
        self.w, self.beta = check_number("w", w, 0), check_number("beta", beta, 0)
        self.temperature = check_number("temperature", temperature, 0.001)
        self.ramp, self.decay = check_number("ramp", ramp, 0, 1), check_number("decay", decay, 0)

    def loss(self, batch: Batch) -> Tensor:
        """Guess, mix, and fit the labels of trusted rows by cross-entropy, the guesses by squares."""
        with batch_statistics(self.net):
            views = self.seen(batch)
        guess = sharpened_pseudo_labels(
            [z.detach() for z in views], self.temperature, logit_norm=False
        )
        self.log_examples(
            batch,
            cross_entropy(views[0], batch.y, reduction="none"),
            guess.gather(1, batch.y[:, None])[:, 0],
        )
        many, trust = len(batch.y), draw_probe(self.task, len(batch.y) * world_size())
        rows = torch.cat([trust.x, *batch.views])  # (3B, 3, H, W)
        target = torch.cat([one_hot(trust.y, guess.shape[1]), guess, guess])
        lam, partner = (
            at_least_half(sample_beta(self.beta, (len(rows),), rows)),
            torch.randperm(len(rows), device=rows.device),
        )
        z, target = self.logits(mix(rows, rows[partner], lam)), mix(target, target[partner], lam)
        squares = (target[many:] - z[many:].softmax(1)).square().mean()
        strength = self.w * min(1.0, self.progress / self.ramp if self.ramp else 1.0)
        return cross_entropy(z[:many], target[:many]) + strength * squares + self.agreement(views)

    def seen(self, batch: Batch) -> list[Tensor]:
        """Return the logits of the views, each (B, K), as the guess wants them: without a gradient."""
        with torch.no_grad():
            return [at_least_float32(self.net(x)) for x in batch.views]

    def logits(self, rows: Tensor) -> Tensor:
        """Return (3B, K) logits of three batches, each a mixture; the first moves the running averages."""
        first, *others = woven(rows, 3).chunk(3)
        z = [self.net(first)]
        with batch_statistics(self.net):
            z += [self.net(x) for x in others]
        return woven(at_least_float32(torch.cat(z)), len(rows) // 3)

    def agreement(self, views: list[Tensor]) -> Tensor:
        """Return what the views cost for differing; nothing here."""
        return views[0].new_zeros(())

    @torch.no_grad()
    def after_step(self) -> None:
        """Shrink the kernels."""
        if self.decay:
            for group in self.optimiser.param_groups:
                for p in group["params"]:
                    if p.ndim > 1:
                        p.mul_(1 - group["lr"] * self.decay)


class MixMatchKL(MixMatch):
    """MixMatch whose network must see the same in a view of the policy."""

    views = ("standard", "policy")
    paper = "Zhang et al. 2020"
    relative_cost = 4.33  # of two guesses one is learned from

    def __init__(
        self,
        task: Task,
        w: float = 30.0,
        beta: float = 0.75,
        temperature: float = 0.5,
        ramp: float = 1 / 64,
        decay: float = 0.0,
        k: float = 20.0,
    ) -> None:
        super().__init__(task, w, beta, temperature, ramp, decay)
        self.k = check_number("k", k, 0)

    def seen(self, batch: Batch) -> list[Tensor]:
        """Return the logits of both views, (B, K), the second with its gradient."""
        with torch.no_grad():
            plain = at_least_float32(self.net(batch.x))
        return [plain, at_least_float32(self.net(batch.views[1]))]

    def agreement(self, views: list[Tensor]) -> Tensor:
        """Return k times the divergence of the second view from the first."""
        return self.k * kl_divergence(views[0], views[1], detach=True).mean()
