"""What to say when a batch does not fit into the memory of the device."""

from collections.abc import Callable

import torch

from cnlw_tools.methods import Batch


def is_full(error: RuntimeError) -> bool:
    """Did torch run out of memory, of a GPU or of the host?"""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def fitting(step: Callable[[Batch], None], batch: Batch) -> int:
    """Return the largest half, quarter, eighth ... of a batch that a step has room for; 0: not one example."""
    size = len(batch.y) // 2
    while size:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        try:
            step(Batch(batch.index[:size], tuple(view[:size] for view in batch.views), batch.y[:size]))
        except RuntimeError as error:
            if not is_full(error):
                raise
            size //= 2
        else:
            break
    return size


def peak(device: torch.device) -> int:
    """Return the most bytes that tensors took on a GPU, or that this process took on the host."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
