"""Checks of noise: every noisy split has the noise that its noise model promises."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.checks.evidence import Evidence, slot_ids
from cnlw_tools.checks.finding import Finding, abbreviate, error
from cnlw_tools.dataset.row_numbers import number_rows
from cnlw_tools.dataset.row_selection import filter_rows
from cnlw_tools.noise import NOISE, Expected

FIX = "build it again; if the error stays, the noise model or the tables are wrong"
BLOCK_CLASSES = 500  # rows of a matrix that are compared at a time: of 10,000, 40 MB
MAX_SURPRISE = np.log(2e6)  # a correct config exceeds it with a probability of one in a million
TINY = 1e-300  # prevents division by zero

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def rate(evidence: Evidence) -> Iterator[Finding]:
    """The shares of noisy rows and of foreign images are those that the noise model promises.

    If the model promises exact counts, the counts may differ only by rounding: by one row for each
    class whose expected number of clean rows is not whole.
    """
    for name, split, expected in _expected_by_split(evidence):
        rows = evidence.split(name, split)
        n = max(1, len(rows))
        n_noisy = pc.sum(rows["is_noisy"]).as_py() or 0
        n_foreign = pc.sum(pc.not_equal(rows["origin"], "base")).as_py() or 0
        slack = _n_rounded_classes(evidence, name, expected)
        for kind, count, share in (
            ("noisy", n_noisy, expected.rate),
            ("foreign", n_foreign, expected.foreign_rate),
        ):
            if not _is_expected_count(count, n, share, expected, slack):
                percent = f"{100 * count / n:.3f} %, expected {100 * share:.3f} %"
                message = f"{count} of {n} rows of {split} are {kind}: {percent}"
                yield error(message, name, abs(count - round(share * n)), FIX)
        config = evidence.card.configs[name]
        realised_differs = abs(config.rate - n_noisy / n) > 1e-9
        if split == "train" and (realised_differs or config.expected != expected.rate):
            message = "the rates on the card differ from those of the rows and the noise model"
            yield error(message, name, fix=FIX)


def matrix(evidence: Evidence) -> Iterator[Finding]:
    """Given labels of images that were not replaced follow the expected transition matrix.

    A cell is a binomial count X of m draws with probability q, and by the Chernoff bound
    P(X is at least as far from m q as x) <= 2 exp(-m KL(x / m || q)). The bound is divided among
    all cells, so that a correct config fails with a probability of one in a million. If the model
    promises exact counts, the diagonal may differ by one image per draw of the noise, and only the
    flips of a class are its m draws.
    """
    for name, split, expected in _expected_by_split(evidence):
        counts = _confusion_counts(evidence.split(name, split), len(expected.matrix))
        differs = _unlikely_cells(counts, expected)
        if differs.any():
            true, label = np.argwhere(differs)[0]
            expected_count = counts[true].sum() * expected.matrix[true, label]
            times = f"{counts[true, label]} times, expected {expected_count:.1f}"
            message = f"{split}: true label {true} has given label {label} {times}"
            yield error(message, name, int(differs.sum()), FIX)


def _unlikely_cells(counts: Counts, expected: Expected) -> NDArray[np.bool_]:
    """Return (C, C) which counts of true and given labels contradict the expected matrix."""
    n_classes = len(counts)
    n_stayed = counts.sum(1)
    differs = np.zeros((n_classes, n_classes), bool)
    for begin in range(0, n_classes, BLOCK_CLASSES):
        rows = slice(begin, begin + BLOCK_CLASSES)
        draws, probability = n_stayed[rows, None], expected.matrix[rows]
        if expected.exact:
            draws = draws - np.diag(counts)[rows, None]
            flip_probability = 1 - np.diag(expected.matrix)[rows, None]
            probability = probability / np.maximum(flip_probability, TINY)
        # A class without draws may give 0 times infinity, which is nan: its cells do not differ.
        with np.errstate(invalid="ignore"):
            surprise = draws * _kl_divergence(counts[rows] / np.maximum(draws, 1), probability)
            differs[rows] = surprise > MAX_SURPRISE + np.log(counts.size)
    if expected.exact:
        deviation = np.abs(np.diag(counts) - n_stayed * np.diag(expected.matrix))
        differs[np.diag_indices(n_classes)] = deviation > expected.n_draws + 0.5
    return differs


def clean_labels(evidence: Evidence) -> Iterator[Finding]:
    """Every class has as many clean examples as expected, exactly or within the Chernoff bound."""
    for name, split, expected in _expected_by_split(evidence):
        n_classes = len(expected.n_clean)
        actual = _count_clean_rows_per_class(evidence.split(name, split), n_classes)
        if expected.exact:
            differs = np.abs(actual - expected.n_clean) > expected.n_draws + 0.5
        else:
            n_slots = np.maximum(evidence.slots_per_class(name)[split], 1)
            share = np.minimum(actual / n_slots, 1)
            surprise = n_slots * _kl_divergence(share, expected.n_clean / n_slots)
            differs = surprise > MAX_SURPRISE + np.log(n_classes)
        if differs.any():
            c = int(np.argmax(differs))
            labels = f"{actual[c]} clean labels, expected {expected.n_clean[c]:.1f}"
            yield error(f"{split}: class {c} has {labels}", name, int(differs.sum()), FIX)


def _count_clean_rows_per_class(rows: pa.Table, n_classes: int) -> Counts:
    """Return (C,) the number of clean rows of each class."""
    labels = rows["label"].to_numpy()[~rows["is_noisy"].to_numpy()]
    valid = labels[(labels >= 0) & (labels < n_classes)]
    return np.bincount(valid, minlength=n_classes)


def nested(evidence: Evidence) -> Iterator[Finding]:
    """Slots that are noisy at one level have the same image and label at the next higher level."""
    for configs in _nested_configs(evidence):
        for low, high in pairwise(configs):
            difference = _missing_slots(_noisy_slots(evidence, low), _noisy_slots(evidence, high))
            if difference:
                slots = abbreviate([slot for _, slot, *_ in difference])
                message = f"slots that are noisy in {low} are clean or different in {high}: {slots}"
                yield error(message, f"{low}, {high}", len(difference), FIX)


def _expected_by_split(evidence: Evidence) -> Iterator[tuple[str, str, Expected]]:
    """Yield config, split and expected noise, computed from the tables and not from the card."""
    for name in evidence.plans:
        for split, expected in evidence.expected(name).items():
            yield name, split, expected


def _confusion_counts(rows: pa.Table, n_classes: int) -> Counts:
    """Return (C, C) counts by true and given label of rows whose image was not replaced."""
    stayed = pc.and_(pc.equal(rows["origin"], "base"), pc.is_valid(rows["clean_label"]))
    base = filter_rows(rows.select(["clean_label", "label"]), stayed.to_numpy())
    true, label = base["clean_label"].to_numpy(), base["label"].to_numpy()
    valid = (true >= 0) & (true < n_classes) & (label >= 0) & (label < n_classes)
    cells = true[valid] * n_classes + label[valid]
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


def _n_rounded_classes(evidence: Evidence, config: str, expected: Expected) -> int:
    """Return the number of classes whose expected count is not whole.

    It is 0 if the noise model guarantees an exact total nevertheless.
    """
    if "exact" in NOISE[evidence.recipe(config).noise].guarantees:
        return 0
    fraction = np.abs(expected.n_clean - np.rint(expected.n_clean))
    return int(np.sum(fraction > 1e-6))


def _is_expected_count(count: int, n: int, share: float, expected: Expected, slack: int) -> bool:
    """Return whether a count of noisy rows among n agrees with the share that is expected."""
    if expected.exact:
        return abs(count - share * n) <= 0.5 + slack * (share > 0)
    surprise = n * _kl_divergence(np.array([count / n]), np.array([share]))[0]
    return bool(surprise <= MAX_SURPRISE)


def _kl_divergence(x: Floats, q: Floats) -> Floats:
    """Return KL(x || q) of Bernoulli distributions, elementwise.

    It is infinite where an event has probability 0 in q but not in x.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        event_term = np.where(x > 0, x * np.log(x / q), 0.0)
        complement_term = np.where(x < 1, (1 - x) * np.log((1 - x) / (1 - q)), 0.0)
    return event_term + complement_term


