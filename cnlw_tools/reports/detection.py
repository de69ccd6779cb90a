"""How well a run detected noisy examples: the only place where a run meets the truth of its build.

`examples.parquet` of a run holds the weight and the loss of each example, by its row in the
training split. The digest of the data (builds/ground_truth.py) proves that the build still holds
what the run learned from.

    marked:   what the method classifies as noisy, as it declares (`Method.marks_noise`):
              removed        w = 0
              down_weighted  w < half the mean of all weights
              relabelled     the given label is not the one that is learned
              precision = noisy and marked / marked      recall = noisy and marked / noisy
    by loss:  the k highest losses are marked, k = number of noisy examples; so precision = recall

An example for which an epoch recorded nothing was never seen, and does not count. One that was
removed has a weight of 0 and often no loss: it counts, and where there are such examples, the order
by loss is not known.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.builds.ground_truth import Floats, Truth
from cnlw_tools.files.parquet import read_table
from cnlw_tools.reports.runs import RunFolder

Bools = NDArray[np.bool_]
UNRECORDED_MARKS = ("down_weighted",)  # of runs that do not say how their method marks


class ExampleRecords(NamedTuple):
    """What a run recorded of n examples in one epoch, nan where it recorded nothing; the truth."""

    loss: Floats  # (n,) cross-entropy of the given label
    weight: Floats  # (n,)
    uses_given_label: Floats  # (n,) 1: the method learned from the given label, 0: from another
    is_noisy: Bools  # (n,)


class Detection(NamedTuple):
    """How well a run detected noisy examples in its last epoch; nan where that is undefined."""

    precision: float
    recall: float
    loss_precision: float  # and recall: as many are marked as are noisy
    n_examples: int  # for which that epoch recorded something


def check_same_data(run: RunFolder, truth: Truth) -> None:
    """Insist that the build still holds the data that a run learned from.

    Raises:
        ValueError: it does not
    """
    if run.config.data.get("train") != truth.digest:
        raise ValueError(
            f"{run.name}: {truth.build} has changed since the run learned from it: "
            "train the run again to compare it with the truth"
        )


def _read_records(path: Path, n_examples: int) -> pa.Table:
    """Read the file of an epoch, and check that it tells of examples of the build.

    Raises:
        ValueError: it cannot be read, a column is missing, or a row is none of the build
    """
    try:
        table = read_table(path)
    except OSError as error:
        raise ValueError(str(error)) from error
    missing = sorted({"row", "loss", "weight"} - set(table.column_names))
    if missing:
        raise ValueError(f"{path}: there is no column {', '.join(missing)}: train the run again")
    rows = table["row"]
    if rows.null_count or not pa.types.is_integer(rows.type):
        raise ValueError(
            f"{path}: a number in the column row is not a whole number: train the run again"
        )
    limits = pc.min_max(rows).as_py()
    if len(rows) and not 0 <= limits["min"] <= limits["max"] < n_examples:
        raise ValueError(
            f"{path}: it names rows {limits['min']} to {limits['max']}, but the build has "
            f"{n_examples:,} "
            "examples: train the run again"
        )
    return table


def read_last_epoch(run: RunFolder, truth: Truth) -> pa.Table | None:
    """Return what a run recorded of examples in its last epoch, by row; None if it did not.

    Raises:
        ValueError: the build is not the one that the run learned from, or the file cannot be read
    """
    paths = _record_paths(run)
    if not paths:
        return None
    check_same_data(run, truth)
    return _read_records(paths[-1], len(truth.noisy))


def _record_paths(run: RunFolder) -> list[Path]:
    """Return the files that hold what a run recorded of examples, by epoch."""
    return sorted((run.folder / "examples.parquet").glob("epoch-*.parquet"))


def read_example_records(
    run: RunFolder,
    truth: Truth,
    last_only: bool = False,
) -> Iterator[ExampleRecords]:
    """Join what a run recorded in every epoch, or in the last one only, with the truth.

    Raises:
        ValueError: the build is not the one that the run learned from, or a file cannot be read
    """
    is_noisy = truth.noisy
    paths = _record_paths(run)
    if last_only:
        paths = paths[-1:]
    for path in paths:
        check_same_data(run, truth)
        yield join_truth(_read_records(path, len(is_noisy)), is_noisy)


def join_truth(table: pa.Table, is_noisy: Bools) -> ExampleRecords:
    """Return what a run recorded of examples in an epoch, with the truth.

    Args:
        table: of `read_last_epoch`
        is_noisy: of all training examples, by row
    """
    columns = {"own": np.full(len(table), np.nan)}
    for name in ("loss", "weight", "own"):
        if name in table.column_names:
            columns[name] = table[name].to_numpy().astype(np.float64)
    return ExampleRecords(
        loss=columns["loss"],
        weight=columns["weight"],
        uses_given_label=columns["own"],
        is_noisy=is_noisy[table["row"].to_numpy()],
    )


def detect_noise(run: RunFolder, truth: Truth) -> dict[str, Detection]:
    """Return how well a run detected noisy examples, by the way that its method marks them.

    There is none if the run recorded nothing.

    Raises:
        ValueError: the build is not the one that the run learned from
    """
    marks = recorded_marks(run)
    detections = {}
    for records in read_example_records(run, truth, last_only=True):
        for mark in marks:
            detections[mark] = measure_detection(records, mark)
    return detections


def recorded_marks(run: RunFolder) -> tuple[str, ...]:
    """Return the ways in which the method of a run marks examples as noisy."""
    return UNRECORDED_MARKS if run.config.marks_noise is None else run.config.marks_noise


def measure_detection(records: ExampleRecords, mark: str) -> Detection:
    """Return how well a method, and the losses, detect noisy examples.

    Args:
        records: of one epoch
        mark: removed, down_weighted or relabelled
    """
    was_seen = ~np.isnan(records.weight)
    is_noisy = records.is_noisy[was_seen]
    is_marked = find_marked(records, mark)[was_seen]
    precision = recall = np.nan
    if is_marked.any() and is_noisy.any():
        n_caught = float((is_marked & is_noisy).sum())
        precision = n_caught / is_marked.sum()
        recall = n_caught / is_noisy.sum()
    return Detection(
        precision=float(precision),
        recall=recall,
        loss_precision=_loss_precision(records.loss[was_seen], is_noisy),
        n_examples=len(is_noisy),
    )


def find_marked(records: ExampleRecords, mark: str) -> Bools:
    """Return (n,) whether the method classifies an example as noisy.

    Raises:
        ValueError: there is no such mark
    """
    weight = records.weight
    if mark == "removed":
        return np.equal(weight, 0)
    if mark == "down_weighted":
        weights = weight[~np.isnan(weight)]
        mean = weights.mean() if len(weights) else np.nan
        return np.less(weight, mean / 2)
    if mark == "relabelled":
        return np.equal(records.uses_given_label, 0)
    raise ValueError(
        f"marks_noise = {mark!r} is not allowed: declare removed, down_weighted or relabelled in "
        "the method, and train again"
    )


def _loss_precision(loss: Floats, is_noisy: Bools) -> float:
    """Return the share of noisy examples among the k highest losses, k of them being noisy.

    Examples with equal losses at the threshold count by the share of them that is noisy, as if some
    were drawn at random. If a loss is missing, the share is not defined.
    """
    k = int(is_noisy.sum())
    if not k or np.isnan(loss).any():
        return float("nan")
    threshold = np.sort(loss)[-k]
    is_above = loss > threshold
    n_left = k - is_above.sum()
    hits_at_threshold = n_left * is_noisy[loss == threshold].mean()
    return float((is_noisy[is_above].sum() + hits_at_threshold) / k)
