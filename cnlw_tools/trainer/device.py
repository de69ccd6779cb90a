"""Where training runs: the device, the processes that share the work, and repeatable randomness."""

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from importlib import import_module
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch._functorch import config as functorch_config

from cnlw_tools import prng
from cnlw_tools.executor import limits
from cnlw_tools.methods.components import distributed
from cnlw_tools.trainer import oom

COMPILED = "aot_autograd"  # in torch's error of a derivative that compiled code does not have
# Of malloc.h: blocks from which on memory is returned at once, and free bytes from which on it is.
MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
LARGEST_BLOCK = 1 << 30  # bytes
USERS_CHOICE = "MALLOC_MMAP_THRESHOLD_"
SEED_MASK = (1 << 63) - 1  # torch takes seeds of 63 bits
# In errors of gloo: another process, its machine or the network is gone.
LOST_PARTNER = ("closed by peer", "reset by peer", "Timed out waiting")
# The ranks wait so long for each other to decode, and for all else torch's usual time. If a rank
# has died, torchrun ends them earlier.
DECODE_TIMEOUT = timedelta(hours=6)
N_TURNS = 3  # of decoding: rank zero, the first ranks of other nodes, all others


def choose_device(name: str) -> torch.device:
    """Return the device that a name means: cpu, cuda, or auto, which is a GPU if there is one.

    Raises:
        ValueError: unknown name, no GPU, or fewer GPUs than processes
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device {name!r} is not allowed: give cpu, cuda or auto")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            "device cuda: torch sees no GPU here: give --device cpu, or install torch for your GPU"
        )
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    n_processes = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    n_gpus = torch.cuda.device_count()
    if n_processes > n_gpus:
        raise ValueError(
            f"there are fewer GPUs than the {n_processes} processes: "
            f"give --nproc-per-node {n_gpus}, or --device cpu"
        )
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))


def visible_gpus() -> list[str]:
    """Return the values of CUDA_VISIBLE_DEVICES that select one of the visible GPUs each."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible:
        return visible.split(",")
    return [str(i) for i in range(torch.cuda.device_count())]


def limit_resources(gpu: str | None, threads: int) -> None:
    """Limit this process to one GPU and a number of threads.

    Call it before the process uses a GPU.

    Args:
        gpu: a value for CUDA_VISIBLE_DEVICES; None: no limit
        threads: of torch; 0: no limit
    """
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    if threads:
        torch.set_num_threads(threads)


def respect_quota() -> None:
    """Let torch use no more threads than a container has processors.

    Torch counts those of the machine. OMP_NUM_THREADS is the user's word, and counts instead.
    """
    if "OMP_NUM_THREADS" not in os.environ and torch.get_num_threads() > limits.cores():
        torch.set_num_threads(limits.cores())


