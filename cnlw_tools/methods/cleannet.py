"""CleanNet: what looks like its class counts; verified labels say what that means (Lee, He, Zhang and Yang 2018).

S_c   = 32 k-means centres of the features of images with label c
cos_i = cosine(phi_q(f_i), phi_s(S_{y_i}))                       how like its class an image looks: `encoders`
w_i   = max(0, cos_i)  soft  |  1[cos_i >= threshold]  hard      L = mean_b w_b CE(y_b, z_b) / w^

People checked some labels. Encoders learn from them how near an image lies to what stands for its class if it belongs
there; that carries over to all images of the set and to classes that nobody checked, so few checks go far.

The network learns from all labels first (``start``), then the encoders learn from its features and weigh the set,
``rounds`` times at even distances: network and encoders take turns. Each time the encoders are new, since the features
are; they see the training set ``passes`` times, which is the code's 60,000 steps of 32 for the 310,000 images of
Food-101N. With several ranks each goes through the whole set, and the first one's answer counts.

The paper takes features of a network that has learned the noisy set to the end, and then tunes it; how often it takes
turns is not established. ``start``, ``rounds`` and ``threshold`` (the loss's own margin) are ours; so is to divide by
w^, the mean weight of the set, lest encoders that are unsure slow the learning. Of a few hundred images they learn
too little in six passes: a thousand steps and more tell labels apart.

Not done here: scikit-learn's k-means, a dependency of every learner for twenty lines (`kmeans`); the choice of the
threshold by a verified validation set.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, BatchSource, Method, Task
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.cleannet_encoders import (
    BATCH,
    LabelledFeatures,
    class_cosines,
    signed_log,
    train_encoders,
)
from cnlw_tools.methods.components.kmeans import kmeans
from cnlw_tools.methods.components.pooled_features import extract_features, require_features
from cnlw_tools.methods.components.validation import check_choice, check_number, resolve_epochs


class CleanNet(Method):
    """Weigh each example by how like the class of its label it looks."""

    requires = ("verified",)
    paper = "Lee et al. 2018"
    like: Tensor

    def __init__(
        self,
        task: Task,
        kind: str = "soft",
        threshold: float = 0.1,
        start: float = 0.5,
        rounds: int = 2,
        references: int = 32,
        passes: float = 6.0,
    ) -> None:
        super().__init__(task)
        require_features(self.net, "CleanNet")
        self.kind, self.threshold = (
            check_choice("kind", kind, ("soft", "hard")),
            check_number("threshold", threshold, 0, 1),
        )
        begin, many = (
            resolve_epochs("start", start, task.epochs),
            int(check_number("rounds", rounds, 1)),
        )
        self.turns = {begin + (task.epochs - begin) * i // many for i in range(many)}
        self.references = int(check_number("references", references, 1))
        self.steps = round(check_number("passes", passes, 0) * task.n_examples / BATCH)
        self.register_buffer("like", torch.ones(task.n_examples))  # w

    def loss(self, batch: Batch) -> Tensor:
        """Weighed cross-entropy."""
        each, w = (
            cross_entropy(self.net(batch.x), batch.y, reduction="none"),
            self.like[batch.index],
        )
        self.log_examples(batch, each, w)
        return (w * each).mean() / self.like.mean().clamp(min=1e-3)

    def begin_epoch(self, epoch: int, train_batches: BatchSource) -> None:
        """Let new encoders learn from the features as they are, and weigh the set, when it is their turn."""
        if epoch not in self.turns:
            return
        verified = self.task.verified or list  # `Method` has refused a task without
        f, y = extract_features(self.net, train_batches)
        sets = signed_log(
            torch.stack([self.standing(c, f[y == c]) for c in range(self.task.n_classes)])
        )  # (K, R, D)
        of, given = extract_features(self.net, lambda: (batch for batch, _ in verified()))
        right, v = torch.cat([said for _, said in verified()]), signed_log(f)
        encoders = train_encoders(
            LabelledFeatures(v, y), LabelledFeatures(signed_log(of), given), right, sets, self.steps
        )
        cos = class_cosines(encoders, LabelledFeatures(v, y), sets)
        self.like.copy_(cos.clamp(0, 1) if self.kind == "soft" else cos >= self.threshold)
        distributed.broadcast_from_rank_zero([self.like])

    def standing(self, c: int, f: Tensor) -> Tensor:
        """Return the features that stand for a class, (R, D).

        Raises:
            ValueError: it has too few training examples
        """
        if len(f) < self.references:
            few = f"class {c} has {len(f)} training examples, and references = {self.references}"
            raise ValueError(f"{few}: give no more than the smallest class has")
        return kmeans(f, self.references)
