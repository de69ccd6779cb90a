"""The snapshot: a copy of the ledger as a Parquet file, in the order of ids, for readers."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cnlw_tools.files import atomic_write
from cnlw_tools.files.arrow import keep_pandas_out
from cnlw_tools.files.untrusted import translate_errors
from cnlw_tools.store.store import COLUMNS, Store

SNAPSHOT = "ledger.parquet"
BLOCK_ROWS = 2_000  # rows written at a time
MICROSECONDS = 1_000_000  # in a second
TYPES = {  # all other columns are strings
    "attempts": pa.int32(),
    "at": pa.timestamp("us", "UTC"),
    "status": pa.int32(),
    "size": pa.int64(),
    "kept_size": pa.int64(),
    "width": pa.int32(),
    "height": pa.int32(),
    "fingerprint": pa.binary(),
}
SCHEMA = pa.schema(
    [(name, TYPES.get(name, pa.string())) for name in COLUMNS if name != "mtime"],
)


def write_snapshot(store: Store, has_new_rows: bool = False) -> None:
    """Write the snapshot of a store, unless it is up to date.

    Args:
        store: the store; the snapshot is written into its folder
        has_new_rows: this run wrote rows. If it is False, the snapshot is written only if there is
            none, or if a run that was killed left a row that is newer
    """
    path = store.folder / SNAPSHOT
    if not has_new_rows and path.exists() and path.stat().st_mtime > store.newest_timestamp():
        return
    with atomic_write(path) as draft:
        write_ledger_table(store, draft)


def write_ledger_table(store: Store, path: Path) -> None:
    """Write the ledger of a store as a Parquet file."""
    keep_pandas_out()
    rows = store.select(SCHEMA.names)
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        while block := list(islice(rows, BLOCK_ROWS)):
            # a table is written at once; a record batch would wait in memory for more
            with translate_errors(store.ledger_path, "a ledger", "restore the file"):
                table = _to_table(block)
            writer.write_table(table)


def _to_table(rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    columns = []
    for values, field in zip(zip(*rows, strict=True), SCHEMA, strict=True):
        columns.append(_to_array(values, field))
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _to_array(values: Sequence[Any], field: pa.Field) -> pa.Array:
    """Make an Arrow array from Python values, where None is null."""
    if field.name == "at":
        values = [None if seconds is None else int(seconds * MICROSECONDS) for seconds in values]
    return pa.array(values, field.type)