def _nested_configs(evidence: Evidence) -> list[list[str]]:
    """Group the configs that differ only in the level of a nested draw, and sort them by level."""
    groups: dict[str, list[str]] = {}
    configs = evidence.card.configs
    for name in evidence.plans:
        is_nested = evidence.recipe(name).nested and evidence.expected(name)["train"].nested
        if is_nested and configs[name].level is not None:
            groups.setdefault(repr(configs[name].recipe), []).append(name)
    return [sorted(names, key=lambda name: configs[name].level or 0) for names in groups.values()]


def _missing_slots(low: pa.Table, high: pa.Table) -> list[tuple[str, str, str, int]]:
    """Return the distinct rows of one table that another does not have, sorted."""
    numbers, others = number_rows([low, high], ["slot", "image_id", "label", "split"])
    missing = low.filter(pa.array(~np.isin(numbers, others)))
    return sorted(set(zip(*missing.to_pydict().values(), strict=True)))


def _noisy_slots(evidence: Evidence, config: str) -> pa.Table:
    """Return the noisy slots of a config: split, slot, image, label."""
    rows = evidence.rows(config)
    noisy = rows.select(["split", "replaces", "image_id", "label"])
    noisy = filter_rows(noisy, rows["is_noisy"].to_numpy())
    columns = (noisy["split"], slot_ids(noisy), noisy["image_id"], noisy["label"])
    return pa.table(columns, names=["split", "slot", "image_id", "label"])
