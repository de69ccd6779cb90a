"""Reading tables from files: open, cast to a schema, reject bad rows.

Every error names the file, the column, the first bad row (counted from 0) and the remedy.
"""

import reprlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from cnlw_tools.dataset.row_numbers import number_rows
from cnlw_tools.dataset.row_selection import take_rows
from cnlw_tools.dataset.shared_chunks import CHUNK_ROWS, ChunkStock
from cnlw_tools.files.parquet import (
    MAKE_AGAIN,
    PARQUET,
    check_decoded_size,
    open_parquet,
    read_batches,
)
from cnlw_tools.files.texts import split_header
from cnlw_tools.files.untrusted import first_line, translate_errors
from cnlw_tools.registry import suggest

INFO_KEY = b"cnlw"  # Parquet metadata that stay with a table: see `tables.read_info`
MAX_VALUE_LENGTH = 200  # characters of a value that an error shows

_short = reprlib.Repr()
_short.maxstring = _short.maxother = MAX_VALUE_LENGTH


def read_table(path: Path, schema: pa.Schema) -> pa.Table:
    """Read a Parquet or CSV file; other columns stay, behind the ones that the schema asks for.

    Raises:
        ValueError: the file is not a table, two columns have one name, or a column of the schema is
            missing or of another type
        FileNotFoundError: there is no such file
    """
    table = open_table(path, schema)
    names = table.column_names
    columns = [cast_column(path, field, column(path, table, field.name)) for field in schema]
    extra_names = [name for name in names if name not in schema.names]
    columns += [table[name] for name in extra_names]
    fields = [*schema, *(table.schema.field(name) for name in extra_names)]
    metadata = table.schema.metadata or {}
    own_metadata = {key: value for key, value in metadata.items() if key == INFO_KEY}
    return pa.table(columns, schema=pa.schema(fields, own_metadata))


def reject_duplicates(
    path: Path | str,
    table: pa.Table,
    columns: list[str],
    remedy: str,
    rows: NDArray[np.integer] | None = None,
) -> None:
    """Insist that no combination of values occurs twice in these columns.

    Args:
        path: what errors call the table
        table: any table
        columns: names of the columns
        remedy: what to do, for the error
        rows: (k,) which rows to look at; all if not given

    Raises:
        ValueError: a combination occurs twice
    """
    keys = table.select(columns)
    if rows is not None:
        keys = take_rows(keys, rows)
    ids_first = sorted(columns, key=lambda name: name != "image_id")  # they have most values
    (numbers,) = number_rows([keys], ids_first)
    if not len(numbers) or numbers.max() + 1 == len(numbers):
        return
    counts = np.bincount(numbers)
    place = int(np.argmax(counts[numbers] > 1))
    row = place if rows is None else int(rows[place])
    duplicate = keys.slice(place, 1).to_pylist()[0]
    value = ", ".join(_short.repr(duplicate[name]) for name in columns)
    raise ValueError(
        f"{path}: column {'+'.join(columns)!r}, row {row}: {value} occurs "
        f"{counts[numbers[place]]} times; {remedy}"
    )


def reject_bad_rows(
    path: Path | str,
    column: str,
    is_bad: NDArray[np.bool_],
    values: Any,
    remedy: str,
    places: Sequence[str] | None = None,
) -> None:
    """Raise an error that shows the first bad row, if there is one.

    Args:
        path: what errors call the table
        column: name of the column
        is_bad: (n,) which rows are bad
        values: (n,) the values of the column, of Arrow, NumPy or Python
        remedy: what to do, for the error
        places: (n,) where a row is in the file; its number if not given

    Raises:
        ValueError: a row is bad
    """
    if not is_bad.any():
        return
    row = int(np.argmax(is_bad))
    value = values[row]
    if isinstance(value, pa.Scalar):
        value = value.as_py()
    elif isinstance(value, np.generic):
        value = value.item()
    place = places[row] if places else f"row {row}"
    raise ValueError(
        f"{path}: column {column!r}, {place}: {_short.repr(value)} "
        f"({int(is_bad.sum())} such rows); {remedy}"
    )


def cast_column(
    path: Path | str,
    field: pa.Field,
    column: pa.ChunkedArray,
) -> pa.ChunkedArray:
    """Cast a column to the type of a field, and insist on a value in each row where one must be.

    Raises:
        ValueError: the cast would lose or reinterpret a value, or a value is missing
    """
    try:
        _check_same_kind(field.type, column)
        column = column.cast(field.type)
    except (pa.ArrowException, ValueError) as error:
        raise ValueError(
            f"{path}: column {field.name!r} has type {column.type} ({first_line(error)}); "
            f"store it as {field.type}"
        ) from error
    if not field.nullable and column.null_count:
        remedy = "this column may not be empty: fill in or drop"
        reject_bad_rows(
            path,
            field.name,
            column.is_null().to_numpy(),
            column,
            remedy,
        )
    return column


