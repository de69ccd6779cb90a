"""One step ahead: what a step on each noisy example would gain on trusted ones. L2R and IEG share it.

g_p   = grad L^p(Theta')                            L^p: cross-entropy on trusted examples
z'_b  = d/dt f(x_b; Theta + t g_p) at t = 0         one forward-mode pass
<g_p, grad l_b> = <dl_b / dz, z'>                   so all that is left is arithmetic on (B, K) numbers

To differentiate L^p(Theta') by a weight is to take this inner product, since Theta' is linear in the weights. Forward
mode needs 3 forward passes' worth of work a view; torch's double backward needs 4 and keeps a second graph.
With several ranks each draws all m trusted examples and keeps its own m / size of them, so that the parts together
are balanced as the whole is; g_p is the mean of theirs.

Not done here: a network with dropout draws new masks in the forward-mode pass.
"""

import warnings
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, ProbeSet, Task
from cnlw_tools.methods.components import distributed

Parameters = Mapping[str, Tensor]  # as `named_parameters` calls them, detached

with (
    warnings.catch_warnings(),
    forward_ad.dual_level(),
):  # on first use torch warns of what it imports itself
    warnings.simplefilter("ignore", FutureWarning)
    forward_ad.make_dual(torch.zeros(()), torch.zeros(()))  # type: ignore[no-untyped-call]


def checked(probe_size: int) -> int:
    """Return how many trusted examples a step looks at.

    Raises:
        ValueError: no whole number from 1 up
    """
    if not isinstance(probe_size, int) or isinstance(probe_size, bool) or probe_size < 1:
        raise ValueError(f"probe_size = {probe_size!r}: give a whole number from 1 up")
    return probe_size


def trusted(task: Task, size: int) -> Batch:
    """Draw ``size`` trusted examples, or the next multiple of the ranks, and return this rank's part."""
    probe = cast(ProbeSet, task.probe)  # `Method` refuses a task without one
    drawn = probe.draw(-(-size // distributed.world_size()) * distributed.world_size())
    return Batch(
        distributed.local_rows(drawn.index),
        tuple(distributed.local_rows(x) for x in drawn.views),
        distributed.local_rows(drawn.y),
    )


def parameters(net: nn.Module) -> dict[str, Tensor]:
    """Return the parameters that learn, detached."""
    return {name: p.detach() for name, p in net.named_parameters() if p.requires_grad}


def trusted_gradient(net: nn.Module, at: Parameters, probe: Batch) -> dict[str, Tensor]:
    """Return g_p, the gradient of the mean cross-entropy, the same on all ranks."""
    leaves = {name: p.detach().requires_grad_() for name, p in at.items()}
    loss = cross_entropy(functional_call(net, leaves, (probe.x,)), probe.y)
    gradient = torch.autograd.grad(loss, list(leaves.values()))
    distributed.average_over_ranks(gradient)
    return dict(zip(leaves, gradient, strict=True))


def logits_along(
    net: nn.Module, at: Parameters, way: Parameters, x: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the logits and how fast they change when the parameters move along ``way``, both (B, K).

    Raises:
        ValueError: the network has an operation without a forward-mode derivative
    """
    try:
        with torch.no_grad(), forward_ad.dual_level():
            moving = {name: forward_ad.make_dual(p, way[name]) for name, p in at.items()}  # type: ignore[no-untyped-call]
            z, change = forward_ad.unpack_dual(functional_call(net, moving, (x,)))  # type: ignore[no-untyped-call]
    except NotImplementedError as error:
        raise ValueError(
            f"{type(net).__name__} has an operation without a forward-mode derivative, which L2R and IEG need: "
            f"take another network ({error})"
        ) from error
    return wide(z), wide(change)


def normalised(gain: Tensor, delta: float) -> Tensor:
    """max(gain, 0) / (sum + delta), (B,); with ``delta`` = 0 all are 0 where the sum is."""
    kept = gain.clamp(min=0)
    total = kept.sum()
    return kept / (total + delta if delta else torch.where(total > 0, total, 1.0))


def wide(z: Tensor) -> Tensor:
    """Return logits in 32 bits or more; autocast leaves them in 16."""
    return z.to(torch.promote_types(z.dtype, torch.float32))
