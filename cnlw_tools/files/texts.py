"""Text, CSV, JSON and TOML.

A text may nest without end, and an empty list of JSON grows from 3 bytes to 64. So sizes, values
and depths are limited. A key that occurs twice is an error, as the parser would drop the first one.
"""

import csv
import json
import math
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from cnlw_tools.files.untrusted import (
    BadFile,
    check_regular,
    check_size,
    describe_error,
    read_bytes,
    translate_errors,
)

LARGEST_JSON = 256 << 20  # bytes; the largest published table of verdicts has 60 MB
LARGEST_TOML = 4 << 20  # bytes; a matrix of 100 classes takes 100 kB
LARGEST_TEXT = 256 << 20  # bytes; the lists of a million images have 60 MB
LONGEST_LINE = 1 << 20  # bytes, of a CSV file that is read line by line
MAX_VALUES = 10_000_000  # of a text: some 64 bytes of memory each
DELIMITERS = ",;\t|"  # of the columns of a CSV file
DEEPEST = 64  # levels of nesting; no file of ours has more than ten
SMALLEST_INTEGER, LARGEST_INTEGER = -(1 << 63), (1 << 64) - 1
CONTAINERS = (Mapping, list, tuple, set)


def read_text(
    path: Path,
    limit: int = LARGEST_TEXT,
    remedy: str = "store it as UTF-8",
) -> str:
    """Return the text of a file in UTF-8, without a byte order mark.

    Raises:
        BadFile, OSError: it is too long, not UTF-8, no regular file, or cannot be read
    """
    data = read_bytes(path, limit)
    with translate_errors(path, "text in UTF-8", remedy):
        return data.decode("utf-8-sig")


