"""Labels as csv, the same in every format that has them.

A null is an empty cell. What is true of an image, and not only what a learner is told, is written
if it is asked for.
"""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from cnlw_tools.builds.exporters.base import Row

NO_LABEL = -1  # in an array of labels: the image has no label, or nobody knows its true one
LABEL_COLUMNS = ("image_id", "label", "label_name")
TRUTH_COLUMNS = ("clean_label", "is_noisy", "origin", "replaces")
WORDS = {True: "true", False: "false"}


class Writer(Protocol):
    """Something that writes a line of a CSV file."""

    def writerow(self, row: Sequence[Any], /) -> Any:
        """Write a line."""
        ...


@contextmanager
def open_csv(path: Path, columns: Sequence[str]) -> Iterator[Writer]:
    """Open a new CSV file with a first line that names the columns.

    Raises:
        FileExistsError: there is a file of this name
    """
    with path.open("x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        yield writer


def label_columns(truth: bool) -> tuple[str, ...]:
    """Return the names of the columns; truth: those that no learner may see as well."""
    return (*LABEL_COLUMNS, *TRUTH_COLUMNS) if truth else LABEL_COLUMNS


def label_cells(row: Row, classes: Sequence[str], truth: bool) -> list[Any]:
    """Return a row of a build as the cells of these columns."""
    label = row["label"]
    cells = [row["image_id"], label, classes[label]]
    if truth:
        is_noisy = WORDS[row["is_noisy"]]
        cells += [row["clean_label"], is_noisy, row["origin"], row["replaces"]]
    return cells
