"""Label columns of several files, joined by the names of the classes.

Every file says what its labels mean: by names that `datasets` stored beside whole numbers, or by
text, categories or truth values, which are names themselves. A name means the same class in every
file, whatever number a file gives it. Classes are numbered as the first file names them; names
that further files add come behind, and names that are text come last, sorted. Whole numbers
without names mean the same in every file, and each number that occurs is the name of a class.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.sources.formats.class_names import class_order, reject_twins

Labels = NDArray[np.int64]

NAMES_IN_ORDER = "class names"
TEXT = "text"
NUMBERS = "numbers without class names"
WORDS_OF_TRUTH = ("False", "True")
ROWS_IN_ERROR = 10


class LabelColumn(NamedTuple):
    """The labels of one file: n numbers, and the names that they stand for."""

    path: Path
    kind: str  # NAMES_IN_ORDER, TEXT or NUMBERS
    names: tuple[str, ...]
    numbers: Labels  # (n,) which name


class JoinedLabels(NamedTuple):
    """The classes of several files, and the labels of each."""

    classes: tuple[str, ...]
    of_file: Mapping[Path, Labels]


def is_label_type(data_type: pa.DataType) -> bool:
    """Return whether a column of this type can hold labels."""
    if pa.types.is_dictionary(data_type):
        data_type = data_type.value_type
    is_number = pa.types.is_integer(data_type) or pa.types.is_floating(data_type)
    return is_number or _is_text(data_type) or pa.types.is_boolean(data_type)


def read_labels(
    column: pa.ChunkedArray,
    name: str,
    path: Path,
    class_names: Sequence[str] | None,
    remedy: str,
) -> LabelColumn:
    """Return the labels of one file.

    Args:
        column: (n,) of a type that `is_label_type` allows
        name: of the column
        path: of the file
        class_names: what the numbers stand for, where that is known
        remedy: what to do about a row without a label

    Raises:
        ValueError: a row without a label, a number that is not whole, or a number without a name
    """
    if pa.types.is_dictionary(column.type):
        column = _decode_categories(column)
    place = f"{path}: column {name!r}"
    if pa.types.is_boolean(column.type):
        _reject_rows(place, column, column.is_null(), f"no label: {remedy}")
        numbers = column.cast(pa.int64()).to_numpy()
        return LabelColumn(path, TEXT, WORDS_OF_TRUTH, numbers)
    if _is_text(column.type):
        return _read_text(column, path, place, remedy)
    numbers = _read_numbers(column, place, remedy)
    if class_names is None:
        distinct, numbers = np.unique(numbers, return_inverse=True)
        names = tuple(str(number) for number in distinct.tolist())
        return LabelColumn(path, NUMBERS, names, numbers)
    names = normalise_names(class_names, place)
    outside = pa.array(numbers >= len(names))
    _reject_rows(place, column, outside, f"the class names end at {len(names) - 1}: fix the label")
    return LabelColumn(path, NAMES_IN_ORDER, names, numbers)


def join_labels(columns: Sequence[LabelColumn]) -> JoinedLabels:
    """Number the classes of several files in one way.

    Raises:
        ValueError: one file has names and another has none, and the message names both; or two
            classes have one name in two spellings
    """
    for column in columns[1:]:
        if (column.kind == NUMBERS) != (columns[0].kind == NUMBERS):
            raise ValueError(
                f"{column.path}: its labels are {column.kind}, but those of {columns[0].path} are "
                f"{columns[0].kind}: store the class names in both"
            )
    classes = _order_classes(columns)
    reject_twins(classes, columns[0].path.parent)
    label_of_name = {name: label for label, name in enumerate(classes)}
    labels = {}
    for column in columns:
        label_of_number = np.array([label_of_name.get(name, -1) for name in column.names], np.int64)
        labels[column.path] = label_of_number[column.numbers]
    return JoinedLabels(classes, labels)


def normalise_names(names: Sequence[str], place: str) -> tuple[str, ...]:
    """Return class names in one Unicode form.

    Raises:
        ValueError: two of them are equal, or one is empty
    """
    normal = tuple(unicodedata.normalize("NFC", name) for name in names)
    for number, name in enumerate(normal):
        if not name.strip():
            raise ValueError(f"{place}: class {number} has no name: give it one")
        if normal.index(name) < number:
            raise ValueError(f"{place}: two classes are called {name!r}: rename one")
    return normal


def _order_classes(columns: Sequence[LabelColumn]) -> tuple[str, ...]:
    ordered: dict[str, None] = {}
    unordered = set()
    for column in columns:
        if column.kind == NAMES_IN_ORDER:
            ordered |= dict.fromkeys(column.names)
        else:
            used = np.unique(column.numbers).tolist()
            unordered |= {column.names[number] for number in used}
    rest = sorted(unordered - ordered.keys(), key=class_order)
    return (*ordered, *rest)


def _decode_categories(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the values of a column that stores each once."""
    value_type = column.type.value_type
    if _is_text(value_type):
        value_type = pa.large_string()  # Arrow cannot take rows of a string_view
    chunks = [chunk.dictionary.cast(value_type).take(chunk.indices) for chunk in column.chunks]
    return pa.chunked_array(chunks, value_type)


