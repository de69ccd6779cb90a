"""Helpers for several processes that train together, one per device.

Every batch is split over the ranks: rank r holds its r-th part. With a single process each function
returns its input unchanged.
"""

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

Value = TypeVar("Value")


def is_distributed() -> bool:
    """Return whether several processes train together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def rank() -> int:
    """Return the number of this process, from 0."""
    return dist.get_rank() if is_distributed() else 0


def world_size() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if is_distributed() else 1


def all_gather(x: Tensor) -> Tensor:
    """Return the rows of all ranks, (B, ...) -> (world_size * B, ...), in the order of the ranks.

    No gradient flows through.
    """
    x = x.detach().contiguous()
    if not is_distributed():
        return x
    parts = [torch.empty_like(x) for _ in range(world_size())]
    dist.all_gather(parts, x)
    return torch.cat(parts)


def local_rows(x: Tensor) -> Tensor:
    """Return this rank's part of gathered rows: the inverse of `all_gather`."""
    return x.chunk(world_size())[rank()]


def average_over_ranks(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor in place by its mean over ranks, with a single all-reduce."""
    if not is_distributed() or not tensors:
        return
    values = [tensor.detach() for tensor in tensors]
    sizes = [value.numel() for value in values]
    flat = torch.empty(sum(sizes), device=values[0].device)
    parts = torch.split(flat, sizes)
    means = [part.view(value.shape) for part, value in zip(parts, values, strict=True)]
    torch._foreach_copy_(means, values)
    dist.all_reduce(flat)
    flat /= world_size()
    torch._foreach_copy_(values, means)


def merge_ranks(x: Tensor) -> Tensor:
    """Merge the ranks' copies of a tensor in which each rank has filled some places.

    The places that a rank has not filled hold NaN.
    """
    copies = torch.stack(all_gather(x).chunk(world_size()))
    return copies.nanmean(0)


def broadcast_from_rank_zero(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor in place by that of rank 0, whatever its layout in memory.

    NCCL refuses tensors that are not contiguous, and gloo transposes them if layouts differ.
    """
    if is_distributed():
        for tensor in tensors:
            contiguous = tensor.detach().contiguous()
            dist.broadcast(contiguous, 0)
            tensor.detach().copy_(contiguous)


def send_from_rank_zero(value: Value) -> Value:
    """Return the value of rank 0, which may be any object; the ranks trust each other."""
    if not is_distributed():
        return value
    values = [value]
    dist.broadcast_object_list(values, 0)
    return values[0]


def gather_values(value: Value) -> list[Value]:
    """Return the values of all ranks, which may be any objects, in the order of the ranks."""
    if not is_distributed():
        return [value]
    values = [value] * world_size()
    dist.all_gather_object(values, value)
    return values


def any_rank(flag: bool, device: torch.device) -> bool:
    """Return whether the flag is true on any rank."""
    share = torch.tensor([float(flag)], device=device)
    average_over_ranks([share])
    return bool(share > 0)