def _check_same_kind(target: pa.DataType, column: pa.ChunkedArray) -> None:
    """Refuse casts that Arrow allows, between text, numbers and truth values.

    Only 0 and 1 may become truth values, and truth values nothing else. A number is not a time, as
    nothing says whether it counts seconds or microseconds.
    """
    source = column.type
    same_kind = pa.types.is_null(source) or pa.types.is_string(target) == is_text(source)
    loses_boolean = pa.types.is_boolean(source) and not pa.types.is_boolean(target)
    makes_time = pa.types.is_timestamp(target) and not pa.types.is_temporal(source)
    invents_unit = makes_time and not pa.types.is_null(source)
    if len(column) and (not same_kind or loses_boolean or invents_unit):
        raise ValueError(f"{source} is not {target}")
    if pa.types.is_boolean(target):
        is_flag = pc.is_in(column, pa.array([0, 1, None]))
        if not pc.all(is_flag, min_count=0).as_py():
            raise ValueError("a value other than 0 and 1")


def column(
    path: Path,
    table: pa.Table,
    name: str,
) -> pa.ChunkedArray:
    """Return a column that must exist.

    Raises:
        ValueError: there is none of this name
    """
    if name not in table.column_names:
        suggestion = suggest(name, table.column_names)
        raise ValueError(
            f"{path}: column {name!r} is missing.{suggestion} "
            f"The columns are: {', '.join(table.column_names)}"
        )
    return table[name]


def open_table(path: Path, schema: pa.Schema) -> pa.Table:
    """Return the table of a Parquet or CSV file with the types that the file has.

    Args:
        path: of the file
        schema: its text columns stay text in a CSV file, even numbers or words like ``null``

    Raises:
        ValueError: the file is not a table, or two columns have one name
        FileNotFoundError: there is no such file
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: there is no such file; a table is a .parquet or .csv file"
        )
    is_csv = path.suffix.lower() in (".csv", ".tsv")
    with translate_errors(path, "CSV" if is_csv else PARQUET, MAKE_AGAIN):
        table = _open_csv(path, schema) if is_csv else _open_parquet(path)
    names = table.column_names
    if len(set(names)) < len(names):
        raise ValueError(
            f"{path}: several columns have the same name: {', '.join(names)}; remove or rename one"
        )
    return table


def _open_parquet(path: Path) -> pa.Table:
    """Return a table that lies on the disk; at no time is more than a chunk of it in memory."""
    stock = ChunkStock()
    with open_parquet(path, pre_buffer=False) as file:
        check_decoded_size(file, path)
        parts = [file.schema_arrow.empty_table()]
        _check_text(parts[0])
        for batch in read_batches(file, path, CHUNK_ROWS):
            part = pa.Table.from_batches([batch])
            _check_text(part)
            parts.append(stock.share(part))
    return pa.concat_tables(parts)


def _check_text(table: pa.Table) -> None:
    """Check that text is UTF-8, also in the names of columns, which Arrow assumes.

    Raises:
        pa.ArrowException, UnicodeDecodeError: it is not
    """
    table.validate(full=True)
    table.column_names  # noqa: B018, likewise


def _open_csv(path: Path, schema: pa.Schema) -> pa.Table:
    """Read CSV: text columns stay text, even numbers or words like ``null``; empty is null.

    Any usual delimiter separates the columns. Headers may have other capitals than the schema, and
    blanks around them; then blanks around values are dropped, too.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        line = next((line for line in file if line.strip()), "")
    delimiter, _ = split_header(line)
    parsing = pacsv.ParseOptions(delimiter=delimiter)
    headers = pacsv.read_csv(BytesIO(line.encode()), parse_options=parsing).column_names
    names = _match_headers(headers, schema)
    types = {}
    for header, name in zip(headers, names, strict=True):
        if name in schema.names and pa.types.is_string(schema.field(name).type):
            types[header] = pa.string()
    options = pacsv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True)
    table = pacsv.read_csv(path, parse_options=parsing, convert_options=options)
    _check_text(table)
    table = table.rename_columns(names)
    has_blanks = any(header != header.strip() for header in headers)
    return _strip_values(table) if has_blanks else table


def _match_headers(headers: Sequence[str], schema: pa.Schema) -> list[str]:
    """Return the names of columns: those of the schema for headers that differ only in capitals."""
    field_of_header = {name.casefold(): name for name in schema.names}
    names = [header.strip() for header in headers]
    matches = [field_of_header.get(name.casefold(), name) for name in names]
    pairs = zip(names, matches, strict=True)
    return [name if match in names else match for name, match in pairs]


def _strip_values(table: pa.Table) -> pa.Table:
    """Drop blanks around texts; a text of blanks alone becomes null."""
    for position, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            texts = pc.utf8_trim_whitespace(table.column(position))
            texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
            table = table.set_column(position, field, texts)
    return table


def is_text(data_type: pa.DataType) -> bool:
    """Tell whether a column of this type holds text."""
    if pa.types.is_dictionary(data_type):
        data_type = data_type.value_type
    return bool(
        pa.types.is_string(data_type)
        or pa.types.is_large_string(data_type)
        or pa.types.is_string_view(data_type)
    )
