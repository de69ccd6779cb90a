"""Self-Learning: each class says what it looks like by several prototypes, and they name the images (SMP).

Han, Luo and Wang 2019, "Deep self-learning from noisy labels". Of class c, m rows with that label; f: features

S_ij  = cos(f_i, f_j)                                  s = 60th percentile of all S_ij
rho_i = sum_j sign(S_ij - s)                           how dense it is around i
eta_i = max_{j: rho_j > rho_i} S_ij                    how like a denser one it is; of the densest: min_j S_ij
prototypes of c = the p densest of those with eta_i < 0.95
y^    = argmax_c mean_l cos(f(x), f(prototype_cl))     anew before every epoch, for all images
L     = mean_b (1 - alpha) CE(y_b, z_b) + alpha CE(y^_b, z_b)                   alpha = 0 for the first epochs

What lies densest among the images of a label mostly bears it rightly, so a few such images, unlike each other, stand
for the class and correct the others, with no trusted image. The densest is a prototype whatever its eta, so that a
class always has one. A class that no example is labelled as names none.

m = 1280, p = 8, alpha = 0.5 are the paper's. How long alpha is 0 is not established; half of the epochs is ours. The
noted weight is what an example's target leaves to its label: 1 - alpha where y^ is another. With several ranks each
goes through the whole set, and the first one's answer counts.

Not done here: y^ from features of the step itself, which costs a forward pass a step more.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from cnlw_tools.methods.base import Batch, BatchSource, Method, Task
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.pooled_features import extract_features, require_features
from cnlw_tools.methods.components.validation import check_number, resolve_epochs
from cnlw_tools.methods.components.weighting_rules import nearest_rank_percentile


def prototypes(f: Tensor, most: int, share: float = 0.6, alike: float = 0.95) -> Tensor:
    """Return which of m rows of length 1, (m, D), are prototypes: one to ``most``, the densest first."""
    s = f @ f.T
    rho = (s - nearest_rank_percentile(s.flatten(), share)).sign().sum(1)
    eta = torch.where(rho[None, :] > rho[:, None], s, -torch.inf).amax(1)
    eta = torch.where(rho == rho.max(), s.amin(1), eta)
    fit = eta < alike
    fit[rho.argmax()] = True
    order = torch.where(fit, rho, -torch.inf).argsort(descending=True, stable=True)[:most]
    return order[fit[order]]


class SelfLearning(Method):
    """Cross-entropy against the label, and against what prototypes of the classes say."""

    cross_entropy_options = {"alpha": 0.0}  # noqa: RUF012, read only
    paper = "Han et al. 2019"
    relative_cost = 1.17  # a forward pass over the set before every other epoch
    guess: Tensor
    alpha: Tensor

    def __init__(
        self,
        task: Task,
        alpha: float = 0.5,
        start: float = 0.5,
        samples: int = 1280,
        prototypes: int = 8,
    ) -> None:
        super().__init__(task)
        require_features(self.net, "SelfLearning")
        self.then, self.start = (
            check_number("alpha", alpha, 0, 1),
            resolve_epochs("start", start, task.epochs),
        )
        self.samples, self.most = (
            int(check_number("samples", samples, 1)),
            int(check_number("prototypes", prototypes, 1)),
        )
        self.register_buffer("alpha", torch.zeros(()))  # until `start`
        self.register_buffer("guess", torch.zeros(task.n_examples, dtype=torch.long))

    def loss(self, batch: Batch) -> Tensor:
        """Part for the label, part for the guess."""
        z, guess = self.net(batch.x), self.guess[batch.index]
        own, other = (cross_entropy(z, y, reduction="none") for y in (batch.y, guess))
        self.log_examples(batch, own, 1 - self.alpha * (guess != batch.y))
        return ((1 - self.alpha) * own + self.alpha * other).mean()

    @torch.no_grad()
    def begin_epoch(self, epoch: int, train_batches: BatchSource) -> None:
        """Find the prototypes and let them name every image."""
        if epoch < self.start or self.then == 0:
            return
        f, y = extract_features(self.net, train_batches)
        f = normalize(f)
        like = torch.stack(
            [self.likeness(f, f[y == c]) for c in range(self.task.n_classes)], 1
        )  # (n, K)
        self.guess.copy_(like.argmax(1))
        self.alpha.fill_(self.then)
        distributed.broadcast_from_rank_zero([self.guess])

    def likeness(self, f: Tensor, of: Tensor) -> Tensor:
        """Return the mean cosine of all rows, (n, D), to the prototypes of a class, whose rows are given: (n,)."""
        if len(of) == 0:
            return f.new_full((len(f),), -torch.inf)
        some = of[torch.randperm(len(of), device=f.device)[: self.samples]]
        return f @ some[prototypes(some, self.most)].mean(0)
