"""RoG fits robust Gaussian classifiers to the features of a trained network.

Source: Lee, Yun, Lee, Lee, Li and Shin, ICML 2019, "Robust inference via generative classifiers for
handling noisy labels", and their code.

A network is trained with cross-entropy. The last stage of the network has several units. For an
image with the given label y, let f be the pooled output of unit l, a vector of D_l numbers:

mu_c, S   = the mean of class c, and the covariance around the means, which all classes share;
            both are first computed from a random 70 % of the images of each class
selected  = of each class, the 70 % with the smallest (f - mu_y)^t S^-1 (f - mu_y)
            mu_c and S are then computed again, from the selected images
p_l(c|f)  = softmax_c(w_c^t f + b_c)   w_c = S^-1 mu_c   b_c = -mu_c^t S^-1 mu_c / 2 + log(1 / K)
p(c|x)    = sum_l softmax(a)_l p_l(c|f_l)   a: ones at first, then fitted by Adam to the holdout,
                                            with the loss -log p(y|x)

Wrong labels change the last layer of a network (the softmax head) much more than they change the
features below it. The means and the covariance of the features hardly change, especially if they
are computed only from examples that are close together (as in the minimum covariance determinant).
The labels of the holdout are as noisy as the others, so the weights a are fitted only to the more
typical half of the holdout. An image is typical if its features in the last unit are close to the
mean of its class. The training itself does not change: the Gaussian classifiers are fitted after
the last epoch, and until then the network predicts as usual.

The units are the same as in the authors' code. In a ResNet, they are the residual units of the last
stage (three in the authors' ResNet-34, here `resnet34_narrow`). In a DenseNet, they are layers 5
and 10 of the last block, counted from 0, and the end of this block after normalisation and ReLU.
The last unit of a pre-activation network also ends after normalisation and ReLU. A perceptron or a
plain ConvNet (such as `conv_small` or `vgg13_cifar`) has no units, so the ends of all its blocks
are used instead; this is our choice. A network of your own must have a method ``unit_features``,
which returns a list of tensors of shape (B, C, H, W) or (B, D) for a batch.

The first covariance is a sum over the classes, divided by the number of examples. This
implementation divides once, at the end, as in the paper. The authors' code divides after every
class, so the last classes dominate. In a test with 1,200 examples of four classes, 110 examples
were selected by one of the two computations but not by the other.

A class without examples is never predicted. S^-1 is a pseudoinverse, so features that never vary
have no effect. With several ranks, all ranks use the Gaussian classifiers of rank 0.

On `shapes` (blue 40, 16 x 16 pixels, 10 epochs, mean of three seeds), RoG ends at an accuracy of
54.3 %, and `vanilla` at 56.6 %. RoG trains on fewer images, because the holdout takes a tenth of
them. After such a short training, the features give the Gaussians little information. In a run of
25 epochs, the accuracy of the Gaussian classifiers was 2 percentage points higher than that of the
network whose features they use.

This implementation keeps the pooled features of the whole training set in memory at once: for each
image, one number for each channel of each unit. The authors take the holdout from the test set and
corrupt its labels. Here the holdout is a part of the noisy training set that is kept out of
training.
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
    """A Gaussian per class, with a shared covariance."""

    mean: Tensor  # (K, D)
    precision: Tensor  # (D, D) S^-1
    class_count: Tensor  # (K,) examples of each class

    def distance(self, f: Tensor, y: Tensor) -> Tensor:
        """Return (f - mu_y)^t S^-1 (f - mu_y), (n,), of features, (n, D), and labels, (n,)."""
        centred = f - self.mean[y]
        return ((centred @ self.precision) * centred).sum(1)


def fit_gaussians(
    f: Tensor,
    y: Tensor,
    n_classes: int,
) -> Gaussians:
    """Fit the Gaussians to features, (n, D), with labels, (n,)."""
    count = torch.bincount(y, minlength=n_classes)
    sums = f.new_zeros(n_classes, f.shape[1])
    sums.index_add_(0, y, f)
    mean = sums / count.clamp(min=1)[:, None]
    centred = f - mean[y]
    covariance = centred.T @ centred / len(f)
    return Gaussians(mean, torch.linalg.pinv(covariance, hermitian=True), count)


def smallest_of_each_class(
    score: Tensor,
    y: Tensor,
    share: float,
    n_classes: int,
) -> Tensor:
    """Return whether each example is among the floor(share n_c) with the least score of its class.

    At least one example of each class is. ``score`` and the labels ``y`` are (n,).
    """
    order = score.argsort(stable=True)
    order = order[y[order].argsort(stable=True)]  # by class, then by score
    count = torch.bincount(y, minlength=n_classes)
    class_begin = count.cumsum(0) - count
    positions = torch.arange(len(y), device=y.device)
    rank = torch.empty_like(order)  # within the class
    rank[order] = positions - class_begin[y[order]]
    n_selected = (share * count + 1e-9).floor().clamp(min=1)
    return rank < n_selected[y]


def fit_robust_gaussians(
    f: Tensor,
    y: Tensor,
    n_classes: int,
    share: float,
) -> Gaussians:
    """Fit the Gaussians to a random share of each class, then to the share closest to that fit."""
    random_score = torch.rand(len(y)).to(y.device)
    sample = smallest_of_each_class(random_score, y, share, n_classes)
    first_fit = fit_gaussians(f[sample], y[sample], n_classes)
    selected = smallest_of_each_class(first_fit.distance(f, y), y, share, n_classes)
    return fit_gaussians(f[selected], y[selected], n_classes)


def linear_classifier(fit: Gaussians) -> tuple[Tensor, Tensor]:
    """Return the weights w, (K, D), and biases b, (K,), that classify by the Gaussians."""
    w = fit.mean @ fit.precision
    n_classes = len(w)
    b = -(w * fit.mean).sum(1) / 2 - math.log(n_classes)
    has_examples = fit.class_count > 0
    return w, torch.where(has_examples, b, -torch.inf)


def fit_unit_weights(
    p: Tensor,
    rounds: int = 20,
    batch_size: int = 50,
    lr: float = 0.02,
) -> Tensor:
    """Return softmax(a), (L,), from the probabilities of the holdout's labels by unit, (m, L)."""
    a = p.new_ones(p.shape[1]).requires_grad_()
    adam = Adam([a], lr)
    with torch.enable_grad():
        for _ in range(rounds):
            for index in torch.split(torch.randperm(len(p)), batch_size):
                mixture = p[index] @ a.softmax(0)
                loss = -mixture.clamp(min=1e-30).log().mean()
                adam.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                adam.step()
    return a.detach().softmax(0)


