"""Self-Learning gives each image a second label: the class whose prototypes are most like it.

Source: Han, Luo and Wang 2019, "Deep self-learning from noisy labels".

For each class c, at most m images with the given label c are drawn at random. Let i and j be two of
these images, and f_i and f_j their features, which are the inputs of the last layer of the network.
The second label of an image with the features f is y^, and f_cl are the features of prototype l of
class c. The options are m (``samples``), p (``prototypes``), ``alpha`` and ``start``:

S_ij  = cos(f_i, f_j)                                  s = 60th percentile of all S_ij
rho_i = sum_j sign(S_ij - s)                           density around i
eta_i = max_{j: rho_j > rho_i} S_ij                    similarity to the most similar denser image
        min_j S_ij if rho_i is the highest
prototypes of c: the image with the highest rho; then, from the highest rho downwards, images with
                 eta < 0.95, until there are p
y^    = argmax_c mean_l cos(f, f_cl)                   for all images, before each epoch from epoch
                                                       start on
L     = mean_b (1 - alpha) CE(y_b, z_b) + alpha CE(y^_b, z_b)     alpha = 0 before epoch start

The method assumes that most labels are correct in the densest regions of a class. The prototypes
are a few mutually dissimilar images from these regions. If an image has a wrong label, its features
are often most similar to the prototypes of its true class, and y^ is then correct. In each class
with examples, the image with the highest rho is a prototype. A class without examples never becomes
a second label.

The paper uses m = 1280, p = 8 and alpha = 0.5. It does not say for how many epochs alpha stays 0;
we chose half of the epochs. The logged weight of an example is the share of its given label in the
target: 1 - alpha if y^ differs from the given label, and otherwise 1. With several ranks, each rank
computes y^ for the whole training set. The results can differ, because each rank draws other images
to find prototypes, so all ranks use the y^ of rank 0.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from cnlw_tools.methods.base import Batch, BatchSource, Method, Task
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.pooled_features import extract_features, require_features
from cnlw_tools.methods.components.validation import check_number, resolve_first_epochs
from cnlw_tools.methods.components.weighting_rules import nearest_rank_percentile


def find_prototypes(
    f: Tensor,
    max_count: int,
    share: float = 0.6,
    max_similarity: float = 0.95,
) -> Tensor:
    """Return the positions of the prototypes, the densest first, among rows of length 1, (m, D).

    There are at least one and at most ``max_count``.
    """
    s = f @ f.T
    threshold = nearest_rank_percentile(s.flatten(), share)
    rho = (s - threshold).sign().sum(1)
    is_denser = rho[None, :] > rho[:, None]
    eta = torch.where(is_denser, s, -torch.inf).amax(1)
    eta = torch.where(rho == rho.max(), s.amin(1), eta)
    is_prototype = eta < max_similarity
    is_prototype[rho.argmax()] = True
    score = torch.where(is_prototype, rho, -torch.inf)
    order = score.argsort(descending=True, stable=True)[:max_count]
    return order[is_prototype[order]]


class SelfLearning(Method):
    """Learns from the given label and from the class with the most similar prototypes.

    Args:
        task: the learning task
        alpha: share of the second label in the target
        start: number of epochs without the second label; a value below 1 is a share of all epochs
        samples: m, the largest number of images of each class that are drawn to find prototypes
        prototypes: p, the largest number of prototypes of each class
    """

    cross_entropy_options = {"alpha": 0.0}  # noqa: RUF012, read only
    paper = "Han et al. 2019"
    repeats_within = "epoch"
    is_staged = True
    marks_noise = ("relabelled",)
    relative_cost = 1.17  # a forward pass over the set before every other epoch
    prototype_label: Tensor
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
        self.alpha_after_start = check_number("alpha", alpha, 0, 1)
        self.start = resolve_first_epochs("start", start, task.epochs)
        self.n_samples = int(check_number("samples", samples, 1))
        self.n_prototypes = int(check_number("prototypes", prototypes, 1))
        self.register_buffer("alpha", torch.zeros(()))  # until `start`
        self.register_buffer("prototype_label", torch.zeros(task.n_examples, dtype=torch.long))

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean cross-entropy against both labels, weighted 1 - alpha and alpha."""
        z = self.net(batch.x)
        prototype_label = self.prototype_label[batch.index]
        given_losses = cross_entropy(z, batch.y, reduction="none")
        prototype_losses = cross_entropy(z, prototype_label, reduction="none")
        differs = prototype_label != batch.y
        is_relabelled = differs & (self.alpha > 0)
        self.log_examples(batch, given_losses, 1 - self.alpha * differs, ~is_relabelled)
        losses = (1 - self.alpha) * given_losses + self.alpha * prototype_losses
        return losses.mean()

    @torch.no_grad()
    def begin_epoch(self, epoch: int, train_batches: BatchSource) -> None:
        """Find the prototypes and assign a label to every image, from ``start`` on."""
        if epoch < self.start or self.alpha_after_start == 0:
            return
        f, y = extract_features(self.net, train_batches)
        f = normalize(f)
        similarities = []
        for c in range(self.task.n_classes):
            similarities.append(self.class_similarity(f, f[y == c]))
        self.prototype_label.copy_(torch.stack(similarities, 1).argmax(1))
        self.alpha.fill_(self.alpha_after_start)
        distributed.broadcast_from_rank_zero([self.prototype_label])

    def class_similarity(self, f: Tensor, class_f: Tensor) -> Tensor:
        """Return the mean cosine, (n,), of all features, (n, D), to the prototypes of a class."""
        if len(class_f) == 0:
            return f.new_full((len(f),), -torch.inf)
        order = torch.randperm(len(class_f), device=f.device)
        sample = class_f[order[: self.n_samples]]
        prototypes = sample[find_prototypes(sample, self.n_prototypes)]
        return f @ prototypes.mean(0)
