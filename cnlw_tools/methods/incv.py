"""INCV selects correct labels by cross-validation, then trains two networks on them.

Source: Chen, Liao, Chen and Zhang, ICML 2019, "Understanding and utilizing deep neural networks
trained with noisy labels".

Let S be the set of selected training examples, and C the set of candidates, which are neither
selected nor removed. The estimated share of wrong labels is eps, and their share in S is eps_S. L
is the loss of the last stage, and ramp is an option:

S, C  = the empty set and the set of all examples, at first. Each iteration divides C at random
        into halves. For each half H:
          - a new network is trained on S and on the other half
          - the n_H examples of H whose label it predicts move from C to S
          - of the other examples of H, those whose loss is among the int(r n_H) highest in H are
            removed from C for good
r     = min(2, eps / (1 - eps))
eps   = the smallest of 0, 0.001, 0.002 ... for which
        (1 - eps)^2 + eps^2 / (K - 1) <= the share of the first H that moved to S
eps_S = eps^2 / (eps^2 + (K - 1) (1 - eps)^2)
L     = mean CE of network 1 over the n examples of the batch with the smallest losses by network 2,
        plus the same with the two networks exchanged
n     = round(n_S (1 - eps_S min(1, e / ramp)))     n_S: examples of the batch in S
                                                    e: epoch of the last stage, from 0

A network cannot have memorised the wrong labels of examples that it has not seen. If it predicts
the label of such an example, the label is likely correct: the network would otherwise have to
predict exactly this wrong label. The share of such labels that it predicts shows how many labels
are wrong. In the last stage, two networks learn from S. As in Co-teaching, each network learns from
the examples for which the other one has a small loss. Some examples of C, at most half as many as S
has, are drawn at random and added to the training set of this stage. The networks can select these
examples once the warm-up (option ``warmup``) is over.

The longer a network is trained, the more wrong labels it memorises. The network of the best epoch
may therefore select better than the network of the last epoch. The best epoch is the one after
which the network predicts the largest share of the given labels of H. If eps is at most 0.3, all
iterations use the network of the best epoch. If eps is above 0.3 and at most 0.6, only the first
two iterations use it. If eps is above 0.6 or the noise is asymmetric, only the first iteration uses
it. The remaining iterations use the network of the last epoch.

With asymmetric noise, no example is removed from C, the factor K - 1 in eps_S is replaced by 1, and
the warm-up is twice as long. It is also twice as long if eps is above 0.6, but it always ends
before the last stage does.

By default, the epochs are divided in the proportions of the authors' code: four iterations that
train a network for 50 epochs on each of two halves, and a last stage of 200 epochs. A network that
was trained for very few epochs predicts labels hardly better than at initialisation. In a short
run, there are therefore fewer iterations, but at least one, so that each network is trained for
three epochs or more if possible. If the run has only one epoch, or if ``iterations`` or
``validation`` is 0, cross-validation is skipped. S then has all examples, and eps is 0.

As in the authors' code, every network starts from the same initial weights. During
cross-validation, the second network is not trained; it stores the best weights of the first one.
With several ranks, the sets S and C of rank 0 are used, and in the last stage each rank selects
among its own examples of the batch. When the networks compute the losses by which they select, they
are in evaluation mode. Examples outside the training set of the last stage have a logged weight of
0.

The authors' code tests both networks separately, and the paper does not say which network's result
its table shows. In this implementation, by default, only the first network predicts (``predict`` =
one). With ``predict`` = mean, predictions use the mean of the logits of both networks; the paper
does not report such a result.

On `shapes` (blue 40, 16 x 16 pixels, 12 epochs, one run with seed 0 for each number), INCV reaches
a top-1 accuracy of 32 % after the last epoch, and `vanilla` reaches 55 %. The epochs are divided
among the halves and the last stage. After so few epochs, the networks predict too few labels
correctly for a useful selection.

The authors' code draws examples of C anew in every epoch, and adds them to each batch. Here they
are drawn once, and batches keep their size. The authors' code can also select an example whose
label is among the k most probable classes; for CIFAR it uses k = 1, and so does this
implementation. In the authors' code, the batch statistics of batch normalisation come only from the
examples that a network learns from. Here the whole batch goes through the networks, so the CPU need
not wait for the GPU in each step.

On `shapes` (blue 40, 16 x 16 pixels, 30 epochs, mean of three seeds), INCV ends at an accuracy of
41.3 % with batch statistics of the whole batch. It ends at 41.0 % if the batch statistics come only
from the examples that a network learns from, as in the authors' code.
"""

