"""The side table: per-image data that some noise needs, such as labels that a network predicted.

    image_id    str
    <name>      int32: a label             any number of columns, in any order
    <name>      list of float32, all of one length: features

It is Parquet or CSV (labels alone), or what papers publish beside a dataset: ``.npy``, ``.npz`` or
``.pt`` with one array a column (of one array, or a pickled dict), or a ``.json`` list. Row i of an
array belongs to the i-th training image in id order. Where an array ``clean_label`` repeats the
labels of the dataset, as in CIFAR-N, they are compared: it proves that the order is the same.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.dataset.table_io import cast_column, read_table, reject_duplicates
from cnlw_tools.files.arrays import SAVE_AGAIN, read_named_arrays, read_npy
from cnlw_tools.files.pickles import read_torch, to_arrays
from cnlw_tools.files.texts import read_json
from cnlw_tools.files.untrusted import translate_errors
from cnlw_tools.registry import suggest

ID_SCHEMA = pa.schema([pa.field("image_id", pa.string(), nullable=False)])
ARRAY_SUFFIXES = (".npy", ".npz", ".pt", ".json")
TRUE_LABELS = "clean_label"  # what CIFAR-N calls the labels of the dataset itself
ORDER_FILES = "image_order_*.npy"
REMEDY = "give --side-table FILE with a column image_id and one of that name"


def read_side_table(
    path: Path,
    train_ids: pa.ChunkedArray | None = None,
    train_labels: pa.ChunkedArray | None = None,
) -> pa.Table:
    """Return a checked side table, its columns sorted by name behind image_id.

    Args:
        path: Parquet, CSV, .npy, .npz, .pt or .json
        train_ids: (n,) ids of the training images, one for each row of an array; without them
            arrays are not read
        train_labels: (n,) their labels, with which the arrays' own are compared

    Raises:
        ValueError: a wrong column or type, an image twice, arrays of another length than the
            training set
        FileNotFoundError: there is no such file
    """
    if train_ids is not None and path.suffix in ARRAY_SUFFIXES:
        table = _read_arrays(path, train_ids, train_labels)
    else:
        table = read_table(path, ID_SCHEMA)
    reject_duplicates(
        path,
        table,
        ["image_id"],
        "keep one row of each",
    )
    names = sorted(name for name in table.column_names if name != "image_id")
    if not names:
        raise ValueError(
            f"{path}: there is no column besides image_id: add a column of labels or of features"
        )
    columns = {name: _check_column(path, name, table[name]) for name in names}
    return pa.table({"image_id": table["image_id"], **columns})


def column_values(
    side_table: pa.Table | None,
    name: str,
    ids: pa.ChunkedArray,
) -> NDArray[np.int64] | NDArray[np.float32]:
    """Return the values of a column for n images: (n,) labels, or (n, d) features.

    Raises:
        ValueError: there is no side table, no such column, or an image is not in the table
    """
    if side_table is None:
        raise ValueError(
            f"this noise needs data {name!r} for each image, but the dataset has none: {REMEDY}"
        )
    names = [column for column in side_table.column_names if column != "image_id"]
    if name not in names:
        raise ValueError(
            f"the side table has no column {name!r}.{suggest(name, names)} "
            f"The columns are: {', '.join(names)}"
        )
    rows = pc.index_in(ids, side_table["image_id"].combine_chunks())
    if rows.null_count:
        missing = ids.filter(pc.is_null(rows))
        raise ValueError(
            f"column {name!r} of the side table has no row for {len(missing)} images, "
            f"such as {missing[0]}"
        )
    values = side_table[name].take(rows).combine_chunks()
    if pa.types.is_integer(values.type):
        labels: NDArray[np.int64] = values.to_numpy(zero_copy_only=False).astype(np.int64)
        return labels
    flat = values.flatten().to_numpy(zero_copy_only=False)
    features: NDArray[np.float32] = flat.reshape(len(ids), -1)
    return features


def _check_column(
    path: Path,
    name: str,
    values: pa.ChunkedArray,
) -> pa.ChunkedArray:
    """Return a column as int32 labels or as float32 features of one length."""
    place = f"{path}: column {name!r}"
    if values.null_count:
        raise ValueError(
            f"{place}: {values.null_count} rows have no value: fill them in, or remove them"
        )
    if pa.types.is_integer(values.type):
        return cast_column(path, pa.field(name, pa.int32(), nullable=False), values)
    if not _is_list(values.type):
        raise ValueError(
            f"{place} has the type {values.type}: labels must be integers, and features must "
            "be lists of floats"
        )
    lengths = pc.unique(pc.list_value_length(values))
    if len(lengths) != 1 and len(values):
        raise ValueError(
            f"{place}: the lists have {len(lengths)} different lengths: give lists of the same "
            "length"
        )
    width = lengths[0].as_py() if len(lengths) else 1
    flat = values.combine_chunks().flatten().cast(pa.float32())
    if not np.isfinite(flat.to_numpy(zero_copy_only=False)).all():
        raise ValueError(f"{place}: a feature is not a finite number: correct it")
    return pa.chunked_array([pa.FixedSizeListArray.from_arrays(flat, width)])


def _is_list(data_type: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(data_type)
        or pa.types.is_fixed_size_list(data_type)
        or pa.types.is_large_list(data_type)
    )


def _read_arrays(
    path: Path,
    train_ids: pa.ChunkedArray,
    train_labels: pa.ChunkedArray | None,
) -> pa.Table:
    """Return the arrays of a file as columns, one row a training image."""
    arrays = _load_arrays(path)
    for name, array in arrays.items():
        if array.ndim not in (1, 2) or len(array) != len(train_ids):
            raise ValueError(
                f"{path}: {name} has shape {array.shape}: "
                f"there must be a row for each of the {len(train_ids)} training images"
            )
    if TRUE_LABELS in arrays and train_labels is not None:
        arrays = _in_order(path, arrays, train_labels.to_numpy())
    columns = {}
    for name, array in arrays.items():
        with translate_errors(f"{path}: {name}", "labels or features", SAVE_AGAIN):
            values = pa.array(array.ravel())
            if array.ndim == 2:
                values = pa.FixedSizeListArray.from_arrays(values, array.shape[1])
            columns[name] = values
    return pa.table({"image_id": train_ids, **columns})


def _load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file by name; an array without a name gets that of the file."""
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: there is no such file: correct the path after --side-table"
        )
    if path.suffix == ".json":
        values = read_json(path, SAVE_AGAIN)
        with translate_errors(path, "a list of numbers", SAVE_AGAIN):
            return {path.stem: np.array(values)}
    if path.suffix == ".pt":
        content = read_torch(path, SAVE_AGAIN)
        with translate_errors(path, "labels or features", SAVE_AGAIN):
            return to_arrays(content)
    return read_named_arrays(path)


