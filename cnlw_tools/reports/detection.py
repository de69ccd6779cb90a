"""How well a run detected noisy examples: the only place where a run meets the truth of its build.

`examples.parquet` of a run holds the weight and the loss of each example, by its row in the
training split. The digest of the data (builds/ground_truth.py) proves that the build still holds
what the run learned from.

    noisy by weight:  w < half the mean weight      precision = noisy and marked / marked
    noisy by loss:    the k highest losses, k = number of noisy examples;  then precision = recall
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnlw_tools.builds.ground_truth import Floats, Truth
from cnlw_tools.files.parquet import read_table
from cnlw_tools.reports.runs import RunFolder

Bools = NDArray[np.bool_]


class ExampleRecords(NamedTuple):
    """What a run recorded of n examples in one epoch, nan for those not drawn; and the truth."""

    loss: Floats  # (n,) cross-entropy of the given label
    weight: Floats  # (n,)
    uses_given_label: Floats  # (n,) 1: the method learned from the given label, 0: from another
    is_noisy: Bools  # (n,)


class Detection(NamedTuple):
    """How well a run detected noisy examples in its last epoch; nan where that is undefined."""

    weight_precision: float
    weight_recall: float
    loss_precision: float  # and recall: as many are marked as are noisy
    n_examples: int  # drawn in that epoch


def check_same_data(run: RunFolder, truth: Truth) -> None:
    """Insist that the build still holds the data that a run learned from.

    Raises:
        ValueError: it does not
    """
    if run.config.data["train"] != truth.digest:
        raise ValueError(
            f"{run.name}: {truth.build} is not what it learned from any more: "
            "the truth is not joined"
        )


def read_example_records(
    run: RunFolder,
    truth: Truth,
    last_only: bool = False,
) -> Iterator[ExampleRecords]:
    """Join what a run recorded in every epoch, or in the last one only, with the truth.

    Raises:
        ValueError: the build is not the one that the run learned from
    """
    is_noisy = truth.noisy
    paths = sorted((run.folder / "examples.parquet").glob("epoch-*.parquet"))
    if last_only:
        paths = paths[-1:]
    for path in paths:
        check_same_data(run, truth)
        table = read_table(path)
        columns = {"own": np.full(len(table), np.nan)}
        for name in ("loss", "weight", "own"):
            if name in table.column_names:
                columns[name] = table[name].to_numpy().astype(np.float64)
        yield ExampleRecords(
            loss=columns["loss"],
            weight=columns["weight"],
            uses_given_label=columns["own"],
            is_noisy=is_noisy[table["row"].to_numpy()],
        )


def detect_noise(run: RunFolder, truth: Truth) -> Detection | None:
    """Return how well a run detected noisy examples; None if it recorded nothing.

    Raises:
        ValueError: the build is not the one that the run learned from
    """
    for records in read_example_records(run, truth, last_only=True):
        return measure_detection(records.loss, records.weight, records.is_noisy)
    return None


def measure_detection(
    loss: Floats,
    weight: Floats,
    is_noisy: Bools,
) -> Detection:
    """Return how well losses and weights detect noisy examples.

    Examples with equal losses at the threshold count by the share of them that is noisy, as if some
    were drawn at random.

    Args:
        loss: (n,) nan: not drawn
        weight: (n,) likewise
        is_noisy: (n,)
    """
    was_drawn = ~np.isnan(loss)
    loss, weight, is_noisy = loss[was_drawn], weight[was_drawn], is_noisy[was_drawn]
    k = int(is_noisy.sum())
    if not k:
        return Detection(
            np.nan,
            np.nan,
            np.nan,
            len(loss),
        )

    threshold = np.sort(loss)[-k]
    is_above = loss > threshold
    n_left = k - is_above.sum()
    hits_at_threshold = n_left * is_noisy[loss == threshold].mean()
    hits = is_noisy[is_above].sum() + hits_at_threshold

    weight_precision = weight_recall = np.nan
    is_marked = weight < weight.mean() / 2
    if is_marked.any():
        caught = float((is_marked & is_noisy).sum())
        weight_precision = caught / is_marked.sum()
        weight_recall = caught / k
    return Detection(
        weight_precision=float(weight_precision),
        weight_recall=weight_recall,
        loss_precision=float(hits / k),
        n_examples=len(loss),
    )
