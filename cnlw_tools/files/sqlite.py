"""SQLite: a database that may be of another version, or no plain table at all.

A view, a trigger or a computed column runs a query when it is read or written, and such a query
may never end. So a database that is to be read holds plain tables and indexes of them.
"""

import sqlite3
from collections.abc import Collection, Sequence
from pathlib import Path

from cnlw_tools.files.untrusted import BadFile


def read_columns(
    connection: sqlite3.Connection,
    path: Path,
    table: str,
    columns: Sequence[str],
    other_tables: Collection[str] = (),
) -> list[str]:
    """Return which of these columns a table has; none where there is no such table.

    Args:
        connection: of the database
        path: what errors call it
        table: its name
        columns: that it may have
        other_tables: that may be in the database, too; they are not looked at

    Raises:
        BadFile: the database holds something other than this table, or a column not allowed here
        sqlite3.Error: it cannot be read
    """
    sql = "SELECT type, name FROM sqlite_master WHERE type != 'index'"
    contents = connection.execute(sql).fetchall()
    infos = connection.execute(f"PRAGMA table_xinfo({table})").fetchall()
    tables = {table, *other_tables}
    unknown = []
    for kind, name in contents:
        if kind != "table" or name not in tables:
            unknown.append(f"the {kind} {name}")
    unknown += [f"the computed column {info[1]}" for info in infos if info[-1]]
    if unknown:
        raise BadFile(
            f"{path}: it contains {unknown[0]}, which cnlw never writes there: "
            "restore it from a copy"
        )
    names = [info[1] for info in infos]
    new_names = [name for name in names if name not in columns]
    if new_names:
        raise BadFile(
            f"{path}: column {new_names[0]!r}: a newer version of cnlw wrote this file: use that "
            "version"
        )
    return names