def _read_text(column: pa.ChunkedArray, path: Path, place: str, remedy: str) -> LabelColumn:
    """Return the labels of a column whose values are names."""
    text = column.cast(pa.large_string())
    is_missing = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(text), ""), True)
    _reject_rows(place, column, is_missing, f"no label: {remedy}")
    encoded = pc.dictionary_encode(text).combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):  # without rows
        encoded = pa.array([], pa.large_string()).dictionary_encode()
    distinct = [unicodedata.normalize("NFC", name) for name in encoded.dictionary.to_pylist()]
    names = tuple(dict.fromkeys(distinct))
    number_of_name = {name: number for number, name in enumerate(names)}
    number_of_code = np.array([number_of_name[name] for name in distinct], np.int64)
    numbers = number_of_code[encoded.indices.to_numpy()]
    return LabelColumn(path, TEXT, names, numbers)


def _read_numbers(column: pa.ChunkedArray, place: str, remedy: str) -> Labels:
    """Return whole numbers from 0, which a column of floats may hold, too."""
    if pa.types.is_floating(column.type):
        values = column.cast(pa.float64())
        is_missing = pc.fill_null(pc.is_nan(values), True)
        _reject_rows(place, column, is_missing, f"no label: {remedy}")
        is_broken = pc.or_(
            pc.not_equal(pc.floor(values), values), pc.greater(pc.abs(values), 2**53)
        )
        _reject_rows(place, column, is_broken, "a label is a whole number: fix the label")
        column = values
    _reject_rows(place, column, column.is_null(), f"no label: {remedy}")
    too_large = pc.greater(column.cast(pa.float64(), safe=False), 2.0**62)
    _reject_rows(place, column, too_large, "no label of a class: fix the label")
    numbers = column.cast(pa.int64())
    _reject_rows(place, numbers, pc.less(numbers, 0), f"no label: {remedy}")
    values = numbers.to_numpy()
    return np.asarray(values, np.int64)


def _reject_rows(place: str, column: pa.ChunkedArray, is_bad: Any, reason: str) -> None:
    """Raise for rows of a column, the first ten of them with their values."""
    rows = np.flatnonzero(np.asarray(is_bad))
    if not len(rows):
        return
    values = [f"row {row}: {column[int(row)].as_py()!r}" for row in rows[:ROWS_IN_ERROR]]
    count = f" ({len(rows):,} rows)" if len(rows) > ROWS_IN_ERROR else ""
    raise ValueError(f"{place}, {', '.join(values)}{count}: {reason}")


def _is_text(data_type: pa.DataType) -> bool:
    is_string = pa.types.is_string(data_type) or pa.types.is_large_string(data_type)
    return bool(is_string or pa.types.is_string_view(data_type))
