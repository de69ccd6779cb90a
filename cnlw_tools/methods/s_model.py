"""The S-Model adds a layer that maps true classes to given labels, and uses it only in training.

Source: Goldberger and Ben-Reuven 2017, "Training deep neural-networks using a noise adaptation
layer".

The layer is a matrix theta of transition probabilities. Its weights are the numbers b_ij and, with
the option ``complex``, also the vectors u_ij. The index n, for which other pages write b, stands
for an image: h_n is the feature vector of image n, from which the last layer of the network
computes the logits z_n. The option beta is the share of plain cross-entropy in the loss l_n:

theta_ij = softmax_j b_ij                   P(given j | true i), by default
theta_ij = softmax_j (u_ij . h_n + b_ij)    with complex = true (the C-Model)
l_n = -(1 - beta) log sum_i p_n[i] theta[i, y_n] + beta CE(y_n, z_n)

If the layer explains the wrong labels, the network below it can predict the true class. The trained
network predicts without the layer.

The result depends on the initial weights of the layer. The network is therefore first trained
without the layer. Then the initial weights are set to b_ij = log(c_ij + 1e-8) and u_ij = 0, where
c_ij is the share of the given label j among the images that the network assigns to class i after
this training (`confusion`). The authors' code counts each image only for its most likely class
(``fit`` = hard). In the paper, each image counts for all classes, weighted by their probabilities
(``fit`` = soft).

The authors' code uses early stopping, based on the accuracy on a held-out tenth of the data, both
for the warm-up (training without the layer) and for the training with the layer. The number of
epochs that the authors used is therefore unknown. Here, the warm-up takes a tenth of the epochs by
default, which is our choice. The warm-up should end before the network memorises the labels,
because a network that predicts all given labels considers none of them wrong. The default beta = 0
comes from a demo in the authors' code.

On `shapes` (blue 40, 16 x 16 pixels, 12 epochs, one run with seed 0 for each number), the S-Model
reaches a top-1 accuracy of 63 % after the last epoch if the warm-up takes half of the epochs (as in
the preset `shapes`), and 57 % if it takes a tenth. `vanilla` reaches 55 %.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax

from cnlw_tools.methods.base import Batch, BatchSource, Method, Phase, Task
from cnlw_tools.methods.components.confusion import label_frequencies
from cnlw_tools.methods.components.validation import (
    check_choice,
    check_flag,
    check_number,
    resolve_first_epochs,
)


class SModel(Method):
    """Trains an additional last layer, which maps true classes to given labels.

    Args:
        task: the learning task
        warmup: epochs before the layer is added; a value below 1 is a share of all epochs
        beta: share of plain cross-entropy in the loss
        fit: how the initial weights of the layer are computed: by counting the most likely class of
            each image (hard) or by adding up the probabilities of all classes (soft)
        complex: whether the layer also depends on the features of the image (C-Model)
    """

    cross_entropy_options = {"beta": 1.0}  # noqa: RUF012, read only
    paper = "Goldberger and Ben-Reuven 2017"
    repeats_within = "epoch"
    is_staged = True
    beta: Tensor

    def __init__(
        self,
        task: Task,
        warmup: float = 0.1,
        beta: float = 0.0,
        fit: str = "hard",
        complex: bool = False,
    ) -> None:
        super().__init__(task)
        self.warmup = resolve_first_epochs("warmup", warmup, task.epochs)
        self.beta_after_warmup = check_number("beta", beta, 0, 1)
        self.fit = check_choice("fit", fit, ("hard", "soft"))
        self.register_buffer("beta", torch.ones(()))  # until the warm-up ends
        self.b = nn.Parameter(torch.zeros(task.n_classes, task.n_classes))
        self.u: nn.Parameter | None = None
        if check_flag("complex", complex):
            n_features = _count_features(self.net)
            self.u = nn.Parameter(torch.zeros(n_features, task.n_classes**2))

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean loss of the labels behind the layer, and beta times that before it."""
        h, z = self._features_and_logits(batch.x)
        losses = cross_entropy(z, batch.y, reduction="none")
        self.log_examples(batch, losses)
        log_p = log_softmax(z.float(), 1)
        log_joint = log_p + self.log_theta(h, batch.y)
        noisy_losses = -torch.logsumexp(log_joint, 1)
        mixed = (1 - self.beta) * noisy_losses + self.beta * losses
        return mixed.mean()

    def _features_and_logits(self, x: Tensor) -> tuple[Tensor | None, Tensor]:
        """Return h, (B, D), which only the complex layer needs, and z, (B, K)."""
        net: Any = self.net
        if self.u is None:
            return None, net(x)
        h = net.dropout(net.features(x))
        return h, net.head(h)

    def log_theta(self, h: Tensor | None, y: Tensor) -> Tensor:
        """Return log P(given y_n | true i), (B, K), for labels y, (B,).

        Args:
            h: (B, D) features; the simple layer takes none
            y: (B,)
        """
        if self.u is None or h is None:
            return log_softmax(self.b, 1)[:, y].T
        scores = (h @ self.u).float()
        scores = scores.view(-1, *self.b.shape) + self.b  # (B, K, K)
        positions = torch.arange(len(y), device=y.device)
        return log_softmax(scores, 2)[positions, :, y]

    def epoch_artifacts(self) -> dict[str, Tensor]:
        """Return theta, which is the identity during the warm-up.

        The complex layer returns nothing, since it has another theta for each image.
        """
        if self.u is not None:
            return {}
        is_warmup = self.beta == 1
        theta = torch.eye(len(self.b)) if is_warmup else self.b.softmax(1)
        return {"transition": theta}

    def phases(self) -> list[Phase]:
        """Return the warm-up without the layer, and the training with it."""
        lengths = (self.warmup, self.task.epochs - self.warmup)
        return [Phase(epochs) for epochs in lengths if epochs]

    @torch.no_grad()
    def begin_phase(self, phase: int, train_batches: BatchSource) -> None:
        """Fit the layer when the warm-up is over."""
        if phase == 1:
            c = label_frequencies(self.net, train_batches, self.task.n_classes, self.fit)
            self.b.copy_((c + 1e-8).log())
            self.beta.fill_(self.beta_after_warmup)

    def param_groups(self) -> list[dict[str, Any]]:
        """Return the network with the preset's weight decay, and the layer with none.

        Decay would pull the rows of theta towards uniform, which is not a better model.
        """
        layer = [self.b] if self.u is None else [self.b, self.u]
        return [{"params": list(self.net.parameters())}, {"params": layer, "weight_decay": 0.0}]


def _count_features(net: Any) -> int:
    """Return the length of the features below the head.

    Raises:
        ValueError: the network lacks what the complex layer takes its features from
    """
    parts = [part for part in ("features", "dropout", "head") if not hasattr(net, part)]
    if parts:
        raise ValueError(
            f"complex = true needs a network whose prediction is head(dropout(features(x))), but "
            f"this one has no {' and no '.join(parts)}: use complex = false, give the network "
            "these parts, or use one of `cnlw list nets`"
        )
    n_features: int = net.head.in_features
    return n_features
