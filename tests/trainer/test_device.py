"""Where training runs."""

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
