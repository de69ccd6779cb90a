"""Lists of images as spreadsheets, pandas and people write them: a CSV file with path and label.

The columns may stand in any order and between others, separated by a comma, semicolon, tab or bar.
Their names may have capital letters and blanks, or be other usual words: `Label`, `file_name`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from cnlw_tools.files.texts import read_csv

FORM = "the columns must be path,label[,split]"
WORDS_OF_COLUMN = {  # other names of a column, in small letters, without blanks, - and _
    "path": ("filepath", "imagepath", "filename", "imagename", "file", "image"),
    "label": ("class", "classname", "category"),
    "split": ("subset", "set"),
}
WHOLE_NUMBER = re.compile(r"(-?\d+)(\.0*)?")

CsvRow = dict[str, str]  # path, label and split, which may be empty


class ImageList(NamedTuple):
    """What a CSV file says about images."""

    rows: list[CsvRow]
    other_columns: list[str]  # the names of columns that are not read


def read_image_rows(path: Path) -> ImageList:
    """Return the path, label and split of each row.

    Backslashes in paths become slashes. Where all labels are whole numbers, 3.0 is 3: pandas makes
    floats of numbers when some are missing.

    Raises:
        ValueError: not a CSV file in UTF-8, a column is missing or there twice, or a row has no
            path, no label, or more values than there are columns
    """
    names, values = read_csv(path)
    position_of_column = _find_columns(names, path)
    rows = list(_name_values(values, position_of_column, len(names), path))
    _drop_decimals(rows)
    positions = position_of_column.values()
    other_columns = [name for i, name in enumerate(names) if name and i not in positions]
    return ImageList(rows, other_columns)


def _find_columns(names: Sequence[str], path: Path) -> Mapping[str, int]:
    """Return the position of each of our columns; that of the split may be missing."""
    words = [re.sub(r"[\s_-]", "", name).casefold() for name in names]
    there_are = f"the columns are {', '.join(map(repr, names))}"
    positions = {}
    for column, other_words in WORDS_OF_COLUMN.items():
        candidates = [i for i, word in enumerate(words) if word == column]
        candidates = candidates or [i for i, word in enumerate(words) if word in other_words]
        if len(candidates) > 1:
            raise ValueError(
                f"{path}: {len(candidates)} columns could be the column {column!r}; {there_are}: "
                f"call one of them {column!r}, and rename the others"
            )
        if candidates:
            positions[column] = candidates[0]
        elif column != "split":
            raise ValueError(
                f"{path}: there is no column {column!r}; {there_are}: rename one, or add a first "
                f"line with the names; {FORM}"
            )
    return positions


def _name_values(
    values: Iterable[Sequence[str]], positions: Mapping[str, int], n_columns: int, path: Path
) -> Iterator[CsvRow]:
    """Yield the values of our columns by name."""
    for number, row in enumerate(values):
        if len(row) > n_columns and any(row[n_columns:]):
            raise ValueError(
                f"{path}: row {number}: {len(row)} values for {n_columns} columns: put a value "
                'that holds a separator into quotes, "a,b.jpg"'
            )
        named = {}
        for column, position in positions.items():
            named[column] = row[position] if position < len(row) else ""
        for column in ("path", "label"):
            if not named[column]:
                raise ValueError(f"{path}: row {number}: there is no {column}: {FORM}")
        named["path"] = named["path"].replace("\\", "/")
        yield named


def _drop_decimals(rows: Sequence[CsvRow]) -> None:
    """Make 3 of labels 3.0, if all labels are whole numbers."""
    numbers = []
    for row in rows:
        match = WHOLE_NUMBER.fullmatch(row["label"])
        if match is None:
            return
        numbers.append(match[1])
    for row, number in zip(rows, numbers, strict=True):
        row["label"] = number
