"""Arrays are read with honest sizes: .npy, .npz, MATLAB's files, and archives around them."""

import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from cnlw_tools.files import archives, arrays, matlab_elements
from cnlw_tools.files.untrusted import BadFile
from cnlw_tools.sources.mnist import read_idx

HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"


def element(kind, content):
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def matrix(matlab_class, name, content):
    flags = element(6, struct.pack("<II", matlab_class, 0))
    return element(14, flags + element(5, struct.pack("<ii", 1, 1)) + element(1, name) + content)


def test_cells_in_cells_without_end():
    """scipy would end the process; here the file is refused."""
    value = matrix(6, b"", element(9, struct.pack("<d", 1)))
    for _ in range(2_000):
        value = matrix(1, b"", value)
    data = HEADER + matrix(1, b"x", value)

    with pytest.raises(BadFile, match="nested more than 64 levels deep"):
        arrays.read_mat(Path("pyproject.toml"), ["x"], data)


@pytest.mark.parametrize("matlab_class", [1, 9])
def test_a_matrix_that_inflates_without_end(tmp_path, monkeypatch, matlab_class):
    """A cell, or bytes, of more than the limit is not inflated."""
    monkeypatch.setattr(matlab_elements, "LARGEST_RECORDS", 1_000_000)
    monkeypatch.setattr(matlab_elements, "LARGEST_NUMBERS", 1_000_000)
    packed = zlib.compress(matrix(matlab_class, b"x", element(2, bytes(5_000_000))))
    (tmp_path / "a.mat").write_bytes(HEADER + struct.pack("<II", 15, len(packed)) + packed)

    with pytest.raises(
        BadFile, match=r"a\.mat cannot .*(records of more than 1 MB|a matrix of 5 MB)"
    ):
        arrays.read_mat(tmp_path / "a.mat", ["x"])


def test_a_file_of_matlab_7_3(tmp_path):
    """The error says which format it is and what to do."""
    (tmp_path / "a.mat").write_bytes(bytes(512) + b"\x89HDF\r\n\x1a\n" + bytes(100))

    with pytest.raises(BadFile, match=r"a file of MATLAB 7\.3, which is HDF5: save it with -v7"):
        arrays.read_mat(tmp_path / "a.mat", ["x"])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["<i4", ">i4", "u1", "<f8", ">f2", "?"])
def test_numbers_come_in_the_order_of_this_machine(tmp_path, kind, order):
    """Big-endian numbers are the same numbers, in either order of axes."""
    values = np.array([[0, 1, 2], [3, 4, 5]], kind, order=order)
    np.save(tmp_path / "a.npy", values)

    result = arrays.read_npy(tmp_path / "a.npy")

    assert np.array_equal(values, result)
    assert result.dtype.isnative
    arrays.write_sealed_npy(tmp_path / "sealed.npy", values, len(values))
    assert np.array_equal(values, arrays.map_sealed_npy(tmp_path / "sealed.npy", ""))


@pytest.mark.parametrize(
    "values",
    [np.ones(2, complex), np.zeros(2, [("a", "i4")]), np.array(["a"]), np.array(["2026"], "M8[D]")],
    ids=["complex", "structured", "text", "dates"],
)
def test_what_is_no_number(tmp_path, values):
    """Other types are refused by name."""
    np.save(tmp_path / "a.npy", values)

    for read in (arrays.read_npy, arrays.read_named_arrays):
        with pytest.raises(BadFile, match=r"a\.npy cannot .*not of numbers\): save it with numpy"):
            read(tmp_path / "a.npy")


@pytest.mark.parametrize("shape", [(10**15,), (-1,), (-1, -8), (11,), (9,)])
def test_a_header_that_lies(tmp_path, shape):
    """A shape that the bytes do not have is refused before memory is reserved."""
    buffer = io.BytesIO()
    header = {"descr": "<i8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    (tmp_path / "a.npy").write_bytes(buffer.getvalue() + bytes(80))

    with pytest.raises(BadFile, match=r"a\.npy cannot .*80 bytes where its header says"):
        arrays.read_npy(tmp_path / "a.npy")


def test_archives_that_expand_without_end(tmp_path, monkeypatch):
    """Members that announce more than the limit are not inflated."""
    monkeypatch.setattr(arrays, "LARGEST_NPZ", 1_000_000)
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(1_000_000))

    with pytest.raises(BadFile, match=r"a\.npz: it has 8 MB, but at most 1 MB are read"):
        arrays.read_named_arrays(tmp_path / "a.npz")
    with (
        zipfile.ZipFile(tmp_path / "a.npz") as archive,
        pytest.raises(BadFile, match=r"a\.npy: it has 8 MB, but at most 1 MB"),
    ):
        archives.read_member(archive, "a.npy", 1_000_000, tmp_path / "a.npz")


def test_gzip_without_end(tmp_path):
    """Of a compressed file, no more is inflated than its header says, and one byte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = struct.pack(">HBBI", 0, 8, 1, 5)
    data = packer.compress(head) + packer.compress(bytes(200_000_000)) + packer.flush()
    (tmp_path / "a.gz").write_bytes(data)

    with pytest.raises(ValueError, match="more bytes where its header says 5"):
        read_idx(tmp_path / "a.gz", 1)
