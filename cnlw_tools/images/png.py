"""Checking a PNG: Pillow accepts one that ends early, and ignores the checksums of pixels."""

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHUNK_HEAD = struct.Struct(">I4s")  # the length of the data, and the kind of the chunk
CHECKSUM = struct.Struct(">I")


def check_png(data: bytes) -> None:
    """Check that the chunks of a PNG reach to its IEND, and the checksums of those that matter.

    A decoder may pass over other chunks, whose kind begins with a small letter. What follows IEND
    is not part of the picture.

    Raises:
        ValueError: the file ends early, or a chunk is damaged
    """
    content = memoryview(data)
    start = len(SIGNATURE)
    kind = b""
    while kind != b"IEND":
        data_start = start + CHUNK_HEAD.size
        if data_start > len(data):
            raise ValueError("truncated, because a PNG ends with the chunk IEND")
        length, kind = CHUNK_HEAD.unpack_from(data, start)
        data_end = data_start + length
        end = data_end + CHECKSUM.size
        if end > len(data):
            raise ValueError(f"truncated in the PNG chunk {kind.decode('latin-1')}")
        checksum = zlib.crc32(content[start + 4 : data_end])
        if kind[:1].isupper() and CHECKSUM.unpack_from(data, data_end) != (checksum,):
            raise ValueError(f"the PNG chunk {kind.decode('latin-1')} is damaged")
        start = end
