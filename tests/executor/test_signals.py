"""SIGTERM and Ctrl-C, as a request and as an exception."""

import signal
from multiprocessing import resource_tracker

import pytest

from cnlw_tools.executor.signals import (
    Interrupted,
    StopRequest,
    ignore_interrupts,
    raise_on_signal,
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_raises_with_the_exit_code_of_a_shell(number):
    """130 for Ctrl-C, 143 for SIGTERM; afterwards the old handlers are back."""
    old = signal.getsignal(number)
    with pytest.raises(Interrupted) as interrupt, raise_on_signal():
        signal.raise_signal(number)

    assert interrupt.value.exit_code == 128 + number
    assert signal.getsignal(number) == old


def test_a_request_inside_only_records(monkeypatch):
    """Work that stops by itself is not torn down."""
    with raise_on_signal():
        with StopRequest() as stop:
            signal.raise_signal(signal.SIGTERM)
        assert stop.signal == signal.SIGTERM


def test_processes_begin_without_ctrl_c():
    """It waits until the block ends."""
    inside = []

    def begin():
        with raise_on_signal(), ignore_interrupts():
            signal.raise_signal(signal.SIGINT)
            inside.append("still here")

    with pytest.raises(Interrupted):
        begin()
    assert inside == ["still here"]


def test_the_tracker_of_resources_does_not_let_ctrl_c_in(monkeypatch):
    """It starts with the first process, and ends the mask of the thread that starts it."""
    monkeypatch.setattr(resource_tracker, "_resource_tracker", resource_tracker.ResourceTracker())
    monkeypatch.setattr(
        resource_tracker, "ensure_running", resource_tracker._resource_tracker.ensure_running
    )
    with ignore_interrupts():
        resource_tracker.ensure_running()  # as the start of a process does

        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    resource_tracker._resource_tracker._stop()
