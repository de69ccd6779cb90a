"""What to say when a batch does not fit into the memory of the device."""

from collections.abc import Callable

import torch

from cnlw_tools.methods import Batch
from cnlw_tools.methods.components import distributed


def is_full(error: RuntimeError) -> bool:
    """Did torch run out of memory, of a GPU or of the host?"""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def fits(step: Callable[[Batch], None], batch: Batch) -> bool:
    """Take a step; was there room for it?

    What the step held is free again: as long as its error is at hand, so are its frames and their tensors.
    """
    try:
        step(batch)
    except RuntimeError as error:
        if not is_full(error):
            raise
        return False
    return True


def fitting(step: Callable[[Batch], None], batch: Batch) -> int:
    """Return the largest half, quarter, eighth ... of a batch that a step has room for; 0: not one example."""
    size = len(batch.y) // 2
    while size:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if fits(
            step,
            Batch(batch.index[:size], tuple(view[:size] for view in batch.views), batch.y[:size]),
        ):
            break
        size //= 2
    return size


def remedy(step: Callable[[Batch], None], batch: Batch, scale: float) -> str:
    """Say which batch would fit; ``scale``: what of the preset's batch one of this phase is.

    A rank among others cannot try: a step speaks to them.
    """
    if distributed.is_distributed():
        return "give a smaller --batch-size"
    if room := int(fitting(step, batch) / scale):
        return f"--batch-size {room} would fit"
    return "not even one image fits: take a smaller --net"


def peak(device: torch.device) -> int:
    """Return the most bytes that tensors took on a GPU, or that this process took on the host."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
