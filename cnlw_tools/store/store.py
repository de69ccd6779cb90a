"""An image store is a folder of image files with a ledger, which records the outcome of every URL.

    STORE/ledger.sqlite      the ledger, an SQLite database; it stays intact if a command is killed
    STORE/ledger.parquet     a copy of the ledger for other programs, made by the last fetch
    STORE/images/3f/3f2...   the image files, named by the sha256 of the image id
    STORE/drafts/            files that are being written

`cnlw fetch` writes an image file to drafts/, moves it to images/, and then adds a row to the
ledger. If the outcome of a row is `ok`, the file is therefore complete. A power failure may still
damage a file, so every read compares the sha256 of the file with the ledger. When `cnlw fetch`
starts, it looks for files whose size or modification time differs from the ledger. If only the time
differs, it also compares the sha256. The command fetches damaged files again. While it runs, it
locks the folder, so no other fetch can write to the store.

By default, the files are the originals. With `cnlw fetch --keep 84`, they are resized images,
exactly as a build with `--size 84` stores them. A store holds either originals or files that were
resized in the same way. In the ledger, the columns `kept` and `kept_*` describe a resized file;
`sha256`, `size`, `format`, `width`, `height` and `fingerprint` describe the original.
"""

import os
import shutil
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from hashlib import sha256
from operator import attrgetter
from pathlib import Path
from reprlib import Repr
from typing import Any, NamedTuple, Self, get_args, get_type_hints

from cnlw_tools.files import link_or_copy, remove_drafts
from cnlw_tools.files.locks import lock
from cnlw_tools.files.machine_faults import MachineFault, find_fault
from cnlw_tools.files.sqlite import read_columns
from cnlw_tools.files.untrusted import BadFile, check_regular
from cnlw_tools.images.pixels import KeptPicture, Storage

SHORT = Repr()
SHORT.maxstring = SHORT.maxother = 80  # characters of a value that an error shows
LEDGER = "ledger.sqlite"
PLACES = "places"  # the table of where images are in a pack; see pack.py
PLACE_COLUMNS = ("image_id", "file", "row_group")
DRAFTS = "drafts"
BLOCK_ROWS = 2_000  # rows read at a time


@dataclass(slots=True)  # not frozen: to make a row would take three times as long
class Row:
    """A row of the ledger: the outcome of one URL."""

    image_id: str  # the id of the image
    uri: str | None  # the URL of the image in the manifest
    outcome: str  # the outcome: a name from the list of outcomes below
    reason: str | None  # why there is no image
    attempts: int  # the number of requests, over all fetches
    timestamp: float  # the time of the outcome, in seconds since 1970
    final_uri: str | None = None  # the URL after redirects
    status: int | None = None  # the HTTP status
    licence: str | None = None  # the manifest's columns on licences and authors, as JSON
    sha256: str | None = None  # the sha256 of the original
    size: int | None = None  # the size of the original, in bytes
    format: str | None = None  # the format of the original: jpeg, png ...
    width: int | None = None  # the width of the original, in pixels
    height: int | None = None  # the height of the original, in pixels
    # a code computed from the pixels; images that look alike have similar codes
    fingerprint: bytes | None = None
    mtime: int | None = None  # the modification time of the file, in nanoseconds since 1970
    # where the bytes are from: uri (the URL), archive (a web archive with a copy of a dead link)
    # or img2dataset (its output, which is re-encoded)
    source: str | None = None
    # the options with which the file was resized, and which a build must use, too; null for an
    # original
    kept: str | None = None
    kept_sha256: str | None = None  # the sha256 of the resized file, if there is one
    kept_size: int | None = None  # the size of the resized file, in bytes
    kept_format: str | None = None  # the format of the resized file

    @property
    def file_sha256(self) -> str | None:
        """Return the sha256 of the file."""
        return self.kept_sha256 if self.kept else self.sha256

    @property
    def file_size(self) -> int | None:
        """Return the bytes of the file."""
        return self.kept_size if self.kept else self.size

    @property
    def file_format(self) -> str | None:
        """Return the format of the file."""
        return self.kept_format if self.kept else self.format


class ChangedImage(OSError):
    """The file of an image is not what its ledger says."""


class State(NamedTuple):
    """What a fetch needs to know of a row."""

    outcome: str
    attempts: int
    timestamp: float
    file_intact: bool  # the file is there as it was written, or the row has no file


