"""Back to probabilities: each column of a matrix onto the simplex {q >= 0, sum q = 1}.

euclid    the nearest: q = max(v - t, 0) with t such that sum q = 1; if the k largest stay, t = (their sum - 1) / k
          (Held, Wolfe and Crowder 1974; Duchi et al. 2008)
clip      max(v, 0) / sum max(v, 0), and an even column where nothing is above 0. It also scales back what a
          regulariser has shrunk, so that from the identity a regulariser alone leads nowhere
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor


def euclid(v: Tensor) -> Tensor:
    """Return the nearest (K, n) probabilities."""
    v = v - v.amax(0)  # moves the answer nowhere, and keeps it exact for large v
    top = v.sort(0, descending=True).values
    t = (top.cumsum(0) - 1) / torch.arange(1, len(v) + 1, device=v.device)[:, None]
    stay = (top > t).sum(0, keepdim=True)  # (1, n), at least 1
    return (v - t.gather(0, stay - 1)).clamp(min=0)


def clip(v: Tensor) -> Tensor:
    """Return the (K, n) positive parts, scaled."""
    v = v.clamp(min=1e-30)
    return v / v.sum(0)


PROJECTIONS: Mapping[str, Callable[[Tensor], Tensor]] = {"euclid": euclid, "clip": clip}
