"""Threads and processes borrow memory from one budget."""

import threading
import time
from multiprocessing import get_context

import pytest

from cnlw_tools.store.inspect import inspect_image
from cnlw_tools.store.memory import MemoryBudget

SPAWN = get_context("spawn")


class Meter:
    """Counts what is borrowed at the same time."""

    def __init__(self):
        self.lock, self.now, self.peak, self.n_done = threading.Lock(), 0, 0, 0

    def work(self, budget, n_bytes):
        with budget.borrow(n_bytes):
            with self.lock:
                self.now += n_bytes
                self.peak = max(self.peak, self.now)
            time.sleep(0.002)
            with self.lock:
                self.now -= n_bytes
                self.n_done += 1


@pytest.mark.parametrize("context", [None, SPAWN])
def test_never_more_is_borrowed_than_there_is(context):
    """Fifty threads that want 1 to 10 of 20 bytes all get them, and never hold more than 20."""
    budget, meter = MemoryBudget(20, context), Meter()
    threads = [threading.Thread(target=meter.work, args=(budget, 1 + i % 10)) for i in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert (50, 0) == (meter.n_done, budget.borrowed.value)
    assert 10 < meter.peak <= 20


def test_more_than_there_is_is_lent_to_one():
    """A wish beyond the budget waits until nothing is borrowed, and then holds others up."""
    budget, meter = MemoryBudget(20), Meter()
    threads = [threading.Thread(target=meter.work, args=(budget, 50)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert (5, 50) == (meter.n_done, meter.peak)


def test_an_error_gives_the_memory_back():
    """What a block that fails has borrowed is there for others."""
    budget = MemoryBudget(20)
    with pytest.raises(KeyError), budget.borrow(20):
        raise KeyError

    assert 0 == budget.borrowed.value


def test_a_large_picture_borrows_what_its_decoding_takes(bodies, encode):
    """A picture of 9 million pixels borrows 8 bytes for each; a small one and a JPEG nothing."""
    wishes = []

    class Recorder(MemoryBudget):
        def borrow(self, n_bytes):
            wishes.append(n_bytes)
            return super().borrow(n_bytes)

    large_jpeg = encode("JPEG", 0, (2000, 1000))
    for data in (bodies["bomb"], bodies["png"], large_jpeg):
        inspect_image(data, memory=Recorder(10**9))

    assert [8 * 3000 * 3000, 0, 0] == wishes
