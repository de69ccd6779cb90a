"""The side table: per-image data that some noise asks for, such as the labels that somebody or some network gave.

    image_id    str
    <name>      int32: a label             any number of columns, in any order
    <name>      list of float32, all of one length: features

It comes as Parquet or CSV (labels alone), or as what papers publish beside a dataset: ``.npy``, ``.npz`` with an array
a column, or a ``.json`` list, whose row i is that of the i-th training image in id order.
"""

import json
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.dataset import table_io
from cnlw_tools.registry import suggest

ID = pa.schema([pa.field("image_id", pa.string(), nullable=False)])
GIVE = "give --side FILE with a column image_id and one of that name"


def read(path: Path, train: pa.ChunkedArray | None = None) -> pa.Table:
    """Return a side table, checked.

    Args:
        path: Parquet, CSV, .npy, .npz or .json
        train: ids of the training images in order, which the rows of an array are; none where arrays are not read

    Raises:
        ValueError: a wrong column or type, an image twice, arrays of another length than the training set
        FileNotFoundError: there is no such file
    """
    arrays = path.suffix in (".npy", ".npz", ".json") and train is not None
    table = _arrays(path, train) if arrays else table_io.load(path, ID)
    table_io.distinct(path, table, ["image_id"], "keep one row of each")
    if len(table.column_names) < 2:
        raise ValueError(
            f"{path}: there is image_id and nothing beside: add a column of labels or of features"
        )
    made = {
        name: _checked(path, name, table[name])
        for name in sorted(table.column_names)
        if name != "image_id"
    }
    return pa.table({"image_id": table["image_id"], **made})


def column(
    side: pa.Table | None, name: str, ids: pa.ChunkedArray
) -> NDArray[np.int64] | NDArray[np.float32]:
    """Return the values of some images: (n,) labels, or (n, d) features.

    Raises:
        ValueError: there is no side table, no such column, or one of the images is not in it
    """
    if side is None:
        raise ValueError(
            f"this noise needs per-image data {name!r}, and the dataset has none: {GIVE}"
        )
    known = [n for n in side.column_names if n != "image_id"]
    if name not in known:
        raise ValueError(
            f"the side table has no column {name!r}.{suggest(name, known)} There are: {', '.join(known)}"
        )
    at = pc.index_in(ids, side["image_id"].combine_chunks())
    if at.null_count:
        missing = ids.filter(pc.is_null(at))
        raise ValueError(
            f"column {name!r} of the side table has no row for {len(missing)} images, such as {missing[0]}"
        )
    values = side[name].take(at).combine_chunks()
    if pa.types.is_integer(values.type):
        labels: NDArray[np.int64] = values.to_numpy(zero_copy_only=False).astype(np.int64)
        return labels
    features: NDArray[np.float32] = (
        values.flatten().to_numpy(zero_copy_only=False).reshape(len(ids), -1)
    )
    return features


def _checked(path: Path, name: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as int32 labels or as float32 features of one length."""
    kind = values.type
    if values.null_count:
        raise ValueError(
            f"{path}: column {name!r}: {values.null_count} rows have no value: fill them in, or drop them"
        )
    if pa.types.is_integer(kind):
        return table_io.cast(path, pa.field(name, pa.int32(), nullable=False), values)
    if not (
        pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind)
    ):
        raise ValueError(
            f"{path}: column {name!r} is {kind}: labels are integers, features lists of floats"
        )
    lengths = pc.unique(pc.list_value_length(values))
    if len(lengths) != 1 and len(values):
        raise ValueError(
            f"{path}: column {name!r}: lists of {len(lengths)} lengths: features have one"
        )
    width = lengths[0].as_py() if len(lengths) else 1
    flat = values.combine_chunks().flatten().cast(pa.float32())
    if not np.isfinite(flat.to_numpy(zero_copy_only=False)).all():
        raise ValueError(f"{path}: column {name!r}: a feature is no finite number: mend it")
    return pa.chunked_array([pa.FixedSizeListArray.from_arrays(flat, width)])


def _arrays(path: Path, train: pa.ChunkedArray) -> pa.Table:
    """Return the arrays of a file as columns, one row a training image."""
    columns = {}
    for name, array in _opened(path).items():
        if array.ndim not in (1, 2) or len(array) != len(train):
            wanted = f"wanted a row for each of {len(train)} training images"
            raise ValueError(f"{path}: {name} has shape {array.shape}: {wanted}")
        values = pa.array(array.ravel())
        columns[name] = (
            values if array.ndim == 1 else pa.FixedSizeListArray.from_arrays(values, array.shape[1])
        )
    return pa.table({"image_id": train, **columns})


def _opened(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file by name; one that has none is called like the file."""
    try:
        if path.suffix == ".json":
            return {path.stem: np.array(json.loads(path.read_text(encoding="utf-8")))}
        found = np.load(path, allow_pickle=False)
        return (
            {path.stem: found}
            if isinstance(found, np.ndarray)
            else {name: found[name] for name in found.files}
        )
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such file") from None
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise ValueError(
            f"{path}: no arrays that can be read ({error}): save them with numpy.save or savez"
        ) from error
