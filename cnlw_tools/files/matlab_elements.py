"""Size and depth of a MATLAB file of version 5, which scipy does not check.

A file is 128 bytes of header and then elements: a type and a number of bytes, each in 4 bytes, and
the content, padded to 8 bytes. An element of at most 4 bytes may have its size in the upper half of
the type, and its content behind it. Type 15 is an element compressed by zlib. Type 14 is a matrix:
flags, dimensions, name, and then its numbers or, of a cell or a struct, matrices. scipy reads those
by recursion in C, which ends the process where they are nested too deeply, and it inflates without
a limit. Source: MathWorks, "MAT-File Format", 2024.
"""

import struct
import zlib
from collections.abc import Iterator
from mmap import mmap
from typing import NamedTuple

HEADER_SIZE = 128  # bytes
COMPRESSED, MATRIX = 15, 14  # types of elements
NUMERIC_CLASSES = range(6, 16)  # of matrices: double to uint64; below are cells, structs, texts
COMPLEX_FLAG = 0x0800
HEAD_SIZE = 1 << 10  # bytes; what comes before the numbers of a matrix is shorter
LARGEST_NUMBERS = 2 << 30  # bytes of one matrix of numbers; the largest of SVHN has 1.6 GB
LARGEST_RECORDS = 256 << 20  # bytes, inflated, of cells and structs; annotations have 4 MB
DEEPEST = 64  # levels of nesting; annotations have three
ENDIANNESS = {b"IM": "<", b"MI": ">"}  # by the last two bytes of the header

Buffer = bytes | mmap


class Element(NamedTuple):
    """Where the content of an element lies."""

    kind: int
    begin: int
    end: int


def check_elements(data: Buffer) -> None:
    """Check the size of a file when inflated, and its depth; version 4 neither inflates nor nests.

    Raises:
        ValueError: it is cut off, too large, or nested too deeply
        zlib.error: an element is damaged
    """
    order = ENDIANNESS.get(data[HEADER_SIZE - 2 : HEADER_SIZE])
    if order is None:
        return
    for element in _elements(data, HEADER_SIZE, len(data), order, padding=1):
        content = data[element.begin - 8 : element.end]
        if element.kind == COMPRESSED:
            content = content[8:]
            head = zlib.decompressobj().decompress(content, HEAD_SIZE)
        else:
            head = content[:HEAD_SIZE]
        n_bytes = _numeric_size(head, order)
        if n_bytes is None:
            is_compressed = element.kind == COMPRESSED
            _check_nesting(_inflate(content) if is_compressed else content, order)
        elif n_bytes > LARGEST_NUMBERS:
            raise ValueError(f"a matrix of {n_bytes / 1e6:,.0f} MB")


def _numeric_size(head: bytes, order: str) -> int | None:
    """Return how many bytes the numbers of a matrix have; None if it is none of real numbers."""
    outer = _element(head, 0, order)
    if outer.kind != MATRIX:
        return None
    flags = _element(head, outer.begin, order)
    (bits,) = struct.unpack_from(f"{order}I", head, flags.begin)
    if bits & 0xFF not in NUMERIC_CLASSES or bits & COMPLEX_FLAG:
        return None
    element = flags
    for _ in ("dimensions", "name", "numbers"):
        position = element.end + -element.end % 8
        element = _element(head, position, order)
    return max(element.end, outer.end)


def _inflate(content: bytes) -> bytes:
    inflater = zlib.decompressobj()
    part = inflater.decompress(content, LARGEST_RECORDS + 1)
    if len(part) > LARGEST_RECORDS:
        raise ValueError(f"records of more than {LARGEST_RECORDS / 1e6:,.0f} MB")
    return part


def _check_nesting(data: bytes, order: str) -> None:
    """Check that the matrices of an element are not nested too deeply."""
    levels = [_elements(data, 0, len(data), order, padding=8)]
    while levels:
        element = next(levels[-1], None)
        if element is None:
            levels.pop()
        elif element.kind == MATRIX:
            levels.append(_elements(data, element.begin, element.end, order, padding=8))
        if len(levels) > DEEPEST:
            raise ValueError(f"nested more than {DEEPEST} levels deep")


def _elements(
    data: Buffer,
    begin: int,
    end: int,
    order: str,
    padding: int,
) -> Iterator[Element]:
    """Yield the elements between two places."""
    position = begin
    while position + 8 <= end:
        element = _element(data, position, order)
        if element.end > end:
            raise ValueError(f"cut off in the element at byte {position}")
        yield element
        position = max(element.end + -(element.end - position) % padding, position + 8)


def _element(data: Buffer, position: int, order: str) -> Element:
    """Return the element that begins at a place."""
    kind, n_bytes = struct.unpack_from(f"{order}II", data, position)
    if kind >> 16:
        return Element(kind & 0xFFFF, position + 4, position + 4 + (kind >> 16))
    return Element(kind, position + 8, position + 8 + n_bytes)
