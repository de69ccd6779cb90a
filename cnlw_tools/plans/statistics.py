"""What a plan holds, in numbers: the share of noise, and who is mistaken for whom."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.dataset.row_selection import BLOCK_ROWS, filter_rows
from cnlw_tools.noise import Expected

MAX_INVERTED = 2000  # classes: beyond, singular values take minutes


def realised_stats(plan: pa.Table, n_classes: int) -> Expected:
    """Measure the split train of a plan: what `expected_stats` says of it before it is drawn.

    The matrix is of the rows whose image stayed. A class that keeps no image has a row of zeros.
    """
    columns = plan.select(["label", "clean_label", "origin", "is_noisy"])
    train = filter_rows(columns, pc.equal(plan["split"], "train").to_numpy())
    is_base = pc.equal(train["origin"], "base")
    has_clean_label = pc.is_valid(train["clean_label"])
    base = filter_rows(train, pc.and_(is_base, has_clean_label).to_numpy())
    clean = base["clean_label"].to_numpy()
    cells, counts = _count_cells(clean, base["label"].to_numpy(), n_classes)
    rows, columns = np.divmod(cells, n_classes)
    totals = np.bincount(clean, minlength=n_classes)
    # Most cells are empty where classes are many, and zeros that nobody touches take no memory.
    matrix = np.zeros((n_classes, n_classes))
    matrix[rows, columns] = counts / totals[rows]
    n_clean = np.zeros(n_classes)
    is_kept = rows == columns
    n_clean[rows[is_kept]] = counts[is_kept]
    rate = np.mean(train["is_noisy"].to_numpy())
    base_rate = np.mean(is_base.to_numpy())
    return Expected(
        rate=float(rate),
        foreign_rate=float(1 - base_rate),
        matrix=matrix,
        n_clean=n_clean,
    )


def _count_cells(
    clean: NDArray[np.integer], given: NDArray[np.integer], n_classes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which cells of a matrix have rows, as  clean * n_classes + given,  and how many.

    Args:
        clean: (n,) true labels
        given: (n,) labels
        n_classes: C
    """
    cells = np.empty(0, np.int64)
    counts = np.empty(0, np.int64)
    for start in range(0, len(clean), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        numbers = clean[block].astype(np.int64) * n_classes + given[block]
        new_cells, new_counts = np.unique(numbers, return_counts=True)
        cells, place = np.unique(np.append(cells, new_cells), return_inverse=True)
        sums = np.zeros(len(cells), np.int64)
        np.add.at(sums, place, np.append(counts, new_counts))
        counts = sums
    return cells, counts


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
