"""Pickles of numbers, as CIFAR, NumPy and torch write them, read without running anything.

A pickle names functions and calls them. Here a few exact names are allowed, and each stands for a
method of this module, which notes its arguments. NumPy and torch are not called, and nothing is
imported: neither what a pickle names nor a state that it sets reaches their memory.

    CIFAR's batches              a dict of arrays and lists, of Python 2 or 3
    FILE.npy of numpy.save       an array of one object, the dict
    FILE.pt of torch.save        the dict in a zip archive, whose members are the numbers of
                                 tensors; or, before torch 1.6, five pickles and then the numbers
"""

import pickle
import pickletools
import re
import struct
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from cnlw_tools.files import archives
from cnlw_tools.files.untrusted import COPY_AGAIN, read_bytes, translate_errors

LARGEST_PICKLE = 256 << 20  # bytes; a batch of CIFAR has 30 MB, all 50,000 images in one 154 MB
MAX_OPCODES = 4_000_000  # the lists of CIFAR-10N take 1.8 million
PAIR_BYTES = 100  # memory of an entry of a dict
NUMBER_TYPE = re.compile(r"[biuf][1248]|\?")  # what NumPy calls truth values and numbers
TORCH_TYPES = {  # storages of torch, by the type of their numbers
    "BoolStorage": "?",
    "ByteStorage": "u1",
    "CharStorage": "i1",
    "ShortStorage": "i2",
    "IntStorage": "i4",
    "LongStorage": "i8",
    "HalfStorage": "f2",
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
}
TORCH_MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of a file before torch 1.6
TORCH_PROTOCOL = 1001  # the second one
INTEGER_LIMIT = 1 << 63

