"""A share of a fetch in a process of its own.

    to it       lists of jobs, and none at the end
    from it     lists of what the share says (`share.Said`), to the end of the pipe

Its process always reads, so nobody waits for a process that waits for him.
"""

import gc
import pickle
import signal
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from cnlw_tools.executor import local
from cnlw_tools.fetch.options import Manners
from cnlw_tools.fetch.schedule import Job
from cnlw_tools.fetch.worker import Said, Share
from cnlw_tools.store.store import Ledger

LEAVE = 2.0  # seconds in which a process ends that was told to, beside those of a connection
PAUSE = (
    0.01  # seconds in which what is sent together accumulates: each message wakes a thread there
)


class Died(OSError):
    """A process ended that was not told to."""


class Post:
    """The sending end of a pipe, for many threads; that nobody is there any more is for who reads to see."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe, self.ended = pipe, False
        self.letters: list[Any] = []
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._send, daemon=True)
        self.thread.start()

    def put(self, letter: Any) -> None:
        """Send something, with what else comes within the pause."""
        with self.changed:
            self.letters.append(letter)
            if len(self.letters) == 1:
                self.changed.notify()

    def end(self, seconds: float) -> None:
        """Send what is left, and none; wait so many seconds for one who does not read."""
        with self.changed:
            self.ended = True
            self.changed.notify()
        self.thread.join(seconds)

    def _send(self) -> None:
        with suppress(OSError):
            while self._wait():
                time.sleep(PAUSE)
                with self.changed:
                    letters, self.letters = self.letters, []
                self.pipe.send(letters)
            self.pipe.send(None)

    def _wait(self) -> bool:
        with self.changed:
            self.changed.wait_for(lambda: self.letters or self.ended)
            return bool(self.letters)


class Away:
    """What stands here for a share that is elsewhere."""

    def __init__(
        self,
        folder: Path,
        manners: Manners,
        workers: int,
        say: Callable[[Said], None],
        which: tuple[int, int],
    ) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.say, self.manners, self.ended = say, manners, False
        self.process = context.Process(
            target=_serve, args=(theirs, folder, manners, workers, which), daemon=True
        )
        resource_tracker.ensure_running()  # else it is begun below, and would undo what follows
        before = signal.pthread_sigmask(
            signal.SIG_BLOCK, {signal.SIGINT}
        )  # a child of one who is deaf is deaf
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self.post = Post(self.pipe)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def add(self, job: Job) -> None:
        """Give a job to the share; one that has died says so itself."""
        self.post.put(job)

    def stop(self) -> None:
        """Let the share drop what is in flight, and its process end."""
        self.ended = True
        self.post.end(LEAVE)
        self.process.join(self.manners.limits.connect + LEAVE)
        self.process.kill()
        self.post.thread.join(LEAVE)
        self.reader.join(LEAVE)
        self.pipe.close()

    def _read(self) -> None:
        try:
            with suppress(EOFError, OSError):
                while letters := self.pipe.recv():
                    for said in letters:
                        self.say(said)
        finally:
            if not self.ended:
                self.say(
                    Died("a process that fetches died: give fewer --processes if memory ran out")
                )


def _serve(
    pipe: Connection, folder: Path, manners: Manners, workers: int, which: tuple[int, int]
) -> None:
    """Be a share, until the end is said, or until the process that began it is gone."""
    local.follow_parent()
    warnings.simplefilter("ignore")  # as in `run.fetch`
    gc.freeze()  # as in `cli.fetch`
    post = Post(pipe)
    with Ledger(folder) as ledger:
        share = Share(ledger, manners, workers, lambda said: post.put(_portable(said)), which)
        with suppress(EOFError):
            while jobs := pipe.recv():
                for job in jobs:
                    share.add(job)
        share.stop()
    post.end(LEAVE)


def _portable(said: Said) -> Said:
    """Return what can be sent: of an error that cannot, its text."""
    if isinstance(said, BaseException):
        try:
            pickle.loads(pickle.dumps(said))  # noqa: S301, our own
        except Exception:  # noqa: BLE001, whatever its class does
            return OSError(f"{type(said).__name__}: {said}")
    return said
