"""Transition matrices: Q[j, i] = P(given j | true i), columns sum to 1. Its transpose is T. What a user may state:

symmetric:r    (1 - r) I + r / (K - 1) (1 - I)
pairflip:r     (1 - r) I + r (i -> i + 1 mod K)
outlier:a      [[I, (1 - a) / (K - 1)], [0, a]]: the last class is "none of the others"; its images bear any of the
               others' labels, but for a share a that is labelled so (Sukhbaatar et al. 2015, equation 8)

The loss above one: -log p~[y], p~ = Q p
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from cnlw_tools.methods.components.validation import number


def surprise(log_p: Tensor, q: Tensor, y: Tensor) -> Tensor:
    """Return (B,) -log p~[y] of (B, K) log-probabilities; 1e-30 keeps the gradient of a 0 in Q, p_i / p~, finite."""
    return -torch.logsumexp(log_p + (q[y] + 1e-30).log(), 1)


def stated(q: str | Sequence[Sequence[float]], classes: int, otherwise: str = "learned") -> Tensor:
    """Return the (K, K) matrix of a name and a number, or of its rows; ``otherwise``: what else the option takes.

    Raises:
        ValueError: it is neither, or some column is no probabilities
    """
    try:
        matrix = named(q, classes) if isinstance(q, str) else torch.tensor(q, dtype=torch.float32)
        if matrix.shape != (classes, classes):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        names = "symmetric:0.2, pairflip:0.2, outlier:0.2 (from 0 to 1)"
        raise ValueError(
            f"q = {q!r}: give {otherwise}, {names} or {classes} rows of {classes} numbers"
        ) from None
    for i, column in enumerate(matrix.T.tolist()):
        if min(column) < 0 or not abs(sum(column) - 1) < 1e-4:
            raise ValueError(
                f"q: column {i} is {column}, no probabilities; q[j][i] = P(given j | true i)"
            )
    return matrix


def named(q: str, classes: int) -> Tensor:
    """Return the (K, K) matrix of ``symmetric:0.2``.

    Raises:
        KeyError: there is no such name
        ValueError: the number is none from 0 to 1
    """
    name, _, text = q.partition(":")
    r = number("q", float(text), 0, 1)
    eye = torch.eye(classes)
    even = (1 - eye) / (classes - 1)
    out = eye.clone()
    out[:-1, -1], out[-1, -1] = (1 - r) / (classes - 1), r
    return {
        "symmetric": torch.lerp(eye, even, r),
        "pairflip": torch.lerp(eye, eye.roll(1, 0), r),
        "outlier": out,
    }[name]
