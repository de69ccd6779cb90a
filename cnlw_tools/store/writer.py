"""A store that is open for writing: in a folder of this machine, or at an address (remote.py)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from cnlw_tools.files.storage import is_address
from cnlw_tools.store.outcomes import Tally
from cnlw_tools.store.store import Ledger, Store, open_ledger

Show = Callable[[Tally], None]
Notify = Callable[[str], None]


class StoreWriter(Protocol):
    """A store that is open for writing."""

    @property
    def ledger(self) -> Ledger:
        """Into which rows and images are written."""
        ...

    def watch(self, progress: Show, notify: Notify) -> Show:
        """Return what is to be called with the counts, which calls `progress`."""
        ...

    def finish(self) -> None:
        """Bring everything that was written to its place."""
        ...

    def contents(self) -> Store:
        """Return the store, with all that was there before, after `finish`."""
        ...


@contextmanager
def open_writer(place: Path | str, purpose: str = "") -> Iterator[StoreWriter]:
    """Open a store in a folder, or a pack at an address, for writing; make it if there is none.

    Args:
        place: the folder or the address
        purpose: of a working store of its own, beside those of other commands on this machine

    Raises:
        OSError: something else is there, another command of this machine is writing there, or
            nothing can be written
    """
    if not is_address(place):
        with open_ledger(Path(place)) as ledger:
            yield _LocalWriter(ledger)
        return
    from cnlw_tools.store.remote import open_remote_writer  # which takes its time

    with open_remote_writer(place, purpose) as writer:
        yield writer


class _LocalWriter:
    """A store in a folder, which is written where it is."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def watch(self, progress: Show, notify: Notify) -> Show:
        """Return what shows the counts, and does nothing else."""
        return progress

    def finish(self) -> None:
        """Do nothing: everything is in its place."""

    def contents(self) -> Store:
        """Return the store."""
        return self.ledger
