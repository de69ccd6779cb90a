"""Images of donors, other datasets, in the order in which noise takes them.

    place of a donor's k-th image, by key = (k + 1/2) / share        k = 0, 1, 2 ...

A need of m images is the first m by place, so that every prefix holds the donors in their shares, give or take one,
and a smaller need is part of a larger one. A donor that runs out is an error: no other one steps in.
"""

import numpy as np

from cnlw_tools.noise.base import Floats, Ints, Items, group_by_class


class DonorTooSmall(ValueError):
    """A donor has fewer images than noise needs of it."""

    def __init__(self, donor: int, need: int, stock: int) -> None:
        super().__init__(donor, need, stock)
        self.donor, self.need, self.stock = donor, need, stock

    def __str__(self) -> str:
        return f"donor {self.donor} has {self.stock} images, and {self.need} are needed: ask for less, or give another"


def taken(pool: Items, need: int, shares: str = "") -> Ints:
    """Return (need,) rows of the pool, each once.

    Args:
        pool: ``side["donor"]``, (p,) says of which donor an image is
        need: images
        shares: of the donors, like "2:1"; equal where empty

    Raises:
        DonorTooSmall: it has fewer images than its share
        ValueError: shares that are no numbers above 0, or not one for each donor
    """
    rows, stock, share = _stock(pool, shares)
    of, k = np.divmod(np.arange(len(stock) * need), max(need, 1))  # as if none ran out
    order = np.argsort((k + 0.5) / share[of], kind="stable")[:need]
    wanted = np.bincount(of[order], minlength=len(stock))
    if (wanted > stock).any():
        d = int(np.argmax(wanted > stock))
        raise DonorTooSmall(d, int(wanted[d]), int(stock[d]))
    at: Ints = rows[(np.cumsum(stock) - stock)[of[order]] + k[order]]
    return at


def repeated(pool: Items, need: int, shares: str = "") -> tuple[Ints, Ints]:
    """Return (need,) rows of the pool, a donor's all equally often, give or take one, and how often before.

    Raises:
        DonorTooSmall: it has no image
        ValueError: as above
    """
    rows, stock, share = _stock(pool, shares)
    if need and not stock.all():
        raise DonorTooSmall(int(np.argmin(stock)), 1, 0)
    ends = np.floor(np.append(0, np.cumsum(share)) / share.sum() * need + 0.5).astype(np.int64)
    parts = np.split(rows, np.cumsum(stock)[:-1])
    k = [np.arange(m) for m in np.diff(ends)]
    found = [part[i % max(1, len(part))] for part, i in zip(parts, k, strict=True)]
    times = [i // max(1, len(part)) for part, i in zip(parts, k, strict=True)]
    return np.concatenate(found), np.concatenate(times)


def _stock(pool: Items, shares: str) -> tuple[Ints, Ints, Floats]:
    """Return the rows of all donors, one after the other by key, (D,) how many each has, and (D,) its share."""
    donor = Items(pool.side["donor"].astype(np.int64), pool.key)
    count = int(donor.label.max(initial=0)) + 1
    rows, stock = group_by_class(donor, np.argsort(pool.key, kind="stable"), count)
    try:
        share = np.array([float(s) for s in shares.split(":")]) if shares else np.ones(count)
    except ValueError:
        share = np.zeros(0)
    if len(share) != count or not (share > 0).all():
        raise ValueError(
            f"shares = {shares!r}: give {count} numbers above 0, one for each donor, like 2:1"
        )
    return rows, stock, share
