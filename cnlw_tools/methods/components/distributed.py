"""Processes that train together, one a device. Rank r holds the r-th part of every batch.

With one process each function returns what it was given.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch import distributed as dist


def is_distributed() -> bool:
    """Are there several processes?"""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def rank() -> int:
    """Return which process this is, from 0."""
    return dist.get_rank() if is_distributed() else 0


def world_size() -> int:
    """Return how many processes there are."""
    return dist.get_world_size() if is_distributed() else 1


def all_gather(x: Tensor) -> Tensor:
    """Return the (world_size * B, ...) rows of all ranks, in their order; no gradient flows through."""
    x = x.detach().contiguous()
    if not is_distributed():
        return x
    parts = [torch.empty_like(x) for _ in range(world_size())]
    dist.all_gather(parts, x)
    return torch.cat(parts)


def local_rows(x: Tensor) -> Tensor:
    """Return this rank's rows of what `all_gather` returned."""
    return x.chunk(world_size())[rank()]


def average_over_ranks(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its mean over ranks, in one message."""
    if not is_distributed() or not tensors:
        return
    flat = torch.cat([t.detach().reshape(-1).float() for t in tensors])
    dist.all_reduce(flat)
    flat /= world_size()
    for t, mean in zip(tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True):
        t.detach().copy_(mean.view_as(t))


def merge_ranks(x: Tensor) -> Tensor:
    """Return what all ranks wrote into their copies of a tensor whose untouched places hold NaN."""
    return torch.stack(all_gather(x).chunk(world_size())).nanmean(0)


def broadcast_from_rank_zero(tensors: Sequence[Tensor]) -> None:
    """Give all ranks the tensors of the first."""
    if is_distributed():
        for tensor in tensors:
            dist.broadcast(tensor.detach(), 0)


def any_rank(said: bool, device: torch.device) -> bool:
    """Does any rank say so?"""
    flag = torch.tensor([float(said)], device=device)
    average_over_ranks([flag])
    return bool(flag > 0)
