"""A lease: by a file that all machines see, workers know that a command still wants their work.

    command    renews the lease: it writes another text into the file every second
    worker     looks at the file; it stops when the file is gone, or has not changed for a minute

So the lease ends when the command ends it or is asked to stop, and when the command was killed.
"""

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Self
from uuid import uuid4

from cnlw_tools.executor.signals import StopRequest

RENEW_SECONDS = 1.0
LEASE_SECONDS = 60.0  # without a renewal, after which a command counts as killed
NAME = ".cnlw-lease-{}"
OLD_SECONDS = 24 * 3600  # after which the file of a killed command is deleted, whatever clocks say


class Lease:
    """A file whose text changes as long as a command wants the work of others.

    Args:
        folder: that all machines see
        stop: a request to end the lease
    """

    def __init__(self, folder: Path, stop: StopRequest) -> None:
        self.path = folder / NAME.format(uuid4().hex)
        self.stop = stop
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        self._delete_old()
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self.thread.join()

    def end(self) -> None:
        """Ask all workers to stop."""
        self.ended.set()

    def _delete_old(self) -> None:
        """Delete the files of commands that were killed."""
        newest = self.path.stat().st_mtime
        for path in self.path.parent.glob(NAME.format("*")):
            with suppress(FileNotFoundError):  # its command has just ended
                if newest - path.stat().st_mtime > OLD_SECONDS:
                    path.unlink()

    def _renew(self) -> None:
        """Write until the end comes, and then delete the file."""
        n_renewals = 0
        while not self.stop.signal and not self.ended.wait(RENEW_SECONDS):
            n_renewals += 1
            with suppress(OSError):  # a fault that lasts ends the lease
                self.path.write_text(str(n_renewals), encoding="ascii")
        self.path.unlink(missing_ok=True)


class LeaseWatch:
    """Sees from another machine whether a lease has ended.

    Args:
        path: of the lease
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = ""
        self.renewed = time.monotonic()

    def has_ended(self) -> bool:
        """Return whether the file is gone, or has not changed for too long."""
        text = self.text
        try:
            text = self.path.read_text(encoding="ascii")
        except FileNotFoundError:
            return True
        except OSError:  # a fault that lasts ends the lease
            pass
        now = time.monotonic()
        if text != self.text:
            self.text, self.renewed = text, now
        return now - self.renewed > LEASE_SECONDS
