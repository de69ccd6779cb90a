"""A share of a fetch in a process of its own.

    to it       jobs, and none at the end
    from it     what the share says (`share.Said`), to the end of the pipe

Its process always reads, so nobody waits for a process that waits for him.
"""

import signal
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path

from cnlw_tools import engine
from cnlw_tools.fetch.manners import Manners
from cnlw_tools.fetch.schedule import Job
from cnlw_tools.fetch.share import Said, Share
from cnlw_tools.fetch.store import Ledger

LEAVE = 2.0  # seconds in which a process ends that was told to, beside those of a connection


class Died(OSError):
    """A process ended that was not told to."""


class Away:
    """What stands here for a share that is elsewhere."""

    def __init__(
        self, folder: Path, manners: Manners, workers: int, say: Callable[[Said], None], which: tuple[int, int]
    ) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.say, self.manners, self.ended = say, manners, False
        self.lock = threading.Lock()
        self.process = context.Process(target=_serve, args=(theirs, folder, manners, workers, which), daemon=True)
        resource_tracker.ensure_running()  # else it is begun below, and would undo what follows
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # a child of one who is deaf is deaf
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def add(self, job: Job) -> None:
        """Give a job to the share; one that has died says so itself."""
        with self.lock, suppress(OSError):
            self.pipe.send(job)

    def stop(self) -> None:
        """Let the share drop what is in flight, and its process end."""
        self.ended = True
        with self.lock, suppress(OSError):
            self.pipe.send(None)
        self.process.join(self.manners.limits.connect + LEAVE)
        self.process.kill()
        self.reader.join(LEAVE)
        self.pipe.close()

    def _read(self) -> None:
        with suppress(EOFError, OSError):
            while True:
                self.say(self.pipe.recv())
        if not self.ended:
            self.say(Died("a process that fetches died: give fewer --processes if memory ran out"))


def _serve(pipe: Connection, folder: Path, manners: Manners, workers: int, which: tuple[int, int]) -> None:
    """Be a share, until the end is said, or until the process that began it is gone."""
    engine.follow()
    warnings.simplefilter("ignore")  # as in `run.fetch`
    lock = threading.Lock()

    def say(said: Said) -> None:
        with lock, suppress(OSError):  # nobody is there any more
            pipe.send(said)

    with Ledger(folder) as ledger:
        share = Share(ledger, manners, workers, say, which)
        with suppress(EOFError):
            while job := pipe.recv():
                share.add(job)
        share.stop()
