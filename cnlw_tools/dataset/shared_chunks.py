"""Columns in chunks that several tables share: what is the same in two of them is kept once.

Ten nested levels of a recipe have the same slots in the same order. Where a level is clean, its
rows are those of level 0, and where it is noisy, those of the next level. So ten plans of n rows
take the room of about two, and a column of one value that of one chunk. This room is on the disk
(files/mapped.py): of a table of any length, memory holds what is being looked at.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cnlw_tools.dataset import hashing
from cnlw_tools.dataset.row_selection import take_values
from cnlw_tools.files.mapped import MappedFile

CHUNK_ROWS = 1 << 16


def store_values(column: pa.ChunkedArray, rows: NDArray[np.integer]) -> pa.ChunkedArray:
    """Return (k,) values of a column by their numbers, on the disk.

    Raises:
        OSError: the folder of temporary files is full
    """
    file = MappedFile()
    chunks = []
    for start in range(0, len(rows), CHUNK_ROWS):
        chunks.append(file.add(take_values(column, rows[start : start + CHUNK_ROWS])))
    return pa.chunked_array(chunks, column.type)


class ChunkStock:
    """The chunks of all columns that were given to it, each once."""

    def __init__(self) -> None:
        self._chunks: dict[tuple[str, str], pa.Array] = {}  # by type and digest
        self._file = MappedFile()

    def share(self, table: pa.Table) -> pa.Table:
        """Return the same table, of chunks that may also be those of other tables.

        Raises:
            OSError: the folder of temporary files is full
        """
        columns = []
        for field, column in zip(table.schema, table.columns, strict=True):
            starts = range(0, len(column), CHUNK_ROWS)
            chunks = [self._share_chunk(column.slice(start, CHUNK_ROWS)) for start in starts]
            columns.append(pa.chunked_array(chunks, field.type))
        return pa.table(columns, schema=table.schema)

    def _share_chunk(self, values: pa.ChunkedArray) -> pa.Array:
        """Return an array of some values, which holds nothing else in memory."""
        key = (str(values.type), hashing.digest(pa.table({"values": values})))
        if key not in self._chunks:
            self._chunks[key] = self._file.add(pa.concat_arrays(values.chunks))
        return self._chunks[key]
