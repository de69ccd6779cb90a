"""H_alpha is the loss of an infinite batch with alpha uniformly drawn labels per correct one.

Source: Rolnick, Veit, Belongie and Shavit 2017, "Deep learning is robust to massive label noise".

The option alpha sets the number of labels that are drawn uniformly from all classes for each
correct label. The loss is:

H_alpha = mean_b -1 / (1 + alpha) log p_b[y_b] - alpha / (K (1 + alpha)) sum_k log p_b[k]
        = mean_b CE((1 - eps) Y_b + eps / K, z_b),  eps = alpha / (1 + alpha): smoothed labels

On average, uniform noise affects all classes equally. The gradient of the wrong labels pulls the
prediction towards uniform probabilities and does not change which class is the most likely one. At
the minimum of the loss, the true class has the probability (1 + alpha / K) / (1 + alpha). If the
given labels of the dataset have such noise, it does harm because a batch is finite: only about
B / (1 + alpha) labels of the batch are not random, so its gradient has a high variance. The option
`scale` offers two remedies: it multiplies the batch size by 1 + alpha (`scale` = batch) or divides
the learning rate by 1 + alpha (`scale` = lr).

The paper trains with plain cross-entropy on a dataset to which copies of each image with random
labels were added; the noise model `dilution` builds such a dataset. H_alpha needs no copies: if the
given labels are correct, it is the limit of the paper's loss for infinite batches. If they are
already noisy, it is only label smoothing. The paper tries many values of alpha. The default 1, one
uniformly drawn label for each correct one, is our choice.
"""

from torch import Tensor
from torch.nn.functional import log_softmax

from cnlw_tools.methods.base import Batch, Method, Phase, Task
from cnlw_tools.methods.components.labels import select_labels
from cnlw_tools.methods.components.validation import check_choice, check_number


def h_alpha(
    log_p: Tensor,
    y: Tensor,
    alpha: float,
) -> tuple[Tensor, Tensor]:
    """Return H_alpha, (B,), and cross-entropy, (B,), of log-probabilities, (B, K)."""
    cross_entropy = -select_labels(log_p, y)
    smoothed = (cross_entropy - alpha * log_p.mean(1)) / (1 + alpha)
    return smoothed, cross_entropy


class HAlpha(Method):
    """Smooths labels so that the loss is that of an infinite batch with uniform label noise.

    Args:
        task: the learning task
        alpha: number of uniformly drawn labels for each correct one
        scale: remedy for the variance: no change (none), a larger batch (batch) or a lower
            learning rate (lr)
    """

    cross_entropy_options = {"alpha": 0.0}  # noqa: RUF012, read only
    paper = "Rolnick et al. 2017"
    repeats_within = "epoch"

    def __init__(
        self,
        task: Task,
        alpha: float = 1.0,
        scale: str = "none",
    ) -> None:
        super().__init__(task)
        self.alpha = check_number("alpha", alpha, 0)
        self.scale = check_choice("scale", scale, ("none", "batch", "lr"))

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean of H_alpha."""
        log_p = log_softmax(self.net(batch.x).float(), 1)
        losses, cross_entropy = h_alpha(log_p, batch.y, self.alpha)
        self.log_examples(batch, cross_entropy)
        return losses.mean()

    def phases(self) -> list[Phase]:
        """Return a phase with batches larger or steps smaller by 1 + alpha, as ``scale`` says."""
        factor = 1 + self.alpha
        if self.scale == "lr":
            return [Phase(self.task.epochs, lr_factor=1 / factor)]
        if self.scale == "batch":
            return [Phase(self.task.epochs, batch_size_factor=factor)]
        return [Phase(self.task.epochs)]
