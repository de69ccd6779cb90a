"""The threads of a worker: which of them does what."""

import threading

import pytest

from cnlw_tools.fetch.http import HttpClient
from cnlw_tools.fetch.transfer import Transfer
from cnlw_tools.store import inspect


@pytest.fixture
def readers(monkeypatch):
    """Note for each path whether the thread of requests reads the response, or another thread."""
    turn, response = HttpClient.turn, Transfer.response
    threads_of_requests = set()
    readers = {}

    def note_thread(client):
        threads_of_requests.add(threading.get_ident())
        turn(client)

    def note_reader(transfer):
        is_of_requests = threading.get_ident() in threads_of_requests
        readers[transfer.address.target] = "requests" if is_of_requests else "another"
        return response(transfer)

    monkeypatch.setattr(HttpClient, "turn", note_thread)
    monkeypatch.setattr(Transfer, "response", note_reader)
    return readers


def test_who_reads_images(server, fetch_rows, readers, n_cores):
    """With one processor, the thread of requests reads what comes over an open connection."""
    uris = {f"{i}": f"{server.url}/ok/{i}" for i in range(6)}

    rows = fetch_rows(uris, per_host=1, obey_robots=False)

    assert ["ok"] * 6 == [row.outcome for row in rows.values()]
    reader = "requests" if n_cores == 1 else "another"
    assert ["another", *[reader] * 5] == [readers[f"/ok/{i}"] for i in range(6)]


def test_a_compressed_body_is_left_to_a_thread_that_may_wait(server, fetch_rows, readers, n_cores):
    """It needs memory that bodies hold until they are decoded, by a thread that must not wait."""
    uris = {"a": f"{server.url}/ok/1", "b": f"{server.url}/gzip/ok", "c": f"{server.url}/ok/2"}

    rows = fetch_rows(uris, per_host=1, obey_robots=False)

    assert {"a", "b", "c"} == {name for name, row in rows.items() if row.outcome == "ok"}
    assert "another" == readers["/gzip/ok"]


@pytest.mark.parametrize("fault", [MemoryError(), OSError(24, "Too many open files")])
def test_a_fault_while_decoding_is_no_outcome(server, fetch_rows, n_cores, fault, monkeypatch):
    """An image that this machine could not decode is requested again."""
    decode = inspect._decode
    calls = []

    def fail(*args):
        calls.append(args)
        if len(calls) in (3, 4):
            raise fault
        return decode(*args)

    monkeypatch.setattr(inspect, "_decode", fail)
    uris = {f"{i}": f"{server.url}/ok/{i}" for i in range(6)}

    rows = fetch_rows(uris, per_host=1, obey_robots=False)

    assert dict.fromkeys(uris, ("ok", 1)) == {
        name: (row.outcome, row.attempts) for name, row in rows.items()
    }
    assert 8 == len(calls)


def test_failures_that_decoding_shows(server, fetch_rows, bodies, n_cores):
    """A body that is no image, or a part of one, has the same outcome whichever thread finds it."""
    uris = {name: f"{server.url}/body/{name}" for name in ("png", "html", "cut-jpeg", "moving-gif")}

    rows = fetch_rows(uris, per_host=1, obey_robots=False)

    outcomes = {name: (row.outcome, row.attempts) for name, row in rows.items()}
    assert {
        "png": ("ok", 1),
        "html": ("not_image", 1),
        "cut-jpeg": ("truncated", 1),
        "moving-gif": ("animated", 1),
    } == outcomes
    assert "HTML" == rows["html"].reason
