"""Where training runs."""

from contextlib import nullcontext

import pytest
import torch

from cnlw_tools.trainer import device


def test_auto_is_the_gpu_where_there_is_one(monkeypatch):
    """And the processor where there is none."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.choose("auto") == torch.device("cpu")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert device.choose("auto") == torch.device("cuda", 3)
    assert device.choose("cpu") == torch.device("cpu")


def test_more_processes_than_gpus_are_an_error(monkeypatch):
    """It says how many to start."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")

    with pytest.raises(ValueError, match="3 processes have no GPU each: give --nproc-per-node 2"):
        device.choose("auto")


def test_an_unknown_device_is_an_error():
    """It says which there are."""
    with pytest.raises(ValueError, match="'tpu': give cpu, cuda or auto"):
        device.choose("tpu")


def test_an_epoch_has_numbers_of_its_own():
    """The same for the same seed and epoch."""
    drawn = []
    for seed, epoch in ((0, 0), (0, 0), (0, 1), (1, 0)):
        device.seed(seed, epoch)
        drawn.append(float(torch.rand(())))

    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 3


def test_draws_go_on_where_they_were():
    """The state that is kept is the state that is set."""
    cpu = torch.device("cpu")
    torch.rand(3)
    kept = device.draws(cpu)
    expected = torch.rand(3)

    device.restore_draws(kept, cpu)

    assert torch.equal(torch.rand(3), expected)


def test_alone_nobody_waits():
    """Without torchrun there is no company, and the first rank is the only one."""
    with device.company(torch.device("cpu")), device.first():
        assert not torch.distributed.is_initialized()


@pytest.mark.parametrize(
    ("error", "left"), [(ValueError("alike"), 1), (OSError("full"), 0), (None, 1)]
)
def test_a_rank_that_fails_alone_takes_no_leave(monkeypatch, error, left):
    """The others may be in the middle of a message."""
    calls = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(device.dist, "init_process_group", lambda *_, **__: None)
    monkeypatch.setattr(device.dist, "destroy_process_group", lambda: calls.append("left"))

    with (
        pytest.raises(type(error)) if error else nullcontext(),
        device.company(torch.device("cpu")),
    ):
        if error:
            raise error
    assert len(calls) == left


def test_a_rank_whose_partner_ended_says_so(monkeypatch):
    """In a line; another error of torch's is passed on."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(device.dist, "init_process_group", lambda *_, **__: None)
    monkeypatch.setattr(device.dist, "destroy_process_group", lambda: None)

    with (
        pytest.raises(OSError, match="another process has ended"),
        device.company(torch.device("cpu")),
    ):
        raise RuntimeError("Connection closed by peer [127.0.0.1]:1")
    with pytest.raises(RuntimeError, match="shapes"), device.company(torch.device("cpu")):
        raise RuntimeError("shapes differ")


def test_a_gpu_is_tuned_and_a_processor_is_not(monkeypatch):
    """TF32, and the fastest convolutions."""
    said = []
    monkeypatch.setattr(torch, "set_float32_matmul_precision", said.append)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)

    device.tune(torch.device("cpu"))
    assert not said
    device.tune(torch.device("cuda"))
    assert said == ["high"]
    assert torch.backends.cudnn.benchmark
