"""IEG weights and relabels examples so that a step on them reduces the loss on trusted examples.

Source: Zhang, Zhang, Arik, Lee and Pfister, CVPR 2020, "Distilling effective supervision from
severe label noise". IEG is the name of the method in the authors' code and in the first version of
the paper.

Let x and x^ be two views of the B images of a batch, z and z^ their logits, and Y the given labels.
X_p are trusted images, and Y_p are their labels. These symbols are options: lam0, omega0, delta,
alpha, p, k, eta (``meta_lr``), mu (``momentum``) and tau (``temperature``). The loss L follows
equations (3) to (9) and Algorithm 1 of the paper:

P       = (softmax(z) + softmax(z^)) / 2
g       = P^(1/tau) / sum P^(1/tau)             pseudo-labels
T       = lam0 Y + (1 - lam0) g                 targets; omega0 = 1 / B by default
Theta'  = Theta - eta (grad [sum_b omega0 CE(T_b, z_b) + l2] + mu buffer)         a virtual step
L^p     = mean CE(Y_p, f(X_p; Theta')) + l2(Theta')                               g_p = its gradient
omega*  = max(-dL^p/domega, 0) / (sum + delta)  dL^p/domega_b = -eta (lam0 a_b + (1 - lam0) c_b)
                                                sum: over the numerators of the batch
lam*    = 1[dL^p/dlam < 0]                      dL^p/dlam_b   = -eta omega0 (a_b - c_b)
          with a_b = <g_p, grad CE(Y_b, z_b)> and c_b = <g_p, grad CE(g_b, z_b)>
L_omega = sum_b omega*_b CE(T_b, z_b)
L_lam   = mean_b CE(lam*_b Y_b + (1 - lam*_b) g_b, z_b)
L_mix^p = mean CE of B rows, drawn from [X_p, Y_p] at random, after mixing
L_mix^u = mean CE of the rows [x, g] and [x^, g] after mixing
          mixing: row r becomes beta row r + (1 - beta) row s, where s is the row at the same place
                  in a permutation of these 3B rows; for each row, beta is the larger of u
                  and 1 - u, with u ~ Beta(alpha, alpha)
L       = (L_omega + L_lam) / 2 + L_mix^p + p L_mix^u + k mean_b KL(softmax(z_b) || softmax(z^_b))

The virtual step is not kept. It shows how the weight and the label of each example influence the
loss L^p on the trusted examples. From this influence, IEG computes the weight of each example, and
decides whether its given label or its pseudo-label is better. The inner products a_b and c_b are
computed as in `lookahead`.

If most labels are wrong, a method that only gives them less weight has little left to learn from.
IEG also replaces given labels with pseudo-labels, and so learns from all examples. It learns from
the trusted examples too, but only after they are mixed with other images. The network therefore
does not memorise them, and the loss on them still shows whether a step helps.

The paper and the authors' code differ. The published numbers come from the code. The defaults of
the options ``halve``, ``logit_norm``, ``detach``, ``approximate`` and ``through_guess`` therefore
follow the authors' code. The formula above includes ``halve``, but not the other four. Algorithm 1
computes g before the virtual step and treats it as a constant. With ``through_guess`` = false, IEG
does this too, and the cost of a step is 7.7 times that of `vanilla` instead of 9.4 times.

The learning rate eta of the virtual step is 0.1 by default, and does not follow the learning-rate
schedule. In the formula of Theta', buffer is the momentum buffer of SGD, and l2 is the optimiser's
weight-decay penalty. In L_mix^u, the target of both rows of example b (from x and x^) is the
pseudo-label g_b if omega*_b < ``threshold``, and the given label otherwise. In the paper, a
threshold of 1 was best. Since omega*_b is always below 1, all these rows then have pseudo-labels.

Table 9 of the paper has variants M-1 to M-10. They correspond to these options, presets and data:

- M-1 (which is L2R): omega0 = 0, momentum = 0, l2 = false, relabel = false, anchors = false, k = 0.
- M-2: the options of M-3, with a preset that applies no augmentation policy to the second view
  (named `policy`).
- M-3: k = 0, anchors = false.
- M-4: k = 0.
- M-5: the defaults.
- M-6: anchors = false.
- M-7: the defaults, with a preset as for M-2.
- M-8: relabel = false; then T = Y and there is no L_lam.
- M-9: alpha = 0; then no row is mixed.
- M-10: alpha = 0, with one trusted image of each class.

Only the pass over x changes the running averages of batch normalisation. With several ranks, the
logits of all ranks are gathered, and omega* and lam* are computed for the whole batch. L_mix^p,
L_mix^u and KL are computed within each rank. The logged weights are omega* / max omega*. The run
folder also records lam*, which is 1 if the given label is kept.
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
from cnlw_tools.methods.components.labels import one_hot
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
from cnlw_tools.methods.components.mixing import at_least_half, mix, sample_beta
from cnlw_tools.methods.components.pseudo_labels import (
    kl_divergence,
    rms_normalise,
    sharpened_pseudo_labels,
)
from cnlw_tools.methods.components.validation import check_flag, check_number


class ProbeDerivatives(NamedTuple):
    """The derivatives of L^p with respect to the weights and labels of all ranks' n examples."""

    by_weight: Tensor  # (n,) dL^p/domega
    by_label: Tensor  # (n,) dL^p/dlam
    guess: Tensor  # (n, K) g


