"""A script that takes the same steps as one process does, with two ranks.

Its argument is the folder of what it writes.
"""

import sys
from typing import Any

import torch
import torch._dynamo  # optimisers import it, which takes a second: once for both ranks
from torch import distributed as dist
from torch import nn

from cnlw_tools.methods import METHODS, Batch, ProbeSet, Task
from cnlw_tools.methods.components import distributed
from tests.forked_ranks import run_ranks


def net() -> nn.Module:
    """Return a small network, always the same."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.Tanh(), nn.Linear(8, 3))


def probe(m: int) -> Batch:
    """Return m trusted examples, always the same."""
    x = torch.randn(m, 3, 4, 4, generator=torch.Generator().manual_seed(m))
    return Batch(torch.arange(m), (x,), torch.arange(m) % 3)


def take_steps(name: str, **options: Any) -> dict[str, Any]:
    """Take two steps on this rank's rows of twelve examples; return their weights, and the network's."""
    task = Task(net, 12, 3, 1, probe=ProbeSet(probe, list))
    method = METHODS[name](task, probe_size=10, **options)
    method.optimiser = torch.optim.SGD(method.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    draw = torch.Generator().manual_seed(1)
    views = [torch.randn(12, 3, 4, 4, generator=draw) for _ in method.views]
    index = torch.arange(12)
    y = index // 2 % 3
    for _ in range(2):
        local_views = tuple(distributed.local_rows(x) for x in views)
        local_index, local_y = distributed.local_rows(index), distributed.local_rows(y)
        batch = Batch(local_index, local_views, local_y)
        method.optimiser.zero_grad()
        method.loss(batch).backward()
        distributed.average_over_ranks([p.grad for p in method.parameters()])
        method.optimiser.step()
    weights = distributed.local_rows(method.example_weights)
    return {"weights": weights, "net": [p.detach() for p in method.parameters()]}


def write_states(folder: str, name: str) -> None:
    """Write what each method comes to."""
    states = {"l2r": take_steps("l2r")}
    states["ieg"] = take_steps("ieg", anchors=False, through_guess=False)
    states["through"] = take_steps("ieg", anchors=False, through_guess=True)
    torch.save(states, f"{folder}/{name}")


def work_as_rank() -> None:
    """Write what each method comes to on one of several ranks."""
    dist.init_process_group("gloo")
    write_states(sys.argv[1], f"rank{dist.get_rank()}")
    dist.destroy_process_group()


if __name__ == "__main__":
    run_ranks(2, work_as_rank)
