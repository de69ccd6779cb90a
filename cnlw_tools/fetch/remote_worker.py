"""A worker in a process of its own.

    to the process      lists of jobs, then None
    from the process    lists of the worker's messages (`worker.WorkerMessage`), then None

Both sides always read, so neither waits for a process that waits for it.
"""

import gc
import pickle
import threading
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from cnlw_tools.executor import local
from cnlw_tools.executor.fork_server import FETCH_MODULES, PROCESSES, start_fork_server
from cnlw_tools.executor.signals import ignore_interrupts
from cnlw_tools.fetch.options import FetchOptions
from cnlw_tools.fetch.resources import FetchMemory, return_freed_memory
from cnlw_tools.fetch.schedule import FetchJob
from cnlw_tools.fetch.worker import Report, Worker, WorkerMessage, WorkerNumber
from cnlw_tools.files.machine_faults import MachineFault, start_thread
from cnlw_tools.store.store import Ledger

Message = TypeVar("Message", bound=WorkerMessage)

EXIT_TIMEOUT = 2.0  # seconds that a process or thread has to end, in addition to a connect timeout
COLLECT_INTERVAL = 0.05  # seconds; messages of this time are sent together: each sending costs time
FIRST_INTERVAL = 0.004  # seconds; the first messages are sent sooner, since somebody waits for them


class WorkerDied(OSError):
    """The process of a worker ended unexpectedly."""


class Outbox:
    """Sends messages from many threads through a pipe, several at a time.

    It ignores that the other end is closed; the reader of the pipe will notice.
    """

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self.closed = False
        self.messages: list[Any] = []
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._send, daemon=True)
        start_thread(self.thread)

    def put(self, messages: Sequence[Any]) -> None:
        """Send messages soon, together with others."""
        with self.changed:
            self.messages += messages
            self.changed.notify()

    def close(self, timeout: float) -> None:
        """Send the remaining messages and then None; wait at most ``timeout`` seconds for that."""
        with self.changed:
            self.closed = True
            self.changed.notify()
        self.thread.join(timeout)

    def _send(self) -> None:
        interval = FIRST_INTERVAL
        with suppress(OSError):
            while self._wait_for_messages():
                time.sleep(interval)
                interval = min(2 * interval, COLLECT_INTERVAL)
                with self.changed:
                    messages = self.messages
                    self.messages = []
                self.pipe.send(messages)
            self.pipe.send(None)

    def _wait_for_messages(self) -> bool:
        """Wait for a message or the end of the outbox; return whether there is a message."""
        with self.changed:
            self.changed.wait_for(lambda: self.messages or self.closed)
            return bool(self.messages)


class RemoteWorker:
    """Starts a worker in another process, and offers the methods of `Worker` in this process."""

    def __init__(
        self,
        folder: Path,
        options: FetchOptions,
        n_threads: int,
        report: Report,
        number: WorkerNumber,
        memory: FetchMemory,
    ) -> None:
        """Start the process.

        Args:
            folder: the store
            options: how to fetch
            n_threads: as many requests are made at once
            report: is called, in a thread of this process, with the worker's messages
            number: which of several workers this is
            memory: what the requests of all processes share

        Raises:
            OSError: this machine allows no further process or thread
        """
        context = PROCESSES
        self.pipe, remote_pipe = context.Pipe()
        self.options = options
        self.report = report
        self.stopped = False
        arguments = (remote_pipe, folder, options, n_threads, number, memory)
        self.process = context.Process(target=_run_worker, args=arguments, daemon=True)
        start_fork_server(FETCH_MODULES)
        with ignore_interrupts():
            self.process.start()
        remote_pipe.close()
        self.reader = threading.Thread(target=self._read, daemon=True)
        try:
            self.outbox = Outbox(self.pipe)
            start_thread(self.reader)
        except MachineFault:
            self.process.kill()
            raise

    def add(self, jobs: Sequence[FetchJob]) -> None:
        """Send jobs to the worker; that its process has died is reported by the reader."""
        self.outbox.put(jobs)

    def stop(self) -> None:
        """Abort the requests in flight and end the process."""
        self.stopped = True
        self.outbox.close(EXIT_TIMEOUT)
        self.process.join(self.options.limits.connect_timeout + EXIT_TIMEOUT)
        self.process.kill()
        self.outbox.thread.join(EXIT_TIMEOUT)
        self.reader.join(EXIT_TIMEOUT)
        self.pipe.close()

    def _read(self) -> None:
        """Report the worker's messages until the pipe is closed."""
        try:
            with suppress(EOFError, OSError):
                while messages := self.pipe.recv():
                    for message in messages:
                        self.report(message)
        finally:
            if not self.stopped:
                error = "a worker process died: give fewer --workers if memory ran out"
                self.report(WorkerDied(error))


def _run_worker(
    pipe: Connection,
    folder: Path,
    options: FetchOptions,
    n_threads: int,
    number: WorkerNumber,
    memory: FetchMemory,
) -> None:
    """Run a worker in this process, until None is received or the parent process is gone."""
    try:
        _serve(pipe, folder, options, n_threads, number, memory)
    except OSError as error:  # before there was a worker that could report it
        with suppress(OSError):
            pipe.send([make_picklable(error)])


def _serve(
    pipe: Connection,
    folder: Path,
    options: FetchOptions,
    n_threads: int,
    number: WorkerNumber,
    memory: FetchMemory,
) -> None:
    local.follow_parent()
    warnings.simplefilter("ignore")  # as in `run.fetch`
    gc.freeze()  # as in `cli.fetch`, and so is the next line
    return_freed_memory()
    outbox = Outbox(pipe)

    def report(message: WorkerMessage) -> None:
        outbox.put([make_picklable(message)])

    with Ledger(folder) as ledger:
        worker = Worker(ledger, options, n_threads, report, number, memory)
        with suppress(EOFError):
            while jobs := pipe.recv():
                worker.add(jobs)
        worker.stop()
    outbox.close(EXIT_TIMEOUT)


def make_picklable(message: Message) -> Message | OSError:
    """Return a message that can be pickled: for some errors, an OSError with their text."""
    if isinstance(message, BaseException):
        try:
            pickle.loads(pickle.dumps(message))  # noqa: S301, our own
        except Exception:  # noqa: BLE001, its class decides what is raised
            return OSError(f"{type(message).__name__}: {message}")
    return message