from collections.abc import Iterable, Iterator
from math import ceil

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, BatchSource, Method, Phase, Task
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.inference import evaluate_batch, evaluate_dataset
from cnlw_tools.methods.components.validation import (
    check_choice,
    check_number,
    resolve_epochs,
    resolve_first_epochs,
)
from cnlw_tools.methods.components.weighting_rules import mask_of_smallest

CANDIDATE, SELECTED, REMOVED = range(3)
MIN_EPOCHS = 3  # of a half, before there is another iteration


def estimate_noise(agreement: float, n_classes: int) -> float:
    """Return eps for a share of predicted labels; below chance it is that of chance."""
    for step in range(1000):
        eps = step / 1000
        both_right = (1 - eps) ** 2
        same_mistake = eps**2 / (n_classes - 1)
        if both_right + same_mistake <= agreement + 1e-9:
            return eps
    return 1 - 1 / n_classes


def selected_noise(eps: Tensor, n_wrong_classes: int) -> Tensor:
    """Return eps_S; ``n_wrong_classes`` is K - 1, or 1 for asymmetric noise."""
    same_mistake = eps**2
    both_right = n_wrong_classes * (1 - eps) ** 2
    return same_mistake / (same_mistake + both_right)


def plan_iterations(
    total: int,
    share: float,
    iterations: int,
) -> tuple[int, int]:
    """Return how many iterations there is time for, and the epochs of each of their halves.

    Args:
        total: all epochs; one is left for the last stage
        share: of them for the iterations
        iterations: at most this many
    """
    wanted_epochs = ceil(round(share * total, 9))
    budget = min(wanted_epochs, total - 1)
    affordable = max(budget // (2 * MIN_EPOCHS), int(budget >= 2))
    iterations = min(iterations, affordable)
    return iterations, budget // (2 * iterations) if iterations else 0


class INCV(Method):
    """Selects likely correct labels by cross-validation, then trains two networks on them.

    Args:
        task: the learning task
        iterations: number of times that the candidates are halved at random
        validation: share of all epochs that cross-validation takes
        noise: kind of noise: symmetric, or asymmetric if you know that most wrong labels of a class
            are those of one other class
        warmup: share of the last stage in which the networks learn only from examples of S
        ramp: share of the last stage in which the share of dropped examples grows to eps_S
        predict: what predicts: the first network (one) or the mean of both networks (mean)
    """

    paper = "Chen et al. 2019"
    repeats_within = "epoch"
    relative_cost = 1.3
    distributed_loss = "per_rank"
    eps: Tensor
    best_accuracy: Tensor
    status: Tensor
    half_index: Tensor
    is_last_stage: Tensor

    def __init__(
        self,
        task: Task,
        iterations: int = 4,
        validation: float = 2 / 3,  # share of all epochs
        noise: str = "symmetric",
        warmup: float = 0.2,  # of the epochs of the last stage
        ramp: float = 0.05,  # of the epochs of the last stage
        predict: str = "one",
    ) -> None:
        super().__init__(task)
        self.other_net = task.make_net()
        share = check_number("validation", validation, 0, 1)
        iterations = int(check_number("iterations", iterations, 0))
        self.iterations, self.half_epochs = plan_iterations(task.epochs, share, iterations)
        self.is_staged = share > 0 and iterations > 0
        if self.is_staged and not self.iterations and task.epochs > 1:
            raise ValueError(
                f"validation = {validation}: this share of {task.epochs} epochs is too short to "
                "train on each of the two halves: give 3 epochs or more, and a share that makes up "
                "2 epochs or more"
            )
        self.validation_epochs = 2 * self.iterations * self.half_epochs
        self.last_epochs = task.epochs - self.validation_epochs
        noise = check_choice("noise", noise, ("symmetric", "asymmetric"))
        self.is_asymmetric = noise == "asymmetric"
        self.predicts_mean = check_choice("predict", predict, ("one", "mean")) == "mean"
        self.warmup = resolve_first_epochs(
            "warmup", warmup, self.last_epochs, least=0, n_other_epochs=2
        )
        self.ramp = max(1, resolve_epochs("ramp", ramp, self.last_epochs))
        self.register_buffer("eps", torch.zeros(()))
        self.register_buffer("best_accuracy", torch.full((), -1.0))  # of this phase
        self.register_buffer("status", torch.full((task.n_examples,), CANDIDATE))
        self.register_buffer("half_index", torch.zeros(task.n_examples, dtype=torch.long))
        self.register_buffer("is_last_stage", torch.zeros((), dtype=torch.bool))

    def phases(self) -> list[Phase]:
        """Return a phase for each half, and the last stage."""
        halves = [Phase(self.half_epochs, restart="init") for _ in range(2 * self.iterations)]
        return [*halves, Phase(self.last_epochs, restart="init")]

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean cross-entropy.

        In the last stage it is that of each network on the examples that the other one selects.
        """
        epochs_done = int(self.progress * self.task.epochs + 1e-6)
        epoch = epochs_done - self.validation_epochs
        losses = cross_entropy(self.net(batch.x), batch.y, reduction="none")
        if epoch < 0:
            self.log_examples(batch, losses)
            return losses.mean()
        other_losses = cross_entropy(self.other_net(batch.x), batch.y, reduction="none")
        easy = self.find_easy(self.net, batch, epoch)
        other_easy = self.find_easy(self.other_net, batch, epoch)
        mean_losses = (losses + other_losses) / 2
        self.log_examples(batch, mean_losses, weights=(easy + other_easy) / 2)
        return _masked_mean(losses, other_easy) + _masked_mean(other_losses, easy)

    def find_easy(
        self,
        net: nn.Module,
        batch: Batch,
        epoch: int,
    ) -> Tensor:
        """Return (B,) 1 for the n eligible examples with the least loss by a network, else 0."""
        losses, _ = evaluate_batch(net, batch)
        is_selected = self.status[batch.index] == SELECTED
        n_wrong_classes = 1 if self.is_asymmetric else self.task.n_classes - 1
        wrong_share = selected_noise(self.eps, n_wrong_classes)
        dropped_share = wrong_share * min(1, epoch / self.ramp)
        n = is_selected.sum() * (1 - dropped_share)
        usual_factor = 2 if self.is_asymmetric else 1
        warmup_factor = torch.where(self.eps > 0.6, 2, usual_factor)
        longest_warmup = max(self.last_epochs - 2, self.warmup)
        is_warmed_up = epoch > (self.warmup * warmup_factor).clamp(max=longest_warmup)
        eligible_losses = torch.where(is_selected | is_warmed_up, losses, torch.inf)
        return mask_of_smallest(eligible_losses, n.round())

    def predict(self, x: Tensor) -> Tensor:
        """Return the first network's logits; if asked for, in the last stage the mean of both."""
        z: Tensor = self.net(x)
        if self.predicts_mean and self.is_last_stage:
            z = (z + self.other_net(x)) / 2
        return z

    @torch.no_grad()
    def begin_phase(self, phase: int, train_batches: BatchSource) -> Tensor:
        """Select from the half that was not learned, and return the examples to learn next."""
        is_last = phase == 2 * self.iterations
        if phase:
            self._keep_best(phase - 1, train_batches)
            self._select(phase - 1, train_batches)
        elif is_last:
            self.status.fill_(SELECTED)
        self.best_accuracy.fill_(-1.0)
        self.is_last_stage.fill_(is_last)
        if is_last:
            return self._draw_last_stage()
        if phase % 2 == 0:
            self._halve_candidates()
        is_in_half = self.half_index == phase % 2
        is_learned = is_in_half | (self.status == SELECTED)
        return is_learned.nonzero().flatten()

    def begin_epoch(self, epoch: int, train_batches: BatchSource) -> None:
        """During cross-validation, remember the network if it is the best on the other half."""
        if epoch >= self.validation_epochs:
            self.example_weights[self.status != SELECTED] = 0.0
        elif epoch % self.half_epochs:
            self._keep_best(epoch // self.half_epochs, train_batches)

    def _halve_candidates(self) -> None:
        """Divide the candidates at random into halves 0 and 1; all other examples get 2."""
        rows = (self.status == CANDIDATE).nonzero().flatten()
        order = torch.randperm(len(rows)).to(rows.device)
        alternating = torch.arange(len(rows), device=rows.device) % 2
        self.half_index.fill_(2)
        self.half_index[rows[order]] = alternating
        distributed.broadcast_from_rank_zero([self.half_index])

    def _is_tested(self, phase: int) -> Tensor:
        """Return whether each example is in the half that is not learned in a phase, (n,)."""
        return self.half_index == 1 - phase % 2

    def _keep_best(self, phase: int, train_batches: BatchSource) -> None:
        """Store the network's state in the second one if it agrees best with the other half."""
        is_tested = self._is_tested(phase)
        if not is_tested.any():
            return
        _, agrees = evaluate_dataset(self.net, lambda: _pick_examples(train_batches(), is_tested))
        accuracy = agrees.float().mean()
        distributed.average_over_ranks([accuracy])
        if accuracy > self.best_accuracy:
            self.best_accuracy.copy_(accuracy)
            self.other_net.load_state_dict(self.net.state_dict())

    def _select(self, learned_phase: int, train_batches: BatchSource) -> None:
        """Select and remove examples of the half that was not learned in a phase."""
        selector = self._selecting_network(learned_phase // 2)
        losses, agrees = evaluate_dataset(selector, train_batches)
        is_tested = self._is_tested(learned_phase)
        is_good = is_tested & agrees
        n_tested = int(is_tested.sum())
        n_good = int(is_good.sum())
        if learned_phase == 0:
            agreement = n_good / max(n_tested, 1)
            self.eps.fill_(estimate_noise(agreement, self.task.n_classes))
        if not self.is_asymmetric:
            eps = float(self.eps)
            r = min(2, eps / (1 - eps))
            n_removed = min(n_tested, int(r * n_good))
            tested_losses = torch.where(is_tested, losses, -torch.inf)
            worst = tested_losses.argsort(descending=True, stable=True)[:n_removed]
            self.status[worst] = REMOVED
        self.status[is_good] = SELECTED
        distributed.broadcast_from_rank_zero([self.status, self.eps])

    def _selecting_network(self, iteration: int) -> nn.Module:
        """Return the best network in the first iterations, and the last one afterwards."""
        if self.is_asymmetric or self.eps > 0.6:
            n_iterations_by_best = 1
        elif self.eps > 0.3:
            n_iterations_by_best = 2
        else:
            n_iterations_by_best = self.iterations
        return self.other_net if iteration < n_iterations_by_best else self.net

    def _draw_last_stage(self) -> Tensor:
        """Return S and a random part of C, at most half as many as in S.

        Raises:
            ValueError: S is empty
        """
        selected = (self.status == SELECTED).nonzero().flatten()
        candidates = (self.status == CANDIDATE).nonzero().flatten()
        if not len(selected):
            raise ValueError(
                "INCV: no network predicts any label correctly in the half that it was not "
                "trained on: "
                "give more epochs"
            )
        order = torch.randperm(len(candidates))[: len(selected) // 2]
        sample = candidates[order.to(candidates.device)]
        rows = torch.cat([selected, sample]).sort().values
        distributed.broadcast_from_rank_zero([rows])
        return rows


def _pick_examples(batches: Iterable[Batch], is_picked: Tensor) -> Iterator[Batch]:
    """Yield batches of some examples alone; of the whole set, ``is_picked`` says which, (n,)."""
    for batch in batches:
        mask = is_picked[batch.index]
        if mask.any():
            views = tuple(view[mask] for view in batch.views)
            yield Batch(batch.index[mask], views, batch.y[mask])


def _masked_mean(losses: Tensor, mask: Tensor) -> Tensor:
    count = mask.sum().clamp(min=1)
    return (losses * mask).sum() / count
