"""A script that takes the same steps as one of several ranks.

Its arguments are the folder of what it writes, its rank, and the number of ranks.
"""

import sys
from typing import Any

import torch
from torch import distributed as dist
from torch import nn

from cnlw_tools.methods import METHODS, Batch, ProbeSet, Task
from cnlw_tools.methods.components import distributed


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


def main(folder: str, rank: int, size: int) -> None:
    """Write what each method comes to."""
    if size > 1:
        where = f"file://{folder}/meet"
        dist.init_process_group("gloo", init_method=where, rank=rank, world_size=size)
    states = {"l2r": take_steps("l2r")}
    states["ieg"] = take_steps("ieg", anchors=False, through_guess=False)
    states["through"] = take_steps("ieg", anchors=False, through_guess=True)
    torch.save(states, f"{folder}/{rank}_{size}")
    if size > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
