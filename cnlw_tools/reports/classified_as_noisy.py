"""The training examples that methods classify as noisy in their last epoch, with their image ids.

A run knows its examples by their rows; the build says which images these are. The verdict is what
reports/detection.py counts: removed, down_weighted or relabelled, as the method declares.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cnlw_tools.builds import ground_truth
from cnlw_tools.builds.ground_truth import Truth
from cnlw_tools.dataset.tables import write_csv, write_parquet
from cnlw_tools.reports.detection import (
    find_marked,
    join_truth,
    read_last_epoch,
    recorded_marks,
)
from cnlw_tools.reports.runs import RunFolder, read_run_folders

SCHEMA = pa.schema(
    [
        pa.field("run", pa.string()),
        pa.field("row", pa.int64()),  # of the training split, in the order of `datasets`
        pa.field("image_id", pa.string()),
        pa.field("given_label", pa.string()),  # the class
        pa.field("verdict", pa.string()),  # of the method
        pa.field("loss", pa.float64()),  # cross-entropy of the given label; null: not recorded
        pa.field("weight", pa.float64()),
    ]
)


def write_classified_as_noisy(
    folder: Path, path: Path, on_problem: Callable[[str], object] = lambda problem: None
) -> int:
    """Write the list of all runs below a folder, and return its length.

    Args:
        folder: of runs, or of one
        path: a .csv or .parquet file
        on_problem: is told which runs have no list, and why

    Raises:
        ValueError: the name of the file has another ending
        OSError: there is no run, or the file cannot be written
    """
    check_list_path(path)
    tables = []
    for run in read_run_folders(folder, on_problem):
        try:
            truth = ground_truth.load(run.copy_build(), run.config.config)
            tables.append(list_classified_as_noisy(run, truth))
        except (ValueError, LookupError, OSError) as error:
            on_problem(f"{run.name}: no list of what its method classifies as noisy: {error}")
    table = pa.concat_tables([SCHEMA.empty_table(), *tables])
    write = write_csv if path.suffix == ".csv" else write_parquet
    write(table, path)
    return len(table)


def check_list_path(path: Path) -> None:
    """Raise if a list cannot be written under this name.

    Raises:
        ValueError: it ends neither in .csv nor in .parquet
    """
    if path.suffix not in (".csv", ".parquet"):
        raise ValueError(
            f"{path}: the list is written as .csv or .parquet: give a name with one of these "
            "endings"
        )


def list_classified_as_noisy(run: RunFolder, truth: Truth) -> pa.Table:
    """Return the examples that the method of a run classifies as noisy, by row.

    Raises:
        ValueError: the run recorded nothing of its examples, or the build is not the one that it
            learned from
    """
    records = read_last_epoch(run, truth)
    if records is None:
        raise ValueError("the run has no examples.parquet")
    verdicts = find_verdicts(records, truth, recorded_marks(run))
    is_noisy = np.array([bool(verdict) for verdict in verdicts], bool)
    noisy_records = records.append_column("verdict", pa.array(verdicts, pa.string())).filter(
        is_noisy
    )
    noisy_records = noisy_records.sort_by("row")
    train = truth.rows.filter(pc.equal(truth.rows["split"], "train")).take(noisy_records["row"])
    classes = np.array(truth.classes, object)
    name = run.folder.resolve().name if run.name == "." else run.name
    columns = [
        pa.array([name] * len(noisy_records), pa.string()),
        noisy_records["row"],
        train["image_id"],
        pa.array(classes[train["label"].to_numpy()], pa.string()),
        noisy_records["verdict"],
        noisy_records["loss"],
        noisy_records["weight"],
    ]
    return pa.table(columns, SCHEMA.names).cast(SCHEMA)


def find_verdicts(records: pa.Table, truth: Truth, marks: Sequence[str]) -> list[str]:
    """Return the verdict of a method on each example; empty: it is not classified as noisy."""
    joined = join_truth(records, truth.noisy)
    verdicts: list[list[str]] = [[] for _ in range(len(records))]
    for mark in marks:
        for i in find_marked(joined, mark).nonzero()[0]:
            verdicts[i].append(mark)
    return [" and ".join(words) for words in verdicts]
