"""Where training runs."""

import ctypes
import resource
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from cnlw_tools.executor import limits
from cnlw_tools.trainer import device


def test_auto_is_the_gpu_if_there_is_one(monkeypatch):
    """It is the CPU otherwise."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.choose_device("auto") == torch.device("cpu")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert device.choose_device("auto") == torch.device("cuda", 3)
    assert device.choose_device("cpu") == torch.device("cpu")


def test_more_processes_than_gpus_are_an_error(monkeypatch):
    """The message says how many to start."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")

    with pytest.raises(
        ValueError, match="there are fewer GPUs than the 3 processes: give --nproc-per-node 2"
    ):
        device.choose_device("auto")


def test_an_unknown_device_is_an_error():
    """The message lists the devices."""
    with pytest.raises(ValueError, match="'tpu' is not allowed: give cpu, cuda or auto"):
        device.choose_device("tpu")


def test_an_epoch_has_random_numbers_of_its_own():
    """The same for the same seed and epoch."""
    numbers = []
    for seed, epoch in ((0, 0), (0, 0), (0, 1), (1, 0)):
        device.seed_rng(seed, epoch)
        numbers.append(float(torch.rand(())))

    assert numbers[0] == numbers[1]
    assert len(set(numbers)) == 3


def test_random_numbers_go_on_from_a_restored_state():
    """The state that is saved is the state that is set."""
    cpu = torch.device("cpu")
    torch.rand(3)
    state = device.rng_state(cpu)
    expected = torch.rand(3)

    device.restore_rng_state(state, cpu)

    assert torch.equal(torch.rand(3), expected)


def test_one_process_never_waits():
    """Without torchrun there is no process group, and rank zero is the only rank."""
    with device.process_group(torch.device("cpu")), device.rank_zero_first():
        assert not torch.distributed.is_initialized()


@pytest.mark.parametrize(
    ("error", "n_left"), [(ValueError("alike"), 1), (OSError("full"), 0), (None, 1)]
)
def test_a_rank_that_fails_alone_does_not_leave_the_group(monkeypatch, error, n_left):
    """The others may be in the middle of a message."""
    calls = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(device.dist, "init_process_group", lambda *_, **__: None)
    monkeypatch.setattr(device.dist, "destroy_process_group", lambda: calls.append("left"))

    with (
        pytest.raises(type(error)) if error else nullcontext(),
        device.process_group(torch.device("cpu")),
    ):
        if error:
            raise error
    assert len(calls) == n_left


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Connection closed by peer [127.0.0.1]:1"),
        RuntimeError("writev [127.0.0.1]:1: Connection reset by peer"),
        RuntimeError("Timed out waiting 1800000ms for recv operation to complete"),
        device.dist.DistBackendError("NCCL error: remote process exited"),
    ],
    ids=["ended", "killed", "cut off", "NCCL"],
)
def test_a_rank_whose_partner_ended_reports_it(monkeypatch, error):
    """In one line, and it leaves no group that is broken; other errors of torch are passed on."""
    calls = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(device.dist, "init_process_group", lambda *_, **__: None)
    monkeypatch.setattr(device.dist, "destroy_process_group", lambda: calls.append("left"))

    with (
        pytest.raises(OSError, match="another process has ended"),
        device.process_group(torch.device("cpu")),
    ):
        raise error
    assert not calls
    with pytest.raises(RuntimeError, match="shapes"), device.process_group(torch.device("cpu")):
        raise RuntimeError("shapes differ")


def test_a_group_of_gpus_is_bound_to_one(monkeypatch):
    """So NCCL connects at once, and knows at a barrier which GPU is meant."""
    groups, gpu = [], torch.device("cuda", 1)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(torch.cuda, "set_device", groups.append)
    monkeypatch.setattr(
        device.dist, "init_process_group", lambda *args, **kwargs: groups.append((args, kwargs))
    )
    monkeypatch.setattr(device.dist, "destroy_process_group", lambda: None)
    with device.process_group(gpu):
        assert groups == [gpu, (("nccl",), {"device_id": gpu})]


@pytest.mark.parametrize(("rank", "local_rank", "n_before"), [(0, 0, 0), (2, 0, 1), (3, 1, 2)])
def test_only_decoding_may_take_hours(monkeypatch, rank, local_rank, n_before):
    """The ranks wait for it in a group of its own, whose timeout is longer than the usual one.

    Rank zero has the first turn, the first rank of another node the second, and all wait for all.
    """
    calls = []
    monkeypatch.setenv("LOCAL_RANK", str(local_rank))
    monkeypatch.setattr(device.distributed, "is_distributed", lambda: True)
    monkeypatch.setattr(device.distributed, "rank", lambda: rank)
    monkeypatch.setattr(
        device.dist, "new_group", lambda backend, timeout: calls.append(timeout.seconds) or backend
    )
    monkeypatch.setattr(device.dist, "barrier", lambda group: calls.append(f"wait in {group}"))
    monkeypatch.setattr(device.dist, "destroy_process_group", lambda group: calls.append("end"))
    with device.rank_zero_first():
        calls.append("decode")

    waits = ["wait in gloo"] * 3
    waits.insert(n_before, "decode")
    assert calls == [6 * 3600, *waits, "end"]


def test_a_full_gpu_is_an_error_with_a_remedy():
    """Whoever notices it; another error is passed on as it is."""
    gpu = torch.device("cuda", 0)
    with pytest.raises(OSError, match="cuda:0 is full: give a smaller"), device.explain_oom(gpu):
        raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate")
    with pytest.raises(RuntimeError, match="shapes"), device.explain_oom(gpu):
        raise RuntimeError("shapes differ")


def test_fast_kernels_are_for_gpus_alone(monkeypatch):
    """TF32, and the fastest convolutions."""
    precisions = []
    monkeypatch.setattr(torch, "set_float32_matmul_precision", precisions.append)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)

    device.enable_fast_kernels(torch.device("cpu"))
    assert not precisions
    device.enable_fast_kernels(torch.device("cuda"))
    assert precisions == ["high"]
    assert torch.backends.cudnn.benchmark


@pytest.mark.parametrize(("omp", "expected"), [(None, 1), ("4", 4)])
def test_threads_of_a_container(monkeypatch, omp, expected):
    """Torch gets as many threads as there are processors, unless the user says how many."""
    counts = [4]
    monkeypatch.setattr(torch, "get_num_threads", lambda: counts[-1])
    monkeypatch.setattr(torch, "set_num_threads", counts.append)
    monkeypatch.setattr(limits, "cores", lambda: 1)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if omp is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", omp)

    device.respect_quota()

    assert counts[-1] == expected


def test_memory_of_tensors_is_used_again():
    """A second tensor takes the pages of the first, and the system clears none for it."""
    device.keep_freed_memory()
    torch.ones(1 << 24)  # 64 MB, which are 16,384 pages
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(1 << 24)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 1000


@pytest.mark.parametrize(
    ("has_glibc", "variables"), [(False, {}), (True, {device.USERS_CHOICE: "100"})]
)
def test_other_libraries_and_users_choose_themselves(monkeypatch, has_glibc, variables):
    """Nothing is set in the C library."""
    library = SimpleNamespace(gnu_get_libc_version=None) if has_glibc else SimpleNamespace()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    device.keep_freed_memory()  # the library has no mallopt to call
