"""Who is asked next."""

import threading
import time

from cnlw_tools.fetch.address import parse
from cnlw_tools.fetch.robots import ALL
from cnlw_tools.fetch.schedule import STRIKES, Job, Schedule, back_off
from cnlw_tools.store.outcomes import Failed


def job(host, i=0):
    uri = f"http://{host}/{i}"
    return Job(f"{host}{i}", uri, None, parse(uri))


def test_hosts_take_turns():
    """A long queue of one host does not stop the others."""
    schedule = Schedule(100, ALL)
    for host in "aaaaaabc":
        schedule.add(job(host))

    assert ["a", "b", "c", "a"] == [schedule.take()[0].address.host for _ in range(4)]


def test_no_more_of_a_host_than_allowed():
    """The third request of a host waits until one is done."""
    schedule = Schedule(2, ALL)
    for i in range(3):
        schedule.add(job("a", i))
    _, host = schedule.take()
    schedule.take()
    assert not schedule.heap

    schedule.done(host)

    assert "a2" == schedule.take()[0].image_id


def test_nobody_waits_beside_work():
    """As soon as a site may be asked by several, who waits is woken, one by the other."""
    schedule, taken = Schedule(4), []
    for i in range(4):
        schedule.add(job("a", i))
    _, host = schedule.take()
    threads = [
        threading.Thread(target=lambda: taken.append(schedule.take()), daemon=True)
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    threads[0].join(0.05)
    assert not taken

    host.rules = ALL
    schedule.done(host)
    schedule.take()

    for thread in threads:
        thread.join(5)
    assert 2 == len(taken)


def test_one_at_a_time_before_the_rules_are_known():
    """Nobody storms a site that has not said what it wants."""
    schedule = Schedule(9)
    for i in range(3):
        schedule.add(job("a", i))

    _, host = schedule.take()
    assert not schedule.heap
    host.rules = ALL
    schedule.done(host)
    schedule.take(), schedule.take()

    assert 2 == host.open


def test_nothing_after_the_end():
    """Who waits for a job is let go."""
    schedule, taken = Schedule(1, ALL), []
    thread = threading.Thread(target=lambda: taken.append(schedule.take()))
    thread.start()
    thread.join(0.05)
    assert not taken

    schedule.stop()
    thread.join(5)

    assert [None] == taken


def test_hosts_that_are_done_are_forgotten():
    """Memory does not grow with the number of hosts."""
    schedule = Schedule(1, ALL, known=10)
    for i in range(100):
        schedule.add(job(f"h{i}"))
        schedule.done(schedule.take()[1])

    assert len(schedule.hosts) <= 11


def test_later():
    """A job comes again after its time."""
    schedule = Schedule(1, ALL)
    schedule.add(job("a"))
    begun = time.monotonic()
    taken, host = schedule.take()

    schedule.done(host, taken, 0.1)
    again, _ = schedule.take()

    assert taken is again
    assert time.monotonic() - begun >= 0.1


def test_a_host_that_asks_for_peace():
    """It gets it, then one request at a time, and bit by bit more."""
    schedule = Schedule(4, ALL)
    for i in range(9):
        schedule.add(job("a", i))
    _, host = schedule.take()
    begun = time.monotonic()

    schedule.busy(host, 0.1)
    schedule.done(host)
    schedule.take()

    assert time.monotonic() - begun >= 0.1
    assert not schedule.heap
    for _ in range(40):
        schedule.well(host)
    assert 4 == int(host.most)


def test_a_host_that_fails_is_left_alone():
    """After some failures in a row; an answer in between counts."""
    schedule = Schedule(1, ALL)
    schedule.add(job("a"))
    _, host = schedule.take()
    for _ in range(STRIKES - 1):
        schedule.strike(host, Failed("connect", "x"))
    schedule.well(host)
    schedule.strike(host, Failed("connect", "y"))
    assert not host.alone

    for _ in range(STRIKES):
        schedule.strike(host, Failed("connect", "z"))

    assert host.alone > time.monotonic()
    assert "z" == host.why


def test_back_off():
    """It doubles, is spread by half, and has an end."""
    for tries, mean in ((1, 0.01), (2, 0.02), (5, 0.16), (60, 60)):
        found = [back_off(tries) for _ in range(200)]
        assert mean / 2 <= min(found) < mean < max(found) <= 1.5 * mean
