"""In MentorNet, a mentor weights the examples of a student network by their losses.

Source: Jiang, Zhou, Leung, Li and Fei-Fei 2018, "MentorNet: learning data-driven curriculum for
very deep neural networks on corrupted labels", arXiv:1712.05055, and the authors' code.

The mentor gives the weight v_b to example b. `curriculum` defines the weights v:

L = mean_b v_b l_b        l_b = CE(y_b, z_b)        v = Curriculum(l, progress), a constant

Networks fit patterns before they memorise exceptions. During the training, examples with wrong
labels therefore mostly have higher losses than examples with correct labels. The default mentor
`pd` compares each loss with a threshold, which is a moving average of a percentile of the losses.
In the first 19 % of the training, it gives all examples the weight 1. Then it gives the weight 1 to
examples with losses up to the threshold, and 0 to the others. In the last tenth of the training,
examples with losses above the threshold get the weight 1 - (loss - threshold) or, if this is
negative, 0. In addition, the option ``example_dropout`` sets the weights of random examples to 0.

The mentor can be a rule (`pd`, `self_paced`, `focal` ...) or a network that has learned a
curriculum. `cnlw train-mentor` fits such a network to a rule, or to a student's losses on the
verified labels of a build. The weighted losses are divided by the size of the batch, not by the sum
of the weights, so a batch in which most weights are low leads to a small step.

The defaults are those of the paper's predefined curriculum (PD) for noise up to 40 %. The paper's
data-driven curriculum (DD) has these options at 20 % noise: mentor = FILE.json, percentile = 0.8,
burn_in = 18, fixed_epoch = true and example_dropout = "0.5,17,0.05,78,0.9,5".

The authors' code multiplies the weight decay by the mean of v. This implementation applies the full
decay in each step. As in the authors' code, a mentor network is fitted beforehand
(components/mentor_fit.py) and does not change while the student learns. The presets of this method
train the network `resnet56_wide`. The page on networks says how `resnet56_wide` differs from the
network of the authors' code.
"""

from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, Method, Task
from cnlw_tools.methods.components.curriculum import Curriculum


class MentorNet(Method):
    """Weights each example by its loss, with a fixed rule or a learned mentor network.

    The options are those of ``Curriculum``.

    Args:
        task: the learning task
        mentor: name of a weighting rule, learned_pd (the mentor in the package), or a FILE.json
            from `cnlw train-mentor`
        percentile: which percentile of the losses of a batch the threshold follows, as a number
            from 0 to 1
        decay: share of the previous value that the moving threshold keeps in each step
        burn_in: in the first burn_in - 1 percent of the training, all examples that are not dropped
            have the weight 1, as in the authors' code; then the mentor takes effect (with 0, at
            once)
        fixed_epoch: if true, the completed percentage of the training that the mentor and
            example_dropout use stays at burn_in once it is reached
        example_dropout: shares of the examples that are dropped, each followed by its duration as a
            percentage of the training
    """

    cross_entropy_options = {  # noqa: RUF012, read only
        "mentor": "baseline",
        "example_dropout": "0,100",
    }
    paper = "Jiang et al. 2018, arXiv:1712.05055"
    repeats_within = "percent"
    distributed_loss = "gathered"

    def __init__(
        self,
        task: Task,
        mentor: str = "pd",
        percentile: float = 0.75,
        decay: float = 0.5,
        burn_in: int = 0,
        fixed_epoch: bool = False,
        example_dropout: str = "0.5,17,0.05,83",
    ) -> None:
        super().__init__(task)
        self.curriculum = Curriculum(
            mentor, percentile, decay, burn_in, fixed_epoch, example_dropout
        )

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean of v l."""
        losses = cross_entropy(self.net(batch.x), batch.y, reduction="none")
        v = self.curriculum(losses, self.progress)
        self.log_examples(batch, losses, v)
        weighted: Tensor = v * losses
        return weighted.mean()
