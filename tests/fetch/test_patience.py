"""While this machine is at fault a fetch waits; no URL gets an outcome for it."""

import errno
import os
import socket
import threading
import time

import pytest

from cnlw_tools.fetch import FetchOptions, Limits, fetch, patience
from cnlw_tools.fetch.patience import Patience, Stopped
from cnlw_tools.fetch.transfer import Transfer
from cnlw_tools.files.machine_faults import MachineFault
from cnlw_tools.store.manifest import Manifest
from cnlw_tools.store.store import Ledger, open_ledger

SOCKET_FAULTS = [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM]
STORE_FAULTS = [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE]


@pytest.fixture
def run(tmp_path, write_manifest):
    """Fetch URIs; return the rows, as id -> (outcome, attempts), and what the user was told."""

    def run_fetch(uris, **choices):
        notices = []
        limits = Limits(30, 30, 60, 1_000_000)  # a loaded machine is no fault: nothing times out
        options = FetchOptions(allow_private=True, limits=limits, **choices)
        with open_ledger(tmp_path / "store") as ledger:
            try:
                fetch(Manifest(write_manifest(uris)), ledger, options, 8, notify=notices.append)
            except MachineFault as fault:
                notices.append(fault)
            rows = {row.image_id: (row.outcome, row.attempts) for row in ledger.rows()}
        return rows, notices

    return run_fetch


@pytest.fixture
def break_call(monkeypatch):
    """Let a method raise an error of the system at its first n calls."""

    def patch(owner, name, number, n_failures):
        method = getattr(owner, name)
        calls = []

        def call(*args):
            calls.append(args)
            if len(calls) <= n_failures:
                raise OSError(number, os.strerror(number))
            return method(*args)

        monkeypatch.setattr(owner, name, call)

    return patch


@pytest.mark.parametrize("number", SOCKET_FAULTS)
def test_a_fault_of_a_connection_is_waited_for(server, run, break_call, number):
    """The run says once what is wrong, and then fetches every image at its first attempt."""
    break_call(socket.socket, "connect", number, 20)

    rows, notices = run({str(i): f"{server.url}/ok/{i}" for i in range(20)})

    assert {str(i): ("ok", 1) for i in range(20)} == rows
    assert 1 == len(notices)
    assert f"paused: {os.strerror(number)}: " in notices[0]


@pytest.mark.parametrize("name", ["write_image", "write_rows", "read_states"])
@pytest.mark.parametrize("number", STORE_FAULTS)
def test_a_fault_of_the_store_is_waited_for(server, run, break_call, n_cores, number, name):
    """Rows and images are written when the disk is well again; nothing is requested twice."""
    break_call(Ledger, name, number, 3)

    rows, notices = run(
        {"a": f"{server.url}/ok/1", "b": f"{server.url}/status/404", "c": "ftp://x"}
    )

    assert {"a": ("ok", 1), "b": ("http_404", 1), "c": ("refused", 0)} == rows
    assert 1 == len(notices)
    assert {"/ok/1": 1, "/status/404": 1} == server.images()


@pytest.mark.parametrize("number", SOCKET_FAULTS)
def test_a_fault_that_stays_ends_the_run_and_the_next_one_asks_again(
    server, run, break_call, monkeypatch, number
):
    """The error says what to do; no row is written, so the next run fetches the images."""
    uris = {str(i): f"{server.url}/ok/{i}" for i in range(20)}
    break_call(socket.socket, "connect", number, 10**9)

    rows, notices = run(uris, patience=0.2)

    assert {} == rows
    assert isinstance(notices[-1], MachineFault)
    assert "waited 0.2 s" in str(notices[-1])
    monkeypatch.undo()
    assert dict.fromkeys(uris, ("ok", 1)) == run(uris)[0]


def test_no_memory_is_no_outcome(server, run, n_cores, monkeypatch):
    """A body for which there is no memory is requested again."""
    read_headers = Transfer._read_headers
    failed = []

    def fail(transfer):
        if transfer.address.target != "/robots.txt" and not failed:
            failed.append(transfer)
            raise MemoryError
        read_headers(transfer)

    monkeypatch.setattr(Transfer, "_read_headers", fail)

    rows, notices = run({"a": f"{server.url}/ok/1"})

    assert {"a": ("ok", 1)} == rows
    assert "no memory left: end other programs, or give fewer --workers or --requests" in notices[0]


def test_waits_grow_and_have_a_limit(monkeypatch):
    """The first wait is about a second, later ones are longer, none is above the limit."""
    waits = []
    times = iter(range(0, 10**9, 10))
    patient = Patience(1e9, lambda notice: None)
    monkeypatch.setattr(patience.time, "monotonic", lambda: next(times))
    monkeypatch.setattr(patient.stopped, "wait", waits.append)
    monkeypatch.setattr("cnlw_tools.fetch.schedule.FIRST_BACK_OFF", 1.0)
    monkeypatch.setattr(patience, "MAX_WAIT", 15.0)
    failures = iter(range(20))

    def step():
        for _ in failures:
            raise OSError(errno.ENOSPC, "No space left on device")
        return "done"

    assert "done" == patient.run(step)

    assert 0.5 <= waits[0] <= 1.5
    assert [15.0] * 15 == waits[5:]


def test_a_url_that_is_done_renews_the_patience():
    """The time is that since the first fault after which no URL was brought to an outcome."""
    patient = Patience(0.1, lambda notice: None)
    failures = iter(range(4))

    def step():
        for _ in failures:
            time.sleep(0.06)
            patient.recover()
            raise OSError(errno.ENOSPC, "No space left on device")
        return "done"

    assert "done" == patient.run(step)


def test_a_stop_ends_a_wait_at_once():
    """A thread that waits for the machine does not delay the end of the run."""
    patient = Patience(100, lambda notice: threading.Timer(0.05, patient.stop).start())

    def step():
        raise MemoryError

    start = time.monotonic()
    with pytest.raises(Stopped):
        patient.run(step)
    assert time.monotonic() - start < 5


def test_other_errors_are_raised_at_once():
    """An error that no time mends is not waited for."""

    def step():
        raise PermissionError(errno.EACCES, "Permission denied")

    with pytest.raises(PermissionError):
        Patience(100, print).run(step)
