"""The ledger once more, as Parquet in the order of ids, for reading."""

from collections.abc import Sequence
from itertools import accumulate, islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cnlw_tools.files import atomic_write
from cnlw_tools.store.store import COLUMNS, Store

NAME = "ledger.parquet"
BLOCK = 2_000  # rows written at a time
TYPES = {
    "attempts": pa.int32(),
    "at": pa.timestamp("us", "UTC"),
    "status": pa.int32(),
    "size": pa.int64(),
}
TYPES |= {"width": pa.int32(), "height": pa.int32(), "fingerprint": pa.binary()}
SCHEMA = pa.schema(
    [pa.field(name, TYPES.get(name, pa.string())) for name in COLUMNS if name != "mtime"]
)


def write(store: Store, new: bool = False) -> None:
    """Write the snapshot of a store beside its ledger, if there is something new.

    Args:
        store: what it is of
        new: rows were written just now; if not, those of a run that was killed are known by their time
    """
    path = store.folder / NAME
    ((newest,),) = store.query("SELECT max(at) FROM ledger")
    if not new and path.exists() and path.stat().st_mtime > (newest or 0.0):
        return
    rows = store.query(f"SELECT {', '.join(SCHEMA.names)} FROM ledger ORDER BY image_id")  # noqa: S608, our own names
    with atomic_write(path) as draft, pq.ParquetWriter(draft, SCHEMA, compression="zstd") as out:
        while block := list(islice(rows, BLOCK)):
            columns = [
                _column(values, field)
                for values, field in zip(zip(*block, strict=True), SCHEMA, strict=True)
            ]
            out.write_table(
                pa.Table.from_arrays(columns, schema=SCHEMA)
            )  # a batch would wait in memory for more


def _column(values: Sequence[Any], field: pa.Field) -> pa.Array:
    """Lay values out as Arrow does; its own function would import pandas, which takes as long as 500 images."""
    there = pa.py_buffer(np.packbits([value is not None for value in values], bitorder="little"))
    if field.type in (pa.string(), pa.binary()):
        data = [value.encode() if isinstance(value, str) else value or b"" for value in values]
        ends = np.fromiter(
            accumulate(map(len, data), initial=0), np.int32
        )  # an error where they would not fit
        return pa.Array.from_buffers(
            field.type, len(data), [there, pa.py_buffer(ends), pa.py_buffer(b"".join(data))]
        )
    scale = 1_000_000 if field.name == "at" else 1
    numbers = np.array(
        [int((value or 0) * scale) for value in values], f"i{field.type.bit_width // 8}"
    )
    return pa.Array.from_buffers(field.type, len(numbers), [there, pa.py_buffer(numbers)])
