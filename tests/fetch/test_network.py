"""Whether a host fails or the network of this machine. No test sends a packet but to loopback."""

import errno
import os
import socket
import time
from collections import Counter
from contextlib import suppress

import pytest

from cnlw_tools.fetch import FetchOptions, Limits, fetch, network
from cnlw_tools.files.machine_faults import MachineFault
from cnlw_tools.store.manifest import Manifest
from cnlw_tools.store.store import open_ledger


class FakeNetwork:
    """Looks up every name that ends in .test as loopback, and fails as it is told."""

    def __init__(self):
        self.look_up, self.connect_socket = socket.getaddrinfo, socket.socket.connect
        self.lookup_error = {}  # by host; None stands for all others
        self.connect_error = {}  # by IP address
        self.down_until = 0.0

    def getaddrinfo(self, host, *args, **options):
        error = self.lookup_error.get(host, self.lookup_error.get(None))
        if error is None and time.monotonic() < self.down_until:
            error = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        if error and host[0].isalpha():
            raise error
        ip = f"127.0.0.{1 + len(host) % 9}" if host.endswith(".test") else host
        ip = "127.0.0.99" if host == "silent.test" else ip
        return self.look_up(ip, *args, **options)

    def connect(self, connection, address):
        error = self.connect_error.get(address[0])
        if error is None and time.monotonic() < self.down_until:
            error = OSError(errno.ENETUNREACH, "Network is unreachable")
        if error:
            raise error
        return self.connect_socket(connection, ("127.0.0.1", address[1]))


@pytest.fixture
def net(monkeypatch):
    """A network that can be broken."""
    fake = FakeNetwork()
    monkeypatch.setattr(socket, "getaddrinfo", fake.getaddrinfo)
    monkeypatch.setattr(socket.socket, "connect", lambda *args: fake.connect(*args))
    monkeypatch.setattr(network, "GRACE", 0.1)
    return fake


@pytest.fixture
def run(tmp_path, write_manifest):
    """Fetch URIs with little patience; return the outcomes that are in the ledger."""

    def run_fetch(uris, seconds=0.5, **choices):
        limits = Limits(0.5, 1, 3, 1_000_000)
        options = FetchOptions(allow_private=True, limits=limits, patience=seconds, **choices)
        with open_ledger(tmp_path / "store") as ledger:
            with suppress(MachineFault):
                fetch(Manifest(write_manifest(uris)), ledger, options, 8)
            return {row.image_id: row.outcome for row in ledger.rows()}

    return run_fetch


def again():
    return socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def make_uris(server, n=12, name="h{}.test"):
    return {
        f"{name}{i}": f"http://{name.format('x' * i)}:{server.server_port}/ok/{i}" for i in range(n)
    }


def test_offline_from_the_start_gives_no_row(server, net, run):
    """Where no name can be looked up nothing is final, and the next run fetches everything."""
    uris = make_uris(server)
    net.lookup_error[None] = again()

    assert {} == run(uris)

    net.lookup_error.clear()
    assert dict.fromkeys(uris, "ok") == run(uris)


@pytest.mark.parametrize(
    "number", [errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL]
)
def test_no_route_from_the_start_gives_no_row(server, net, run, number):
    """Where no host can be reached nothing is final."""
    for i in range(1, 10):
        net.connect_error[f"127.0.0.{i}"] = OSError(number, os.strerror(number))

    assert {} == run(make_uris(server))


def test_a_network_that_is_gone_for_a_while_fails_no_link(server, net, run):
    """A fetch in the middle of which the network goes and comes ends with every image."""
    uris = make_uris(server, 40)
    net.down_until = time.monotonic() + 1.5

    assert dict.fromkeys(uris, "ok") == run(uris, 60)


@pytest.mark.parametrize("n_tries", [1, 3])
def test_a_network_that_goes_in_the_middle_leaves_the_rest_for_the_next_run(
    server, net, run, n_tries
):
    """What came before it went is kept, nothing else has a row."""
    first, rest = make_uris(server, 6), make_uris(server, 12, "late{}.test")
    assert dict.fromkeys(first, "ok") == run(first)
    net.lookup_error[None] = again()

    assert dict.fromkeys(first, "ok") == run(first | rest, max_tries=n_tries)

    net.lookup_error.clear()
    assert dict.fromkeys(first | rest, "ok") == run(first | rest)


def test_one_broken_zone_is_the_fault_of_its_links(server, net, run):
    """While other names are looked up, a name that is not is `dns`, after all its tries."""
    uris = make_uris(server)
    net.lookup_error["broken.test"] = again()

    outcomes = run(uris | {"b": f"http://broken.test:{server.server_port}/ok/99"}, 60)

    assert dict.fromkeys(uris, "ok") | {"b": "dns"} == outcomes


def test_a_broken_zone_alone_is_judged_by_hosts_that_answered_before(server, net, run):
    """A later run of that link alone asks a host of the ledger, and needs no patience."""
    uris = make_uris(server, 3)
    run(uris)
    net.lookup_error["broken.test"] = again()

    outcomes = run(uris | {"b": "http://broken.test/1.jpg", "c": "http://broken.test/2.jpg"}, 60)

    assert dict.fromkeys(uris, "ok") | {"b": "dns", "c": "dns"} == outcomes


def test_an_unknown_name_is_the_fault_of_its_link(server, net, run):
    """A name server that says there is no such name is believed, also if it says nothing else."""
    net.lookup_error[None] = socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    assert {"a": "dns"} == run({"a": "http://gone.test/1.jpg"})


def test_hosts_that_refuse_are_dead_however_many(server, net, run):
    """A refused connection is an answer of the host, also if no other host accepts one."""
    uris = make_uris(server, 5)
    for i in range(1, 10):
        net.connect_error[f"127.0.0.{i}"] = ConnectionRefusedError(111, "Connection refused")

    assert {"connect"} == {*run(uris).values()}
    assert 5 == len(run(uris))


def test_a_silent_host_is_the_fault_of_its_links(server, net, run):
    """One host that does not answer, alone or beside others that do, is `timeout`."""
    net.connect_error["127.0.0.99"] = TimeoutError("timed out")
    silent = {f"s{i}": f"http://silent.test:{server.server_port}/ok/{i}" for i in range(6)}

    alone = run(silent, 60)
    beside = run(silent | make_uris(server, 5), 60)

    assert {"timeout", "unreachable"} == {*alone.values()}
    assert 5 == Counter(beside.values())["ok"]
    assert alone.items() <= beside.items()


def test_silence_of_all_hosts_is_the_fault_of_the_network(server, net, run):
    """Where several hosts are silent and none answers nothing is final, first run or later."""
    uris = make_uris(server, 6)
    for i in range(1, 10):
        net.connect_error[f"127.0.0.{i}"] = TimeoutError("timed out")
    outcomes = run(uris, 1.5)
    assert len(outcomes) < 3  # the first two hosts might have failed by themselves

    net.connect_error.clear()
    later = make_uris(server, 4, "later{}.test")
    run(later)
    for i in range(1, 10):
        net.connect_error[f"127.0.0.{i}"] = TimeoutError("timed out")

    assert not {f"new{{}}.test{i}" for i in range(6)} & {*run(make_uris(server, 6, "new{}.test"))}
