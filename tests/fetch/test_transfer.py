"""One request: its headers, its memory, its time, and bodies that come compressed."""

import gzip
import time
import zlib
from contextlib import ExitStack

import pycurl
import pytest

from cnlw_tools.fetch.address import parse_uri
from cnlw_tools.fetch.client import accept_all
from cnlw_tools.fetch.transfer import SMALL_BODY, Limits, Transfer
from cnlw_tools.store.memory import MemoryBudget
from cnlw_tools.store.outcomes import FetchError

PLAIN = bytes(range(256)) * 40


def make_transfer(*lines, memory=None, limits=None, connection=None):
    """Return a request whose headers have come."""
    transfer = Transfer(
        parse_uri("http://host/a"),
        accept_all,
        ExitStack(),
        limits or Limits(max_bytes=1_000_000),
        memory or MemoryBudget(10_000_000),
        connection,
    )
    for line in lines:
        transfer.receive_line(f"{line}\r\n".encode())
    return transfer


def test_a_preliminary_response_is_forgotten():
    """After a 103 with headers of its own comes the response that counts."""
    transfer = make_transfer("HTTP/1.1 103 Early", "X-Robots-Tag: noai", "", "HTTP/1.1 404 No", "")

    transfer.end()

    assert (404, {}) == (transfer.response().status, transfer.response().headers.values)


def test_repeated_headers_are_kept():
    """Each of several headers of one name counts, and names have no upper case."""
    transfer = make_transfer("HTTP/1.1 200 OK", "x-tag: a:b", "X-Tag:c", "nonsense", "")

    transfer.end()

    headers = transfer.response().headers
    assert ["a:b", "c"] == headers.get_all("x-tag")
    assert "a:b, c" == headers.get("x-tag")
    assert "" == headers.get("nonsense")


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(PLAIN)),
        ("GZIP", gzip.compress(PLAIN)),
        ("deflate", zlib.compress(PLAIN)),
        ("identity", PLAIN),
    ],
)
def test_compressed_bodies(encoding, body):
    """A body is decompressed as its header says."""
    transfer = make_transfer("HTTP/1.1 200 OK", f"Content-Encoding: {encoding}", "")

    assert transfer.receive(body) is None
    transfer.end()

    assert PLAIN == transfer.response().body


@pytest.mark.parametrize(
    ("encoding", "body", "outcome"),
    [
        ("gzip", gzip.compress(PLAIN)[:-20], "truncated"),
        ("gzip", b"no gzip at all", "decode"),
        ("gzip", gzip.compress(bytes(1_000_001)), "too_big"),
    ],
)
def test_damaged_compressed_bodies(encoding, body, outcome):
    """Compressed data that end early, are no such data, or become too many bytes, have outcomes."""
    transfer = make_transfer("HTTP/1.1 200 OK", f"Content-Encoding: {encoding}", "")
    transfer.receive(body)
    transfer.end()

    with pytest.raises(FetchError) as info:
        transfer.response()

    assert outcome == info.value.outcome


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip"])
def test_unknown_compression(encoding):
    """A body that is compressed in another way, or twice, is refused before it is read."""
    transfer = make_transfer("HTTP/1.1 200 OK", f"Content-Encoding: {encoding}", "")

    assert -1 == transfer.receive(b"x")
    assert "decode" == transfer.error.outcome


def test_a_large_body_waits_for_memory():
    """It gets all of its memory at once, and neither limit of time counts while it waits."""
    memory = MemoryBudget(10_000_000)
    assert memory.try_borrow(memory.n_bytes)
    limits = Limits(read_timeout=0.05, total_timeout=0.05, max_bytes=1_000_000)
    transfer = make_transfer("HTTP/1.1 200 OK", "Content-Length: 400000", memory=memory)
    transfer.limits = limits
    transfer.deadline = time.monotonic() + 0.05
    chunk = bytes(SMALL_BODY)

    assert transfer.receive(chunk) is None
    assert transfer.check_time(time.monotonic())
    assert pycurl.WRITEFUNC_PAUSE == transfer.receive(b"x")
    assert not transfer.borrow()
    time.sleep(0.1)
    memory.give_back(memory.n_bytes)

    assert transfer.borrow()
    assert 400_000 == memory.borrowed.value
    assert transfer.check_time(time.monotonic())
    assert transfer.receive(b"x") is None
    transfer.loan.close()
    assert 0 == memory.borrowed.value


def test_a_new_connection_is_given_once():
    """If libcurl wants another connection, the request fails, and says that it lacks one."""
    connection = object()
    transfer = make_transfer(connection=connection)

    assert connection is transfer.give_connection(0, None)
    assert not transfer.lacks_connection
    assert pycurl.SOCKET_BAD == transfer.give_connection(0, None)
    assert transfer.lacks_connection
    assert pycurl.SOCKET_BAD == make_transfer().give_connection(0, None)


def test_silence_and_slowness_are_different_failures():
    """After a silence another attempt may succeed, after the limit of all time none is made."""
    transfer = make_transfer(limits=Limits(read_timeout=5, total_timeout=20))

    assert transfer.check_time(time.monotonic() + 4)
    assert not transfer.check_time(time.monotonic() + 6)
    assert ("timeout", True) == (transfer.error.outcome, transfer.error.retryable)
    assert not transfer.check_time(time.monotonic() + 21)
    assert ("timeout", False) == (transfer.error.outcome, transfer.error.retryable)
