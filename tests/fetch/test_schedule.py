"""Which host is next, and when."""

import time

from cnlw_tools.fetch.address import parse_uri
from cnlw_tools.fetch.robots import ALLOW_ALL
from cnlw_tools.fetch.schedule import MAX_FAILURES, FetchJob, Schedule, back_off
from cnlw_tools.store.outcomes import FetchError


def make_job(host, i=0):
    uri = f"http://{host}/{i}"
    return FetchJob(f"{host}{i}", uri, None, parse_uri(uri))


def test_hosts_take_turns():
    """A long queue of one host does not delay the others."""
    schedule = Schedule(100, ALLOW_ALL)
    for host in "aaaaaabc":
        schedule.add([make_job(host)])

    hosts = [schedule.next_job()[0].address.host for _ in range(4)]
    assert ["a", "b", "c", "a"] == hosts


def test_limit_of_a_host():
    """With a limit of 2, the third request waits until one is done."""
    schedule = Schedule(2, ALLOW_ALL)
    for i in range(3):
        schedule.add([make_job("a", i)])
    _, host = schedule.next_job()
    schedule.next_job()
    assert not schedule.ready_hosts

    schedule.release(host)

    assert "a2" == schedule.next_job()[0].image_id


def test_limit_of_all_hosts():
    """With two requests in all, the third host waits until one of the others is done."""
    schedule = Schedule(9, ALLOW_ALL, n_requests=2)
    for host in "abc":
        schedule.add([make_job(host)])
    _, host = schedule.next_job()
    schedule.next_job()
    assert schedule.next_job() is None

    schedule.release(host)

    assert "c" == schedule.next_job()[0].address.host


def wait_for_job(schedule):
    """Ask for a job until there is one."""
    while not (job_and_host := schedule.next_job()):
        time.sleep(0.01)
    return job_and_host


def test_one_request_before_the_rules_are_known():
    """A host whose robots.txt is not known yet gets one request at a time."""
    schedule = Schedule(9)
    for i in range(3):
        schedule.add([make_job("a", i)])

    _, host = schedule.next_job()
    assert not schedule.ready_hosts
    host.rules = ALLOW_ALL
    schedule.release(host)
    schedule.next_job(), schedule.next_job()

    assert 2 == host.in_flight


def test_stop():
    """After a stop there are no more jobs."""
    schedule = Schedule(1, ALLOW_ALL)
    schedule.add([make_job("a")])

    schedule.stop()

    assert schedule.next_job() is None


def test_idle_hosts_are_forgotten():
    """Memory does not grow with the number of hosts."""
    schedule = Schedule(1, ALLOW_ALL, max_idle_hosts=10)
    for i in range(100):
        schedule.add([make_job(f"h{i}")])
        schedule.release(schedule.next_job()[1])

    assert len(schedule.hosts) <= 11


def test_delayed_job():
    """A job that is released with a delay comes again after that delay."""
    schedule = Schedule(1, ALLOW_ALL)
    schedule.add([make_job("a")])
    start = time.monotonic()
    job, host = schedule.next_job()

    schedule.release(host, retry=job, delay=0.1)
    second_job, _ = wait_for_job(schedule)

    assert job is second_job
    assert time.monotonic() - start >= 0.1


def test_throttle():
    """A throttled host is paused, then gets one request at a time, and slowly more."""
    schedule = Schedule(4, ALLOW_ALL)
    for i in range(9):
        schedule.add([make_job("a", i)])
    _, host = schedule.next_job()
    start = time.monotonic()

    schedule.throttle(host, 0.1)
    schedule.release(host)
    wait_for_job(schedule)

    assert time.monotonic() - start >= 0.1
    assert not schedule.ready_hosts
    for _ in range(40):
        schedule.record_success(host)
    assert 4 == int(host.limit)


def test_failing_hosts_are_blocked():
    """A host is blocked after several failures in a row; a success in between resets the count."""
    schedule = Schedule(1, ALLOW_ALL)
    schedule.add([make_job("a")])
    _, host = schedule.next_job()
    for _ in range(MAX_FAILURES - 1):
        schedule.record_failure(host, FetchError("connect", "x"))
    schedule.record_success(host)
    schedule.record_failure(host, FetchError("connect", "y"))
    assert not host.blocked_until

    for _ in range(MAX_FAILURES):
        schedule.record_failure(host, FetchError("connect", "z"))

    assert host.blocked_until > time.monotonic()
    assert "z" == host.last_failure


def test_back_off():
    """The delay doubles, varies by half, and has a maximum."""
    for failures, mean in ((1, 0.01), (2, 0.02), (5, 0.16), (60, 60)):
        delays = [back_off(failures) for _ in range(200)]
        assert mean / 2 <= min(delays) < mean < max(delays) <= 1.5 * mean
