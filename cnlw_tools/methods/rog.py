"""RoG: robust Gaussians on the features of a trained network (Lee, Yun, Lee, Lee, Li and Shin, ICML 2019).

For each block l of a network that was trained as ever, on its pooled features f, (D_l,):
mu_c, S   = means, and the covariance around them that classes share, of a random 70 % of each class
kept      = of each class the 70 % with the least (f - mu_y)^t S^-1 (f - mu_y); mu_c, S anew from those
p_l(c|f)  = softmax_c(w_c^t f + b_c)        w_c = S^-1 mu_c        b_c = -mu_c^t S^-1 mu_c / 2 + log(1 / K)
p(c|x)    = sum_l softmax(a)_l p_l(c|f_l)   a: from ones, by Adam on -log p(y|x) of the holdout

A softmax head bends to every wrong label. Means and a covariance hardly do, least of all those of the examples that
lie close together (the step of the minimum covariance determinant), and features are good even where the head is not.
Labels of the holdout are as noisy as others, so only its more typical half counts, by the last block's distance to
the label's mean. Nothing changes in training; before its end the network predicts as it is.

Of a network this needs ``block_features``, a list of (B, C, H, W) or (B, D) that a batch makes.
A class that no example bears is never predicted. S^-1 is a pseudoinverse: features that never vary count for nothing.
With several ranks the first one's heads are everybody's.

On `shapes` (blue 40, 16 pixels, 10 epochs) it ends at 51 where vanilla has 54: the holdout takes a tenth of the data,
and features of so short a training leave the Gaussians little. In 25 epochs the heads gain 2 points on their own
network.

Not done here: features in parts; those of the whole training set are in memory at once, n numbers a channel.
The authors take the holdout from the test set, with labels that they make wrong.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Adam

from cnlw_tools.methods.base import Batch, BatchSource, Method, Task
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.inference import eval_mode
from cnlw_tools.methods.components.validation import check_number


class Gaussians(NamedTuple):
    """One a class, with a covariance that they share."""

    mean: Tensor  # (K, D)
    precision: Tensor  # (D, D)
    examples: Tensor  # (K,) how many of each class

    def distance(self, f: Tensor, y: Tensor) -> Tensor:
        """Return (n,) (f - mu_y)^t S^-1 (f - mu_y)."""
        centred = f - self.mean[y]
        return ((centred @ self.precision) * centred).sum(1)


def gaussians(f: Tensor, y: Tensor, classes: int) -> Gaussians:
    """Fit (n, D) features of labels y."""
    count = torch.bincount(y, minlength=classes)
    mean = f.new_zeros(classes, f.shape[1]).index_add_(0, y, f) / count.clamp(min=1)[:, None]
    centred = f - mean[y]
    return Gaussians(mean, torch.linalg.pinv(centred.T @ centred / len(f), hermitian=True), count)


def least(score: Tensor, y: Tensor, share: float, classes: int) -> Tensor:
    """Return whether each of n is among the floor(share n_c) with the least score of its class, or its only one."""
    order = score.argsort(stable=True)
    order = order[y[order].argsort(stable=True)]  # by class, then by score
    count = torch.bincount(y, minlength=classes)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(y), device=y.device) - (count.cumsum(0) - count)[y[order]]
    return place < (share * count + 1e-9).floor().clamp(min=1)[y]


def robust(f: Tensor, y: Tensor, classes: int, share: float) -> Gaussians:
    """Fit a random share of each class, then the nearest share of each."""
    some = least(torch.rand(len(y)).to(y.device), y, share, classes)
    first = gaussians(f[some], y[some], classes)
    near = least(first.distance(f, y), y, share, classes)
    return gaussians(f[near], y[near], classes)


def linear(fit: Gaussians) -> tuple[Tensor, Tensor]:
    """Return w, (K, D), and b, (K,)."""
    w = fit.mean @ fit.precision
    b = -(w * fit.mean).sum(1) / 2 - math.log(len(w))
    return w, torch.where(fit.examples > 0, b, -torch.inf)


def weighed(p: Tensor, rounds: int = 20, size: int = 50, lr: float = 0.02) -> Tensor:
    """Return softmax(a), (L,), from the (m, L) chances that the layers give to the labels of the holdout."""
    a = torch.ones(p.shape[1], dtype=p.dtype, device=p.device, requires_grad=True)
    adam = Adam([a], lr)
    with torch.enable_grad():
        for part in (
            part for _ in range(rounds) for part in torch.split(torch.randperm(len(p)), size)
        ):
            adam.zero_grad()
            (-(p[part] @ a.softmax(0)).clamp(min=1e-30).log().mean()).backward()  # type: ignore[no-untyped-call]
            adam.step()
    return a.detach().softmax(0)


class RoG(Method):
    """Cross-entropy; in the end robust Gaussians on the features of each block predict."""

    cross_entropy_options = {}  # noqa: RUF012, read only
    requires = ("holdout",)
    paper = "Lee et al. 2019"
    layers: Tensor
    fitted: Tensor

    def __init__(self, task: Task, share: float = 0.7, typical: float = 0.5) -> None:
        super().__init__(task)
        self.share, self.typical = (
            check_number("share", share, 0, 1),
            check_number("typical", typical, 0, 1),
        )
        if not hasattr(self.net, "block_features"):
            does = "which returns what each block makes of a batch, (B, C, H, W) or (B, D)"
            raise ValueError(
                f"RoG needs a network with block_features, {does}: those of `cnlw list nets` have it"
            )
        x = next(iter(self._holdout())).x[:1].to(next(self.net.parameters()).device)
        widths = [f.shape[1] for f in self.seen(x)]
        self.heads = nn.ModuleList(
            nn.Linear(d, task.n_classes).double() for d in widths
        ).requires_grad_(False)
        self.register_buffer(
            "layers", torch.full((len(widths),), 1 / len(widths), dtype=torch.float64)
        )
        self.register_buffer("fitted", torch.zeros((), dtype=torch.bool))

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy."""
        each = cross_entropy(self.net(batch.x), batch.y, reduction="none")
        self.log_examples(batch, each)
        return each.mean()

    def predict(self, x: Tensor) -> Tensor:
        """Return log p(c|x) when training is over, and the network's logits before."""
        if not self.fitted:
            return super().predict(x)
        return (self.chances(self.seen(x)) @ self.layers).clamp(min=1e-30).log().float()

    def seen(self, x: Tensor) -> list[Tensor]:
        """Return the pooled features of each block, (B, D_l)."""
        with eval_mode(self.net):
            made = cast(Any, self.net).block_features(x)
        return [(h.flatten(2).mean(2) if h.dim() > 2 else h).double() for h in made]

    def chances(self, features: Sequence[Tensor]) -> Tensor:
        """Return p_l(c|f_l), (B, K, L)."""
        return torch.stack(
            [head(f).softmax(1) for head, f in zip(self.heads, features, strict=True)], 2
        )

    @torch.no_grad()
    def finish(self, train_batches: BatchSource) -> None:
        """Fit the heads on the training set, and how much each counts on the typical half of the holdout."""
        features, y = self._all(train_batches())
        fits = [robust(f, y, self.task.n_classes, self.share) for f in features]
        for head, fit in zip(self.heads, fits, strict=True):
            for own, value in zip((head.weight, head.bias), linear(fit), strict=True):
                own.copy_(value)  # type: ignore[operator]
        features, y = self._all(self._holdout())
        near = fits[-1].distance(features[-1], y).argsort()[: max(1, int(self.typical * len(y)))]
        p = self.chances([f[near] for f in features])  # (m, K, L)
        self.layers.copy_(weighed(p[torch.arange(len(near), device=y.device), y[near]]))
        self.fitted.fill_(True)
        distributed.broadcast_from_rank_zero([*self.heads.parameters(), self.layers])

    def _all(self, batches: Iterable[Batch]) -> tuple[list[Tensor], Tensor]:
        """Return the features of a set, block by block, (n, D_l), and its labels, (n,)."""
        found = [(self.seen(batch.x), batch.y) for batch in batches]
        return [torch.cat(some) for some in zip(*(f for f, _ in found), strict=True)], torch.cat(
            [y for _, y in found]
        )

    def _holdout(self) -> Iterable[Batch]:
        return cast(BatchSource, self.task.holdout)()