TWO_LINES = -9  # of an argument; all other sizes below zero are those of pickletools
COUNT_WIDTHS = {  # bytes that say how long an argument is
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
PUT_OPCODES = pickle.PUT + pickle.LONG_BINPUT
(STOP_OPCODE,) = pickle.STOP


def _argument_sizes() -> dict[int, int]:
    """Return the size of the argument of each opcode, in bytes or as a code of pickletools."""
    sizes = {}
    for opcode in pickletools.opcodes:
        size = opcode.arg.n if opcode.arg else 0
        if opcode.arg and opcode.arg.name == "stringnl_noescape_pair":
            size = TWO_LINES
        sizes[ord(opcode.code)] = size
    return sizes


ARGUMENT_SIZES = _argument_sizes()


class PickledType:
    """A type of numbers, as NumPy pickles it: a code, and then a byte order."""

    __slots__ = ("code", "order")

    def __init__(self, code: str) -> None:
        self.code = code
        self.order = "<"

    def __setstate__(self, state: Sequence[Any]) -> None:
        """Note the byte order; the rest of the state describes no type of numbers."""
        self.order = _checked_text(state[1])

    def to_numpy(self) -> np.dtype[Any]:
        """Return the type; a ValueError if it is not a type of numbers."""
        if not NUMBER_TYPE.fullmatch(self.code) or self.order not in ("<", ">", "|", "="):
            raise ValueError(f"the type {self.order}{self.code} is not a type of numbers")
        return np.dtype(self.order + self.code)


class PickledArray:
    """An array, as NumPy pickles it."""

    __slots__ = ("data", "dtype", "is_fortran", "shape")

    def __init__(self) -> None:
        self.shape: Any = ()
        self.dtype: Any = None
        self.is_fortran = False
        self.data: Any = b""

    def __setstate__(self, state: Sequence[Any]) -> None:
        """Note what the array holds; old files have no version before it."""
        self.shape, self.dtype, self.is_fortran, self.data = state[-4:]

    def to_numpy(self) -> NDArray[Any]:
        """Return the numbers; a ValueError if they do not fit the shape, or are not numbers."""
        data = self.data.encode("latin1") if isinstance(self.data, str) else self.data
        values = np.frombuffer(data, _checked_type(self.dtype).to_numpy())
        order: Any = "F" if self.is_fortran else "C"
        return values.reshape(_checked_shape(self.shape), order=order)

    def item(self) -> Any:
        """Return the only object of an array of objects; a ValueError if there is none."""
        is_object = isinstance(self.dtype, PickledType) and self.dtype.code in ("O", "O8")
        if not is_object or not isinstance(self.data, list) or len(self.data) != 1:
            raise ValueError("not an array of one dict")
        return self.data[0]


class PickledStorage:
    """The numbers of a tensor; its bytes lie outside the pickle."""

    __slots__ = ("data", "dtype", "key", "n_values")

    def __init__(self, dtype: PickledType, key: str, n_values: int) -> None:
        self.dtype = dtype
        self.key = key
        self.n_values = n_values
        self.data = b""


class PickledTensor:
    """A tensor: a part of a storage."""

    __slots__ = ("offset", "shape", "storage", "strides")

    def __init__(
        self,
        storage: PickledStorage,
        offset: int,
        shape: Any,
        strides: Any,
    ) -> None:
        self.storage = storage
        self.offset = offset
        self.shape = shape
        self.strides = strides

    def to_numpy(self) -> NDArray[Any]:
        """Return the numbers; a ValueError if they are not a block of the storage."""
        shape = _checked_shape(self.shape)
        values = np.frombuffer(self.storage.data, self.storage.dtype.to_numpy())
        expected_strides = [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
        if list(self.strides) != expected_strides:
            raise ValueError("a tensor that is not a block of its storage")
        n_values = int(np.prod(shape))
        return values[self.offset : self.offset + n_values].reshape(shape)


class Unpickler(pickle.Unpickler):
    """Reads dicts, lists, strings, numbers and arrays of numbers, and runs nothing."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding="latin1")
        self.storages: dict[str, PickledStorage] = {}
        self.n_copied = 0  # bytes
        self.objects: dict[tuple[str, str], Any] = {
            ("_codecs", "encode"): self._encode,
            ("__builtin__", "bytes"): self._no_bytes,
            ("collections", "OrderedDict"): self._dict,
            ("numpy", "dtype"): self._dtype,
            ("numpy", "ndarray"): "ndarray",
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
        }
        for package in ("numpy.core", "numpy._core"):  # before and since NumPy 2
            self.objects[f"{package}.multiarray", "_reconstruct"] = self._array
            self.objects[f"{package}.multiarray", "scalar"] = self._scalar
            self.objects[f"{package}.numeric", "_frombuffer"] = self._buffer
        for name, code in TORCH_TYPES.items():
            self.objects["torch", name] = code

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name on the list; refuse all others."""
        if (module, name) not in self.objects:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no numbers need")
        return self.objects[module, name]

    def persistent_load(self, pid: Any) -> PickledStorage:
        """Return the storage of a tensor, which is filled later."""
        word, code, key, _, n_values = pid[:5]
        if word != "storage" or code not in TORCH_TYPES.values():
            raise pickle.UnpicklingError("it refers to something that is not a storage of torch")
        storage = PickledStorage(PickledType(code), _checked_text(key), _checked_count(n_values))
        return self.storages.setdefault(storage.key, storage)

    def _encode(self, text: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise pickle.UnpicklingError("it encodes bytes as something other than latin1")
        self._count_copied(len(text))
        return text.encode("latin1")

    def _no_bytes(self) -> bytes:
        return b""

    def _dict(self, pairs: Sequence[tuple[Any, Any]] = ()) -> dict[Any, Any]:
        self._count_copied(len(pairs) * PAIR_BYTES)
        return dict(pairs)

    def _count_copied(self, n_bytes: int) -> None:
        """Check that calls which copy, and may be repeated, do not fill the memory."""
        self.n_copied += n_bytes
        if self.n_copied > LARGEST_PICKLE:
            raise pickle.UnpicklingError("it copies its numbers again and again")

    def _dtype(self, code: Any, *_: Any) -> PickledType:
        return PickledType(_checked_text(code))

    def _array(self, *_: Any) -> PickledArray:
        return PickledArray()

    def _buffer(self, data: Any, dtype: Any, shape: Any, order: str) -> PickledArray:
        array = PickledArray()
        array.__setstate__([shape, dtype, order == "F", data])
        return array

    def _scalar(self, dtype: Any, data: Any) -> Any:
        raw = data.encode("latin1") if isinstance(data, str) else data
        return np.frombuffer(raw, _checked_type(dtype).to_numpy())[0].item()

    def _tensor(
        self, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any
    ) -> PickledTensor:
        if not isinstance(storage, PickledStorage):
            raise pickle.UnpicklingError("a tensor without a storage")
        return PickledTensor(storage, _checked_count(offset), shape, strides)


def read_pickle(
    path: Path,
    kind: str,
    remedy: str = COPY_AGAIN,
) -> dict[str, Any]:
    """Return the dict of a pickle; its values are numbers, strings, lists and pickled arrays.

    Raises:
        BadFile: it is not such a pickle
        OSError: it cannot be read
    """
    data = read_bytes(path, LARGEST_PICKLE, remedy)
    with translate_errors(path, kind, remedy):
        return _checked_dict(load_pickle(BytesIO(data)))


def load_pickle(file: BytesIO) -> Any:
    """Return what the next pickle of a file holds; any error if it does not hold numbers alone."""
    return _checked_unpickler(file).load()


def read_pickled_npy(file: BinaryIO) -> dict[str, Any]:
    """Return the dict of an .npy file of one object, behind its header; any error without one."""
    array = load_pickle(BytesIO(file.read(LARGEST_PICKLE)))
    if not isinstance(array, PickledArray):
        raise ValueError("not an array of one dict")
    return _checked_dict(array.item())


def read_torch(path: Path, remedy: str = COPY_AGAIN) -> dict[str, Any]:
    """Return the dict that torch.save wrote, of arrays, tensors and lists of numbers.

    Raises:
        BadFile: it is not such a file
        OSError: it cannot be read
    """
    data = read_bytes(path, LARGEST_PICKLE, remedy)
    with translate_errors(path, "a file of torch.save", remedy):
        if data.startswith(b"PK"):
            return _checked_dict(_read_torch_zip(BytesIO(data), path))
        return _checked_dict(_read_old_torch(BytesIO(data)))


def to_array(value: Any) -> NDArray[Any]:
    """Return a pickled array, tensor or list of numbers as an array; a ValueError if neither."""
    if isinstance(value, PickledArray | PickledTensor):
        return value.to_numpy()
    if isinstance(value, list) and all(map(_is_number, value)):
        return np.array(value)
    raise ValueError(f"{type(value).__name__} where numbers should be")


def to_arrays(content: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return all values of a dict as `to_array` does; its error names the value."""
    arrays = {}
    for name, value in content.items():
        try:
            arrays[name] = to_array(value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return arrays


def _read_torch_zip(file: BytesIO, path: Path) -> Any:
    with archives.open_zip(file, path) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        data = archives.read_member(archive, name, LARGEST_PICKLE, path)
        unpickler = _checked_unpickler(BytesIO(data))
        content = unpickler.load()
        folder = name.removesuffix("data.pkl")
        for key, storage in unpickler.storages.items():
            member = f"{folder}data/{key}"
            storage.data = archives.read_member(archive, member, LARGEST_PICKLE, path)
    return content


def _read_old_torch(file: BytesIO) -> Any:
    if load_pickle(file) != TORCH_MAGIC or load_pickle(file) != TORCH_PROTOCOL:
        raise ValueError("neither a zip archive nor the older format")
    load_pickle(file)  # byte order and sizes of types: the same everywhere today
    unpickler = _checked_unpickler(file)
    content = unpickler.load()
    for key in load_pickle(file):
        storage = unpickler.storages[str(key)]
        (n_values,) = struct.unpack("<q", file.read(8))
        n_bytes = n_values * storage.dtype.to_numpy().itemsize
        storage.data = file.read(n_bytes)
    return content


def _checked_unpickler(file: BytesIO) -> Unpickler:
    _check_positions(file.getvalue(), file.tell())
    return Unpickler(file)


def _check_positions(data: bytes, position: int) -> None:
    """Check that a pickle numbers its objects one by one, and that they are not too many.

    The position 4,000,000,000, which takes five bytes, would make the reader reserve 64 GB.
    """
    for n_opcodes in range(MAX_OPCODES):
        code = data[position]
        begin, position = position + 1, _end_of_opcode(data, position)
        if code in PUT_OPCODES:
            raw = data[begin:position]
            index = int(raw) if code == PUT_OPCODES[0] else int.from_bytes(raw, "little")
            if index > n_opcodes:
                raise pickle.UnpicklingError(f"it notes an object at {index}")
        if code == STOP_OPCODE:
            return
    raise pickle.UnpicklingError(f"more than {MAX_OPCODES:,} objects")


def _end_of_opcode(data: bytes, position: int) -> int:
    """Return where the opcode at a place, with its argument, ends; a LookupError if it is none."""
    size = ARGUMENT_SIZES[data[position]]
    position += 1
    if size >= 0:
        return position + size
    if size == pickletools.UP_TO_NEWLINE:
        return data.index(b"\n", position) + 1
    if size == TWO_LINES:
        return data.index(b"\n", data.index(b"\n", position) + 1) + 1
    width = COUNT_WIDTHS[size]
    return position + width + int.from_bytes(data[position : position + width], "little")


def _checked_dict(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ValueError("it holds no dict with names")
    return dict(value)


def _checked_type(value: Any) -> PickledType:
    if not isinstance(value, PickledType):
        raise ValueError("an array without a type")
    return value


def _checked_shape(value: Any) -> tuple[int, ...]:
    if not isinstance(value, tuple):
        raise ValueError("an array without a shape")
    return tuple(map(_checked_count, value))


def _checked_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{type(value).__name__} where a name should be")
    return value


def _checked_count(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < INTEGER_LIMIT:
        raise ValueError(f"{type(value).__name__} where a number of values should be")
    return int(value)


def _is_number(value: Any) -> bool:
    if isinstance(value, int):
        return -INTEGER_LIMIT <= value < INTEGER_LIMIT
    return isinstance(value, float)
