"""The four tables that cross the borders, and the one way in for each: read, cast, check.

Every complaint names the file, the column, the first bad row (counted from 0) and the remedy.
"""

import json
import math
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cnlw_tools import dice
from cnlw_tools.files import aside
from cnlw_tools.lookup import suggest

STRING = pa.string()
MANIFEST = pa.schema(
    [
        pa.field("image_id", STRING, nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("split", STRING, nullable=False),  # train | validation ... | probe | verified | web
        pa.field("uri", STRING),
        pa.field("sha256", STRING),  # of the image as its source gives it: the file, or the RGB pixels
    ]
)
VOTES = pa.schema(
    [
        pa.field("image_id", STRING, nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("annotator", STRING),
        pa.field("correct", pa.bool_()),  # does the image show the label? null: unsure
        pa.field("at", pa.timestamp("us", "UTC")),
    ]
)
PLAN = pa.schema(
    [
        pa.field("image_id", STRING, nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("clean_label", pa.int32()),  # null where nobody knows: a wrong web image
        pa.field("origin", STRING, nullable=False),  # base | web | other | white
        pa.field("replaces", STRING),  # the image that lost the slot
        pa.field("is_noisy", pa.bool_(), nullable=False),
        pa.field("split", STRING, nullable=False),
    ]
)
RUNS = pa.schema(
    [
        pa.field("run", STRING, nullable=False),
        pa.field("dataset", STRING, nullable=False),
        pa.field("config", STRING, nullable=False),
        pa.field("method", STRING, nullable=False),
        pa.field("options", STRING, nullable=False),  # JSON
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("epoch", pa.int32(), nullable=False),
        pa.field("metric", STRING, nullable=False),
        pa.field("value", pa.float64()),
    ]
)
CLASSES = pa.schema([pa.field("label", pa.int32(), nullable=False), pa.field("name", STRING, nullable=False)])
ORIGINS = ("base", "web", "other", "white")
BLOCK = 1 << 16  # rows hashed at a time; part of what a digest means


def read_classes(path: Path) -> tuple[str, ...]:
    """Return the class names in label order.

    Raises:
        ValueError: labels are not 0, 1, 2 ... in order, or a name comes twice
    """
    table = _load(path, CLASSES)
    labels = table["label"].to_numpy()
    _first(path, "label", labels != np.arange(len(labels)), labels, "labels must count 0, 1, 2 ... in row order")
    _distinct(path, table, ["name"], "give each class a name of its own")
    return tuple(table["name"].to_pylist())


def read_manifest(path: Path, classes: int, web: bool = False) -> pa.Table:
    """Return a manifest: one row an image, or one row an image and label in a web manifest.

    Raises:
        ValueError: a wrong column or type, a label out of range, a duplicate key, a split of the other kind
    """
    return check_manifest(_load(path, MANIFEST), path, classes, web)


def check_manifest(table: pa.Table, path: Path | str, classes: int, web: bool = False) -> pa.Table:
    """Return the manifest as it is, if it is one; ``path`` is what the errors call it."""
    _labels(path, table, classes)
    split = table["split"]
    wrong = pc.not_equal(split, "web") if web else pc.equal(split, "web")
    kind = "a web manifest holds the split 'web' and no other" if web else "the split 'web' belongs in web.parquet"
    _first(path, "split", wrong.to_numpy(), split, kind)
    _distinct(path, table, ["image_id", "label"] if web else ["image_id"], "keep one row of each")
    return table


def read_votes(path: Path, web: pa.Table) -> pa.Table:
    """Return the votes on the candidates of a web manifest, one row a vote.

    Raises:
        ValueError: a wrong column or type, a vote for a candidate that is not in the manifest, two votes of
            one annotator on one candidate
    """
    table = _load(path, VOTES)
    known = np.isin(*_candidates(table, web))
    _first(path, "image_id", ~known, _pairs(table), "no such image_id and label in the web manifest: add or drop it")
    named = np.flatnonzero(table["annotator"].is_valid().to_numpy())
    _distinct(path, table, ["image_id", "label", "annotator"], "keep one vote of an annotator on a candidate", named)
    return table


def read_plan(path: Path) -> pa.Table:
    """Return a plan with its metadata.

    Raises:
        ValueError: a wrong column or type, an unknown origin, a label below 0
    """
    table = _load(path, PLAN)
    _labels(path, table, 1 << 31)
    unknown = pc.invert(pc.is_in(table["origin"], pa.array(ORIGINS)))
    _first(path, "origin", unknown.to_numpy(), table["origin"], f"there are {', '.join(ORIGINS)}")
    return table


def read_runs(path: Path) -> pa.Table:
    """Return what training measured, one row a number.

    Raises:
        ValueError: a wrong column or type, or one number twice
    """
    table = _load(path, RUNS)
    _distinct(path, table, ["run", "epoch", "metric"], "keep one value of a metric a run and epoch")
    return table


def write(table: pa.Table, path: Path) -> None:
    """Write a table as Parquet, whole or not at all; the same table gives the same bytes."""
    with aside(path) as draft:
        pq.write_table(table, draft, compression="zstd", write_page_index=True)


def write_csv(table: pa.Table, path: Path) -> None:
    """Write a small table as CSV, whole or not at all."""
    with aside(path) as draft:
        pacsv.write_csv(table, draft, pacsv.WriteOptions(quoting_style="needed"))


def keys(column: pa.ChunkedArray, seed: int) -> dice.UInts:
    """Return the (n,) random keys of a column of ids."""
    parts = [dice.keys(*utf8(chunk), seed) for chunk in column.chunks]
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


def metadata(table: pa.Table) -> dict[str, Any]:
    """Return what a plan says of itself."""
    raw = (table.schema.metadata or {}).get(b"cnlw")
    found: dict[str, Any] = json.loads(raw) if raw else {}
    return found


def with_metadata(table: pa.Table, found: dict[str, Any]) -> pa.Table:
    """Return the table, saying this of itself."""
    return table.replace_schema_metadata({b"cnlw": json.dumps(found, sort_keys=True).encode()})


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
        yield from _canonical(array.cast(STRING))


def _nested(array: pa.Array) -> Iterator[Any]:
    """Yield the bytes of the columns inside a column of structs, or of lists after how long each is."""
    if pa.types.is_struct(array.type):
        for inner in array.flatten():
            yield from _canonical(inner)
    else:
        yield from _canonical(pc.list_value_length(array).cast(pa.int64()))
        yield from _canonical(array.flatten())


def _integer(kind: pa.DataType) -> pa.DataType:
    """The unsigned integers of the same width."""
    return {8: pa.uint8(), 16: pa.uint16(), 32: pa.uint32(), 64: pa.uint64()}[kind.bit_width]


def _load(path: Path, schema: pa.Schema) -> pa.Table:
    """Read a Parquet or CSV file; free columns stay, behind the ones that the schema asks for."""
    table = _open(path, schema)
    if len(set(table.column_names)) < len(table.column_names):
        raise ValueError(f"{path}: two columns have one name: {', '.join(table.column_names)}; drop or rename one")
    columns = []
    for field in schema:
        if field.name not in table.column_names:
            near = suggest(field.name, table.column_names)
            raise ValueError(
                f"{path}: column {field.name!r} is missing.{near} There are: {', '.join(table.column_names)}"
            )
        columns.append(_cast(path, field, table[field.name]))
    free = [name for name in table.column_names if name not in schema.names]
    fields = [*schema, *(table.schema.field(name) for name in free)]
    kept = {k: v for k, v in (table.schema.metadata or {}).items() if k == b"cnlw"}
    return pa.table([*columns, *(table[name] for name in free)], schema=pa.schema(fields, kept))


def _open(path: Path, schema: pa.Schema) -> pa.Table:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file; a table is a .parquet or .csv file")
    try:
        table = _open_csv(path, schema) if path.suffix == ".csv" else pq.read_table(path, partitioning=None)
        table.validate(full=True)  # Arrow trusts a file's text to be UTF-8 until somebody looks
        table.column_names  # noqa: B018, likewise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read ({_line(error)}); make or copy this file again") from error
    return table


def _open_csv(path: Path, schema: pa.Schema) -> pa.Table:
    """Read CSV: text columns as they stand there, be they numbers or words like ``null``; empty is null."""
    text = {field.name: field.type for field in schema if pa.types.is_string(field.type)}
    return pacsv.read_csv(
        path,
        convert_options=pacsv.ConvertOptions(column_types=text, null_values=[""], strings_can_be_null=True),
    )


def _cast(path: Path, field: pa.Field, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Cast to the asked type where no value is lost by it, and insist on values where they must be."""
    same_kind = pa.types.is_string(field.type) == _textual(column.type) or pa.types.is_null(column.type)
    try:
        if not same_kind and len(column):
            raise ValueError(f"{column.type} is no {field.type}")
        if (
            pa.types.is_boolean(field.type)
            and not pc.all(pc.is_in(column, pa.array([0, 1, None])), min_count=0).as_py()
        ):
            raise ValueError("a value other than 0 and 1")
        column = column.cast(field.type)
    except (pa.ArrowException, ValueError) as error:
        remedy = f"store it as {field.type}"
        raise ValueError(f"{path}: column {field.name!r} has type {column.type} ({_line(error)}); {remedy}") from error
    if not field.nullable and column.null_count:
        _first(path, field.name, column.is_null().to_numpy(), column, "this column may not be empty: fill in or drop")
    return column


def _textual(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_string_view(inner))


def _labels(path: Path | str, table: pa.Table, classes: int) -> None:
    label = table["label"].to_numpy()
    bad = (label < 0) | (label >= classes)
    _first(path, "label", bad, label, f"labels run from 0 to {classes - 1}: mend the label or the class list")


def _distinct(
    path: Path | str, table: pa.Table, columns: list[str], remedy: str, among: NDArray[np.integer] | None = None
) -> None:
    """Insist that no combination of these columns comes twice, among some rows or all."""
    if len(columns) == 1 and pc.count_distinct(table[columns[0]]).as_py() == len(table):
        return
    rows = table.select(columns).append_column("row", pa.array(np.arange(len(table))))
    rows = rows if among is None else rows.take(among)
    last = rows.group_by(columns, use_threads=False).aggregate([("row", "min"), ("row", "count")])
    twice = last.filter(pc.greater(last["row_count"], 1))
    if len(twice):
        at = twice.slice(int(np.argmin(twice["row_min"].to_numpy())), 1).to_pylist()[0]
        value = ", ".join(repr(at[c]) for c in columns)
        times, row = at["row_count"], at["row_min"]
        raise ValueError(f"{path}: column {'+'.join(columns)!r}, row {row}: {value} comes {times} times; {remedy}")


def _candidates(votes: pa.Table, web: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the (image_id, label) pairs of both tables alike; -1 in votes where the image is unknown."""
    ids = pc.unique(web["image_id"])
    width = np.int64(1) << 32
    known = web["label"].to_numpy() + width * pc.index_in(web["image_id"], ids).to_numpy().astype(np.int64)
    place = pc.fill_null(pc.index_in(votes["image_id"], ids), -1).to_numpy().astype(np.int64)
    return np.where(place < 0, -1, votes["label"].to_numpy() + width * place), known


def _pairs(table: pa.Table) -> pa.StructArray:
    return pa.StructArray.from_arrays(
        [table["image_id"].combine_chunks(), table["label"].combine_chunks()], ["image_id", "label"]
    )


def _first(path: Path | str, column: str, bad: NDArray[np.bool_], values: Any, remedy: str) -> None:
    """Complain of the first bad row, if there is one."""
    if bad.any():
        row = int(np.argmax(bad))
        value = values[row].as_py() if hasattr(values[row], "as_py") else values[row].item()
        raise ValueError(f"{path}: column {column!r}, row {row}: {value!r} ({int(bad.sum())} such rows); {remedy}")


def _line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
