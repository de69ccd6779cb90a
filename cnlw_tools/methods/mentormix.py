"""MentorMix is mixup in which a mentor uses the losses to choose which examples to favour.

Source: Jiang, Huang, Liu and Yang 2020, "Beyond synthetic noise: deep learning on controlled noisy
labels", arXiv:1911.09781, algorithm 1, and the authors' code.

Each example i of the batch is blended with a partner j. The mentor gives the weight v_i to example
i. The temperature T and alpha are options. `curriculum` defines the weights v and the threshold
gamma:

l_i = CE(y_i, f(x_i))        v = Curriculum(l, progress)        by default, v_i = 1[l_i < gamma]
j ~ softmax(v / T)           with replacement, for every i
lam ~ Beta(alpha, alpha)     lam_i = v_i max(lam, 1 - lam) + (1 - v_i) min(lam, 1 - lam)
x~_i = lam_i x_i + (1 - lam_i) x_j        y~_i = lam_i y_i + (1 - lam_i) y_j
L = mean_i CE(y~_i, f(x~_i))

Mixup trains on blends of examples, which are harder to memorise than single examples, but it also
blends wrong labels. The mentor's weights make mixup selective: examples that the mentor trusts are
chosen as partners more often than others. A trusted example makes up more than half of its blend,
and a distrusted one less than half.

The mixed examples can be weighted once more, by their own losses and with their own threshold: L =
mean_i v~_i CE(y~_i, f(x~_i)). The option `second_reweight` turns this second weighting on. It is on
by default, as in the authors' code. The authors' scripts, and the presets listed below, turn it on
at noise levels of 60 % and 80 %, and off at 20 % and 40 %. For data that the authors' scripts do
not cover, our studies at the scale `paper` train once with the second weighting and once without
it, and report the better result.

On `shapes` (red 40, images of 16 x 16 pixels, 16 epochs, one seed), the accuracy after the last
epoch is 60.5 % without the second weighting and 54.8 % with it.

The losses l_i are computed in a separate pass without a gradient. In this pass, batch normalisation
uses the statistics of the batch, as in the authors' code, and leaves the running averages
unchanged. Three options come from the authors' code and are not in the paper. With ``mentor`` =
learned_pd, a small network, and not the threshold, determines the weights. With ``hard_switch``,
lam_i is the larger of lam and 1 - lam if v_i >= 1/2, and the smaller one otherwise; if all weights
are 0 or 1, this changes nothing. The option ``burn_in`` sets the length of an initial phase in
which all weights are 1.

With several ranks, the threshold is computed from the losses of all ranks, but the partner of an
example comes from the same rank.

When the second weighting is on, the authors' code applies no weight decay, apparently by mistake;
this implementation applies it. The page on networks says how `resnet32_wide` differs from the
network of the authors' code.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, Method, Task
from cnlw_tools.methods.components.batchnorm import batch_statistics
from cnlw_tools.methods.components.curriculum import Curriculum
from cnlw_tools.methods.components.mixing import at_least_half, mix, sample_beta
from cnlw_tools.methods.components.validation import check_flag, check_number


def partner_probabilities(v: Tensor, temperature: float = 1.0) -> Tensor:
    """Return P, (B,), the probability that each example is drawn as a partner."""
    return torch.softmax(v / temperature, 0)


def draw_partners(p: Tensor) -> Tensor:
    """Draw j ~ P with replacement for each of B examples; return (B,) positions in the batch.

    The partner is the first of B exponential clocks with rates P to ring, since
    `torch.multinomial` may synchronise with the device.
    """
    clocks = torch.empty(len(p), len(p), device=p.device).exponential_()  # (i, j)
    return (clocks / p).argmin(1)


def example_shares(
    lam: Tensor,
    v: Tensor,
    hard: bool = False,
) -> Tensor:
    """Return lam_i, (B,), the share of itself that each example keeps in the blend.

    It is more than half for trusted examples, and less for the others.
    """
    if hard:
        v = (v >= 0.5).float()
    larger = at_least_half(lam)
    return mix(larger, 1 - larger, v)


class MentorMix(Method):
    """Trains with mixup, in which a mentor uses the losses to choose which examples to favour.

    Args:
        task: the learning task
        alpha: parameter of the Beta distribution; with 0, examples are not mixed, but a partner
            replaces each distrusted example
        percentile: which percentile of the losses of a batch the threshold follows, as a number
            from 0 to 1
        second_reweight: whether the mixed examples are weighted by their own losses
        mentor: name of a weighting rule, learned_pd (the mentor in the package), or a FILE.json
            from `cnlw train-mentor`
        decay: share of the previous value that the moving threshold keeps in each step
        burn_in: all weights are 1 in the first burn_in - 1 percent of the training (with 0, never),
            as in the authors' code
        hard_switch: if true, an example makes up the larger part of its blend if v >= 1/2, and
            otherwise the smaller part, as in the authors' code
        temperature: T, by which the weights are divided before the softmax

    Raises:
        ValueError: an option is outside its range, or the mentor is unknown
        OSError: the file of the mentor cannot be read
    """

    cross_entropy_options = {"alpha": 0.0, "mentor": "baseline"}  # noqa: RUF012, read only
    paper = "Jiang et al. 2020, arXiv:1911.09781"
    repeats_within = "percent"
    relative_cost = 1.33
    distributed_loss = "gathered"

    def __init__(
        self,
        task: Task,
        alpha: float = 8.0,
        percentile: float = 0.7,
        second_reweight: bool = True,
        mentor: str = "threshold",
        decay: float = 0.5,
        burn_in: int = 10,
        hard_switch: bool = False,
        temperature: float = 1.0,
    ) -> None:
        super().__init__(task)
        self.alpha = check_number("alpha", alpha, 0)
        self.temperature = check_number("temperature", temperature, 0.001)
        self.hard_switch = check_flag("hard_switch", hard_switch)
        self.curriculum = Curriculum(mentor, percentile, decay, burn_in)
        self.second_curriculum: Curriculum | None = None
        if check_flag("second_reweight", second_reweight):
            self.second_curriculum = Curriculum(mentor, percentile, decay, burn_in)

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean loss of the blends."""
        x, y = batch.x, batch.y
        with torch.no_grad():
            with batch_statistics(self.net):
                first_losses = cross_entropy(self.net(x), y, reduction="none")
            v = self.curriculum(first_losses, self.progress)
            partner = draw_partners(partner_probabilities(v, self.temperature))
            lam = sample_beta(self.alpha, v.shape, v)
            lam = example_shares(lam, v, self.hard_switch)
            blend = mix(x, x[partner], lam)
        self.log_examples(batch, first_losses, v)
        z = self.net(blend)
        example_losses = cross_entropy(z, y, reduction="none")
        partner_losses = cross_entropy(z, y[partner], reduction="none")
        losses = mix(example_losses, partner_losses, lam)
        if self.second_curriculum is not None:
            losses = self.second_curriculum(losses, self.progress) * losses
        return losses.mean()