class RoG(Method):
    """Trains with cross-entropy, and predicts with robust Gaussian classifiers on features.

    Args:
        task: the learning task
        share: share of the images of each class from which mean and covariance are computed
        typical: share of the holdout to which the weights of the units are fitted: its most typical
            images
    """

    cross_entropy_options = {}  # noqa: RUF012, read only
    requires = ("holdout",)
    paper = "Lee et al. 2019"
    repeats_within = "epoch"
    unit_weights: Tensor
    is_fitted: Tensor

    def __init__(
        self,
        task: Task,
        share: float = 0.7,
        typical: float = 0.5,
    ) -> None:
        super().__init__(task)
        self.share = check_number("share", share, 0, 1)
        self.typical_share = check_number("typical", typical, 0, 1)
        if not hasattr(self.net, "unit_features"):
            raise ValueError(
                "RoG needs a network with a method `unit_features`, which returns the outputs of "
                "the units of its last stage, (B, C, H, W) or (B, D) each: use a net of `cnlw "
                "list nets`"
            )
        heads = []
        for width in self.unit_widths():
            heads.append(nn.Linear(width, task.n_classes).double())
        self.heads = nn.ModuleList(heads).requires_grad_(False)
        n_units = len(heads)
        equal_weights = torch.full((n_units,), 1 / n_units, dtype=torch.float64)
        self.register_buffer("unit_weights", equal_weights)
        self.register_buffer("is_fitted", torch.zeros((), dtype=torch.bool))

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean cross-entropy."""
        losses = cross_entropy(self.net(batch.x), batch.y, reduction="none")
        self.log_examples(batch, losses)
        return losses.mean()

    def predict(self, x: Tensor) -> Tensor:
        """Return log p(c|x) when training is over, and the network's logits before."""
        if not self.is_fitted:
            return super().predict(x)
        p = self.unit_probabilities(self.unit_features(x)) @ self.unit_weights
        return p.clamp(min=1e-30).log().float()

    def reported_epochs(self) -> int:
        """Return 1: the heads are fitted after the last epoch, and predict in no other."""
        return 1

    def unit_features(self, x: Tensor) -> list[Tensor]:
        """Return the pooled features of each unit, (B, D_l), in double precision."""
        pooled = []
        with eval_mode(self.net):
            outputs = cast(Any, self.net).unit_features(x)
        for h in outputs:
            if h.dim() > 2:
                h = h.flatten(2).mean(2)
            pooled.append(h.double())
        return pooled

    def unit_widths(self) -> list[int]:
        """Return the number of pooled features of each unit, D_l."""
        device = next(self.net.parameters()).device
        first_batch = next(iter(self._holdout()))
        image = first_batch.x[:1].to(device)
        return [f.shape[1] for f in self.unit_features(image)]

    def unit_probabilities(self, features: Sequence[Tensor]) -> Tensor:
        """Return p_l(c|f_l), (B, K, L), from the features of each unit, (B, D_l)."""
        p = []
        for head, f in zip(self.heads, features, strict=True):
            p.append(head(f).softmax(1))
        return torch.stack(p, 2)

    @torch.no_grad()
    def finish(self, train_batches: BatchSource) -> None:
        """Fit the heads to the training set, and their weights to typical holdout examples."""
        last_fit = self._fit_heads(train_batches())
        features, y = self._dataset_features(self._holdout())
        distance = last_fit.distance(features[-1], y)
        n_typical = max(1, int(self.typical_share * len(y)))
        typical = distance.argsort()[:n_typical]
        p = self.unit_probabilities([f[typical] for f in features])  # (m, K, L)
        positions = torch.arange(n_typical, device=y.device)
        p_labels = p[positions, y[typical]]  # (m, L)
        self.unit_weights.copy_(fit_unit_weights(p_labels))
        self.is_fitted.fill_(True)
        distributed.broadcast_from_rank_zero([*self.heads.parameters(), self.unit_weights])

    def _fit_heads(self, batches: Iterable[Batch]) -> Gaussians:
        """Fit the head of each unit, and return the Gaussians of the last unit."""
        features, y = self._dataset_features(batches)
        fits = [fit_robust_gaussians(f, y, self.task.n_classes, self.share) for f in features]
        for head, fit in zip(self.heads, fits, strict=True):
            w, b = linear_classifier(fit)
            cast(nn.Linear, head).weight.copy_(w)
            cast(nn.Linear, head).bias.copy_(b)
        return fits[-1]

    def _dataset_features(self, batches: Iterable[Batch]) -> tuple[list[Tensor], Tensor]:
        """Return the features of each unit, (n, D_l), and the labels, (n,)."""
        features, labels = [], []
        for batch in batches:
            features.append(self.unit_features(batch.x))
            labels.append(batch.y)
        by_unit = [torch.cat(parts) for parts in zip(*features, strict=True)]
        return by_unit, torch.cat(labels)

    def _holdout(self) -> Iterable[Batch]:
        return cast(BatchSource, self.task.holdout)()  # `Method` refuses a task without one
