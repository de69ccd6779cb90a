"""S-Model: a layer that turns true classes into given labels, for training alone (Goldberger and Ben-Reuven 2017).

theta_ij = softmax_j b_ij        P(given j | true i)        complex (C-Model): softmax_j (u_ij . h_b + b_ij)
l_b = -(1 - beta) log sum_i p_b[i] theta[i, y_b] + beta CE(y_b, z_b)        h: (B, D) features, as the head gets them

If the layer explains the wrong labels, the network below need not: it may tell the true class, and at test time the
layer is dropped. Whether it does hangs on the start, so the network is trained first without the layer, and then
b_ij = log(c_ij + 1e-8), u = 0, where c_ij is the share of label j among what this network takes for i. The authors'
code counts the likeliest class (hard), the paper all classes by their p (soft).

The code stops each part early, where a tenth of the data says so; how long is not established. A tenth of the epochs
is ours: a network that knows the labels by heart takes none for wrong. beta = 0 is that of the code's demonstration.
On `shapes` (blue 40, 16 pixels, 12 epochs, one seed), whose preset has half of them for the warm-up, it ends at 59
where vanilla has 56; with a tenth at 57.

Not done here: the start without a warm-up (from a guessed rate) and from random u; the code has both.
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
    resolve_epochs,
)


class SModel(Method):
    """A softmax layer from true classes to given labels above the network."""

    cross_entropy_options = {"beta": 1.0}  # noqa: RUF012, read only
    paper = "Goldberger and Ben-Reuven 2017"
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
        self.warmup = resolve_epochs("warmup", warmup, task.epochs)
        self.then = check_number("beta", beta, 0, 1)
        self.fit = check_choice("fit", fit, ("hard", "soft"))
        self.register_buffer("beta", torch.ones(()))  # until the warm-up ends
        self.b = nn.Parameter(torch.zeros(task.n_classes, task.n_classes))
        net: Any = self.net
        if not all(hasattr(net, part) for part in ("features", "dropout", "head")):
            raise ValueError(
                "SModel needs a network with features, dropout and head: those of `cnlw list nets` have them"
            )
        self.u = (
            nn.Parameter(torch.zeros(net.head.in_features, task.n_classes**2))
            if check_flag("complex", complex)
            else None
        )

    def loss(self, batch: Batch) -> Tensor:
        """The given label's probability after the layer, and beta times that before it."""
        net: Any = self.net
        h = net.dropout(net.features(batch.x))
        z = net.head(h)
        each = cross_entropy(z, batch.y, reduction="none")
        self.log_examples(batch, each)
        noisy = -torch.logsumexp(log_softmax(z.float(), 1) + self.log_theta(h, batch.y), 1)
        return ((1 - self.beta) * noisy + self.beta * each).mean()

    def log_theta(self, h: Tensor, y: Tensor) -> Tensor:
        """Return (B, K) log P(given y_b | true i)."""
        if self.u is None:
            return log_softmax(self.b, 1)[:, y].T
        rows = log_softmax((h @ self.u).float().view(-1, *self.b.shape) + self.b, 2)  # (B, K, K)
        return rows[torch.arange(len(y), device=y.device), :, y]

    def epoch_artifacts(self) -> dict[str, Tensor]:
        """Theta, I while there is no layer; of the complex one nothing: it has a theta for every image."""
        theta = torch.eye(len(self.b)) if self.beta == 1 else self.b.softmax(1)
        return {"transition": theta} if self.u is None else {}

    def phases(self) -> list[Phase]:
        """Without the layer, then with it."""
        return [Phase(n) for n in (self.warmup, self.task.epochs - self.warmup) if n]

    @torch.no_grad()
    def begin_phase(self, phase: int, train_batches: BatchSource) -> None:
        """Fit the layer when the warm-up is over."""
        if phase == int(self.warmup > 0):
            self.b.copy_(
                (
                    label_frequencies(self.net, train_batches, self.task.n_classes, self.fit) + 1e-8
                ).log()
            )
            self.beta.fill_(self.then)

    def param_groups(self) -> list[dict[str, Any]]:
        """Decay the network as ever, and the layer not at all: even rows are no better rows."""
        layer = [self.b] if self.u is None else [self.b, self.u]
        return [{"params": list(self.net.parameters())}, {"params": layer, "weight_decay": 0.0}]