def _in_order(
    path: Path,
    arrays: dict[str, NDArray[Any]],
    train_labels: NDArray[Any],
) -> dict[str, NDArray[Any]]:
    """Return arrays whose own true labels are those of the training images, row by row.

    The arrays that CIFAR-N calls `ordered` follow TensorFlow Datasets. An `image_order_c10.npy` of
    its authors beside the file says where in the official order each of their rows belongs.

    Raises:
        ValueError: the labels differ, and no such file makes them equal
    """
    true_labels = arrays[TRUE_LABELS]
    if np.array_equal(true_labels, train_labels):
        return arrays
    for order_path in sorted(path.parent.glob(ORDER_FILES)):
        order = read_npy(order_path)
        is_order = np.array_equal(np.sort(order, axis=None), np.arange(len(train_labels)))
        if is_order and np.array_equal(true_labels, train_labels[order]):
            rows = np.argsort(order)
            return {name: array[rows] for name, array in arrays.items()}
    differs = true_labels != train_labels
    row = int(np.argmax(differs))
    raise ValueError(
        f"{path}: {TRUE_LABELS} is not the label of the training image in {differs.sum():,} of "
        f"{len(differs):,} rows, such as row {row}: {true_labels[row]}, but the label of the "
        "image is "
        f"{train_labels[row]}, so the rows are in another order: use the .pt file of the same "
        "labels, "
        f"or put {ORDER_FILES} of its authors beside this one"
    )
