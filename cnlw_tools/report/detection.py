"""How well a run told what is noisy: the only place where a run meets the truth of its build.

`examples.parquet` of a run says what each example weighed and cost, by its row in the split that was learned from.
That the build still holds the data that the run learned from is proved by its digest (build/ground_truth.py).

    noisy by weight:  w < half the mean weight            precision = noisy and so marked / marked
    noisy by loss:    the k highest losses, k = number of noisy examples;  then precision = recall
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cnlw_tools.build.ground_truth import Floats, Truth
from cnlw_tools.report.runs import Run


class Noted(NamedTuple):
    """What a run noted of an epoch, (n,) each, nan where nothing; and what was noisy."""

    loss: Floats
    weight: Floats
    own: Floats
    noisy: NDArray[np.bool_]


class Detection(NamedTuple):
    """How well a run told noisy examples by what it noted of its last epoch; nan where nothing can be said."""

    precision: float  # of those that weighed little
    recall: float
    by_loss: float  # precision, and recall, of as many as there are, by loss
    seen: int  # examples drawn in that epoch


def check(run: Run, truth: Truth) -> None:
    """Raise if the build is not the one the run learned from."""
    if run.config.data["train"] != truth.digest:
        raise ValueError(
            f"{run.name}: {truth.build} is not what it learned from any more: the truth is not joined"
        )


def noted(run: Run, truth: Truth, last: bool = False) -> Iterator[Noted]:
    """Join what a run noted of every epoch, or of the last alone, with the truth of its build.

    Raises:
        ValueError: the build is not the one the run learned from
    """
    paths = sorted((run.folder / "examples.parquet").glob("epoch-*.parquet"))
    noisy = truth.noisy
    for path in paths[-1:] if last else paths:
        check(run, truth)
        table = pq.read_table(path, partitioning=None)
        row = table["row"].to_numpy()
        columns = {"own": np.full(len(row), np.nan)}
        for name in {"loss", "weight", "own"} & {*table.column_names}:
            columns[name] = table[name].to_numpy().astype(np.float64)
        yield Noted(noisy=noisy[row], **columns)


def detection(run: Run, truth: Truth) -> Detection | None:
    """Say how well a run told what was noisy; none where it noted nothing.

    Raises:
        ValueError: the build is not the one the run learned from
    """
    found = [detect(last.loss, last.weight, last.noisy) for last in noted(run, truth, last=True)]
    return found[0] if found else None


def detect(loss: Floats, weight: Floats, noisy: NDArray[np.bool_]) -> Detection:
    """Return how well losses and weights, (n,), tell what is noisy, (n,); nan in both: not drawn.

    Examples of one loss at the cut count by the share of them that is noisy, as if drawn among themselves.
    """
    drawn = ~np.isnan(loss)
    loss, weight, noisy = loss[drawn], weight[drawn], noisy[drawn]
    k = int(noisy.sum())
    if not k:
        return Detection(np.nan, np.nan, np.nan, len(loss))
    cut = np.sort(loss)[-k]
    above, tied = loss > cut, loss == cut
    hits = noisy[above].sum() + (k - above.sum()) * noisy[tied].mean()
    marked = weight < weight.mean() / 2
    caught = float((marked & noisy).sum())
    precision = caught / marked.sum() if marked.any() else np.nan
    return Detection(
        float(precision), caught / k if marked.any() else np.nan, float(hits / k), len(loss)
    )
