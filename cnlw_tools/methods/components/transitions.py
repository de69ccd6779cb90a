"""The option `q` of several methods takes a transition matrix, or a name such as `symmetric:0.4`.

The entry Q[j, i] is the probability of the given label j if the true class is i, so each column
sums to 1. Each name stands for the matrix Q beside it; I is the identity, J is a matrix of ones,
and r is the share of wrong labels:

symmetric:r    (1 - r) I + r / (K - 1) (J - I)
pairflip:r     (1 - r) I + r S, where S maps class i to class i + 1 mod K
outlier:a      [[I, (1 - a) / (K - 1)], [0, a]]: the last class means "none of the others". A share
               a of its images has the label of the last class. The others have any of the other
               labels, with equal probability (Sukhbaatar et al. 2015, equation 8)

If p is the vector of predicted probabilities of the true classes, Q p is that of the given labels.
The loss of an example with the given label y is -log (Q p)[y].
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from cnlw_tools.methods.components.validation import check_number


def given_label_nll(
    log_p: Tensor,
    q: Tensor,
    y: Tensor,
) -> Tensor:
    """Return -log (Q p)[y], (B,), of (B, K) log-probabilities p of the true classes."""
    log_q = (q[y] + 1e-30).log()  # 1e-30 keeps the gradient p_i / p~ of an entry 0 in Q finite
    return -torch.logsumexp(log_p + log_q, 1)


def parse_transition(
    q: str | Sequence[Sequence[float]],
    n_classes: int,
    special_value: str = "learned",
) -> Tensor:
    """Return the (K, K) matrix Q from its rows, or from a name and a number.

    Args:
        q: the rows, or text such as "symmetric:0.2"
        n_classes: K
        special_value: another value that the option accepts, for the error message

    Raises:
        ValueError: q is neither, or one of its columns is not a probability distribution
    """
    try:
        if isinstance(q, str):
            matrix = named_transition(q, n_classes)
        else:
            matrix = torch.tensor(q, dtype=torch.float32)
        if matrix.shape != (n_classes, n_classes):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        names = "symmetric:0.2, pairflip:0.2, outlier:0.2 (from 0 to 1)"
        rows = f"{n_classes} rows of {n_classes} numbers"
        raise ValueError(
            f"q = {q!r} is not allowed: give {special_value}, {names} or {rows}"
        ) from None
    _check_columns(matrix)
    return matrix


def named_transition(q: str, n_classes: int) -> Tensor:
    """Return the (K, K) matrix of text such as "symmetric:0.2".

    Raises:
        KeyError: the name is unknown
        ValueError: the number is not from 0 to 1
    """
    name, _, text = q.partition(":")
    r = check_number("q", float(text), 0, 1)
    eye = torch.eye(n_classes)
    uniform = (1 - eye) / (n_classes - 1)
    outlier = eye.clone()
    outlier[:, -1] = (1 - r) / (n_classes - 1)
    outlier[-1, -1] = r
    matrices = {
        "symmetric": torch.lerp(eye, uniform, r),
        "pairflip": torch.lerp(eye, eye.roll(1, 0), r),
        "outlier": outlier,
    }
    return matrices[name]


def _check_columns(q: Tensor) -> None:
    for i, column in enumerate(q.T.tolist()):
        sums_to_one = abs(sum(column) - 1) < 1e-4
        if min(column) < 0 or not sums_to_one:
            raise ValueError(
                f"q: column {i} is {column}, which is not a probability distribution. "
                "q[j][i] is P(given j | true i): give entries that are 0 or more and sum to 1"
            )