FIELDS = tuple(field.name for field in fields(Row))
COLUMN_OF_FIELD = {"outcome": "class", "timestamp": "at"}  # all other columns have the field's name
COLUMNS = tuple(COLUMN_OF_FIELD.get(name, name) for name in FIELDS)
FINGERPRINT_BYTES = 16
row_values = attrgetter(*FIELDS)


def _field_types() -> list[tuple[type, ...]]:
    """Return the types that the values of each field may have; a whole number may be a float."""
    hints = get_type_hints(Row)
    types = []
    for name in FIELDS:
        members = get_args(hints[name]) or (hints[name],)
        types.append((*members, int) if hints[name] is float else members)
    return types


FIELD_TYPES = _field_types()


def _question_marks(n: int) -> str:
    """Return n question marks, for the values of an SQL query."""
    return ", ".join("?" * n)


INSERT = (
    f"INSERT OR REPLACE INTO ledger ({', '.join(COLUMNS)}) "  # noqa: S608, our names
    f"VALUES ({_question_marks(len(COLUMNS))})"
)


def usual_store(dataset: str) -> Path:
    """Return where `cnlw fetch` keeps the web images of a dataset if no other place is given."""
    return Path("stores") / dataset


def is_store(folder: Path) -> bool:
    """Return whether there is an image store in a folder."""
    return (folder / LEDGER).is_file()


