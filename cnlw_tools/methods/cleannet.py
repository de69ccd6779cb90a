"""CleanNet weights each image by its similarity to its class, as learned from verified labels.

Source: Lee, He, Zhang and Yang 2018, "CleanNet: transfer learning for scalable image classifier
training with label noise".

The weight w_i of image i depends on its features f_i, which are the input of the network's last
layer:

S_c   = 32 k-means centres of the features of images with label c
cos_i = cosine(phi_q(f_i), phi_s(S_{y_i}))      similarity of image i to its class
w_i   = max(0, cos_i)                           kind = soft
        1[cos_i >= threshold]                   kind = hard
L     = mean_b w_b CE(y_b, z_b) / w^            w^: mean weight of the training set

Some labels have been verified. From these labels, two encoders, phi_q and phi_s, learn how
similar an image with a correct label is to the reference features S_c of its class
(`cleannet_encoders`). What the encoders learn also applies to images and classes without verified
labels, so a few verified labels are enough.

In the first epochs (option ``start``), all weights are 1. Then, ``rounds`` times at equal
intervals, the encoders are trained on the network's features, and new weights are computed for all
training images. Network and encoders are thus trained in turn. The encoders are initialised anew
each time, because the features have changed. In each round, they see the training set ``passes``
times. The default of ``passes`` is 6, because 60,000 steps of 32 images in the authors' code
correspond to about 6 passes over the 310,000 images of Food-101N. The labels of the training set
are not verified, so the encoders treat the label of image i as correct if cos_i is at least 0.1,
and otherwise as wrong. With several ranks, each rank computes weights for the whole training set,
and then all ranks use the weights of rank 0.

The paper takes the features of a network that was fully trained on the noisy set, and then
fine-tunes this network. We do not know the paper's number of rounds. We chose the defaults of
``start``, ``rounds`` and ``threshold`` ourselves. The default of ``threshold``, 0.1, equals the
margin in the loss of the encoders. The division by w^ is also our choice. Without it, encoders that
give low similarities would make the steps of the network small. If the training set has only a few
hundred images, the encoders learn too little in six passes: they need a thousand steps or more to
distinguish correct labels from wrong ones.

The authors' code can test a threshold on a verified validation set, and it uses the k-means of
OpenCV. This implementation has no such test, and it has its own k-means (`kmeans`).
"""

from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, BatchSource, Method, Task, VerifiedSource
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
from cnlw_tools.methods.components.validation import (
    check_choice,
    check_number,
    resolve_first_epochs,
)


def spread_rounds(first: int, n_rounds: int, total: int) -> set[int]:
    """Return the epochs in which a round begins: from ``first`` on at equal intervals."""
    rest = total - first
    return {first + rest * i // n_rounds for i in range(n_rounds)}


class CleanNet(Method):
    """Weights each image by its similarity to its class, as learned from verified labels.

    Args:
        task: the learning task
        kind: with soft, weights are from 0 to 1; with hard, they are 0 or 1
        threshold: smallest similarity at which an image has the weight 1, if kind is hard
        start: epochs before the first round; a value below 1 is a share of all epochs
        rounds: number of times that the encoders are trained
        references: number of reference features (k-means centres) of each class
        passes: number of times that the encoders see the training set in each round
    """

    requires = ("verified",)
    paper = "Lee et al. 2018"
    repeats_within = "epoch"
    is_staged = True
    class_weight: Tensor

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
        self.kind = check_choice("kind", kind, ("soft", "hard"))
        self.threshold = check_number("threshold", threshold, 0, 1)
        first_round = resolve_first_epochs("start", start, task.epochs)
        n_rounds = int(check_number("rounds", rounds, 1))
        self.round_epochs = spread_rounds(first_round, n_rounds, task.epochs)
        self.n_references = int(check_number("references", references, 1))
        for c, count in enumerate(task.label_counts or ()):
            self.check_references(c, count)
        check_number("passes", passes, 0)
        self.steps = round(passes * task.n_examples / BATCH)
        self.register_buffer("class_weight", torch.ones(task.n_examples))  # w

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean weighted cross-entropy, divided by the mean weight of the set."""
        losses = cross_entropy(self.net(batch.x), batch.y, reduction="none")
        w = self.class_weight[batch.index]
        self.log_examples(batch, losses, w)
        mean_weight = self.class_weight.mean().clamp(min=1e-3)
        return (w * losses).mean() / mean_weight

    def begin_epoch(self, epoch: int, train_batches: BatchSource) -> None:
        """Train new encoders on the current features and weight the set, if a round is due."""
        if epoch not in self.round_epochs:
            return
        f, y = extract_features(self.net, train_batches)
        train = LabelledFeatures(signed_log(f), y)
        references = self.all_references(f, y)
        verified, is_correct = self.verified_features()
        encoders = train_encoders(train, verified, is_correct, references, self.steps)
        cos = class_cosines(encoders, train, references)
        if self.kind == "soft":
            self.class_weight.copy_(cos.clamp(0, 1))
        else:
            self.class_weight.copy_(cos >= self.threshold)
        distributed.broadcast_from_rank_zero([self.class_weight])

    def verified_features(self) -> tuple[LabelledFeatures, Tensor]:
        """Return the features of verified examples, and whether their labels are correct, (m,)."""
        verified = cast(VerifiedSource, self.task.verified)  # `Method` refuses a task without
        f, y = extract_features(self.net, lambda: (batch for batch, _ in verified()))
        is_correct = [verdicts for _, verdicts in verified()]
        return LabelledFeatures(signed_log(f), y), torch.cat(is_correct)

    def all_references(self, f: Tensor, y: Tensor) -> Tensor:
        """Return the reference features of all classes, (K, R, D), from features and labels."""
        references = []
        for c in range(self.task.n_classes):
            references.append(self.class_references(c, f[y == c]))
        return signed_log(torch.stack(references))

    def class_references(self, c: int, f: Tensor) -> Tensor:
        """Return R centres of the features, (n, D), of class c.

        Raises:
            ValueError: the class has fewer than R examples
        """
        self.check_references(c, len(f))
        return kmeans(f, self.n_references)

    def check_references(self, c: int, n_examples: int) -> None:
        """Check that a class with this many training examples has R centres.

        Raises:
            ValueError: it has fewer
        """
        if n_examples < self.n_references:
            raise ValueError(
                f"class {c} has {n_examples} training examples, but references = "
                f"{self.n_references}: give no more than the smallest class has"
            )
