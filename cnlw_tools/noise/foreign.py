"""Images of donors, that is, other datasets, in the order in which noise takes them.

    place of a donor's k-th image, by key = (k + 1/2) / share        k = 0, 1, 2 ...

Noise that needs m images takes the first m by place, so every prefix holds the donors in their
shares, give or take one image, and a smaller need is a part of a larger one. A donor that runs
out is an error: no other one steps in.
"""

from typing import NamedTuple

import numpy as np

from cnlw_tools.noise.base import Floats, Ints, Items, group_by_class, key_order


class DonorTooSmall(ValueError):
    """A donor has fewer images than noise needs of it."""

    def __init__(
        self,
        donor: int,
        need: int,
        stock: int,
    ) -> None:
        super().__init__(donor, need, stock)
        self.donor, self.need, self.stock = donor, need, stock

    def __str__(self) -> str:
        shortage = f"donor {self.donor} has {self.stock} images, but {self.need} are needed"
        return f"{shortage}: ask for less, or give another"


class Donors(NamedTuple):
    """The images of D donors."""

    rows: Ints  # (p,) rows of the pool, one donor after the other, each by key
    stock: Ints  # (D,) images of each donor
    share: Floats  # (D,) in proportion to which donors are taken from


def take_once(pool: Items, need: int, shares: str = "") -> Ints:
    """Return (need,) rows of the pool, each at most once, from all donors in their shares.

    Args:
        pool: ``side["donor"]``, (p,) says which donor an image is of
        need: number of images
        shares: of the donors, like "2:1"; equal where empty

    Raises:
        DonorTooSmall: a donor has fewer images than its share
        ValueError: the shares are not numbers above 0, or not one for each donor
    """
    donors = _group_by_donor(pool, shares)
    n_donors = len(donors.stock)
    # As if no donor ran out, each offers `need` images.
    donor = np.repeat(np.arange(n_donors), need)
    k = np.tile(np.arange(need), n_donors)
    place = (k + 0.5) / donors.share[donor]
    first = np.argsort(place, kind="stable")[:need]

    need_per_donor = np.bincount(donor[first], minlength=n_donors)
    is_short = need_per_donor > donors.stock
    if is_short.any():
        d = int(np.argmax(is_short))
        raise DonorTooSmall(d, int(need_per_donor[d]), int(donors.stock[d]))
    donor_start = np.cumsum(donors.stock) - donors.stock
    rows: Ints = donors.rows[donor_start[donor[first]] + k[first]]
    return rows


def take_repeatedly(pool: Items, need: int, shares: str = "") -> tuple[Ints, Ints]:
    """Return rows of the pool, the images of a donor equally often, give or take one.

    Args:
        pool: see `take_once`
        need: number of images
        shares: see `take_once`

    Returns:
        (need,) rows, one donor after the other, and (need,) how often each image was taken before

    Raises:
        DonorTooSmall: a donor has no image
        ValueError: see `take_once`
    """
    donors = _group_by_donor(pool, shares)
    if need and not donors.stock.all():
        raise DonorTooSmall(donor=int(np.argmin(donors.stock)), need=1, stock=0)
    cumulative_share = np.append(0, np.cumsum(donors.share)) / donors.share.sum()
    ends = np.floor(cumulative_share * need + 0.5).astype(np.int64)
    rows, times_before = [], []
    rows_per_donor = np.split(donors.rows, np.cumsum(donors.stock)[:-1])
    for donor_rows, donor_need in zip(rows_per_donor, np.diff(ends), strict=True):
        times, position = np.divmod(np.arange(donor_need), max(1, len(donor_rows)))
        rows.append(donor_rows[position])
        times_before.append(times)
    return np.concatenate(rows), np.concatenate(times_before)


def _group_by_donor(pool: Items, shares: str) -> Donors:
    """Sort the images of a pool by donor and key, and read the donors' shares."""
    donor = pool.side["donor"].astype(np.int64)
    n_donors = int(donor.max(initial=0)) + 1
    rows, stock = group_by_class(Items(donor, pool.key), key_order(pool), n_donors)
    return Donors(rows, stock, _parse_shares(shares, n_donors))


def _parse_shares(shares: str, n_donors: int) -> Floats:
    """Return (D,) the numbers of a text like "2:1"; all 1 where it is empty."""
    if not shares:
        return np.ones(n_donors)
    try:
        numbers = np.array([float(part) for part in shares.split(":")])
    except ValueError:
        numbers = np.zeros(0)
    if len(numbers) != n_donors or not (numbers > 0).all():
        raise ValueError(
            f"shares = {shares!r} is not allowed: give {n_donors} numbers above 0, one for "
            "each donor, like 2:1"
        )
    return numbers
