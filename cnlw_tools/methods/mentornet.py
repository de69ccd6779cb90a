"""MentorNet: a mentor weights each example by its loss, and the student learns accordingly.

Jiang, Zhou, Leung, Li and Fei-Fei 2018, "MentorNet: learning data-driven curriculum for very deep
neural networks on corrupted labels", arXiv:1712.05055, and its code.

L = mean_b v_b l_b        l_b = CE(y_b, z_b)        v = Curriculum(l, progress), a constant

Networks fit patterns before they memorise exceptions, so the label of an example whose loss is
still high is more likely wrong. A mentor turns that into a curriculum: all examples at first, then
those below a moving percentile of the losses. It can be a rule (`self_paced`, `focal`, `pd` ...) or
a network that has learned a curriculum, from a rule or from a student's losses of labels that were
verified, whether correct or wrong. The mean is over the batch and not over the weights, so a batch
that the mentor distrusts makes a small step.

The defaults are the paper's predefined curriculum (PD) at up to 40 % noise. The data-driven one
(DD), at 20 %, is mentor = FILE.json, percentile 0.8, burn_in 18, fixed_epoch and example_dropout
"0.5,17,0.05,78,0.9,5".

Not done here: weight decay times the mean of v, as in the code; a step of the trainer applies the
full decay. Updates of the mentor while the student learns: as in the code, it is fitted beforehand
(components/mentor_fit.py). In the networks of its presets, the very first unit normalises before it
activates, where the code's does the reverse, and batch normalisation has an epsilon of 1e-5 for
1e-3: one unit with torch's epsilon serves all networks here. The effect was not measured.
"""

from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, Method, Task
from cnlw_tools.methods.components.curriculum import Curriculum


class MentorNet(Method):
    """Weights each example by a curriculum over its loss, a rule or a learned mentor network.

    The options are those of ``Curriculum``.

    Args:
        task: the learning task
        mentor: name of a rule, learned_pd, or FILE.json of `cnlw train-mentor`
        percentile: the threshold follows this percentile of a batch's losses, from 0 to 1
        decay: of the moving threshold
        burn_in: percent of the training in which all examples count in full
        fixed_epoch: true: the epoch that the mentor is told stops at burn_in
        example_dropout: shares of examples that are dropped, with the percents of the training
            they last
    """

    cross_entropy_options = {  # noqa: RUF012, read only
        "mentor": "baseline",
        "example_dropout": "0,100",
    }
    paper = "Jiang et al. 2018, arXiv:1712.05055"
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
