"""IEG: weights and labels that help on trusted examples (Zhang, Zhang, Arik, Lee and Pfister, CVPR 2020).

Two views x, x^ of B images, logits z, z^, given labels Y, trusted (X_p, Y_p); equations (3) to (9) and Algorithm 1:

P       = (softmax(z) + softmax(z^)) / 2        g = P^(1/tau) / sum P^(1/tau)                       pseudo labels
T       = lam0 Y + (1 - lam0) g                 omega0 = 1 / B
Theta'  = Theta - eta (grad [sum_b omega0 CE(T_b, z_b) + l2] + mu buffer)                           one step ahead
L^p     = mean CE(Y_p, f(X_p; Theta')) + l2(Theta')                                                 g_p = its gradient
omega*  = max(-dL^p/domega, 0) / (sum + delta)  dL^p/domega_b = -eta (lam0 a_b + (1 - lam0) c_b)
lam*    = 1[dL^p/dlam < 0]                      dL^p/dlam_b   = -eta omega0 (a_b - c_b)
          with a_b = <g_p, grad CE(Y_b, z_b)> and c_b = <g_p, grad CE(g_b, z_b)>, see `lookahead`
L_omega = sum_b omega*_b CE(T_b, z_b)           L_lam = mean_b CE(lam*_b Y_b + (1 - lam*_b) g_b, z_b)
L_mix^p = mean CE of mixed rows whose larger part is trusted, L_mix^u = of the others: the 3B rows [X_p, x, x^] with
          labels [Y_p, g, g] are mixed with a permutation of themselves, beta ~ Beta(alpha, alpha), beta >= 1/2
L       = (L_omega + L_lam) / 2 + L_mix^p + p L_mix^u + k mean_b KL(softmax(z_b) || softmax(z^_b))

Where most labels are wrong, to weigh them down leaves little to learn from. IEG asks the trusted examples two things:
what is this example worth, and which is better, its label or the network's guess. Then it learns from all examples,
and from trusted ones as well, but only mixed, so that they are not learned by heart and stay good judges.

Paper and code differ. The published numbers are the code's, which gives the defaults, all but the last:
    halve          (L_omega + L_lam) / 2; Algorithm 1 adds them
    logit_norm     logits are divided by their root mean square, over the batch for g, over each third for L_mix
    detach         the KL pulls z^ to z, and not z to z^
    approximate    beta is u^(1 / alpha) / 2, u uniform
    through_guess  the virtual step differentiates g too. Algorithm 1 forms g before; so here, for 1.7 steps less
eta is 0.1 whatever the learning rate; the buffer is that of SGD, and l2 the optimiser's weight decay. A mixed row keeps
its label where omega*_b >= threshold; the paper found 1 best, at which none does.

Table 9: M-1, which is L2R: omega0 = 0, momentum = 0, l2 = false, relabel = false, anchors = false, k = 0. M-3: k = 0,
anchors = false. M-4: k = 0. M-6: anchors = false. M-8: relabel = false; then T = Y and there is no L_lam. M-9 and
M-10: alpha = 0, nothing is mixed. M-2 and M-7: M-3 and M-5 with a preset whose view `policy` has no policy.

Only the pass over x moves the running averages of batch normalisation. With several ranks, logits are gathered and
coefficients are those of the whole batch; L_mix and KL stay within a rank. Noted are omega* / max omega* and lam*.

Not done here: more than two views; the schedule with restarts and the average of weights, which the trainer has.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import jvp, vjp
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, Method, Task
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.batchnorm import batch_statistics
from cnlw_tools.methods.components.lookahead import (
    Parameters,
    at_least_float32,
    check_probe_size,
    draw_probe,
    logits_and_derivative,
    normalise_gains,
    probe_gradient,
    trainable_parameters,
)
from cnlw_tools.methods.components.mixing import at_least_half, mix, one_hot, sample_beta
from cnlw_tools.methods.components.pseudo_labels import (
    kl_divergence,
    rms_normalise,
    sharpened_pseudo_labels,
)
from cnlw_tools.methods.components.validation import check_number


class Slopes(NamedTuple):
    """How L^p depends on the n examples of all ranks."""

    weight: Tensor  # (n,) dL^p/domega
    label: Tensor  # (n,) dL^p/dlam
    guess: Tensor  # (n, K) g


def stepped(
    theta: Tensor, gradient: Tensor, buffer: Tensor | None, lr: float, momentum: float, decay: float
) -> Tensor:
    """Theta' = Theta - eta (gradient + decay Theta + mu buffer); no buffer is that of zeros, before the first step."""
    change = gradient + decay * theta
    return theta - lr * (change if buffer is None else change + momentum * buffer)