def keep_freed_memory() -> None:
    """Let the C library keep the memory of tensors that are gone, for those of the next step.

    By default glibc returns large blocks to the system, which clears their pages when it gives them
    out again: a fifth of the time of a step of a small network. Other C libraries are left as they
    are, and so is one that the user has told what to do (`MALLOC_MMAP_THRESHOLD_`).
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version") or USERS_CHOICE in os.environ:
        return
    library.mallopt(MMAP_THRESHOLD, LARGEST_BLOCK)
    library.mallopt(TRIM_THRESHOLD, LARGEST_BLOCK)


def enable_fast_kernels(device: torch.device) -> None:
    """Let a GPU use TF32 for what autocast leaves in float32, and benchmark its convolutions.

    Images of a run are of one size, so each layer and batch size is benchmarked only once. Two runs
    may choose different kernels and then differ in the last bits, which is within the tolerance of
    runs on a GPU.
    """
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the processes that `torchrun` started, if it did, and leave them at the end.

    A rank that fails alone, for example because its memory is full, does not leave the group: the
    others may be in the middle of a message, and leaving would wait for its end. `torchrun` ends
    them.

    Raises:
        OSError: another process has ended
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1 or dist.is_initialized():
        yield
        return
    _init_process_group(device)
    failed_alone = False
    try:
        yield
    except OSError:
        failed_alone = True
        raise
    except RuntimeError as error:
        if not _is_lost_partner(error):
            raise
        failed_alone = True
        raise OSError(
            "another process has ended and reported why: "
            "--resume continues from the last checkpoint"
        ) from error
    finally:
        if not failed_alone:
            dist.destroy_process_group()


def _is_lost_partner(error: RuntimeError) -> bool:
    """Return whether gloo or NCCL says that another process has ended."""
    text = str(error)
    return isinstance(error, dist.DistBackendError) or any(words in text for words in LOST_PARTNER)


def _init_process_group(device: torch.device) -> None:
    # The functions of this module keep the group that exists when it is imported, and optimisers
    # import it. A group that is kept runs its threads beyond the end of the interpreter and may
    # abort it. So the module is imported before there is a group.
    import_module("torch.distributed.nn")
    if device.type == "cuda":
        torch.cuda.set_device(device)
        dist.init_process_group("nccl", device_id=device)  # connects now, and fails now if it must
    else:
        dist.init_process_group("gloo")


@contextmanager
def explain_oom(device: torch.device) -> Iterator[None]:
    """Turn torch's error about a full GPU into one that says what to do.

    Raises:
        OSError: the GPU is full
    """
    try:
        yield
    except RuntimeError as error:
        if not oom.is_gpu_full(error):
            raise
        raise OSError(
            f"the memory of {device} is full: give a smaller --batch-size or --net, or a "
            "smaller size in a preset"
        ) from error


def compiled(make_net: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """Return a function that makes the same networks, which torch compiles when they are called.

    What a method does with a network other than calling it, such as asking for its features, runs
    as it is.
    """
    # A compiled backward pass may else reuse its tensors, and IEG passes backward twice.
    functorch_config.donated_buffer = False

    def make_compiled() -> nn.Module:
        net = make_net()
        net.compile()
        return net

    return make_compiled


@contextmanager
def explain_compilation() -> Iterator[None]:
    """Turn torch's error about a network that it cannot compile into one that says what to do.

    Raises:
        ValueError: torch cannot compile the network, or compute what the method asks of it
    """
    try:
        yield
    except RuntimeError as error:
        from torch._dynamo.exc import TorchDynamoException  # takes seconds to import

        text = str(error)
        if not isinstance(error, TorchDynamoException) and COMPILED not in text:
            raise
        reason = text.replace(" raised:\n", ": ").splitlines()[0]
        raise ValueError(f"the network cannot be compiled ({reason}): omit --compile") from error


@contextmanager
def rank_zero_first() -> Iterator[None]:
    """Let rank zero run the block alone, then the first rank of each other node, then the rest.

    So nobody repeats what the ranks before have left in a folder that they share, be it that of all
    nodes or of one. All wait for the last one, because other messages are not waited for as long.
    """
    if not distributed.is_distributed():
        yield
        return
    # Of all messages only these are slow: a group of their own has a timeout of its own.
    group = cast(dist.ProcessGroup, dist.new_group(backend="gloo", timeout=DECODE_TIMEOUT))
    turn = _turn()
    for _ in range(turn):
        dist.barrier(group)
    yield
    for _ in range(turn, N_TURNS):
        dist.barrier(group)
    dist.destroy_process_group(group)


def _turn() -> int:
    """Return 0 for rank zero, 1 for the first rank of another node, and 2 for all others."""
    if distributed.rank() == 0:
        return 0
    return 1 if os.environ.get("LOCAL_RANK") == "0" else N_TURNS - 1


def autocast(device: torch.device) -> AbstractContextManager[Any]:
    """Compute in bfloat16 if the device is a GPU that supports it."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.autocast("cuda", torch.bfloat16)
    return nullcontext()


def seed_rng(seed: int, epoch: int) -> None:
    """Seed torch's generators for an epoch; every rank gets other numbers."""
    key = prng.random_key(f"{seed} {epoch} {distributed.rank()}")
    torch.manual_seed(key & SEED_MASK)


def rng_state(device: torch.device) -> list[Tensor]:
    """Return the states of torch's generators: the host's, then that of a GPU."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return states


def restore_rng_state(states: list[Tensor], device: torch.device) -> None:
    """Set torch's generators to the states that `rng_state` returned."""
    torch.set_rng_state(states[0])
    if device.type == "cuda" and len(states) > 1:
        torch.cuda.set_rng_state(states[1], device)


def versions() -> dict[str, str]:
    """Return the version of torch and the name of the GPU, on which the last bits depend."""
    names: dict[str, str] = {"torch": torch.__version__}
    if torch.cuda.is_available():
        names["gpu"] = torch.cuda.get_device_name()
    return names
