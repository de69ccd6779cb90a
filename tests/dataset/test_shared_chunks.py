"""Tables that have something in common hold it once."""

import numpy as np
import pyarrow as pa

from cnlw_tools.dataset import shared_chunks
from cnlw_tools.dataset.shared_chunks import ChunkStock
from cnlw_tools.files import mapped


def test_a_shared_table_is_the_same_table(monkeypatch):
    """With its metadata, whatever the chunks; nulls, slices and empty tables included."""
    monkeypatch.setattr(shared_chunks, "CHUNK_ROWS", 4)
    table = pa.table({"id": [str(i) for i in range(11)], "label": [None, *range(10)]})
    table = pa.concat_tables([table.slice(2, 3), table]).replace_schema_metadata({"a": "b"})

    for part in (table, table.slice(3, 6), table.slice(0, 0)):
        shared = ChunkStock().share(part)

        assert shared.equals(part, check_metadata=True)


def test_what_two_tables_have_in_common_is_kept_once(monkeypatch):
    """Ten levels of n rows, each noisy up to its share, take two chunks of each place.

    They are on the disk, not in memory.
    """
    monkeypatch.setattr(shared_chunks, "CHUNK_ROWS", 10)
    monkeypatch.setattr(mapped, "IN_MEMORY", 0)
    stock = ChunkStock()
    before = pa.total_allocated_bytes()
    tables = []
    for level in range(0, 100, 10):
        is_noisy = np.arange(100) < level
        label = np.where(is_noisy, -1 - np.arange(100), np.arange(100))
        tables.append(stock.share(pa.table({"label": label})))
    buffers = {chunk.buffers()[1].address for table in tables for chunk in table["label"].chunks}

    assert 10 + 9 == len(buffers)
    assert before == pa.total_allocated_bytes()


def test_a_slice_does_not_hold_the_whole():
    """What is left of a large table is a copy."""
    whole = pa.table({"label": np.zeros(1 << 16, np.int64)})

    (chunk,) = ChunkStock().share(whole.slice(5, 10))["label"].chunks

    assert chunk.buffers()[1].size < 1000
