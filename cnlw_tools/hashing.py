"""Columns of Arrow tables as numbers and bytes: random keys of ids, digests of rows, matrices as text."""

import json
import math
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools import prng

BLOCK = 1 << 16  # rows hashed at a time; part of what a digest means


def keys(column: pa.ChunkedArray, seed: int) -> prng.UInts:
    """Return the (n,) random keys of a column of ids."""
    parts = [prng.keys(*utf8(chunk), seed) for chunk in column.chunks]
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)


def utf8(array: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.integer]]:
    """Return the bytes of n strings, end to end, and the (n + 1,) offsets at which they begin; nothing is copied."""
    wide = pa.types.is_large_string(array.type)
    width: type[np.integer] = np.int64 if wide else np.int32
    offsets = np.frombuffer(array.buffers()[1] or b"\0" * 8, width)
    data = np.frombuffer(array.buffers()[2] or b"", np.uint8)
    return data, offsets[array.offset : array.offset + len(array) + 1]


def digest(table: pa.Table) -> str:
    """Identify a table by its rows, whatever file, chunks or buffers they lie in; sha256 in hex.

    Hashed are the column names and types and how many rows there are, then for each 65,536 rows and each
    column: which values are there, how long the strings are, and the values, little-endian, with zeros
    where there is none.
    """
    h = sha256(json.dumps([[[f.name, str(f.type)] for f in table.schema], len(table)]).encode())
    for lo in range(0, len(table), BLOCK):
        for column in table.slice(lo, BLOCK).columns:
            for part in _canonical(column.combine_chunks()):
                h.update(part)
    return h.hexdigest()


def pack(matrix: NDArray[np.float64]) -> str:
    """Write a square matrix as text: its little-endian numbers, deflated, in base 64; exact and short."""
    return b64encode(zlib.compress(matrix.astype("<f8").tobytes(), 9)).decode()


def unpack(text: str) -> NDArray[np.float64]:
    """Read what `pack` wrote, (C, C)."""
    flat = np.frombuffer(zlib.decompress(b64decode(text)), "<f8")
    return flat.reshape(math.isqrt(len(flat)), -1)


def _canonical(array: pa.Array) -> Iterator[Any]:
    """Yield the bytes that stand for one column of one block."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    yield np.packbits(array.is_valid().to_numpy(zero_copy_only=False))
    if pa.types.is_nested(array.type):
        yield from _nested(array)
    elif pa.types.is_string(array.type) or pa.types.is_binary(array.type):
        array = array.fill_null("") if array.null_count else array
        data, offsets = utf8(array)
        yield np.diff(offsets).astype("<i4").tobytes()
        yield data[offsets[0] : offsets[-1]].tobytes()
    elif pa.types.is_boolean(array.type):
        yield np.packbits(array.fill_null(False).to_numpy(zero_copy_only=False))
    elif pa.types.is_primitive(array.type):
        values = array.view(_integer(array.type)).fill_null(0).to_numpy()
        yield values.astype(values.dtype.newbyteorder("<")).tobytes()
    elif pa.types.is_large_binary(array.type) or pa.types.is_fixed_size_binary(array.type):
        yield from _canonical(array.cast(pa.binary()))
    else:
        yield from _canonical(array.cast(pa.string()))


def _nested(array: pa.Array) -> Iterator[Any]:
    """Yield the bytes of the columns inside a column of structs, or of lists after how long each is."""
    if pa.types.is_struct(array.type):
        for inner in array.flatten():
            yield from _canonical(inner)
    elif pa.types.is_map(array.type):
        pair = pa.struct([("key", array.type.key_type), ("value", array.type.item_type)])
        yield from _nested(array.cast(pa.list_(pair)))
    else:
        yield from _canonical(pc.list_value_length(array).cast(pa.int64()))
        yield from _canonical(array.flatten())


def _integer(kind: pa.DataType) -> pa.DataType:
    """The unsigned integers of the same width."""
    return {8: pa.uint8(), 16: pa.uint16(), 32: pa.uint32(), 64: pa.uint64()}[kind.bit_width]
