"""H_alpha: what an endless batch of alpha uniformly wrong labels to each right one tells (Rolnick et al. 2017).

H_alpha = mean_b -1 / (1 + alpha) log p_b[y_b] - alpha / (K (1 + alpha)) sum_k log p_b[k]
        = mean_b CE((1 - eps) Y_b + eps / K, z_b),  eps = alpha / (1 + alpha): smoothed labels

On average uniform noise is even over classes, so its gradient pulls to the even answer and leaves the largest class
where it was: its least value gives the true class (1 + alpha / K) / (1 + alpha). What harms is the spread of a
finite batch, of which only B / (1 + alpha) examples agree on anything: take larger batches, ``scale = "batch"``
(B times 1 + alpha), or shorter steps, ``scale = "lr"`` (rate over 1 + alpha).

The paper trains with plain cross-entropy on diluted labels, and H_alpha is its limit on true ones; on labels that
are noisy already it is label smoothing. It tries many alpha, so 1, one wrong label to each right one, is ours.

Not done here: dilution, which is a noise of the data.
"""

from torch import Tensor
from torch.nn.functional import log_softmax

from cnlw_tools.methods.base import Batch, Method, Phase, Task
from cnlw_tools.methods.components.validation import check_choice, check_number


def h_alpha(log_p: Tensor, y: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Return (B,) H_alpha and (B,) cross-entropy of log-probabilities, (B, K), and labels, (B,)."""
    cross_entropy = -log_p.gather(1, y[:, None])[:, 0]
    return (cross_entropy - alpha * log_p.mean(1)) / (1 + alpha), cross_entropy


class HAlpha(Method):
    """Cross-entropy in the limit of endless uniform noise: smoothed labels."""

    cross_entropy_options = {"alpha": 0.0}  # noqa: RUF012, read only
    paper = "Rolnick et al. 2017"

    def __init__(self, task: Task, alpha: float = 1.0, scale: str = "none") -> None:
        super().__init__(task)
        self.alpha = check_number("alpha", alpha, 0)
        self.scale = check_choice("scale", scale, ("none", "batch", "lr"))

    def loss(self, batch: Batch) -> Tensor:
        """H_alpha, averaged."""
        each, cross_entropy = h_alpha(
            log_softmax(self.net(batch.x).float(), 1), batch.y, self.alpha
        )
        self.log_examples(batch, cross_entropy)
        return each.mean()

    def phases(self) -> list[Phase]:
        """Larger batches or shorter steps by 1 + alpha, where asked for."""
        by = 1 + self.alpha
        return [
            Phase(
                self.task.epochs,
                lr_factor=1 / by if self.scale == "lr" else 1.0,
                batch_size_factor=by if self.scale == "batch" else 1.0,
            )
        ]
