"""What a plan holds, in numbers: the share of noise, and who is mistaken for whom."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.noise import Expected


def realised_stats(plan: pa.Table, n_classes: int) -> Expected:
    """Measure the split train of a plan: what `expected_stats` says of it before it is drawn.

    The matrix is of the rows whose image stayed. A class that keeps no image has a row of zeros.
    """
    train = plan.filter(pc.equal(plan["split"], "train"))
    is_base = pc.equal(train["origin"], "base")
    has_clean_label = pc.is_valid(train["clean_label"])
    base = train.filter(pc.and_(is_base, has_clean_label))
    counts = _count_pairs(base, n_classes)
    totals = counts.sum(1, keepdims=True)
    rate = np.mean(train["is_noisy"].to_numpy())
    base_rate = np.mean(is_base.to_numpy())
    return Expected(
        rate=float(rate),
        foreign_rate=float(1 - base_rate),
        matrix=counts / np.maximum(totals, 1),
        n_clean=np.diag(counts),
    )


def _count_pairs(rows: pa.Table, n_classes: int) -> NDArray[np.int64]:
    """Return (C, C) how many rows have each pair of clean label (row) and given label (column)."""
    clean = rows["clean_label"].to_numpy().astype(np.int64)
    given_label = rows["label"].to_numpy()
    cell = clean * n_classes + given_label
    counts = np.bincount(cell, minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes)


def describe_invertibility(matrix: NDArray[np.float64]) -> str:
    """Say how well a (C, C) matrix can be inverted, as methods do that correct a loss by it."""
    determinant = np.linalg.det(matrix)
    condition = np.linalg.cond(matrix)
    numbers = f"determinant {determinant:.3g}, condition number {condition:.3g}"
    if np.linalg.matrix_rank(matrix) < len(matrix):
        return f"{numbers}: singular, it cannot be inverted"
    return numbers
