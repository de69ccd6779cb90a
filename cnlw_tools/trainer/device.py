"""Where training runs: the device, the processes that share the work, and what makes runs repeatable."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from cnlw_tools import prng
from cnlw_tools.methods.components import distributed

MASK = (1 << 63) - 1
DECODING = timedelta(
    hours=6
)  # that ranks wait for the first; torchrun ends them where one has died


def choose(name: str) -> torch.device:
    """Return the device that a name means: cpu, cuda, or auto for a GPU where there is one.

    Raises:
        ValueError: no such device here
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device {name!r}: give cpu, cuda or auto")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            "device cuda: torch sees no GPU here: give --device cpu, or install torch for your GPU"
        )
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    many, there = int(os.environ.get("LOCAL_WORLD_SIZE", 1)), torch.cuda.device_count()
    if many > there:
        raise ValueError(
            f"{many} processes have no GPU each: give --nproc-per-node {there}, or --device cpu"
        )
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))


def gpus() -> list[str]:
    """Return what CUDA_VISIBLE_DEVICES can be set to, for one GPU each."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    return seen.split(",") if seen else [str(i) for i in range(torch.cuda.device_count())]


def confine(gpu: str | None, threads: int) -> None:
    """Leave this process, which has not used one yet, one GPU, and so many threads; none and 0: all that there are."""
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    if threads:
        torch.set_num_threads(threads)


def tune(device: torch.device) -> None:
    """Let a GPU compute what autocast leaves in float32 with TF32, and try which convolution is the fastest.

    Images of a run are of one size, so the trial is made once for each layer and size of batch. Two runs may choose
    differently and then differ in the last bits, which is within the tolerance of a GPU's runs.
    """
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True


@contextmanager
def company(device: torch.device) -> Iterator[None]:
    """Join the processes that `torchrun` started, if it did, and leave them in the end.

    A rank that fails alone, as one that is out of memory does, ends at once: the others may be in the middle of a
    message, and to take leave of them would wait for its end. Then `torchrun` ends them.

    `torch.distributed.nn` is imported before, since its functions keep the group that is there at their import, and
    optimizers import it: a group that is kept goes on with its threads when the interpreter ends, and may abort it.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1 or dist.is_initialized():
        yield
        return
    import_module("torch.distributed.nn")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=DECODING)
    alone = False
    try:
        yield
    except OSError:
        alone = True
        raise
    except RuntimeError as error:
        alone = "closed by peer" in str(error)
        if alone:
            raise OSError(
                "another process has ended and said why: --resume goes on from the last epoch"
            ) from error
        raise
    finally:
        if not alone:
            dist.destroy_process_group()


@contextmanager
def roomy(device: torch.device) -> Iterator[None]:
    """Say in plain words that a GPU is full.

    Raises:
        OSError: it is
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OSError(
            f"{device} is full: give a smaller --batch-size or --net, or a smaller size in a preset"
        ) from error


@contextmanager
def first() -> Iterator[None]:
    """Let the first rank do the block alone, and the others after it."""
    if distributed.rank():
        dist.barrier()
    yield
    if distributed.is_distributed() and not distributed.rank():
        dist.barrier()


def autocast(device: torch.device) -> AbstractContextManager[Any]:
    """Compute in bfloat16 where a GPU can."""
    able = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast("cuda", torch.bfloat16) if able else nullcontext()


def seed(seed: int, epoch: int) -> None:
    """Set torch's generators: every epoch has its own numbers, and every rank."""
    torch.manual_seed(prng.key(f"{seed} {epoch} {distributed.rank()}") & MASK)


def draws(device: torch.device) -> list[Tensor]:
    """Return the states of torch's generators."""
    return [
        torch.get_rng_state(),
        *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else []),
    ]


def restore_draws(states: list[Tensor], device: torch.device) -> None:
    """Set torch's generators to what they were."""
    torch.set_rng_state(states[0])
    if device.type == "cuda" and len(states) > 1:
        torch.cuda.set_rng_state(states[1], device)


def versions() -> dict[str, str]:
    """Return what decides over the numbers: torch and the device."""
    gpu = {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    return {"torch": torch.__version__, **gpu}
