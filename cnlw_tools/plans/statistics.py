"""What a plan holds, in numbers: the share of noise, and who is mistaken for whom."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.dataset.row_selection import BLOCK_ROWS
from cnlw_tools.noise import Expected

COLUMNS = ["label", "clean_label", "origin", "is_noisy", "split"]  # of a plan, that are measured
MAX_INVERTED = 2000  # classes: beyond, singular values take minutes


def realised_stats(plan: pa.Table, n_classes: int) -> Expected:
    """Measure the split train of a plan: what `expected_stats` says of it before it is drawn.

    The matrix is of the rows whose image stayed. A class that keeps no image has a row of zeros.
    """
    n_train = n_noisy = n_base = 0
    cells, counts = np.empty(0, np.int64), np.empty(0, np.int64)
    totals = np.zeros(n_classes, np.int64)
    for start in range(0, len(plan), BLOCK_ROWS):
        block = plan.slice(start, BLOCK_ROWS).select(COLUMNS)
        train = block.filter(pc.equal(block["split"], "train"))
        is_base = pc.equal(train["origin"], "base")
        n_train += len(train)
        n_noisy += pc.sum(train["is_noisy"], min_count=0).as_py()
        n_base += pc.sum(is_base, min_count=0).as_py()
        stayed = train.filter(pc.and_(is_base, pc.is_valid(train["clean_label"])))
        clean = stayed["clean_label"].to_numpy().astype(np.int64)
        totals += np.bincount(clean, minlength=n_classes)
        new_cells = clean * n_classes + stayed["label"].to_numpy()
        cells, counts = _add_cells(cells, counts, new_cells)
    rows, columns = np.divmod(cells, n_classes)
    # Most cells are empty where classes are many, and zeros that nobody touches take no memory.
    matrix = np.zeros((n_classes, n_classes))
    matrix[rows, columns] = counts / totals[rows]
    n_clean = np.zeros(n_classes)
    is_kept = rows == columns
    n_clean[rows[is_kept]] = counts[is_kept]
    return Expected(
        rate=n_noisy / max(n_train, 1),
        foreign_rate=1 - n_base / n_train if n_train else 0.0,
        matrix=matrix,
        n_clean=n_clean,
    )


def _add_cells(
    cells: NDArray[np.int64], counts: NDArray[np.int64], new: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which cells of a matrix have rows, and how many, with the cells of further rows.

    Args:
        cells: (k,) that have rows, as  clean * n_classes + given
        counts: (k,) of their rows
        new: (n,) cells of further rows
    """
    new_cells, new_counts = np.unique(new, return_counts=True)
    cells, place = np.unique(np.append(cells, new_cells), return_inverse=True)
    sums = np.zeros(len(cells), np.int64)
    np.add.at(sums, place, np.append(counts, new_counts))
    return cells, sums


def describe_invertibility(matrix: NDArray[np.float64]) -> str:
    """Say how well a (C, C) matrix can be inverted, as methods do that correct a loss by it."""
    if len(matrix) > MAX_INVERTED:
        return f"determinant and condition number are not computed for {len(matrix):,} classes"
    determinant = np.linalg.det(matrix)
    condition = np.linalg.cond(matrix)
    numbers = f"determinant {determinant:.3g}, condition number {condition:.3g}"
    if np.linalg.matrix_rank(matrix) < len(matrix):
        return f"{numbers}: singular, it cannot be inverted"
    return numbers
