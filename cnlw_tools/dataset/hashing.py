"""Arrow columns as numbers and bytes: random keys of ids, digests of tables, matrices as text."""

import json
import math
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as arrow_types
from numpy.typing import NDArray

from cnlw_tools import prng
from cnlw_tools.files.mapped import release_pages, zeros

BLOCK_ROWS = 1 << 16  # rows hashed at a time; another number gives other digests
RELEASE_ROWS = 8 * BLOCK_ROWS  # after which pages of a table on the disk are given back
UNSIGNED = {8: pa.uint8(), 16: pa.uint16(), 32: pa.uint32(), 64: pa.uint64()}


def random_keys(ids: pa.ChunkedArray, seed: int) -> prng.UInts:
    """Return (n,) the random key of each id in a column of strings; they lie on the disk."""
    keys = zeros(len(ids), np.uint64)
    start = 0
    for chunk in ids.chunks:
        data, offsets = string_buffers(chunk)
        keys[start : start + len(chunk)] = prng.random_keys(data, offsets, seed)
        start += len(chunk)
    return keys


def string_buffers(array: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.integer]]:
    """Return the UTF-8 bytes of n strings, end to end, and (n + 1,) offsets; nothing is copied."""
    is_large = arrow_types.is_large_string(array.type)
    offset_type: type[np.integer] = np.int64 if is_large else np.int32
    _, offset_buffer, data_buffer = array.buffers()
    offsets = np.frombuffer(offset_buffer or b"\0" * 8, offset_type)
    data = np.frombuffer(data_buffer or b"", np.uint8)
    end = array.offset + len(array) + 1
    return data, offsets[array.offset : end]


def digest(table: pa.Table) -> str:
    """Return the sha256, in hex, of a table's rows, however they lie in files, chunks or buffers.

    Hashed are the column names and types and the number of rows; then for each 65,536 rows and each
    column: which values are null, the lengths of strings, and the values, little-endian, with zeros
    in place of nulls.
    """
    schema = [[field.name, str(field.type)] for field in table.schema]
    header = json.dumps([schema, len(table)])
    sha = sha256(header.encode())
    for begin in range(0, len(table), BLOCK_ROWS):
        block = table.slice(begin, BLOCK_ROWS)
        for column in block.columns:
            array = column.combine_chunks()
            for part in _canonical_bytes(array):
                sha.update(part)
        if begin % RELEASE_ROWS == RELEASE_ROWS - BLOCK_ROWS:
            release_pages()
    return sha.hexdigest()


def encode_matrix(matrix: NDArray[np.float64]) -> str:
    """Return a square matrix as short, exact text: little-endian numbers, deflated, in base 64."""
    numbers = np.ascontiguousarray(matrix, "<f8")
    return b64encode(zlib.compress(numbers.data.cast("B"), 9)).decode()


def decode_matrix(text: str) -> NDArray[np.float64]:
    """Return the (C, C) matrix that `encode_matrix` wrote."""
    raw = zlib.decompress(b64decode(text))
    flat = np.frombuffer(raw, "<f8")
    size = math.isqrt(len(flat))
    return flat.reshape(size, -1)


def _canonical_bytes(array: pa.Array) -> Iterator[bytes]:
    """Yield the bytes that stand for one block of a column."""
    if arrow_types.is_dictionary(array.type):
        array = array.dictionary_decode()
    data_type = array.type
    yield _bit_bytes(array.is_valid())
    if arrow_types.is_nested(data_type):
        yield from _nested_bytes(array)
    elif arrow_types.is_string(data_type) or arrow_types.is_binary(data_type):
        yield from _string_bytes(array)
    elif arrow_types.is_boolean(data_type):
        yield _bit_bytes(array.fill_null(False))
    elif arrow_types.is_primitive(data_type):
        yield _primitive_bytes(array)
    elif arrow_types.is_large_binary(data_type) or arrow_types.is_fixed_size_binary(data_type):
        yield from _canonical_bytes(array.cast(pa.binary()))
    else:
        yield from _canonical_bytes(array.cast(pa.string()))


def _bit_bytes(flags: pa.Array) -> bytes:
    """Return truth values as bits."""
    values = flags.to_numpy(zero_copy_only=False)
    return np.packbits(values).tobytes()


def _primitive_bytes(array: pa.Array) -> bytes:
    """Return numbers, dates and times, little-endian, with zeros in place of nulls."""
    unsigned_type = UNSIGNED[array.type.bit_width]
    unsigned = array.view(unsigned_type)
    values = unsigned.fill_null(0).to_numpy()
    little_endian = values.dtype.newbyteorder("<")
    raw: bytes = values.astype(little_endian).tobytes()
    return raw


def _string_bytes(array: pa.Array) -> Iterator[bytes]:
    """Yield the lengths of strings, and the strings end to end."""
    if array.null_count:
        array = array.fill_null("")
    data, offsets = string_buffers(array)
    lengths = np.diff(offsets)
    begin, end = offsets[0], offsets[-1]
    yield lengths.astype("<i4").tobytes()
    yield data[begin:end].tobytes()


def _nested_bytes(array: pa.Array) -> Iterator[bytes]:
    """Yield the bytes of the columns inside a struct, or of a list's lengths and its values."""
    if arrow_types.is_struct(array.type):
        for column in array.flatten():
            yield from _canonical_bytes(column)
    elif arrow_types.is_map(array.type):
        key_type, value_type = array.type.key_type, array.type.item_type
        entry_type = pa.struct([("key", key_type), ("value", value_type)])
        yield from _nested_bytes(array.cast(pa.list_(entry_type)))
    else:
        lengths = pc.list_value_length(array)
        yield from _canonical_bytes(lengths.cast(pa.int64()))
        yield from _canonical_bytes(array.flatten())
