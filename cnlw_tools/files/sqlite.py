"""SQLite: a database that may be of another version, damaged, or no plain table at all.

A view, a trigger or a computed column runs a query when it is read or written, and such a query
may never end. So a database that is to be read holds one plain table and nothing else.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cnlw_tools.files.untrusted import BadFile, check_regular

TIMEOUT = 30.0  # seconds to wait for a lock


def connect(path: Path, options: str = "") -> sqlite3.Connection:
    """Open a database; ``options`` are those of SQLite's addresses, such as ``mode=ro``.

    Raises:
        OSError: it cannot be opened
        BadFile: it is no regular file
    """
    if path.exists():
        check_regular(path)
    database = f"{path.resolve().as_uri()}?{options}" if options else str(path)
    with report_errors(path):
        return sqlite3.connect(
            database,
            timeout=TIMEOUT,
            isolation_level=None,
            check_same_thread=False,
            uri=bool(options),
        )


@contextmanager
def report_errors(path: Path) -> Iterator[None]:
    """Raise an OSError that names the file where the block raises a database error."""
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(f"{path}: {error}: make room on the disk, or restore the file") from error


def read_columns(
    connection: sqlite3.Connection,
    path: Path,
    table: str,
    columns: Sequence[str],
) -> list[str]:
    """Return which of these columns a table has, after insisting that it is the only thing there.

    Raises:
        BadFile: the database holds something else, or a column that is not on the list
        OSError: it cannot be read
    """
    with report_errors(path):
        contents = connection.execute(
            "SELECT type, name FROM sqlite_master WHERE type != 'index'"
        ).fetchall()
        infos = connection.execute(f"PRAGMA table_xinfo({table})").fetchall()
    others = [f"{kind} {name}" for kind, name in contents if (kind, name) != ("table", table)]
    is_computed = any(hidden for *_, hidden in infos)
    if others or is_computed or not contents:
        what = ", ".join(others) or f"no plain table {table}"
        raise BadFile(f"{path}: it holds {what}, which no run writes: restore the file")
    names = [info[1] for info in infos]
    unknown = [name for name in names if name not in columns]
    if unknown:
        raise BadFile(
            f"{path}: a newer version wrote it, with a column {unknown[0]!r}: "
            "update the package (pip install -U cnlw-tools)"
        )
    return names
