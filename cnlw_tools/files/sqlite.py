"""SQLite: a database that may be of another version, or no plain table at all.

A view, a trigger or a computed column runs a query when it is read or written, and such a query
may never end. So a database that is to be read holds one plain table and indexes of it.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from cnlw_tools.files.untrusted import BadFile


def read_columns(
    connection: sqlite3.Connection,
    path: Path,
    table: str,
    columns: Sequence[str],
) -> list[str]:
    """Return which of these columns a table has; none where the database is empty.

    Args:
        connection: of the database
        path: what errors call it
        table: its name
        columns: that it may have

    Raises:
        BadFile: the database holds something else than this table, or a column that it may not have
        sqlite3.Error: it cannot be read
    """
    sql = "SELECT type, name FROM sqlite_master WHERE type != 'index'"
    contents = connection.execute(sql).fetchall()
    infos = connection.execute(f"PRAGMA table_xinfo({table})").fetchall()
    others = [f"the {kind} {name}" for kind, name in contents if (kind, name) != ("table", table)]
    others += [f"the computed column {info[1]}" for info in infos if info[-1]]
    if others:
        raise BadFile(f"{path}: it contains {others[0]}, which no run writes: restore the file")
    names = [info[1] for info in infos]
    unknown = [name for name in names if name not in columns]
    if unknown:
        raise BadFile(
            f"{path}: column {unknown[0]!r}: a newer version of cnlw wrote this file: use that "
            "version"
        )
    return names
