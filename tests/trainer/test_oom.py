"""Batches that do not fit."""

import weakref

import pytest
import torch

from cnlw_tools.methods import Batch
from cnlw_tools.trainer.oom import (
    is_gpu_full,
    is_out_of_memory,
    largest_fitting_size,
    peak_memory,
    step_fits,
)


def batch(n):
    """n examples of nothing."""
    return Batch(torch.arange(n), (torch.zeros(n, 3, 2, 2),), torch.zeros(n).long())


@pytest.mark.parametrize(("room", "expected"), [(1, 1), (3, 3), (7, 7), (8, 7), (0, 0)])
def test_the_largest_half_that_fits_is_found(room, expected):
    """30: 15, 7, 3, 1, and then none."""

    def step(b):
        assert len(b.y) == len(b.x) == len(b.index)
        if len(b.y) > room:
            raise torch.OutOfMemoryError("CUDA out of memory")

    assert largest_fitting_size(step, batch(30)) == expected


def test_a_step_that_did_not_fit_holds_nothing():
    """Its tensors are free when the next step is tried; otherwise no step would fit."""
    references = []

    def step(b):
        assert all(reference() is None for reference in references)
        activations = torch.zeros(len(b.y))
        references.append(weakref.ref(activations))
        if len(b.y) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")

    assert not step_fits(step, batch(30))
    assert largest_fitting_size(step, batch(30)) == 3
    assert step_fits(step, batch(2))
    assert len(references) == 5


def test_another_error_is_not_hidden():
    """Only a lack of memory is handled."""

    def step(b):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        largest_fitting_size(step, batch(4))


def test_the_host_runs_out_too():
    """torch's error about the memory of the host is recognised."""
    with pytest.raises(RuntimeError) as error:
        torch.empty(1 << 60)

    assert is_out_of_memory(error.value)
    assert not is_out_of_memory(RuntimeError("shapes differ"))


@pytest.mark.parametrize(
    "text",
    [
        "CUDA error: out of memory\nCUDA kernel errors might be reported later",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "FIND was unable to find an engine to execute this computation",
        "GET was unable to find an engine to execute this computation",
    ],
)
def test_libraries_say_in_their_own_words_that_a_gpu_is_full(text):
    """In an error that is not torch's OutOfMemoryError."""
    assert is_gpu_full(RuntimeError(text))
    assert is_out_of_memory(RuntimeError(text))


def test_the_peak_grows_with_allocated_memory():
    """It is the peak of this process in bytes: above it, every further tensor counts."""
    host = torch.device("cpu")
    old_peak = peak_memory(host)
    n_bytes = 1 << 24
    tensors = []
    while peak_memory(host) == old_peak:
        assert len(tensors) * n_bytes <= old_peak
        tensors.append(torch.ones(n_bytes // 4))
    peak = peak_memory(host)
    tensors.append(torch.ones(n_bytes))

    assert 3.9 * n_bytes <= peak_memory(host) - peak <= 5 * n_bytes
