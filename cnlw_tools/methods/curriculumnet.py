"""CurriculumNet learns first from dense regions of each class, then also from sparse ones.

Source: Guo, Huang, Zhang, Zhuang, Dong, Scott and Huang 2018 and their code.

A first network computes the features f_i of each image i. Here, i and j are images of the same
class:

d_ij      = |f_i - f_j|, on the first 256 principal components
d_c       = 60th percentile of d over pairs
density_i = #{j: d_ij < d_c} - 1                     without i itself
subset_i  = 0 (clean), 1 (noisy), 2 (highly noisy): three clusters of density, the densest first
L         = mean_b v[subset_b] CE(y_b, z_b)          v = [1, noisy, highly];
                                                     noisy and highly are options

In each class, the images with a correct label resemble each other, and those with a wrong label
differ in many ways. The density therefore distinguishes correct from wrong labels, and no trusted
images are needed. According to the authors, a network that has first learned from the clean subset
is not misled by the other subsets, which come later and with less weight.

There are four stages. In stage 0, a network for the features is trained on all images; it is then
discarded. A new network is trained on subset 0 in stage 1, on subsets 0 and 1 in stage 2, and on
all images in stage 3. The option ``first`` is the number of epochs of stage 0 or, if it is below 1,
the share of stage 0 in all epochs. The other stages divide the remaining epochs equally. If only
two epochs remain, stage 1 is left out. If only one epoch remains, stages 1 and 2 are left out. Each
stage runs through the whole learning rate schedule of the preset. The learning rates are multiplied
by ``fall`` in stage 2, and by the square of ``fall`` in stage 3.

In the paper, the learning rate falls in steps over all stages. We do not know the paper's number of
epochs. The default weight of subsets 1 and 2 is 1/2; we could not check whether the paper uses this
weight. The defaults of ``first`` and ``fall`` are our choice.

The distance d_c is computed from the first 2,048 images of a class in the training set, which is in
random order. This limit keeps the memory small. The clusters are an exact optimum of k-means
(`kmeans`), whereas the authors' code starts k-means from random centres. With several ranks, each
rank divides the whole training set into subsets, and then all ranks use the subsets of rank 0.

The authors' code can also compute the density of image i as the sum of exp(-(d_ij / d_c)^2) over j.
This implementation cannot.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, BatchSource, Method, Phase, Task
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.kmeans import kmeans_1d
from cnlw_tools.methods.components.pooled_features import extract_features, require_features
from cnlw_tools.methods.components.validation import check_number, resolve_first_epochs
from cnlw_tools.methods.components.weighting_rules import nearest_rank_percentile

N_COMPONENTS, SAMPLE_SIZE, BLOCK = 256, 2048, 512


class Stage(NamedTuple):
    """A stage of the curriculum, and its number of epochs."""

    number: int  # 0: features; 1, 2, 3: training on this many subsets
    epochs: int


def principal_components(x: Tensor, n_components: int = N_COMPONENTS) -> Tensor:
    """Return (n, D) points projected on their first principal components, if they have more.

    x = U S V^t  is projected to  x V, or U S where there are fewer points than coordinates.
    As many points as components, or fewer, span no more directions: they stay as they are.
    """
    n, n_coordinates = x.shape
    if min(n, n_coordinates) <= n_components:
        return x
    x = x - x.mean(0)
    if n < n_coordinates:
        variances, u = torch.linalg.eigh(x @ x.T)  # in order of increasing variance
        lengths = variances[-n_components:].clamp(min=0).sqrt()
        scores: Tensor = u[:, -n_components:] * lengths
        return scores
    axes = torch.linalg.eigh(x.T @ x).eigenvectors
    components: Tensor = x @ axes[:, -n_components:]
    return components


def count_neighbours(x: Tensor, share: float = 0.6) -> Tensor:
    """Return the density of each of (n, D) points, (n,): the number of others within d_c."""
    if len(x) < 2:
        return x.new_zeros(len(x))
    d_c = nearest_rank_percentile(torch.pdist(x[:SAMPLE_SIZE]), share)
    counts = []
    for block in torch.split(x, BLOCK):
        counts.append((torch.cdist(block, x) < d_c).sum(1))
    return torch.cat(counts) - 1


class CurriculumNet(Method):
    """Learns from typical images of each class first, then from others with less weight.

    Args:
        task: the learning task
        first: epochs of the first network, which computes the features; a value below 1 is a
            share of all epochs
        noisy: weight of the examples of subset 1
        highly: weight of the examples of subset 2
        fall: ratio of the learning rates in stage 2 to those in stage 1, and of those in stage 3 to
            those in stage 2
    """

    paper = "Guo et al. 2018"
    repeats_within = "epoch"
    is_staged = True
    subset: Tensor
    subset_weights: Tensor

    def __init__(
        self,
        task: Task,
        first: float = 0.25,
        noisy: float = 0.5,
        highly: float = 0.5,
        fall: float = 1.0,
    ) -> None:
        super().__init__(task)
        require_features(self.net, "CurriculumNet")
        self.lr_factor = check_number("fall", fall, 1e-6)
        check_number("noisy", noisy, 0, 1)
        check_number("highly", highly, 0, 1)
        first_epochs = resolve_first_epochs("first", first, task.epochs)
        self.stages = divide_epochs(first_epochs, task.epochs)
        self.register_buffer("subset", torch.zeros(task.n_examples, dtype=torch.long))
        self.register_buffer("subset_weights", torch.tensor([1.0, noisy, highly]))

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean cross-entropy, weighted by the subsets."""
        losses = cross_entropy(self.net(batch.x), batch.y, reduction="none")
        v = self.subset_weights[self.subset[batch.index]]
        self.log_examples(batch, losses, v)
        return (v * losses).mean()

    def phases(self) -> list[Phase]:
        """Return the stages; the one after the features' network begins with new weights."""
        phases = []
        previous = None
        for stage in self.stages:
            lr_factor = self.lr_factor ** max(0, stage.number - 1)
            restart = "init" if previous == 0 else "keep"
            phases.append(Phase(stage.epochs, lr_factor=lr_factor, restart=restart))
            previous = stage.number
        return phases

    @torch.no_grad()
    def begin_phase(self, phase: int, train_batches: BatchSource) -> Tensor | None:
        """Find the subsets when the features are ready, and return the examples of the stage."""
        stage = self.stages[phase].number
        previous = self.stages[phase - 1].number if phase else 0
        if stage == 0:
            return None
        if previous == 0:
            f, y = extract_features(self.net, train_batches)
            for c in range(self.task.n_classes):
                members = (y == c).nonzero().flatten()
                density = count_neighbours(principal_components(f[members].double()))
                self.subset[members] = kmeans_1d(-density, 3)
            distributed.broadcast_from_rank_zero([self.subset])
        return (self.subset < stage).nonzero().flatten()


def divide_epochs(first: int, total: int) -> list[Stage]:
    """Return the stages that have epochs: ``first`` for stage 0, the rest in three equal parts."""
    rest = total - first
    ends = [0, first, *(first + rest * i // 3 for i in (1, 2, 3))]
    stages = []
    for number, (begin, end) in enumerate(pairwise(ends)):
        if end > begin:
            stages.append(Stage(number, end - begin))
    return stages
