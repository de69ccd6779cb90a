"""A lease is seen from other processes: it lasts as long as its command renews it."""

import os
import signal
import time

from cnlw_tools.executor import lease as lease_file
from cnlw_tools.executor.lease import NAME, Lease, LeaseWatch
from cnlw_tools.executor.signals import StopRequest


def test_a_lease_that_is_renewed_lasts(tmp_path, monkeypatch):
    """It has not ended for longer than it would last by itself."""
    monkeypatch.setattr(lease_file, "RENEW_SECONDS", 0.02)
    monkeypatch.setattr(lease_file, "LEASE_SECONDS", 0.5)
    with Lease(tmp_path, StopRequest()) as lease:
        watch = LeaseWatch(lease.path)
        until = time.monotonic() + 1
        while time.monotonic() < until:
            assert not watch.has_ended()
            time.sleep(0.05)

    assert watch.has_ended()
    assert list(tmp_path.iterdir()) == []


def test_a_lease_ends_when_its_command_is_asked_to_stop(tmp_path, monkeypatch):
    """Its file is deleted at once."""
    monkeypatch.setattr(lease_file, "RENEW_SECONDS", 0.02)
    with StopRequest() as stop, Lease(tmp_path, stop) as lease:
        signal.raise_signal(signal.SIGTERM)
        lease.thread.join(10)

        assert not lease.path.exists()


def test_the_file_of_a_killed_command_is_deleted(tmp_path):
    """After a day; until then it may be that of another command, on a machine with another clock."""
    for name, age in (("killed", 25 * 3600), ("living", 23 * 3600)):
        path = tmp_path / NAME.format(name)
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    with Lease(tmp_path, StopRequest()) as lease:
        assert {*tmp_path.iterdir()} == {lease.path, tmp_path / NAME.format("living")}
