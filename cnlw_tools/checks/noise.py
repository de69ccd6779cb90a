"""Checks of noise: does the data realise what the noise model promises of each split that it falls on?"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.checks.evidence import Evidence
from cnlw_tools.checks.finding import Finding, error, some
from cnlw_tools.noise import NOISE, Expected

MEND = "build it anew; if it stays, the noise model or the tables are at fault"


def rate(found: Evidence) -> Iterator[Finding]:
    """The share of noisy rows, and of foreign images, is the promised one.

    Exact where the model says so, to the last row; where classes share an odd row, up to one a class.
    """
    for name, split, expected in _expected(found):
        rows = found.split(name, split)
        n = max(1, len(rows))
        noisy = pc.sum(rows["is_noisy"]).as_py() or 0
        foreign = pc.sum(pc.not_equal(rows["origin"], "base")).as_py() or 0
        for what, held, share in (
            ("noisy", noisy, expected.rate),
            ("foreign", foreign, expected.foreign_rate),
        ):
            if not _fits(held, n, share, expected, _odd(found, name, expected)):
                percents = f"{100 * held / n:.3f} %, expected {100 * share:.3f} %"
                said = f"{held} of {n} rows of {split} are {what}: {percents}"
                yield error("rate", said, name, abs(held - round(share * n)), MEND)
        card = found.record.configs[name]
        stated = abs(card.rate - noisy / n) <= 1e-9 and card.expected == expected.rate
        if split == "train" and not stated:
            yield error(
                "rate",
                "the card states other rates than the rows and the model have",
                name,
                mend=MEND,
            )


def matrix(found: Evidence) -> Iterator[Finding]:
    """Where the image stayed, given labels follow true labels as the expected matrix says.

    A cell is a binomial count X of m draws with chance q, and P(X at least as far off as x) <=
    2 exp(-m KL(x / m || q)) (Chernoff); the bound is shared out over all cells, so that one sound config in a
    million is called wrong. Where counts are exact, the diagonal is held to one image a draw, and the draws are the
    flips.
    """
    for name, split, expected in _expected(found):
        seen = _confusion(found.split(name, split), len(expected.matrix))
        stayed = seen.sum(1, keepdims=True)
        draws, chance = stayed, expected.matrix
        if expected.exact:
            diagonal = np.diag(chance)[:, None]
            draws, chance = (
                stayed - np.diag(seen)[:, None],
                chance / np.maximum(1 - diagonal, 1e-300),
            )
        with np.errstate(
            invalid="ignore"
        ):  # where nothing was drawn nothing is off: 0 times infinity
            off = draws * _surprise(seen / np.maximum(draws, 1), chance) > np.log(2e6 * seen.size)
        if expected.exact:
            at = np.diag_indices(len(seen))
            off[at] = (np.abs(seen - stayed * expected.matrix) > expected.n_draws + 0.5)[at]
        if off.any():
            i, j = np.argwhere(off)[0]
            said = f"{split}: true {i} given {j}: {seen[i, j]} times, expected {(stayed * expected.matrix)[i, j]:.1f}"
            yield error("matrix", said, name, int(off.sum()), MEND)


def kept(found: Evidence) -> Iterator[Finding]:
    """Every class keeps as many clean labels as promised: up to one, or within the Chernoff bound."""
    for name, split, expected in _expected(found):
        rows = found.split(name, split)
        clean = rows.filter(pc.invert(rows["is_noisy"]))["label"].to_numpy()
        classes = len(expected.n_clean)
        held = np.bincount(clean[(clean >= 0) & (clean < classes)], minlength=classes)
        off = np.abs(held - expected.n_clean) > expected.n_draws + 0.5
        if not expected.exact:
            m = np.maximum(found.slots(name)[split], 1)
            off = m * _surprise(np.minimum(held / m, 1), expected.n_clean / m) > np.log(
                2e6 * classes
            )
        if off.any():
            c = int(np.argmax(off))
            said = f"{split}: class {c} keeps {held[c]} clean labels, expected {expected.n_clean[c]:.1f}"
            yield error("kept", said, name, int(off.sum()), MEND)


def nested(found: Evidence) -> Iterator[Finding]:
    """What is noisy at one level is noisy at the next one up, with the same image and label."""
    for names in _families(found):
        for low, high in pairwise(names):
            lost = sorted(_noisy(found, low) - _noisy(found, high))
            if lost:
                such = some([slot for _, slot, *_ in lost])
                said = f"slots noisy in {low} are not so, or otherwise, in {high}: {such}"
                yield error("nested", said, f"{low}, {high}", len(lost), MEND)


def _expected(found: Evidence) -> Iterator[tuple[str, str, Expected]]:
    """Config, split, and what the model promises for the base manifest, not what the card says of it."""
    for name in found.plans:
        for split, expected in found.promise(name).items():
            yield name, split, expected


def _confusion(rows: pa.Table, classes: int) -> NDArray[np.int64]:
    """Return (C, C) counts of rows by true and given label, where the image stayed."""
    base = rows.filter(pc.and_(pc.equal(rows["origin"], "base"), pc.is_valid(rows["clean_label"])))
    true, given = base["clean_label"].to_numpy(), base["label"].to_numpy()
    inside = (true >= 0) & (true < classes) & (given >= 0) & (given < classes)
    return np.bincount(true[inside] * classes + given[inside], minlength=classes**2).reshape(
        classes, classes
    )


def _odd(found: Evidence, name: str, expected: Expected) -> int:
    """Return how many classes share odd rows, where the model does not say that the sum is exact all the same."""
    exact = "exact" in NOISE[found.recipe(name).noise].guarantees
    return 0 if exact else int(np.sum(np.abs(expected.n_clean - np.rint(expected.n_clean)) > 1e-6))


def _fits(held: int, n: int, share: float, expected: Expected, odd: int) -> bool:
    """Is this a count that the model promises?"""
    if expected.exact:
        return abs(held - share * n) <= 0.5 + odd * (share > 0)
    return bool(n * _surprise(np.array([held / n]), np.array([share]))[0] <= np.log(2e6))


def _surprise(x: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """KL(x || q) of two chances, cell by cell: infinite where the impossible was seen."""
    with np.errstate(divide="ignore", invalid="ignore"):
        yes = np.where(x > 0, x * np.log(x / q), 0.0)
        no = np.where(x < 1, (1 - x) * np.log((1 - x) / (1 - q)), 0.0)
    return yes + no


def _families(found: Evidence) -> list[list[str]]:
    """Group the configs that one nested draw made, by rising level."""
    groups: dict[str, list[str]] = {}
    for name, config in found.record.configs.items():
        nested = (
            name in found.plans
            and found.recipe(name).nested
            and found.promise(name)["train"].nested
        )
        if nested and config.level is not None:
            groups.setdefault(repr(config.recipe), []).append(name)
    return [
        sorted(names, key=lambda n: found.record.configs[n].level or 0) for names in groups.values()
    ]


def _noisy(found: Evidence, name: str) -> set[tuple[str, str, str, int]]:
    """The noisy slots of a config: split, slot, image, label."""
    rows = found.rows(name)
    noisy = rows.filter(rows["is_noisy"])
    slot = pc.coalesce(noisy["replaces"], noisy["image_id"])
    held = (noisy["split"], slot, noisy["image_id"], noisy["label"])
    return set(zip(*(column.to_pylist() for column in held), strict=True))
