"""CurriculumNet: first the images that lie dense in their class, then the sparse ones, which are likely wrong.

Guo, Huang, Zhang, Zhuang, Dong, Scott and Huang 2018 and their code. Of each class, by features of a first network:

d_ij      = |f_i - f_j|, of the first 256 principal components          d_c = 60th percentile over pairs
density_i = #{j: d_ij < d_c} - 1
subset_i  = 0 (clean), 1 (noisy), 2 (highly noisy): three clusters of density, the densest first
L         = mean_b v[subset_b] CE(y_b, z_b)                             v = 1, noisy, highly

Right images of a class are alike, wrong ones are wrong in many ways, so density tells them apart without a trusted
image. A network that has learned from the clean ones first is not led astray by the others, which it sees later and
at less weight: noise then only regularises.

Stages: 0 a network for the features, from all images; it is thrown away. 1 a new one learns subset 0; 2 subsets 0 and
1; 3 all. ``first`` is the share of stage 0, the others divide the rest; where there are too few epochs the early ones
are left out. Each stage goes through the preset's schedule, from a rate that is ``fall`` times that of the stage
before. The paper lets the rate fall in steps through all stages; its epochs, and the weights 1/2 and 1/2, are from
memory and not verified; ``first`` and ``fall`` are ours; 1 did best on `shapes`.

d_c is that of the first 2,048 images of a class, a random sample since positions are a permutation; memory is bounded.
The clusters are the best ones (`kmeans.on_a_line`), where the code starts k-means at random. With several ranks each
goes through the whole set, and the first one's answer counts.

Not done here: the code's other density, a sum of exp(-(d_ij / d_c)^2).
"""

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, BatchSource, Method, Phase, Task
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.kmeans import kmeans_1d
from cnlw_tools.methods.components.pooled_features import extract_features, require_features
from cnlw_tools.methods.components.validation import check_number, resolve_epochs
from cnlw_tools.methods.components.weighting_rules import nearest_rank_percentile

COMPONENTS, SAMPLE, BLOCK = 256, 2048, 512


def reduced(x: Tensor, components: int = COMPONENTS) -> Tensor:
    """Return (n, D) points by their first principal components, if they have more."""
    if x.shape[1] <= components:
        return x
    x = x - x.mean(0)
    axes = torch.linalg.eigh(x.T @ x).eigenvectors  # the longest last
    out: Tensor = x @ axes[:, -components:]
    return out


def density(x: Tensor, share: float = 0.6) -> Tensor:
    """Return how many others lie within d_c of each of (n, D) points, (n,)."""
    if len(x) < 2:
        return x.new_zeros(len(x))
    near = nearest_rank_percentile(torch.pdist(x[:SAMPLE]), share)
    return torch.cat([(torch.cdist(some, x) < near).sum(1) for some in torch.split(x, BLOCK)]) - 1


class CurriculumNet(Method):
    """Learn from dense images first, then from all, the sparse ones at less weight."""

    paper = "Guo et al. 2018"
    subset: Tensor
    worth: Tensor

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
        self.fall = check_number("fall", fall, 1e-6)
        begin = resolve_epochs("first", first, task.epochs)
        ends = [0, *(begin + (task.epochs - begin) * i // 3 for i in range(4))]
        self.stages = [
            (stage, end - start) for stage, (start, end) in enumerate(pairwise(ends)) if end > start
        ]
        self.register_buffer("subset", torch.zeros(task.n_examples, dtype=torch.long))
        self.register_buffer(
            "worth",
            torch.tensor(
                [1.0, check_number("noisy", noisy, 0, 1), check_number("highly", highly, 0, 1)]
            ),
        )

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy, weighed by the subset."""
        each, v = (
            cross_entropy(self.net(batch.x), batch.y, reduction="none"),
            self.worth[self.subset[batch.index]],
        )
        self.log_examples(batch, each, v)
        return (v * each).mean()

    def phases(self) -> list[Phase]:
        """The stages that have epochs."""
        last = [None, *(stage for stage, _ in self.stages)]
        return [
            Phase(
                n,
                lr_factor=self.fall ** max(0, stage - 1),
                restart="init" if before == 0 else "keep",
            )
            for before, (stage, n) in zip(last, self.stages, strict=False)
        ]

    @torch.no_grad()
    def begin_phase(self, phase: int, train_batches: BatchSource) -> Tensor | None:
        """Cluster when the network for the features is ready; choose the subsets of the stage."""
        stage, before = self.stages[phase][0], self.stages[phase - 1][0] if phase else 0
        if stage == 0:
            return None
        if before == 0:
            f, y = extract_features(self.net, train_batches)
            for c in range(self.task.n_classes):
                mine = (y == c).nonzero().flatten()
                self.subset[mine] = kmeans_1d(-density(reduced(f[mine].double())), 3)
            distributed.broadcast_from_rank_zero([self.subset])
        return (self.subset < stage).nonzero().flatten()
