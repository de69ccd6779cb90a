"""Reading a table from a file: opened, cast to a schema, complained of.

Every complaint names the file, the column, the first bad row (counted from 0) and the remedy.
"""

import reprlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cnlw_tools.registry import suggest

LONGEST = 200  # characters of a value in a complaint

_short = reprlib.Repr()
_short.maxstring = _short.maxother = LONGEST


def load(path: Path, schema: pa.Schema) -> pa.Table:
    """Read a Parquet or CSV file; free columns stay, behind the ones that the schema asks for."""
    table = _open(path, schema)
    if len(set(table.column_names)) < len(table.column_names):
        raise ValueError(
            f"{path}: two columns have one name: {', '.join(table.column_names)}; drop or rename one"
        )
    columns = []
    for field in schema:
        if field.name not in table.column_names:
            near = suggest(field.name, table.column_names)
            raise ValueError(
                f"{path}: column {field.name!r} is missing.{near} There are: {', '.join(table.column_names)}"
            )
        columns.append(cast(path, field, table[field.name]))
    free = [name for name in table.column_names if name not in schema.names]
    fields = [*schema, *(table.schema.field(name) for name in free)]
    kept = {k: v for k, v in (table.schema.metadata or {}).items() if k == b"cnlw"}
    return pa.table([*columns, *(table[name] for name in free)], schema=pa.schema(fields, kept))


def distinct(
    path: Path | str,
    table: pa.Table,
    columns: list[str],
    remedy: str,
    among: NDArray[np.integer] | None = None,
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
        value = ", ".join(_short.repr(at[c]) for c in columns)
        times, row = at["row_count"], at["row_min"]
        raise ValueError(
            f"{path}: column {'+'.join(columns)!r}, row {row}: {value} comes {times} times; {remedy}"
        )


def first(path: Path | str, column: str, bad: NDArray[np.bool_], values: Any, remedy: str) -> None:
    """Complain of the first bad row, if there is one."""
    if bad.any():
        row = int(np.argmax(bad))
        value = values[row].as_py() if hasattr(values[row], "as_py") else values[row].item()
        raise ValueError(
            f"{path}: column {column!r}, row {row}: {_short.repr(value)} ({int(bad.sum())} such rows); {remedy}"
        )


def _open(path: Path, schema: pa.Schema) -> pa.Table:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: there is no such file; a table is a .parquet or .csv file"
        )
    try:
        table = (
            _open_csv(path, schema)
            if path.suffix == ".csv"
            else pq.read_table(path, partitioning=None)
        )
        table.validate(full=True)  # Arrow trusts a file's text to be UTF-8 until somebody looks
        table.column_names  # noqa: B018, likewise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path}: cannot be read ({_line(error)}); make or copy this file again"
        ) from error
    return table


def _open_csv(path: Path, schema: pa.Schema) -> pa.Table:
    """Read CSV: text columns as they stand there, be they numbers or words like ``null``; empty is null."""
    text = {field.name: field.type for field in schema if pa.types.is_string(field.type)}
    return pacsv.read_csv(
        path,
        convert_options=pacsv.ConvertOptions(
            column_types=text, null_values=[""], strings_can_be_null=True
        ),
    )


def cast(path: Path | str, field: pa.Field, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Cast to the asked type where no value is lost by it, and insist on values where they must be."""
    same_kind = pa.types.is_string(field.type) == _textual(column.type) or pa.types.is_null(
        column.type
    )
    try:
        if (not same_kind or _is_flag(column.type) > _is_flag(field.type)) and len(column):
            raise ValueError(f"{column.type} is no {field.type}")
        if (
            pa.types.is_boolean(field.type)
            and not pc.all(pc.is_in(column, pa.array([0, 1, None])), min_count=0).as_py()
        ):
            raise ValueError("a value other than 0 and 1")
        column = column.cast(field.type)
    except (pa.ArrowException, ValueError) as error:
        remedy = f"store it as {field.type}"
        raise ValueError(
            f"{path}: column {field.name!r} has type {column.type} ({_line(error)}); {remedy}"
        ) from error
    if not field.nullable and column.null_count:
        first(
            path,
            field.name,
            column.is_null().to_numpy(),
            column,
            "this column may not be empty: fill in or drop",
        )
    return column


def _is_flag(kind: pa.DataType) -> bool:
    return bool(pa.types.is_boolean(kind))


def _textual(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(
        pa.types.is_string(inner)
        or pa.types.is_large_string(inner)
        or pa.types.is_string_view(inner)
    )


def _line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