def read_csv(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the column names of a CSV file, and the values of each row.

    Blanks around names and values are dropped, and so are empty lines.

    Raises:
        BadFile, OSError: it is not a CSV file in UTF-8, a quote is not closed, or it cannot be read
    """
    file = StringIO(read_text(path, remedy="store it as CSV in UTF-8"), newline="")
    with translate_errors(path, "CSV", "store it as CSV in UTF-8"):
        n_lines, first_line = next(
            ((number, line) for number, line in enumerate(file, 1) if line.strip()), (0, "")
        )
        delimiter, names = split_header(first_line)
        rows = [row.values for row in _read_rows(file, delimiter, n_lines)]
    return names, rows


class NumberedRow(NamedTuple):
    """The values of a row, and the line on which it begins."""

    line: int  # counted from 1
    values: list[str]


@contextmanager
def stream_csv(path: Path) -> Iterator[tuple[list[str], Iterator[NumberedRow]]]:
    """Yield the column names of a CSV file and its rows, of which one at a time is in memory.

    Blanks around names and values are dropped, and so are empty lines.

    Raises:
        BadFile, OSError: as `read_csv`, when the row is asked for
    """
    check_regular(path)
    with path.open("rb") as file:
        lines = _decode_lines(file, path)
        n_lines, first_line = next(
            ((number, line) for number, line in enumerate(lines, 1) if line.strip()), (0, "")
        )
        with translate_errors(path, "CSV", "store it as CSV in UTF-8"):
            delimiter, names = split_header(first_line)
        yield names, _translate_rows(_read_rows(lines, delimiter, n_lines), path)


def _decode_lines(file: BinaryIO, path: Path) -> Iterator[str]:
    """Yield the lines of a file in UTF-8, without a byte order mark.

    Raises:
        BadFile: a line is not UTF-8, or too long
    """
    encoding = "utf-8-sig"
    for number in count(1):
        data = file.readline(LONGEST_LINE + 1)
        if not data:
            return
        if len(data) > LONGEST_LINE:
            remedy = "save the file as CSV, with a line for each row"
            check_size(f"{path}: line {number}", len(data), LONGEST_LINE, remedy)
        try:
            line = data.decode(encoding)
        except UnicodeDecodeError as error:
            raise BadFile(
                f"{path}: line {number}: this is not text in UTF-8 ({describe_error(error)}): "
                "save the file as CSV in UTF-8"
            ) from error
        yield line
        encoding = "utf-8"


def _translate_rows(rows: Iterator[NumberedRow], path: Path) -> Iterator[NumberedRow]:
    """Yield rows; what the parser raises becomes a BadFile."""
    with translate_errors(path, "CSV", "correct the line, or store the file as CSV in UTF-8"):
        yield from rows


def _read_rows(lines: Iterable[str], delimiter: str, n_lines: int) -> Iterator[NumberedRow]:
    """Yield each row that is not empty, without the blanks around its values.

    Args:
        lines: of the file
        delimiter: between two values
        n_lines: how many lines of the file stand before these

    Raises:
        ValueError: a quote is not closed, or not at the end of a value; it would hide rows
    """
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    while True:
        line_number = n_lines + reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            reason = "a quote is not closed, or something follows it"
            raise ValueError(f"line {line_number}: {error}; {reason}") from error
        if row is None:
            return
        if row:
            yield NumberedRow(line_number, [value.strip() for value in row])


def split_header(line: str) -> tuple[str, list[str]]:
    """Return the delimiter of a CSV file, and the names of its columns without blanks around them.

    Of the usual delimiters, it is the one that makes most columns.
    """
    best, names = DELIMITERS[0], [line]
    for delimiter in DELIMITERS:
        for words in csv.reader([line], delimiter=delimiter, skipinitialspace=True):
            if len(words) > len(names) or delimiter == DELIMITERS[0]:
                best, names = delimiter, words
    return best, [name.strip() for name in names]


def read_csv_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file by the names of its columns; a missing value is empty.

    Raises:
        BadFile, OSError: it is not a CSV file in UTF-8, or cannot be read
    """
    names, rows = read_csv(path)
    empty = dict.fromkeys(names, "")
    return [empty | dict(zip(names, row, strict=False)) for row in rows]


def read_json(path: Path, remedy: str = "") -> Any:
    """Return the value that a JSON file holds.

    Raises:
        BadFile, OSError: it is not JSON, beyond the limits of this module, or cannot be read
    """
    return parse_json(read_bytes(path, LARGEST_JSON), str(path), remedy)


def parse_json(
    text: str | bytes,
    source: str,
    remedy: str = "",
) -> Any:
    """Return the value that a JSON text holds.

    Args:
        text: as bytes it is UTF-8, with or without a byte order mark
        source: begins the error
        remedy: ends it

    Raises:
        BadFile: it is not JSON, or one beyond the limits of this module
    """
    check_size(source, len(text), LARGEST_JSON)
    with translate_errors(source, "JSON", remedy):
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        n_values = sum(map(text.count, ",:[{"))
        if n_values > MAX_VALUES:
            raise ValueError(f"more than {MAX_VALUES:,} values")
        value = json.loads(
            text,
            parse_int=_to_integer,
            parse_float=_to_float,
            object_pairs_hook=_to_object,
        )
    check_depth(value, source, remedy)
    return value


def parse_toml(
    text: str,
    source: str,
    remedy: str = "",
) -> dict[str, Any]:
    """Return the table that a TOML text holds.

    Raises:
        BadFile: it is not TOML, or one beyond the limits of this module
    """
    check_size(source, len(text), LARGEST_TOML)
    with translate_errors(source, "TOML", remedy):
        table = tomllib.loads(text, parse_float=_to_float)
    check_depth(table, source, remedy)
    return table


def check_depth(
    raw: Any,
    source: str,
    remedy: str = "",
) -> None:
    """Raise if values are nested without end, so that nothing later runs out of stack.

    Raises:
        BadFile: they are
    """
    values = [raw] if isinstance(raw, CONTAINERS) else []
    for _ in range(DEEPEST):
        values = _inner_values(values)
        if not values:
            return
    tail = f": {remedy}" if remedy else ""
    raise BadFile(f"{source}: it is nested more than {DEEPEST} levels deep: nest it less{tail}")


def _inner_values(values: list[Any]) -> list[Any]:
    """Return the containers that these containers hold, each object once."""
    inner: dict[int, Any] = {}
    for value in values:
        if isinstance(value, Mapping):
            value = value.values()
        for item in value:
            if isinstance(item, CONTAINERS):
                inner[id(item)] = item
    return list(inner.values())


def _to_integer(digits: str) -> int:
    value = int(digits)
    if not SMALLEST_INTEGER <= value <= LARGEST_INTEGER:
        raise ValueError(f"the number {digits[:40]} does not fit into 64 bits")
    return value


def _to_float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value) and "inf" not in digits:
        raise ValueError(f"the number {digits[:40]} does not fit into 64 bits")
    return value


def _to_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        ((name, n_times),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the key {name[:40]!r} occurs {n_times} times in one object")
    return table
