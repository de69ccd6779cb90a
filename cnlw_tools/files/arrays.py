"""Arrays of numbers: .npy, .npz, MATLAB's .mat, and matrices as CSV."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from math import prod
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from cnlw_tools.files import archives
from cnlw_tools.files.drafts import atomic_write
from cnlw_tools.files.matlab_elements import check_elements
from cnlw_tools.files.pickles import read_pickled_npy, to_arrays
from cnlw_tools.files.seals import append_digest, check_digest
from cnlw_tools.files.untrusted import (
    BadFile,
    check_regular,
    check_size,
    read_bytes,
    translate_errors,
)

LARGEST_NPZ = 1 << 30  # bytes of all arrays together; features of more are one .npy, or Parquet
LARGEST_MATRIX = 64 << 20  # bytes of text; a thousand classes take 20 MB
NPY, NPZ, MAT = "a NumPy array", "an .npz archive", "a MATLAB file"
SAVE_AGAIN = "save it with numpy.save or savez"
NUMBERS = "biuf"  # kinds of types: truth values, integers, floats
HDF5_MARK = b"\x89HDF\r\n\x1a\n"  # MATLAB writes it behind 512 bytes of its own

Header = tuple[tuple[int, ...], bool, np.dtype[Any]]  # shape, Fortran's order, type


def read_npy(path: Path, remedy: str = SAVE_AGAIN) -> NDArray[Any]:
    """Return the numbers of an .npy file, in the byte order of this machine.

    Raises:
        BadFile, OSError: it is damaged, holds something else, or cannot be read
    """
    size = check_regular(path)
    with translate_errors(path, NPY, remedy), path.open("rb") as file:
        return _read_numbers(file, size)


def write_sealed_npy(path: Path, rows: Iterable[NDArray[Any]], n_rows: int) -> None:
    """Write an .npy file row by row, with the digest of its bytes behind them.

    Args:
        path: of the file
        rows: all of one shape and type; one at a time is in memory
        n_rows: how many they are, 1 or more

    Raises:
        OSError: it cannot be written
    """
    with atomic_write(path) as draft:
        with draft.open("wb") as file:
            for row in rows:
                if not file.tell():
                    _write_header(file, (n_rows, *row.shape), row.dtype)
                file.write(row.tobytes())
        append_digest(draft)


def _write_header(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def map_sealed_npy(path: Path, remedy: str) -> NDArray[Any]:
    """Return the numbers of a file of `write_sealed_npy`, which stay on the disk until used.

    Raises:
        BadFile, OSError: it is damaged, or cannot be read
    """
    size = check_digest(path, remedy)
    with translate_errors(path, NPY, remedy), path.open("rb") as file:
        shape, is_fortran, dtype = _read_sound_header(file, size)
        order: Any = "F" if is_fortran else "C"
        if not prod(shape):
            return np.empty(shape, dtype)
        return np.memmap(file, dtype, "r", file.tell(), shape, order)


def read_named_arrays(path: Path, remedy: str = SAVE_AGAIN) -> dict[str, NDArray[Any]]:
    """Return the arrays of an .npy or .npz file by name; a single one has the name of the file.

    An .npy file may hold a dict of arrays, pickled: numpy.save writes one so.

    Raises:
        BadFile: it is damaged, too large, or holds something other than numbers
        OSError: it cannot be read
    """
    if path.suffix == ".npz":
        return _read_npz(path, remedy)
    size = check_regular(path)
    with translate_errors(path, NPY, remedy), path.open("rb") as file:
        _, _, dtype = _read_header(file)
        if dtype.hasobject:
            return to_arrays(read_pickled_npy(file))
        file.seek(0)
        return {path.stem: _read_numbers(file, size)}


def read_matrix(path: Path, remedy: str = "") -> NDArray[Any]:
    """Return a matrix of a .npy file, or of a CSV file without a header.

    Raises:
        BadFile, OSError: it is not a matrix, or cannot be read
    """
    if path.suffix == ".npy":
        return read_npy(path, remedy)
    data = read_bytes(path, LARGEST_MATRIX)
    with translate_errors(path, "rows of numbers", remedy):
        matrix: NDArray[Any] = np.loadtxt(BytesIO(data), delimiter=",", ndmin=2)
    return matrix


def read_mat(
    path: Path,
    names: Sequence[str],
    data: bytes | None = None,
    squeeze: bool = True,
) -> dict[str, Any]:
    """Return variables of a MATLAB file by name, without those that it lacks.

    Args:
        path: the file
        names: which variables
        data: the bytes of the file, where it is inside an archive; ``path`` is the archive
        squeeze: drop axes of length 1

    Raises:
        BadFile, OSError: it is damaged, too large, of MATLAB 7.3, or cannot be read
    """
    from scipy.io import loadmat

    check_regular(path)
    with translate_errors(path, MAT), _open_content(path, data) as content:
        if content[512:520] == HDF5_MARK:
            raise BadFile(
                f"{path}: this is a file of MATLAB 7.3, which is HDF5: save it with -v7, "
                "or take the official file"
            )
        check_elements(content)
        file = path if data is None else BytesIO(data)
        variables: dict[str, Any] = loadmat(file, variable_names=names, squeeze_me=squeeze)
    return variables


@contextmanager
def _open_content(path: Path, data: bytes | None) -> Iterator[bytes | mmap]:
    """Open the bytes of a file, or those of a member of an archive; they stay on the disk."""
    if data is not None:
        yield data
        return
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        yield content


def _read_npz(path: Path, remedy: str) -> dict[str, NDArray[Any]]:
    arrays = {}
    with archives.open_zip(path, path) as archive:
        n_bytes = sum(member.file_size for member in archive.infolist())
        check_size(path, n_bytes, LARGEST_NPZ, "save the array with numpy.save")
        for name in archive.namelist():
            data = archives.read_member(archive, name, LARGEST_NPZ, path)
            with translate_errors(f"{path}: {name}", NPY, remedy):
                arrays[name.removesuffix(".npy")] = _read_numbers(BytesIO(data), len(data))
    return arrays


def _read_numbers(file: BinaryIO, size: int) -> NDArray[Any]:
    """Return the numbers of an .npy file of ``size`` bytes; see `_read_sound_header`."""
    shape, is_fortran, dtype = _read_sound_header(file, size)
    order: Any = "F" if is_fortran else "C"
    values = np.frombuffer(file.read(), dtype)
    return values.astype(dtype.newbyteorder("=")).reshape(shape, order=order)


def _read_sound_header(file: BinaryIO, size: int) -> Header:
    """Return the header of an .npy file of ``size`` bytes.

    Raises:
        ValueError: the file is longer or shorter than its header says, or holds no numbers
    """
    shape, is_fortran, dtype = _read_header(file)
    if dtype.kind not in NUMBERS:
        raise ValueError(f"an array of {dtype}, not of numbers")
    n_bytes = size - file.tell()
    if min(shape, default=0) < 0 or prod(shape) * dtype.itemsize != n_bytes:
        dimensions = " x ".join(map(str, shape))
        raise ValueError(f"{n_bytes} bytes where its header says {dimensions} of {dtype}")
    return shape, is_fortran, dtype


def _read_header(file: BinaryIO) -> Header:
    """Return shape, order and type of an .npy file.

    Raises:
        ValueError: it is none, or its type has names
    """
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    raise ValueError(f"version {version[0]}.{version[1]} of the format, which no numbers need")
