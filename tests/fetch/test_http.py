"""Requests in the one thread that makes them."""

import time
from contextlib import ExitStack

from cnlw_tools.fetch.address import parse_uri
from cnlw_tools.fetch.client import accept_all
from cnlw_tools.fetch.http import HttpClient
from cnlw_tools.fetch.transfer import Limits, Transfer
from cnlw_tools.store.memory import MemoryBudget


def test_time_that_the_thread_spends_on_images_does_not_count(server):
    """A request that waited while images were decoded is not given up; a slow server's is."""
    client = HttpClient("us", Limits(), allow_private=True)
    address = parse_uri(f"{server.url}/slow")
    connection = client._connect(address, time.monotonic() + 5)
    transfer = Transfer(address, accept_all, ExitStack(), Limits(), MemoryBudget(10**6), connection)
    client.start(transfer, lambda: None)
    client.turn()

    for clock in (client, transfer):  # as if an hour had passed since the last turn
        for name in ("turned_at", "checked_at", "deadline", "heard_at"):
            if hasattr(clock, name):
                setattr(clock, name, getattr(clock, name) - 3600)
    client.turn()
    assert transfer.error is None

    transfer.heard_at -= 3600
    transfer.deadline -= 3600
    client.checked_at = 0.0
    client.turn()
    assert "timeout" == transfer.error.outcome
    client.close()
