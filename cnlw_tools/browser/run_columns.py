"""What runs took for wrong in the last epoch, as a column of a build's pictures.

The verdicts are those of reports/classified_as_noisy.py. A run whose build held other data than
this one is left out.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cnlw_tools.browser.items import (
    ListColumn,
    NumberColumn,
    TextColumn,
    list_column,
    text_column,
)
from cnlw_tools.builds import ground_truth
from cnlw_tools.builds.ground_truth import Truth
from cnlw_tools.reports.classified_as_noisy import find_verdicts
from cnlw_tools.reports.detection import read_last_epoch, recorded_marks
from cnlw_tools.reports.runs import RunFolder, read_run_folders

KEPT = "treated as right"
WORDS = {  # how a method marks an example -> what the page says
    "removed": "removed",
    "down_weighted": "down-weighted",
    "relabelled": "relabelled",
}
LOSS_DIGITS = 3
MAX_ENTRIES = 5_000_000  # examples of all runs together: 40 MB of the page


class RunRecords(NamedTuple):
    """What one run recorded of examples of a build."""

    name: str
    item: NDArray[np.int64]  # (k,) of each example
    verdict: pa.Array  # (k,)
    loss: NDArray[np.float64]  # (k,)


def read_runs(
    build: Path,
    folder: Path,
    configs: Sequence[str],
    starts: Mapping[str, int],
    n_items: int,
    on_problem: Callable[[str], object],
) -> ListColumn:
    """Return the records of runs on each picture of a build: run, verdict and loss.

    Args:
        build: the folder of the build
        folder: of runs, or of one
        configs: that the page shows
        starts: name of a shard -> the item of its first row
        n_items: the number of pictures
        on_problem: is told which runs are not shown, and why

    Raises:
        ValueError: no run of the folder learned from this build, or there are too many
        OSError: there is no run
    """
    truths: dict[str, Truth] = {}
    records = []
    for run in read_run_folders(folder, on_problem):
        config = run.config.config
        if config not in configs:
            on_problem(f"{run.name}: not shown, since the page has no config {config}")
            continue
        try:
            if config not in truths:
                truths[config] = ground_truth.load(build, config)
            records.append(_read_run(run, truths[config], starts))
        except (ValueError, LookupError, OSError) as error:
            on_problem(f"{run.name}: not shown: {error}")
    n_entries = sum(len(run.item) for run in records)
    if not records or n_entries > MAX_ENTRIES:
        raise ValueError(_describe_misfit(folder, build, n_entries))
    return _join_records(records, n_items)


def _describe_misfit(folder: Path, build: Path, n_entries: int) -> str:
    if not n_entries:
        return (
            f"{folder}: no run here recorded anything about examples of {build}: give runs that "
            "`cnlw train` or `cnlw sweep` made from this build"
        )
    return (
        f"{folder}: its runs recorded {n_entries:,} examples, and a page can have "
        f"{MAX_ENTRIES:,}: give a folder of fewer runs, or one config with --config"
    )


def _read_run(run: RunFolder, truth: Truth, starts: Mapping[str, int]) -> RunRecords:
    """Return what a run recorded.

    Raises:
        ValueError: it recorded nothing, or learned from other data
    """
    table = read_last_epoch(run, truth)
    if table is None:
        raise ValueError("it has no examples.parquet: train the run again")
    marks = find_verdicts(table, truth, recorded_marks(run))
    verdicts = [_describe_verdict(mark) for mark in marks]
    items = _train_items(truth, starts)
    loss = table["loss"].to_numpy().astype(np.float64)
    name = run.folder.resolve().name if run.name == "." else run.name
    return RunRecords(name, items[table["row"].to_numpy()], pa.array(verdicts, pa.string()), loss)


def _describe_verdict(mark: str) -> str:
    """Return a verdict of `find_verdicts` in words."""
    if not mark:
        return KEPT
    return " and ".join(WORDS[word] for word in mark.split(" and "))


def _train_items(truth: Truth, starts: Mapping[str, int]) -> NDArray[np.int64]:
    """Return (n,) the item of each training example, in the order of `datasets`."""
    parts = [np.empty(0, np.int64)]
    for name in truth.file_names("train"):
        parts.append(starts[name] + np.arange(len(truth.shards[name])))
    return np.concatenate(parts)


def _join_records(records: Sequence[RunRecords], n_items: int) -> ListColumn:
    """Return one column of the records of all runs, item after item."""
    item = np.concatenate([run.item for run in records])
    order = np.argsort(item, kind="stable")
    names = pa.array([run.name for run in records], pa.string())
    run_of_entry = np.repeat(np.arange(len(records)), [len(run.item) for run in records])
    verdict = pa.chunked_array([run.verdict for run in records]).take(pa.array(order))
    loss = np.concatenate([run.loss for run in records])[order]
    fields: dict[str, TextColumn | NumberColumn] = {
        "run": text_column(names.take(pa.array(run_of_entry[order]))),
        "verdict": text_column(verdict),
        "loss": NumberColumn(loss, LOSS_DIGITS),
    }
    return list_column(item[order], fields, n_items)
