"""L2R and IEG compute how much a step on each noisy example would reduce the loss on trusted ones.

Let l_b be the loss of noisy example b, and L^p the cross-entropy on trusted examples. Consider a
gradient step on sum_b eps_b l_b, where eps_b is the weight of example b in the loss. This step
would change the weights of the network from Theta to Theta', which is linear in the eps_b. The
derivative of L^p(Theta') with respect to eps_b is therefore, up to a factor, the inner product
<g_p, grad l_b>, where g_p is the gradient of L^p. The inner products of all examples are computed
together, without the gradient of each l_b:

g_p   = grad L^p(Theta')
z'_b  = d/dt f(x_b; Theta + t g_p) at t = 0         a forward pass with forward-mode derivatives
<g_p, grad l_b> = <dl_b / dz_b, z'_b>               the rest is arithmetic on B x K numbers

The pass with forward-mode derivatives costs as much as 3 forward passes for each view. The double
backward pass of PyTorch would cost as much as 4 and keep a second computation graph in memory.
"""

import math
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import cast

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, ProbeSet, Task
from cnlw_tools.methods.components import distributed

Parameters = Mapping[str, Tensor]  # detached, by the names of `named_parameters`

# Of group normalisation in torch 2.11, where the channels are last in memory, as on a GPU.
LAYOUT_ERROR = "view size is not compatible"

with warnings.catch_warnings(), forward_ad.dual_level():
    # On first use torch warns of a module that it imports itself, in a category of its version.
    warnings.simplefilter("ignore")
    forward_ad.make_dual(torch.zeros(()), torch.zeros(()))  # type: ignore[no-untyped-call]


def check_probe_size(probe_size: int) -> int:
    """Return the number of trusted examples per step if it is a whole number of at least 1.

    Raises:
        ValueError: it is not
    """
    is_integer = isinstance(probe_size, int) and not isinstance(probe_size, bool)
    if not is_integer or probe_size < 1:
        raise ValueError(
            f"probe_size = {probe_size!r} is not allowed: give a whole number of at least 1"
        )
    return probe_size


def draw_probe(task: Task, size: int) -> Batch:
    """Draw trusted examples and return this rank's part.

    All ranks draw the same ``size`` examples, rounded up to a multiple of the number of ranks.
    """
    probe = cast(ProbeSet, task.probe)  # `Method` refuses a task without one
    n_ranks = distributed.world_size()
    size_per_rank = math.ceil(size / n_ranks)
    batch = probe.draw(size_per_rank * n_ranks)
    return Batch(
        distributed.local_rows(batch.index),
        tuple(distributed.local_rows(x) for x in batch.views),
        distributed.local_rows(batch.y),
    )


def trainable_parameters(net: nn.Module) -> dict[str, Tensor]:
    """Return the trainable parameters by name, detached."""
    return {name: p.detach() for name, p in net.named_parameters() if p.requires_grad}


def probe_gradient(
    net: nn.Module,
    parameters: Parameters,
    probe: Batch,
) -> dict[str, Tensor]:
    """Return g_p, the gradient of the mean cross-entropy at the given parameters, on all ranks."""
    leaves = {name: p.detach().requires_grad_() for name, p in parameters.items()}
    with without_autocast(probe.x):
        z = functional_call(net, leaves, (probe.x,))
        loss = cross_entropy(z, probe.y)
        gradient = torch.autograd.grad(loss, list(leaves.values()))
    distributed.average_over_ranks(gradient)
    return dict(zip(leaves, gradient, strict=True))


def logits_and_derivative(
    net: nn.Module,
    parameters: Parameters,
    direction: Parameters,
    x: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the logits, (B, K), and their derivative along a direction of the parameters, (B, K).

    A network with dropout draws new masks, not those of the first forward pass.

    Raises:
        ValueError: the network has an operation without a forward-mode derivative
    """
    try:
        with without_autocast(x), torch.no_grad(), forward_ad.dual_level():
            duals = _make_duals(parameters, direction)
            output = functional_call(net, duals, (x,))
            z, derivative = forward_ad.unpack_dual(output)  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        if not isinstance(error, NotImplementedError) and LAYOUT_ERROR not in str(error):
            raise
        raise ValueError(
            f"{type(net).__name__} has an operation without a forward-mode derivative, "
            f"which L2R and IEG need: use another network ({error})"
        ) from error
    return z, derivative


def without_autocast(x: Tensor) -> AbstractContextManager[None]:
    """Compute in the type of the tensors, x and the parameters, for as long as the context lasts.

    In bfloat16 the gains of 64 images correlate with those of float32 by 0.87 (preact_resnet18,
    initial weights) to 0.999 (conv_small), and the published results are those of float32.
    """
    return torch.autocast(x.device.type, enabled=False)


def _make_duals(parameters: Parameters, direction: Parameters) -> dict[str, Tensor]:
    duals = {}
    for name, p in parameters.items():
        duals[name] = forward_ad.make_dual(p, direction[name])  # type: ignore[no-untyped-call]
    return duals


def normalise_gains(gains: Tensor, delta: float) -> Tensor:
    """Return max(gain, 0) / (sum + delta), (B,); with ``delta`` = 0 and a sum of 0 all are 0."""
    positive = gains.clamp(min=0)
    total = positive.sum()
    if delta:
        return positive / (total + delta)
    return positive / torch.where(total > 0, total, 1.0)


def at_least_float32(z: Tensor) -> Tensor:
    """Return logits in 32 bits or more. Autocast computes them in 16."""
    dtype = torch.promote_types(z.dtype, torch.float32)
    return z.to(dtype)
