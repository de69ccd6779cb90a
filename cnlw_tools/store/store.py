"""The image store: original bytes by image id, and a ledger of what became of every URL.

    STORE/ledger.sqlite      the truth: one row an image id, in a database that no kill can break
    STORE/ledger.parquet     the same, for reading, as of the end of the last run
    STORE/images/3f/3f2...  the files, named by the sha256 of their image id; no id becomes a path
    STORE/drafts/            files that are being written

A file is written aside, renamed, and only then has a row, so what the ledger calls ok is there as a whole. After a
loss of power a file may still be wrong: every read compares its sha256, and every run its size and time (its sha256
where the time differs); what does not agree is not believed, and fetched again. A fetch locks the folder itself.
"""

import fcntl
import os
import shutil
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from hashlib import sha256
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple, Self

from cnlw_tools.files import TEMPORARY_PREFIX

LEDGER = "ledger.sqlite"
BLOCK = 2_000  # rows read at a time


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one URL."""

    image_id: str
    uri: str | None
    kind: str  # see outcomes.py; the ledger calls it class
    reason: str | None
    attempts: int  # requests for the image, over all runs
    at: float  # seconds since 1970
    final_uri: str | None = None
    status: int | None = None
    licence: str | None = None  # JSON of what the manifest says of it
    sha256: str | None = None
    size: int | None = None  # bytes
    format: str | None = None
    width: int | None = None
    height: int | None = None
    fingerprint: bytes | None = None
    mtime: int | None = None  # of the file, in nanoseconds
    source: str | None = (
        None  # of the bytes: uri | archive | img2dataset, as it stored them, not as they came
    )


class State(NamedTuple):
    """What a run needs to know of a row."""

    kind: str
    attempts: int
    at: float
    believed: bool  # not ok, or its file is there as it was written


COLUMNS = tuple("class" if f.name == "kind" else f.name for f in fields(Row))
VALUES = attrgetter(*(f.name for f in fields(Row)))
TABLE = f"CREATE TABLE IF NOT EXISTS ledger ({', '.join(COLUMNS)}, PRIMARY KEY (image_id)) WITHOUT ROWID"
PUT = f"INSERT OR REPLACE INTO ledger VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608, our own names


class Store:
    """An image store, to read from; for writing see `open_ledger`."""

    def __init__(self, folder: Path) -> None:
        if not (folder / LEDGER).is_file():
            raise FileNotFoundError(
                f"{folder}: no image store here (there is no {LEDGER}): make one with `cnlw fetch`"
            )
        still = (
            "" if os.access(folder, os.W_OK) else "&immutable=1"
        )  # readers share a small file where they may
        self.folder = folder
        self.base = _connected(folder, f"{(folder / LEDGER).resolve().as_uri()}?mode=ro{still}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.base.close()

    def counts(self) -> Counter[str]:
        """Return how many images there are of each class."""
        return Counter(
            dict(self.query("SELECT class, count(*) FROM ledger GROUP BY class ORDER BY 2 DESC"))
        )

    def repeated(self, least: int) -> dict[str, int]:
        """Return the files that at least so many ids have in common, by sha256: placeholders, most likely."""
        ask = "SELECT sha256, count(*) FROM ledger WHERE class = 'ok' GROUP BY 1 HAVING count(*) >= ? ORDER BY 2 DESC"
        return dict(self.query(ask, (least,)))

    def row(self, image_id: str) -> Row:
        """Return what became of a URL; nothing yet is a LookupError."""
        found = next(self.query("SELECT * FROM ledger WHERE image_id = ?", (image_id,)), None)
        if found is None:
            raise LookupError(
                f"{self.folder}: image {image_id!r} was never fetched: run `cnlw fetch` first"
            )
        return Row(*found)

    def read(self, image_id: str) -> bytes:
        """Return the bytes of an image as they came.

        Raises:
            LookupError: it is not there; the message says why
            OSError: the file is not what was fetched
        """
        row = self.row(image_id)
        if row.kind != "ok":
            raise LookupError(
                f"{self.folder}: image {image_id!r} is not there: {row.kind}, {row.reason}"
            )
        data = self.path(row.image_id, str(row.format)).read_bytes()
        if sha256(data).hexdigest() != row.sha256:
            raise OSError(
                f"{self.folder}: the file of image {image_id!r} has changed: `cnlw fetch` fetches it again"
            )
        return data

    def has_image(self, image_id: str) -> bool:
        """Was this image fetched?"""
        ask = "SELECT 1 FROM ledger WHERE image_id = ? AND class = 'ok'"
        return next(self.query(ask, (image_id,)), None) is not None

    def image_ids(self) -> list[str]:
        """Return the ids of all images that were fetched, in order."""
        sql = "SELECT image_id FROM ledger WHERE class = 'ok' ORDER BY image_id"
        return [image_id for (image_id,) in self.query(sql)]

    def states(self, ids: Sequence[str]) -> Mapping[str, State]:
        """Return what is known of the URLs of these images."""
        ask = f"SELECT * FROM ledger WHERE image_id IN ({', '.join('?' * len(ids))})"  # noqa: S608, question marks
        rows = (Row(*found) for found in self.query(ask, ids))
        return {
            row.image_id: State(row.kind, row.attempts, row.at, self._believed(row)) for row in rows
        }

    def path(self, image_id: str, format: str) -> Path:
        """Return where the file of an image lies."""
        name = sha256(image_id.encode()).hexdigest()
        return Path(f"{self.folder}/images/{name[:2]}/{name}.{format}")

    def query(self, ask: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a question, some at a time."""
        with _said(self.folder), closing(self.base.execute(ask, values)) as cursor:
            while rows := cursor.fetchmany(BLOCK):
                yield from rows

    def _believed(self, row: Row) -> bool:
        if row.kind != "ok":
            return True
        path = self.path(row.image_id, str(row.format))
        try:
            there = path.stat()
            same = there.st_size == row.size
            return same and (
                there.st_mtime_ns == row.mtime
                or sha256(path.read_bytes()).hexdigest() == row.sha256
            )
        except OSError:
            return False


