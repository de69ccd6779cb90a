"""Each column v of a matrix is projected onto the probability simplex {q >= 0, sum q = 1}.

The option `projection` of the noise layer (noise_layer.py) chooses one of two projections:

euclid    q = max(v - t, 0), where t is such that sum q = 1: the nearest point of the simplex. If k
          entries of q are positive, t = (s - 1) / k, where s is the sum of the k largest entries
          of v (Held, Wolfe and Crowder 1974; Duchi et al. 2008)
clip      q = max(v, 0) / sum max(v, 0); uniform if no entry of v is positive

The noise layer starts from the identity matrix and uses a regulariser that shrinks the columns.
`clip` rescales each column to sum 1, which undoes the shrinking of a column of the identity. With
`clip`, the regulariser alone therefore cannot move the matrix away from the identity.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor


def nearest_on_simplex(v: Tensor) -> Tensor:
    """Return the nearest probabilities to each column of v; (K, n) -> (K, n)."""
    v = v - v.amax(0)  # does not change the result, and keeps it exact for large v
    descending = v.sort(0, descending=True).values
    k = torch.arange(1, len(v) + 1, device=v.device)
    t = (descending.cumsum(0) - 1) / k[:, None]
    n_positive = (descending > t).sum(0, keepdim=True)  # (1, n), at least 1
    return (v - t.gather(0, n_positive - 1)).clamp(min=0)


def clip_and_rescale(v: Tensor) -> Tensor:
    """Return the positive parts of each column of v, divided by their sum; (K, n) -> (K, n)."""
    v = v.clamp(min=1e-30)
    return v / v.sum(0)


PROJECTIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "euclid": nearest_on_simplex,
    "clip": clip_and_rescale,
}