class IEG(Method):
    """Weigh and relabel by trusted examples, and learn from them mixed."""

    views = ("standard", "policy")
    requires = ("probe",)
    paper = "Zhang et al. 2020"
    relative_cost = 7.7
    distributed_loss = "gathered"

    def __init__(
        self,
        task: Task,
        probe_size: int = 100,
        p: float = 5.0,
        k: float = 20.0,
        temperature: float = 0.5,
        lam0: float = 0.9,
        omega0: float = 1.0,  # in units of 1 / B
        meta_lr: float = 0.1,
        momentum: float = 0.9,
        delta: float = 1e-5,
        alpha: float = 0.5,
        threshold: float = 1.0,
        relabel: bool = True,
        anchors: bool = True,
        l2: bool = True,
        halve: bool = True,
        logit_norm: bool = True,
        detach: bool = True,
        approximate: bool = True,
        through_guess: bool = False,
    ) -> None:
        super().__init__(task)
        _flags(
            relabel=relabel,
            anchors=anchors,
            l2=l2,
            halve=halve,
            logit_norm=logit_norm,
            detach=detach,
        )
        _flags(approximate=approximate, through_guess=through_guess)
        self.probe_size = check_probe_size(probe_size)
        self.p, self.k = check_number("p", p, 0), check_number("k", k, 0)
        self.temperature = check_number("temperature", temperature, 0.001)
        self.lam0 = check_number("lam0", lam0, 0, 1) if relabel else 1.0
        self.omega0 = check_number("omega0", omega0, 0)
        if relabel and omega0 == 0:
            raise ValueError(
                "omega0 = 0: what weighs nothing needs no label: give more, or relabel = false"
            )
        self.meta_lr, self.momentum = (
            check_number("meta_lr", meta_lr, 1e-6),
            check_number("momentum", momentum, 0, 1),
        )
        self.delta, self.alpha = check_number("delta", delta, 0), check_number("alpha", alpha, 0)
        self.threshold = check_number("threshold", threshold, 0, 1)
        self.relabel, self.anchors, self.l2, self.halve = relabel, anchors, l2, halve
        self.logit_norm, self.detach = logit_norm, detach
        self.approximate, self.through_guess = approximate, through_guess

    def loss(self, batch: Batch) -> Tensor:
        """The weighted, the relabelled, the mixed and the consistent."""
        z = at_least_float32(self.net(batch.x))
        label = one_hot(batch.y, z.shape[1])
        with batch_statistics(self.net):
            z_hat = at_least_float32(self.net(batch.views[1]))
            probe = draw_probe(self.task, self.probe_size)
            slopes = self.slopes(batch, probe, z, z_hat)
            weights, guess = (
                normalise_gains(-slopes.weight, self.delta),
                distributed.local_rows(slopes.guess),
            )
            weight = distributed.local_rows(weights)
            mixed = self.mixed(
                batch, probe, torch.where((weight < self.threshold)[:, None], guess, label)
            )
        own = distributed.local_rows(slopes.label) < 0 if self.relabel else None
        cost = cross_entropy(z, batch.y, reduction="none")
        self.log_examples(batch, cost, weight / weights.max().clamp(min=1e-30), own)
        target = self.lam0 * label + (1 - self.lam0) * guess
        total = (
            distributed.world_size() * (weight * _each(z, target)).sum()
        )  # the trainer takes the mean over ranks
        if own is not None:
            better = torch.where(own[:, None], label, guess)
            total = (total + cross_entropy(z, better)) / (2 if self.halve else 1)
        if self.k:
            total = total + self.k * kl_divergence(z, z_hat, self.detach).mean()
        return total + mixed

    def slopes(self, batch: Batch, probe: Batch, z: Tensor, z_hat: Tensor) -> Slopes:
        """Differentiate L^p one step ahead, for all ranks."""
        logits = (z, z_hat) if self.through_guess else (z,)
        label = one_hot(distributed.all_gather(batch.y), z.shape[1])
        guess = sharpened_pseudo_labels(
            [distributed.all_gather(z), distributed.all_gather(z_hat)],
            self.temperature,
            self.logit_norm,
        )

        def costs(*logits: Tensor) -> tuple[Tensor, Tensor]:  # CE(Y, z), CE(g, z)
            g = (
                sharpened_pseudo_labels(logits, self.temperature, self.logit_norm)
                if self.through_guess
                else guess
            )
            return _each(logits[0], label), _each(logits[0], g)

        omega = z.new_full((len(label),), self.omega0 / len(label))
        pull = vjp(costs, *map(distributed.all_gather, logits))[1]
        forces = [
            distributed.local_rows(force)
            for force in pull((self.lam0 * omega, (1 - self.lam0) * omega))
        ]
        way = self.judgement(logits, forces, probe)
        moved = [
            logits_and_derivative(self.net, trainable_parameters(self.net), way, x)
            for x in batch.views[: len(logits)]
        ]
        at, along = (
            tuple(map(distributed.all_gather, values)) for values in zip(*moved, strict=True)
        )
        a, c = jvp(costs, at, along)[1]
        weight = -self.meta_lr * (self.lam0 * a + (1 - self.lam0) * c)
        return Slopes(weight, -self.meta_lr * omega * (a - c), guess)

    def judgement(
        self, logits: Sequence[Tensor], forces: Sequence[Tensor], probe: Batch
    ) -> Parameters:
        """Return g_p, the gradient of L^p one step ahead; ``forces``: d lookahead loss / d ``logits``."""
        own = {name: p for name, p in self.net.named_parameters() if p.requires_grad}
        gradient = torch.autograd.grad(logits, list(own.values()), forces, retain_graph=True)
        groups = self.optimiser.param_groups if self.l2 else []
        decays = {
            p: float(group.get("weight_decay", 0)) for group in groups for p in group["params"]
        }
        ahead = {}
        for (name, p), g in zip(own.items(), gradient, strict=True):
            buffer = self.optimiser.state.get(p, {}).get("momentum_buffer")
            change = (distributed.world_size() * g, buffer)
            ahead[name] = stepped(
                p.detach(), *change, self.meta_lr, self.momentum, decays.get(p, 0.0)
            )
        distributed.average_over_ranks(list(ahead.values()))
        way = probe_gradient(self.net, ahead, probe)
        return {name: g + decays.get(own[name], 0.0) * ahead[name] for name, g in way.items()}

    def mixed(self, batch: Batch, probe: Batch, label: Tensor) -> Tensor:
        """Return L_mix^p + p L_mix^u; a scalar."""
        if not self.anchors:
            return label.new_zeros(())
        size = len(label)
        pick = torch.randint(len(probe.y), (size,), device=label.device)
        x = torch.cat([probe.x[pick], *batch.views])  # (3B, 3, H, W)
        target = torch.cat([one_hot(probe.y[pick], label.shape[1]), label, label])
        if self.alpha:
            share, partner = self.shares(target), torch.randperm(3 * size, device=label.device)
            x, target = mix(x, x[partner], share), mix(target, target[partner], share)
        thirds = at_least_float32(self.net(x)).chunk(3)
        each = _each(
            torch.cat([rms_normalise(z) if self.logit_norm else z for z in thirds]), target
        )
        return each[:size].mean() + self.p * each[size:].mean()

    def shares(self, like: Tensor) -> Tensor:
        """Draw beta, at least a half, (3B,)."""
        if self.approximate:
            return at_least_half(torch.rand(len(like), device=like.device) ** (1 / self.alpha) / 2)
        return at_least_half(sample_beta(self.alpha, (len(like),), like))


def _each(z: Tensor, target: Tensor) -> Tensor:
    return cross_entropy(z, target, reduction="none")


def _flags(**options: bool) -> None:
    for option, value in options.items():
        if not isinstance(value, bool):
            raise ValueError(f"{option} = {value!r}: give true or false")
