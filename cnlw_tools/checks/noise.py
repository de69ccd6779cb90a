"""Checks of noise: does the data realise what the noise model promises?"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.checks.evidence import Evidence
from cnlw_tools.checks.finding import Finding, error, some
from cnlw_tools.noise import NOISE, Expected
from cnlw_tools.noise.base import quota
from cnlw_tools.plan import promise

MEND = "build it anew; if it stays, the noise model or the tables are at fault"


def rate(found: Evidence) -> Iterator[Finding]:
    """The share of noisy rows, and of foreign images, is the asked one to the last row."""
    for name, expected in _expected(found):
        train = found.train(name)
        n = max(1, len(train))
        for what, column, share in (
            ("noisy", train["is_noisy"], expected.rate),
            ("foreign", pc.not_equal(train["origin"], "base"), expected.foreign),
        ):
            held, wanted = pc.sum(column).as_py() or 0, round(share * n)
            if held != wanted:
                said = f"{held} of {n} rows are {what} ({100 * held / n:.3f} %), not {wanted} ({100 * share:.3f} %)"
                yield error("rate", said, name, abs(held - wanted), MEND)
        card = found.record.configs[name]
        if not abs(card.rate - (pc.sum(train["is_noisy"]).as_py() or 0) / n) <= 1e-9 or card.expected != expected.rate:
            yield error("rate", "the card states other rates than the rows and the model have", name, mend=MEND)


def matrix(found: Evidence) -> Iterator[Finding]:
    """Where the image stayed, given labels follow true labels as the expected matrix says.

    The diagonal is exact up to one image a class. A cell beside it is a binomial count X of m flips with
    chance q, and P(X at least as far off as x) <= 2 exp(-m KL(x / m || q)) (Chernoff); the bound is shared
    out over all cells, so that one sound config in a million is called wrong.
    """
    for name, expected in _expected(found):
        seen = _confusion(found, name, len(expected.matrix))
        stayed = seen.sum(1, keepdims=True)
        off = np.abs(seen - stayed * expected.matrix) > 1.5
        flips = stayed - np.diag(seen)[:, None]
        chance = expected.matrix / np.maximum(1 - np.diag(expected.matrix), 1e-300)[:, None]
        beside = ~np.eye(len(seen), dtype=bool)
        off[beside] = (flips * _surprise(seen / np.maximum(flips, 1), chance) > np.log(2e6 * seen.size))[beside]
        if off.any():
            i, j = np.argwhere(off)[0]
            said = f"true {i} given {j}: {seen[i, j]} times, expected {(stayed * expected.matrix)[i, j]:.1f}"
            yield error("matrix", said, name, int(off.sum()), MEND)


def kept(found: Evidence) -> Iterator[Finding]:
    """Every class keeps its share of clean labels, give or take one image."""
    for name, config in found.record.configs.items():
        if name not in found.plans or "proportional" not in NOISE[config.recipe["noise"]].holds:
            continue
        slots = _slots(found)
        train = found.train(name)
        clean = train.filter(pc.invert(train["is_noisy"]))["label"].to_numpy()
        held = np.bincount(clean[(clean >= 0) & (clean < len(slots))], minlength=len(slots))
        wanted = slots - quota(slots, config.level)
        off = np.flatnonzero(np.abs(held - wanted) > 1.5)
        if len(off):
            c = int(off[0])
            said = f"class {c} keeps {held[c]} clean labels, not {wanted[c]:.0f}"
            yield error("kept", said, name, len(off), MEND)


def nested(found: Evidence) -> Iterator[Finding]:
    """What is noisy at one level is noisy at the next one up, with the same image and label."""
    for names in _families(found):
        for low, high in pairwise(names):
            lost = sorted(_noisy(found, low) - _noisy(found, high))
            if lost:
                said = f"slots noisy in {low} are not so, or otherwise, in {high}: {some([slot for slot, *_ in lost])}"
                yield error("nested", said, f"{low}, {high}", len(lost), MEND)


def _expected(found: Evidence) -> Iterator[tuple[str, Expected]]:
    """What the model promises for the base manifest, not what the card says of it."""
    for name, config in found.record.configs.items():
        if found.dataset is not None and name in found.plans:
            yield name, promise(found.recipe(name), found.dataset, config.level)


def _confusion(found: Evidence, name: str, classes: int) -> NDArray[np.int64]:
    """Return (C, C) counts of training rows by true and given label, where the image stayed."""
    train = found.train(name)
    base = train.filter(pc.and_(pc.equal(train["origin"], "base"), pc.is_valid(train["clean_label"])))
    true, given = base["clean_label"].to_numpy(), base["label"].to_numpy()
    inside = (true >= 0) & (true < classes) & (given >= 0) & (given < classes)
    return np.bincount(true[inside] * classes + given[inside], minlength=classes**2).reshape(classes, classes)


def _surprise(x: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """KL(x || q) of two chances, cell by cell: infinite where the impossible was seen."""
    with np.errstate(divide="ignore", invalid="ignore"):
        yes = np.where(x > 0, x * np.log(x / q), 0.0)
        no = np.where(x < 1, (1 - x) * np.log((1 - x) / (1 - q)), 0.0)
    return yes + no


def _slots(found: Evidence) -> NDArray[np.int64]:
    """Return (C,) training images of each class in the base manifest."""
    if found.dataset is None or found.dataset.base is None:
        return np.zeros(0, np.int64)
    base = found.dataset.base
    train = base.filter(pc.equal(base["split"], "train"))
    return np.bincount(train["label"].to_numpy(), minlength=len(found.dataset.classes))


def _families(found: Evidence) -> list[list[str]]:
    """Group the configs that one nested draw made, by rising level."""
    groups: dict[str, list[str]] = {}
    for name, config in found.record.configs.items():
        if name in found.plans and found.recipe(name).nested and "nested" in NOISE[config.recipe["noise"]].holds:
            groups.setdefault(repr(sorted(config.recipe.items(), key=str)), []).append(name)
    return [sorted(names, key=lambda n: found.record.configs[n].level) for names in groups.values()]


def _noisy(found: Evidence, name: str) -> set[tuple[str, str, int]]:
    """The noisy slots of a config: slot, image, label."""
    train = found.train(name)
    noisy = train.filter(train["is_noisy"])
    slot = pc.coalesce(noisy["replaces"], noisy["image_id"])
    return set(zip(slot.to_pylist(), noisy["image_id"].to_pylist(), noisy["label"].to_pylist(), strict=True))