class Store:
    """A store of web images that is open for reading, as `open_store` returns it.

    The ledger of a store has a row for each image id with an outcome. Use the store in a ``with``
    statement, which closes the ledger.
    """

    remedy = "run `cnlw fetch` to fetch it again"  # where the file of an image has changed

    def __init__(self, folder: Path | str, ledger: str = LEDGER) -> None:
        """Open a store.

        Args:
            folder: of the store
            ledger: name of its ledger

        Raises:
            OSError: there is no store in the folder, or its ledger cannot be opened
        """
        folder = Path(folder)
        path = folder / ledger
        if not path.is_file():
            raise FileNotFoundError(
                f"{folder}: there is no image store here ({ledger} is missing): make one with "
                "`cnlw fetch`"
            )
        self.folder = folder
        self.ledger_path = path
        mode = "?mode=ro"
        if not os.access(folder, os.W_OK):
            mode += "&immutable=1"  # SQLite cannot write the small file that readers share
        self.lock = threading.RLock()  # one thread at a time uses the connection
        self.connection, self.columns = _open_database(path, path.resolve().as_uri() + mode)

    @property
    def place(self) -> Path | str:
        """The folder or the address of the store."""
        return self.folder

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def read(self, image_id: str) -> bytes:
        """Return the bytes of an image file: the original, or its resized copy.

        Raises:
            LookupError: the store has no image with this id; the message says why
            OSError: the file is damaged or missing
        """
        return self._read_file(self.read_row(image_id))

    def read_picture(self, image_id: str) -> bytes | KeptPicture:
        """Return an image in the form that a build needs.

        Returns:
            the bytes of the original file; if the fetch resized the image, a `KeptPicture` with
                the bytes of the resized file and the sha256 of the original

        Raises:
            LookupError: the store has no image with this id; the message says why
            OSError: the file is damaged or missing
        """
        row = self.read_row(image_id)
        data = self._read_file(row)
        if not row.kept:
            return data
        return KeptPicture(data, row.kept, str(row.sha256))

    def check_use(self, storage: Storage) -> None:
        """Check that a build can use the images of the store.

        Args:
            storage: how the build stores images

        Raises:
            ValueError: images of the store were resized with options other than those of the build
        """
        for kept in self.read_kept():
            if kept not in (None, storage.options):
                keep = "" if storage.size is None else f" {_keep_options(storage.options)}"
                raise ValueError(
                    f"{self.place}: its images were resized for builds with {kept}, but this "
                    f"build has {storage.options}: build with those options, or fetch the images "
                    f"again with `cnlw fetch --store NEW{keep}`"
                )

    def copy_ledger(self, path: Path) -> None:
        """Write a copy of the ledger as an SQLite file.

        Ledgers with the same rows give byte-identical files.
        """
        with _report_database_errors(self.ledger_path):
            self.connection.execute("VACUUM INTO ?", [str(path)])

    def read_kept(self) -> list[str | None]:
        """Return the resize options that were used for images in the store.

        The list has one entry for each combination of options. None stands for originals, which
        were not resized. `cnlw fetch` refuses to mix combinations, so a store normally has only
        one.
        """
        images = f"SELECT {self.columns} FROM ledger WHERE class = 'ok'"  # noqa: S608, our names
        sql = f"SELECT DISTINCT kept FROM ({images}) ORDER BY kept"  # noqa: S608, our names
        return [kept for (kept,) in self.query(sql)]

    def _read_file(self, row: Row) -> bytes:
        """Return the file of a row."""
        image_id = row.image_id
        if row.outcome != "ok":
            raise LookupError(
                f"{self.place}: there is no image {image_id!r} here, because its fetch ended "
                f"with {row.outcome}, "
                f"{row.reason}"
            )
        data = self._read_bytes(row)
        if sha256(data).hexdigest() != row.file_sha256:
            raise ChangedImage(
                f"{self.place}: the file of image {image_id!r} has changed: {self.remedy}"
            )
        return data

    def _read_bytes(self, row: Row) -> bytes:
        """Return the file of a row, whatever it holds."""
        return self.image_path(row.image_id, str(row.file_format)).read_bytes()

    def has_image(self, image_id: str) -> bool:
        """Return whether the store has an image with this id."""
        sql = "SELECT 1 FROM ledger WHERE image_id = ? AND class = 'ok'"
        return next(self.query(sql, [image_id]), None) is not None

    def image_ids(self) -> list[str]:
        """Return the ids of all images in the store, sorted."""
        sql = "SELECT image_id FROM ledger WHERE class = 'ok' ORDER BY image_id"
        return [image_id for (image_id,) in self.query(sql)]

    def copy_image(self, row: Row, path: Path) -> None:
        """Create a link at ``path`` to the image file of a row, or a copy if links are impossible.

        Raises:
            OSError: the file cannot be read or written
        """
        link_or_copy(self.image_path(row.image_id, str(row.file_format)), path)

    def image_path(self, image_id: str, format: str) -> Path:
        """Return the path of an image file in the store, whether or not this file exists."""
        return Path(self._image_path(image_id, format))

    def _image_path(self, image_id: str, format: str) -> str:
        """Return the same as text: to make a `Path` takes longer than to write a file."""
        name = sha256(image_id.encode()).hexdigest()
        return f"{self.folder}/images/{name[:2]}/{name}.{format}"

    def read_row(self, image_id: str) -> Row:
        """Return the row of an image id in the ledger.

        Raises:
            LookupError: the ledger has no row with this id
        """
        sql = f"SELECT {self.columns} FROM ledger WHERE image_id = ?"  # noqa: S608, our names
        values = next(self.query(sql, [image_id]), None)
        if values is None:
            raise LookupError(
                f"{self.place}: image {image_id!r} was never fetched: run `cnlw fetch` first"
            )
        return self._make_row(values)

    def rows(self) -> Iterator[Row]:
        """Yield all rows of the ledger, sorted by image id."""
        sql = f"SELECT {self.columns} FROM ledger ORDER BY image_id"  # noqa: S608, our names
        for values in self.query(sql):
            yield self._make_row(values)

    def rows_as_stored(self) -> Iterator[Row]:
        """Yield all rows of the ledger in the order that makes reading their images fastest."""
        return self.rows()

    def select(self, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield the values of these columns for all rows of the ledger, sorted by image id."""
        sql = f"SELECT {', '.join(columns)} FROM ledger ORDER BY image_id"  # noqa: S608, our names
        yield from self.query(sql)

    def read_states(self, image_ids: Sequence[str]) -> Mapping[str, State]:
        """Return the state of each image id; ids without a row in the ledger are left out."""
        question_marks = _question_marks(len(image_ids))
        condition = f"image_id IN ({question_marks})"
        sql = f"SELECT {self.columns} FROM ledger WHERE {condition}"  # noqa: S608, our names
        states: dict[str, State] = {}
        for values in self.query(sql, image_ids):
            row = self._make_row(values)
            intact = self._file_intact(row)
            states[row.image_id] = State(row.outcome, row.attempts, row.timestamp, intact)
        return states

    def fingerprints(self) -> Iterator[tuple[str, str, bytes]]:
        """Yield id, sha256 and fingerprint (16 bytes) of every image, sorted by id."""
        sql = (
            "SELECT image_id, sha256, fingerprint FROM ledger WHERE class = 'ok' ORDER BY image_id"
        )
        for image_id, digest, fingerprint in self.query(sql):
            if not isinstance(fingerprint, bytes) or len(fingerprint) != FINGERPRINT_BYTES:
                raise self._bad_value(image_id, "fingerprint", fingerprint)
            yield image_id, digest, fingerprint

    def shared_files(self, min_ids: int) -> dict[str, int]:
        """Return the files shared by at least ``min_ids`` image ids.

        The keys are the sha256 of the files, and the values are numbers of image ids.
        """
        sql = (
            "SELECT sha256, count(*) FROM ledger WHERE class = 'ok' "
            "GROUP BY 1 HAVING count(*) >= ? ORDER BY 2 DESC"
        )
        return dict(self.query(sql, [min_ids]))

    def count_outcomes(self) -> Counter[str]:
        """Return the number of rows with each outcome, the most common outcome first."""
        sql = "SELECT class, count(*) FROM ledger GROUP BY class ORDER BY 2 DESC"
        return Counter(dict(self.query(sql)))

    def common_reasons(self, limit: int) -> list[tuple[str, str, int]]:
        """Return the most common reasons for failures, at most ``limit`` of them.

        Each entry has the outcome, the reason and the number of rows.
        """
        sql = (
            "SELECT class, reason, count(*) FROM ledger WHERE class != 'ok' AND reason != '' "
            "GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT ?"
        )
        return list(self.query(sql, [limit]))

    def some_uris(self, n: int, is_refused: bool) -> list[str]:
        """Return the URIs of at most n rows.

        If ``is_refused`` is true, the rows have the outcome `refused`; otherwise, they
        have any other outcome.
        """
        sql = "SELECT uri FROM ledger WHERE (class = 'refused') = ? ORDER BY image_id LIMIT ?"
        return [uri for (uri,) in self.query(sql, [is_refused, n]) if uri]

    def answered_uris(self, n: int) -> list[str]:
        """Return the URIs, after redirects, of the n latest requests that a host answered."""
        sql = "SELECT final_uri FROM ledger WHERE status IS NOT NULL ORDER BY at DESC LIMIT ?"
        return [uri for (uri,) in self.query(sql, [n]) if uri]

    def count_images_with_sha256(self, digests: Sequence[str]) -> int:
        """Return the number of images whose original file has one of these sha256 digests."""
        question_marks = _question_marks(len(digests))
        condition = f"class = 'ok' AND sha256 IN ({question_marks})"
        sql = f"SELECT count(*) FROM ledger WHERE {condition}"  # noqa: S608, only marks
        ((n_images,),) = self.query(sql, digests)
        return int(n_images)

    def count_foreign_sources(self) -> dict[str, int]:
        """Return the number of images from each source other than the URL in the manifest.

        The keys are archive (a web archive) and img2dataset (an import from its output).
        """
        sql = (
            "SELECT source, count(*) FROM ledger WHERE class = 'ok' AND source != 'uri' "
            "GROUP BY 1 ORDER BY 1"
        )
        return dict(self.query(sql))

    def newest_timestamp(self) -> float:
        """Return the time of the latest outcome in seconds since 1970; 0 if there are no rows."""
        ((timestamp,),) = self.query("SELECT max(at) FROM ledger")
        if not isinstance(timestamp, float | int | None):
            raise self._bad_value("of the newest row", "timestamp", timestamp)
        return timestamp or 0.0

    def query(self, sql: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows that an SQL query of the ledger returns, without loading them all at once.

        Several threads may call this method at the same time. A lock lets only one of them use the
        database at a time, because Python 3.12 caches the statements of a connection, and two
        threads that run the same statement would otherwise get errors or wrong rows.
        """
        with _report_database_errors(self.ledger_path):
            with self.lock:
                cursor = self.connection.execute(sql, values)
            try:
                while rows := self._fetch_block(cursor):
                    yield from rows
            finally:
                with self.lock:
                    cursor.close()

    def _fetch_block(self, cursor: sqlite3.Cursor) -> list[tuple[Any, ...]]:
        with self.lock:
            return cursor.fetchmany(BLOCK_ROWS)

    def _make_row(self, values: Sequence[Any]) -> Row:
        """Return the row of these values; a BadFile if one is of a type that no run writes."""
        for name, value, types in zip(FIELDS, values, FIELD_TYPES, strict=True):
            if not isinstance(value, types):
                raise self._bad_value(values[0], name, value)
        row = Row(*values)
        if row.format is not None and not row.format.isalnum():  # it becomes part of a path
            raise self._bad_value(row.image_id, "format", row.format)
        if row.kept_format is not None and not row.kept_format.isalnum():
            raise self._bad_value(row.image_id, "kept_format", row.kept_format)
        return row

    def _bad_value(self, image_id: Any, name: str, value: Any) -> BadFile:
        return BadFile(
            f"{self.ledger_path}: image {image_id!r}: {name} is {SHORT.repr(value)}, "
            "which cnlw never writes there: restore the file, or delete this row and fetch again"
        )

    def _file_intact(self, row: Row) -> bool:
        if row.outcome != "ok":
            return True
        path = self.image_path(row.image_id, str(row.file_format))
        try:
            stat = path.stat()
            if stat.st_size != row.file_size:
                return False
            if stat.st_mtime_ns == row.mtime:
                return True
            return sha256(path.read_bytes()).hexdigest() == row.file_sha256
        except OSError:
            return False


class Ledger(Store):
    """An image store opened for writing, by several threads and by the processes of one fetch.

    Only `open_ledger` and the processes that it covers may make one, as nothing is locked here.
    """

    def __init__(self, folder: Path, exclusive: bool = False) -> None:
        """Open the ledger of a folder.

        Args:
            folder: of the store
            exclusive: no other process opens it meanwhile. SQLite then needs no memory that
                processes share, which network disks do not have.

        Raises:
            OSError: it cannot be opened or written
        """
        self.folder = folder
        self.ledger_path = folder / LEDGER
        self.lock = threading.RLock()  # one thread at a time uses the connection
        if self.ledger_path.exists():
            check_regular(self.ledger_path)
        self.connection, self.columns = _open_database(self.ledger_path, str(self.ledger_path))
        with _report_database_errors(self.ledger_path):
            if exclusive:
                self.connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA synchronous = NORMAL")

    def check_keep(self, keep: Storage | None) -> None:
        """Check that files which are made like this may join those of the store.

        Args:
            keep: how originals are resized; None: they are stored as they come

        Raises:
            ValueError: the images of the store are of another kind
        """
        for kept in self.read_kept():
            if kept != (keep.options if keep else None):
                there = f"images resized for builds with {kept}" if kept else "originals"
                remedy = _keep_options(kept) if kept else "no --keep"
                raise ValueError(
                    f"{self.place}: this store holds {there}: give {remedy}, or another --store"
                )

    def write_row(self, row: Row) -> None:
        """Write a row, or replace the row of this image id; it is committed when this returns."""
        self.write_rows([row])

    def write_rows(self, rows: Sequence[Row]) -> None:
        """Write several rows, all of them or none; together they cost little more than one."""
        self.change((INSERT, map(row_values, rows)))

    def change(self, *statements: tuple[str, Iterable[Sequence[Any]]]) -> None:
        """Run statements, each for several rows of values: all of them or none."""
        with self.lock, _report_database_errors(self.ledger_path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                for sql, values in statements:
                    self.connection.executemany(sql, values)
                self.connection.execute("COMMIT")
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")

    def create_places(self) -> None:
        """Make the table of where images are in a pack, if it is not there."""
        columns = ", ".join(PLACE_COLUMNS)
        with _report_database_errors(self.ledger_path):
            self.connection.execute(
                f"CREATE TABLE IF NOT EXISTS {PLACES} ({columns}, PRIMARY KEY (image_id)) "
                "WITHOUT ROWID"
            )

    def take_ledger(self, store: Store) -> None:
        """Take all rows of a store, and the places of a pack, into this ledger, which is empty."""
        copy = self.folder / "source.sqlite"
        store.copy_ledger(copy)
        with _report_database_errors(copy):
            self.connection.execute("ATTACH ? AS source", [str(copy)])
            self._take_table("ledger", COLUMNS, store.columns)
            if self.connection.execute(f"PRAGMA source.table_info({PLACES})").fetchall():
                self._take_table(PLACES, PLACE_COLUMNS, ", ".join(PLACE_COLUMNS))
            self.connection.execute("DETACH source")
        copy.unlink()

    def _take_table(self, table: str, names: Sequence[str], columns: str) -> None:
        """Copy a table of the attached database; ``columns`` is what is selected for the names."""
        rows = f"SELECT {columns} FROM source.{table} ORDER BY image_id"  # noqa: S608, our names
        self.connection.execute(f"INSERT INTO {table} ({', '.join(names)}) {rows}")

    def write_image(self, image_id: str, format: str, data: bytes) -> int:
        """Write the file of an image atomically; return its modification time in nanoseconds."""
        path = self._image_path(image_id, format)
        name = path.rpartition("/")[2]
        draft = f"{self.folder}/{DRAFTS}/{os.getpid()}-{name}"
        try:
            mtime = _write_file(draft, data)
            try:
                os.replace(draft, path)  # noqa: PTH105, see `_image_path`
            except FileNotFoundError:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                os.replace(draft, path)  # noqa: PTH105, see `_image_path`
        except OSError as error:  # a full disk concerns all files of the folder
            raise OSError(error.errno, error.strerror, str(self.folder)) from error
        return mtime


@contextmanager
def open_ledger(folder: Path, exclusive: bool = False) -> Iterator[Ledger]:
    """Open the store of a folder for writing, and lock it; make the store if there is none.

    Args:
        folder: of the store
        exclusive: see `Ledger`

    Raises:
        OSError: the folder holds something else, or another fetch is running there
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"{folder} cannot be created ({error.strerror}): choose another --store"
        ) from error
    handle = lock(
        folder,
        f"{folder}: another fetch is running here: wait for it, or choose another --store",
    )
    try:
        if not (folder / LEDGER).exists() and any(folder.iterdir()):
            raise FileExistsError(
                f"{folder} contains something that is not an image store: choose another --store"
            )
        with Ledger(folder, exclusive) as ledger:
            _create_table(ledger)
            _remove_leftovers(folder)
            yield ledger
    finally:
        os.close(handle)


def _keep_options(options: str) -> str:
    """Return the options of `cnlw fetch` for images of builds with these options."""
    return options.replace("--size", "--keep")


def _create_table(ledger: Ledger) -> None:
    """Make the table of the ledger, or add the columns that stores of an earlier version lack."""
    columns = ", ".join(COLUMNS)
    with _report_database_errors(ledger.ledger_path):
        ledger.connection.execute(
            f"CREATE TABLE IF NOT EXISTS ledger ({columns}, PRIMARY KEY (image_id)) WITHOUT ROWID"
        )
        table_info = ledger.connection.execute("PRAGMA table_info(ledger)")
        names = [info[1] for info in table_info]
        for name in COLUMNS:
            if name not in names:
                ledger.connection.execute(f"ALTER TABLE ledger ADD COLUMN {name}")
    ledger.columns = ", ".join(COLUMNS)


def _remove_leftovers(folder: Path) -> None:
    """Delete the unfinished files of a run that was killed."""
    remove_drafts(folder)
    drafts = folder / DRAFTS
    shutil.rmtree(drafts, ignore_errors=True)
    drafts.mkdir(exist_ok=True)


def _write_file(path: str, data: bytes) -> int:
    """Write a file with as few system calls as possible; return its modification time."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        remaining = memoryview(data)
        while remaining:
            n_bytes = os.write(descriptor, remaining)
            remaining = remaining[n_bytes:]
        return os.fstat(descriptor).st_mtime_ns
    except OSError:
        Path(path).unlink()  # on a full disk every byte counts
        raise
    finally:
        os.close(descriptor)


def _open_database(path: Path, database: str) -> tuple[sqlite3.Connection, str]:
    """Return a connection, and what to select for the fields of a row."""
    connection = _connect(path, database)
    try:
        return connection, _sql_columns(path, connection)
    except BaseException:
        connection.close()
        raise


def _sql_columns(path: Path, connection: sqlite3.Connection) -> str:
    """Return what to select for the fields of a row; stores of an earlier version lack some.

    Raises:
        BadFile: the ledger is not a table of this version
        OSError: it cannot be read
    """
    with _report_database_errors(path):
        names = read_columns(connection, path, "ledger", COLUMNS, [PLACES])
        read_columns(connection, path, PLACES, PLACE_COLUMNS, ["ledger"])
    present = [name if name in names else f"NULL AS {name}" for name in COLUMNS]
    return ", ".join(present if names else COLUMNS)


def _connect(path: Path, database: str) -> sqlite3.Connection:
    with _report_database_errors(path):
        return sqlite3.connect(
            database,
            timeout=30.0,
            isolation_level=None,
            check_same_thread=False,
            uri=database.startswith("file:"),
        )


@contextmanager
def _report_database_errors(path: Path) -> Iterator[None]:
    """Raise an OSError that names the ledger's file where the block raises a database error.

    It is a `MachineFault` where the disk or this machine is at fault, not the file.
    """
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the second: a name that is not UTF-8
        if fault := find_fault(error):
            raise MachineFault(f"{path}: {fault}") from error
        raise OSError(f"{path} cannot be read ({error}): restore the file from a copy") from error