class Ledger(Store):
    """An image store to write to: for many threads, and for processes that one `open_ledger` has begun."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lock = folder, threading.Lock()
        self.base = _connected(folder, str(folder / LEDGER))
        with _said(folder):
            self.base.execute("PRAGMA journal_mode = WAL")
            self.base.execute("PRAGMA synchronous = NORMAL")

    def write_row(self, row: Row) -> None:
        """Note what became of a URL, at once and for good."""
        with self.lock, _said(self.folder):
            self.base.execute(PUT, VALUES(row))

    def write_image(self, image_id: str, format: str, data: bytes) -> int:
        """Write the file of an image, whole or not at all, and return its time in nanoseconds."""
        path = self.path(image_id, format)
        draft = Path(f"{self.folder}/drafts/{os.getpid()}-{path.name}")
        file, rest = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), memoryview(data)
        try:
            while rest:
                rest = rest[os.write(file, rest) :]
            mtime = os.fstat(file).st_mtime_ns
        finally:
            os.close(file)
        try:
            draft.replace(path)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.replace(path)
        return mtime


@contextmanager
def open_ledger(folder: Path) -> Iterator[Ledger]:
    """Give the store in a folder to this process alone, making it where there is none.

    Raises:
        OSError: the folder holds something else, or another fetch is at work there
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            busy = f"{folder}: another fetch is at work here: wait for it, or give another --store"
            raise BlockingIOError(busy) from None
        if not (folder / LEDGER).exists() and any(folder.iterdir()):
            raise FileExistsError(
                f"{folder}: holds something that is no image store: give another --store"
            )
        with Ledger(folder) as ledger:
            _prepare(ledger)
            yield ledger
    finally:
        os.close(lock)


def _prepare(ledger: Ledger) -> None:
    """Make the table where there is none, and remove what a run that was killed left behind."""
    with _said(ledger.folder):
        ledger.base.execute(TABLE)
        if "source" not in (row[1] for row in ledger.base.execute("PRAGMA table_info(ledger)")):
            ledger.base.execute(
                "ALTER TABLE ledger ADD COLUMN source"
            )  # a store of an earlier version
    for draft in ledger.folder.glob(f"{TEMPORARY_PREFIX}*"):
        draft.unlink()  # a snapshot that was not finished
    shutil.rmtree(ledger.folder / "drafts", ignore_errors=True)
    (ledger.folder / "drafts").mkdir(exist_ok=True)


def _connected(folder: Path, name: str) -> sqlite3.Connection:
    with _said(folder):
        return sqlite3.connect(
            name,
            timeout=30.0,
            isolation_level=None,
            check_same_thread=False,
            uri=name.startswith("file:"),
        )


@contextmanager
def _said(folder: Path) -> Iterator[None]:
    """Say what the database says as an error of the file that it is."""
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(f"{folder / LEDGER}: {error}: make room, or restore the file") from error
