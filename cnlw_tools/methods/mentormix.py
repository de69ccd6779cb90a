"""MentorMix: a mentor decides whom an example is mixed with, and which of the two prevails.

Jiang, Huang, Liu and Yang 2020, "Beyond synthetic noise: deep learning on controlled noisy labels", arXiv:1911.09781,
algorithm 1, and its code.

l_i = CE(y_i, f(x_i))        v = Curriculum(l, progress)        the mentor is v_i = 1[l_i < gamma]
j ~ softmax(v / T)           with replacement, for every i
lam ~ Beta(alpha, alpha)     lam_i = v_i max(lam, 1 - lam) + (1 - v_i) min(lam, 1 - lam)
x~_i = lam_i x_i + (1 - lam_i) x_j        y~_i likewise        L = mean_i CE(y~_i, f(x~_i))

Mixup trains between examples, which damps memorising, but it mixes wrong labels in like any other. The weights make
it choose: partners come more often from what the mentor trusts, a trusted example keeps more than half of itself, and
of a mistrusted one less than half is left. No label is thrown away. At much noise the mixed examples are weighed once
more, by their own losses and with a threshold of their own: L = mean_i v~_i CE(y~_i, f(x~_i)), `second_reweight`.

The first look takes no gradient; it normalises by the batch, as in the code, and leaves the running averages alone.
Where the code differs from the paper, its way is an option: `mentor = "learned_pd"`, a network, for the threshold;
`hard_switch`, max where v >= 1/2 and min elsewhere, which is the same for weights of 0 and 1. `burn_in` is of the code.

Over ranks the threshold is that of the whole batch; partners come from an example's own rank, and no image travels.

Not done here: the code decays no weights while it reweighs a second time, by accident; example dropout, off in it too.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, Method, Task
from cnlw_tools.methods.components.batchnorm import batch_statistics
from cnlw_tools.methods.components.curriculum import Curriculum
from cnlw_tools.methods.components.mixing import at_least_half, mix, sample_beta
from cnlw_tools.methods.components.validation import check_flag, check_number


def chances(v: Tensor, temperature: float = 1.0) -> Tensor:
    """Return P, (B,): how likely each example is drawn as a partner."""
    return torch.softmax(v / temperature, 0)


def partners(p: Tensor) -> Tensor:
    """Draw j ~ P for each of B examples, with replacement: the first of B clocks to ring, at rates P.

    `torch.multinomial` may wait for the device.
    """
    clocks = torch.empty(len(p), len(p), device=p.device).exponential_()  # (i, j)
    return (clocks / p).argmin(1)


def own_share(lam: Tensor, v: Tensor, hard: bool = False) -> Tensor:
    """Return what is left of each example, (B,): more than half of the trusted ones, less of the others."""
    v = (v >= 0.5).float() if hard else v
    return mix(at_least_half(lam), 1 - at_least_half(lam), v)


class MentorMix(Method):
    """Mixup guided by a mentor.

    Args:
        task: what is to be learned
        alpha: of the beta distribution; 0: examples are not mixed, but a mistrusted one is replaced by its partner
        percentile: which loss of a batch the threshold follows, from 0 to 1
        second_reweight: weigh the mixed examples too
        mentor: a rule's name | "learned_pd" | FILE.json, written by components/mentor_fit.py
        decay: of the moving threshold
        burn_in: percent of the training; v is 1 while e < burn_in - 1, as in the code
        hard_switch: the code's way to choose between max and min
        temperature: T

    Raises:
        ValueError: an option outside its range; no such mentor
        OSError: no such file
    """

    cross_entropy_options = {"alpha": 0.0, "mentor": "baseline"}  # noqa: RUF012, read only
    paper = "Jiang et al. 2020, arXiv:1911.09781"
    relative_cost = 1.33
    distributed_loss = "gathered"

    def __init__(
        self,
        task: Task,
        alpha: float = 8.0,
        percentile: float = 0.7,
        second_reweight: bool = False,
        mentor: str = "threshold",
        decay: float = 0.5,
        burn_in: int = 10,
        hard_switch: bool = False,
        temperature: float = 1.0,
    ) -> None:
        super().__init__(task)
        self.alpha, self.temperature = (
            check_number("alpha", alpha, 0),
            check_number("temperature", temperature, 0.001),
        )
        self.hard_switch = check_flag("hard_switch", hard_switch)
        self.individual = Curriculum(mentor, percentile, decay, burn_in)
        self.mixed = (
            Curriculum(mentor, percentile, decay, burn_in)
            if check_flag("second_reweight", second_reweight)
            else None
        )

    def loss(self, batch: Batch) -> Tensor:
        """Weight, sample, mix, and weight again."""
        x, y = batch.x, batch.y
        with torch.no_grad():
            with batch_statistics(self.net):
                first = cross_entropy(self.net(x), y, reduction="none")
            v = self.individual(first, self.progress)
            j = partners(chances(v, self.temperature))
            lam = own_share(sample_beta(self.alpha, v.shape, v), v, self.hard_switch)
            blend = mix(x, x[j], lam)
        self.log_examples(batch, first, v)
        z = self.net(blend)
        each = mix(
            cross_entropy(z, y, reduction="none"), cross_entropy(z, y[j], reduction="none"), lam
        )
        return (each if self.mixed is None else self.mixed(each, self.progress) * each).mean()
