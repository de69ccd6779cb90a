"""What to do when a batch does not fit into the memory of the device."""

import resource
from collections.abc import Callable

import torch

from cnlw_tools.files.machine_faults import NO_TENSOR
from cnlw_tools.methods import Batch
from cnlw_tools.methods.components import distributed

TrainStep = Callable[[Batch], None]


# What libraries say, in a plain RuntimeError, when a GPU is full. An engine is a way to convolve,
# and cuDNN finds none where no way has room to work in.
GPU_IS_FULL = (
    "CUDA error: out of memory",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "unable to find an engine",
)


def is_gpu_full(error: RuntimeError) -> bool:
    """Return whether torch, or a library that it calls, ran out of memory of a GPU."""
    is_known = any(text in str(error) for text in GPU_IS_FULL)
    return isinstance(error, torch.OutOfMemoryError) or is_known


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether torch ran out of memory, of a GPU or of the host."""
    return is_gpu_full(error) or NO_TENSOR in str(error)


def step_fits(step: TrainStep, batch: Batch) -> bool:
    """Take a step and return whether there was memory for it.

    What a failed step held is free again, since its error is gone: an error keeps the frames that
    it passed, and their tensors.
    """
    try:
        step(batch)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return False
    return True


def largest_fitting_size(step: TrainStep, batch: Batch) -> int:
    """Return the largest half, quarter, eighth ... of a batch for which a step has memory.

    0: there is not even memory for one example.
    """
    size = len(batch.y) // 2
    while size > 0:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        views = tuple(view[:size] for view in batch.views)
        part = Batch(batch.index[:size], views, batch.y[:size])
        if step_fits(step, part):
            break
        size //= 2
    return size


def suggest_batch_size(
    step: TrainStep,
    batch: Batch,
    phase_scale: float,
) -> str:
    """Say which --batch-size would fit.

    One of several ranks cannot try smaller batches, since a step waits for the other ranks.

    Args:
        step: the step that had no memory
        batch: the batch that did not fit
        phase_scale: batch size of this phase, times that of the preset
    """
    if distributed.is_distributed():
        return "give a smaller --batch-size"
    batch_size = int(largest_fitting_size(step, batch) / phase_scale)
    if batch_size > 0:
        return f"--batch-size {batch_size} would fit"
    return "not even one image fits: take a smaller --net"


def peak_memory(device: torch.device) -> int:
    """Return the most bytes that tensors took on a GPU, or that this process took on the host."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