def virtual_step(
    theta: Tensor,
    gradient: Tensor,
    buffer: Tensor | None,
    lr: float,
    momentum: float,
    decay: float,
) -> Tensor:
    """Return Theta' = Theta - eta (gradient + decay Theta + mu buffer).

    Before the optimiser's first step there is no buffer, which is the same as one of zeros.
    """
    update = gradient + decay * theta
    if buffer is not None:
        update = update + momentum * buffer
    return theta - lr * update


class IEG(Method):
    """Weights and relabels examples so that a step on them reduces the loss on trusted examples.

    Args:
        task: the learning task
        probe_size: number of trusted images in a step
        p: weight of L_mix^u
        k: weight of the KL divergence between the two views
        temperature: tau, which sharpens the pseudo-labels
        lam0: share of the given label in the targets T
        omega0: weight of the examples in the virtual step, in units of 1 / B
        meta_lr: eta, the learning rate of the virtual step
        momentum: mu, the momentum of the virtual step
        delta: number added to the sum in the denominator of omega*
        alpha: parameter of the Beta distribution; with 0, no row is mixed
        threshold: smallest omega* with which an example has its given label in L_mix^u
        relabel: whether L_omega uses pseudo-labels and the loss contains L_lam
        anchors: whether trusted examples are mixed in; if not, neither L_mix^p nor L_mix^u
            is part of the loss
        l2: whether the virtual step has weight decay
        halve: whether the loss contains (L_omega + L_lam) / 2, as in the authors' code; if not,
            it contains the sum
        logit_norm: whether logits are divided by their root mean square, as in the authors' code;
            the mean is taken over each view for g, and over each of X_p, x and x^ for
            L_mix^p and L_mix^u
        detach: whether the KL term treats z as a constant, as in the authors' code, so that it
            only moves z^ towards z
        approximate: whether beta is drawn as 1 - u^(1 / alpha) / 2 with a uniform u, as in the
            authors' code
        through_guess: whether the virtual step also differentiates the pseudo-labels, as in the
            authors' code
    """

    views = ("standard", "policy")
    requires = ("probe",)
    paper = "Zhang et al. 2020"
    repeats_within = "epoch"
    marks_noise = ("down_weighted", "relabelled")
    relative_cost = 9.4
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
        through_guess: bool = True,
    ) -> None:
        super().__init__(task)
        self.relabel = check_flag("relabel", relabel)
        self.anchors = check_flag("anchors", anchors)
        self.l2 = check_flag("l2", l2)
        self.halve = check_flag("halve", halve)
        self.logit_norm = check_flag("logit_norm", logit_norm)
        self.detach = check_flag("detach", detach)
        self.approximate = check_flag("approximate", approximate)
        self.through_guess = check_flag("through_guess", through_guess) and relabel
        self.probe_size = check_probe_size(probe_size)
        self.p = check_number("p", p, 0)
        self.k = check_number("k", k, 0)
        self.temperature = check_number("temperature", temperature, 0.001)
        self.lam0 = check_number("lam0", lam0, 0, 1) if relabel else 1.0
        self.omega0 = check_number("omega0", omega0, 0)
        if relabel and omega0 == 0:
            raise ValueError(
                "omega0 = 0: examples without weight cannot be relabelled: "
                "give a number above 0, or relabel = false"
            )
        self.meta_lr = check_number("meta_lr", meta_lr, 1e-6)
        self.momentum = check_number("momentum", momentum, 0, 1)
        self.delta = check_number("delta", delta, 0)
        self.alpha = check_number("alpha", alpha, 0)
        self.threshold = check_number("threshold", threshold, 0, 1)

    def loss(self, batch: Batch) -> Tensor:
        """Return L: the weighted, the relabelled, the mixed and the consistency loss."""
        z = at_least_float32(self.net(batch.x))
        label = one_hot(batch.y, z.shape[1])
        with batch_statistics(self.net):
            z_hat = at_least_float32(self.net(batch.views[1]))
            probe = draw_probe(self.task, self.probe_size)
            derivatives = self.probe_derivatives(batch, probe, z, z_hat)
            all_weights = normalise_gains(-derivatives.by_weight, self.delta)
            weights = distributed.local_rows(all_weights)
            guess = distributed.local_rows(derivatives.guess)
            is_mistrusted = weights < self.threshold
            mixing_label = torch.where(is_mistrusted[:, None], guess, label)
            mixing_loss = self.mixing_loss(batch, probe, mixing_label)
        use_label = distributed.local_rows(derivatives.by_label) < 0 if self.relabel else None
        losses = cross_entropy(z, batch.y, reduction="none")
        relative_weights = weights / all_weights.max().clamp(min=1e-30)
        self.log_examples(batch, losses, relative_weights, use_label)
        target = self.lam0 * label + (1 - self.lam0) * guess
        weighted_loss = (weights * _soft_losses(z, target)).sum()
        total = distributed.world_size() * weighted_loss  # the trainer averages over ranks
        if use_label is not None:
            better_label = torch.where(use_label[:, None], label, guess)
            total = total + cross_entropy(z, better_label)
            total = total / (2 if self.halve else 1)
        if self.k:
            divergence = kl_divergence(z, z_hat, self.detach).mean()
            total = total + self.k * divergence
        return total + mixing_loss

    def probe_derivatives(
        self,
        batch: Batch,
        probe: Batch,
        z: Tensor,
        z_hat: Tensor,
    ) -> ProbeDerivatives:
        """Return the derivatives of L^p after a virtual step, for the examples of all ranks.

        Args:
            batch: this rank's examples
            probe: this rank's trusted examples
            z: (B, K) logits of the first view
            z_hat: (B, K) logits of the second view
        """
        logits = (z, z_hat) if self.through_guess else (z,)
        all_logits = [distributed.all_gather(view) for view in logits]
        label = one_hot(distributed.all_gather(batch.y), z.shape[1])
        both_views = [distributed.all_gather(z), distributed.all_gather(z_hat)]
        guess = self.pseudo_labels(both_views)

        def label_and_guess_losses(*views: Tensor) -> tuple[Tensor, Tensor]:
            g = self.pseudo_labels(views) if self.through_guess else guess
            return _soft_losses(views[0], label), _soft_losses(views[0], g)

        n = len(label)
        omega = z.new_full((n,), self.omega0 / n)
        backward = vjp(label_and_guess_losses, *all_logits)[1]
        all_forces = backward((self.lam0 * omega, (1 - self.lam0) * omega))
        forces = [distributed.local_rows(force) for force in all_forces]
        g_p = self.lookahead_gradient(logits, forces, probe)
        all_z, all_z_dot = self.logits_along(g_p, batch.views[: len(logits)])
        a, c = jvp(label_and_guess_losses, all_z, all_z_dot)[1]
        target_gain = self.lam0 * a + (1 - self.lam0) * c
        by_weight = -self.meta_lr * target_gain
        by_label = -self.meta_lr * omega * (a - c)
        return ProbeDerivatives(by_weight, by_label, guess)

    def pseudo_labels(self, views: Sequence[Tensor]) -> Tensor:
        """Return g, (n, K), from the logits of the views, (n, K) each."""
        return sharpened_pseudo_labels(views, self.temperature, self.logit_norm)

    def logits_along(
        self, direction: Parameters, views: Sequence[Tensor]
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return the logits of each view on all ranks, (n, K), and their derivatives, (n, K)."""
        parameters = trainable_parameters(self.net)
        logits, derivatives = [], []
        for x in views:
            z, derivative = logits_and_derivative(self.net, parameters, direction, x)
            logits.append(z)
            derivatives.append(derivative)
        all_logits = tuple(distributed.all_gather(z) for z in logits)
        all_derivatives = tuple(distributed.all_gather(derivative) for derivative in derivatives)
        return all_logits, all_derivatives

    def lookahead_gradient(
        self,
        logits: Sequence[Tensor],
        forces: Sequence[Tensor],
        probe: Batch,
    ) -> Parameters:
        """Return g_p, the gradient of L^p after the virtual step.

        Args:
            logits: (B, K) for each view that the step differentiates
            forces: the gradient of the step's loss by these logits
            probe: this rank's trusted examples
        """
        parameters = {name: p for name, p in self.net.named_parameters() if p.requires_grad}
        gradients = torch.autograd.grad(
            logits, list(parameters.values()), forces, retain_graph=True
        )
        decays = self.weight_decays()
        stepped = {}
        for (name, p), gradient in zip(parameters.items(), gradients, strict=True):
            buffer = self.optimiser.state.get(p, {}).get("momentum_buffer")
            stepped[name] = virtual_step(
                p.detach(),
                distributed.world_size() * gradient,
                buffer,
                self.meta_lr,
                self.momentum,
                decays.get(p, 0.0),
            )
        distributed.average_over_ranks(list(stepped.values()))
        g_p = {}
        for name, gradient in probe_gradient(self.net, stepped, probe).items():
            decay = decays.get(parameters[name], 0.0)
            g_p[name] = gradient + decay * stepped[name]
        return g_p

    def weight_decays(self) -> dict[Tensor, float]:
        """Return the optimiser's weight decay of each parameter; empty without ``l2``."""
        decays = {}
        if self.l2:
            for group in self.optimiser.param_groups:
                for p in group["params"]:
                    decays[p] = float(group.get("weight_decay", 0))
        return decays

    def mixing_loss(
        self,
        batch: Batch,
        probe: Batch,
        label: Tensor,
    ) -> Tensor:
        """Return L_mix^p + p L_mix^u, a scalar; ``label`` is (B, K), for the batch."""
        if not self.anchors:
            return label.new_zeros(())
        size, n_classes = label.shape
        index = torch.randint(len(probe.y), (size,), device=label.device)
        x = torch.cat([probe.x[index], *batch.views])  # (3B, 3, H, W)
        probe_label = one_hot(probe.y[index], n_classes)
        target = torch.cat([probe_label, label, label])
        if self.alpha:
            share = self.draw_shares(target)
            partner = torch.randperm(3 * size, device=label.device)
            x = mix(x, x[partner], share)
            target = mix(target, target[partner], share)
        thirds = at_least_float32(self.net(x)).chunk(3)
        if self.logit_norm:
            thirds = tuple(rms_normalise(z) for z in thirds)
        losses = _soft_losses(torch.cat(thirds), target)
        probe_loss = losses[:size].mean()
        unlabelled_loss = losses[size:].mean()
        return probe_loss + self.p * unlabelled_loss

    def draw_shares(self, target: Tensor) -> Tensor:
        """Draw beta, at least a half, for each row of the targets: (3B,)."""
        if self.approximate:
            u = torch.rand(len(target), device=target.device)
            return at_least_half(u ** (1 / self.alpha) / 2)
        return at_least_half(sample_beta(self.alpha, (len(target),), target))


def _soft_losses(z: Tensor, target: Tensor) -> Tensor:
    return cross_entropy(z, target, reduction="none")
