"""Checks of rows: do the shards hold what the tables imply, and do the columns tell the truth?"""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cnlw_tools import hashing
from cnlw_tools.checks.evidence import COLUMN_NAMES, Evidence
from cnlw_tools.checks.finding import REBUILD, Finding, abbreviate, error
from cnlw_tools.dataset.tables import NOISY_SPLITS

PLAN_COLUMNS = (*COLUMN_NAMES, "split")
SEPARATOR = "\x1f"  # between the values of a row that is written as one string
DELETE_AND_BUILD = "delete the shards that hold them and build again"


def counts(evidence: Evidence) -> Iterator[Finding]:
    """Every split has as many rows as the card says and the plan has."""
    for name, config in evidence.card.configs.items():
        actual = Counter(evidence.rows(name)["split"].to_pylist())
        planned = actual
        if name in evidence.plans:
            planned = Counter(evidence.plans[name]["split"].to_pylist())
        for split in sorted({*actual, *planned, *config.rows}):
            stated = config.rows.get(split, 0)
            if not actual[split] == stated == planned[split]:
                numbers = f"holds {actual[split]}, card {stated}, plan {planned[split]}"
                difference = abs(actual[split] - planned[split])
                yield error(f"rows of {split} differ: {numbers}", name, difference)


def plans(evidence: Evidence) -> Iterator[Finding]:
    """The plan drawn again from the tables has the digest on the card."""
    for name, config in evidence.card.configs.items():
        if name in evidence.plan_errors:
            message = f"cannot be drawn again: {evidence.plan_errors[name]}"
            yield error(message, name, fix=REBUILD)
        elif name in evidence.plans and hashing.digest(evidence.plans[name]) != config.digest:
            message = "drawn again from the tables, its digest is not the one on the card"
            yield error(message, name, fix=REBUILD)


def rows(evidence: Evidence) -> Iterator[Finding]:
    """Every row of every shard equals its row of the plan."""
    for name, plan in evidence.plans.items():
        actual = Counter(_rows_as_text(evidence.rows(name)))
        planned = Counter(_rows_as_text(plan))
        unplanned = list((actual - planned).elements())
        missing = list((planned - actual).elements())
        if unplanned:
            message = f"rows that are not in the plan, such as {_describe_row(unplanned[0])}"
            yield error(message, name, len(unplanned), DELETE_AND_BUILD)
        if missing:
            message = f"rows of the plan are missing, such as {_describe_row(missing[0])}"
            yield error(message, name, len(missing))


def flags(evidence: Evidence) -> Iterator[Finding]:
    """`is_noisy` if and only if the label is wrong or nobody knows the true one.

    Splits that noise does not fall on are clean.
    """
    for name in evidence.card.configs:
        rows = evidence.rows(name)
        is_wrong = pc.fill_null(pc.not_equal(rows["label"], rows["clean_label"]), True)
        mismatches = rows.filter(pc.not_equal(rows["is_noisy"], is_wrong))
        if len(mismatches):
            ids = abbreviate(mismatches["image_id"].to_pylist())
            yield error(f"is_noisy contradicts the labels: {ids}", name, len(mismatches))
        may_be_noisy = pc.is_in(rows["split"], pa.array(NOISY_SPLITS))
        misplaced = rows.filter(pc.and_(pc.invert(may_be_noisy), rows["is_noisy"]))
        if len(misplaced):
            ids = abbreviate(misplaced["image_id"].to_pylist())
            splits = " and ".join(NOISY_SPLITS)
            yield error(f"noise outside of {splits}: {ids}", name, len(misplaced))


def labels(evidence: Evidence) -> Iterator[Finding]:
    """Labels are those of the class list."""
    n_classes = len(evidence.require_dataset().classes)
    for file, shard in sorted(evidence.shards.items()):
        for column in ("label", "clean_label"):
            values = shard.rows[column].drop_null().to_numpy()
            outside = int(np.sum((values < 0) | (values >= n_classes)))
            if outside:
                message = f"{column} outside of 0 to {n_classes - 1}"
                yield error(message, f"data/{file}", outside)


def true_labels(evidence: Evidence) -> Iterator[Finding]:
    """The true label of a base image is the base manifest's.

    That of a foreign image is unknown, or the class of outliers where there is one.
    """
    base = evidence.require_dataset().base
    if base is None:
        return
    for name in evidence.card.configs:
        rows = evidence.rows(name)
        is_base = pc.equal(rows["origin"], "base")
        foreign = rows.filter(pc.invert(is_base))
        foreign_labels = foreign["clean_label"].unique().to_pylist()
        expected = evidence.outlier_label(name)
        if foreign_labels not in ([], [expected]):
            message = f"clean_label of foreign images is {foreign_labels}, not {expected}"
            yield error(message, name, len(foreign))
        mismatches = _mislabelled(rows.filter(is_base), base)
        if len(mismatches):
            ids = abbreviate(mismatches["image_id"].to_pylist())
            yield error(f"clean_label differs from the base manifest: {ids}", name, len(mismatches))


def _mislabelled(rows: pa.Table, base: pa.Table) -> pa.Table:
    """Return the rows whose clean label is not that of the base manifest."""
    position = pc.index_in(rows["image_id"], base["image_id"].combine_chunks())
    true_label = base["label"].take(position).cast(pa.int64())
    differs = pc.fill_null(pc.not_equal(true_label, rows["clean_label"]), True)
    return rows.filter(differs)


def verdicts(evidence: Evidence) -> Iterator[Finding]:
    """Every web image was judged wrong for the label that it has.

    Published lists are not checked: they are what their authors made them.
    """
    for name, config in evidence.card.configs.items():
        rows = evidence.rows(name)
        web = rows.filter(pc.equal(rows["origin"], "web"))
        if config.recipe.published_splits or not len(web):
            continue
        try:
            pool = _web_pool(evidence, name)
        except (ValueError, LookupError):
            continue  # the check `plans` reports it
        judged_wrong = set(_id_label_pairs(pool))
        unjudged = [pair[0] for pair in _id_label_pairs(web) if pair not in judged_wrong]
        if unjudged:
            message = f"web images not judged wrong for their label: {abbreviate(unjudged)}"
            yield error(message, name, len(unjudged))


def _web_pool(evidence: Evidence, config: str) -> pa.Table:
    """Return the web images that a config's recipe takes for wrong."""
    recipe = evidence.recipe(config)
    dataset = evidence.require_dataset()
    return dataset.web_pool(recipe.min_votes, recipe.verdict, recipe.search)


def _id_label_pairs(rows: pa.Table) -> list[tuple[str, int]]:
    return list(zip(rows["image_id"].to_pylist(), rows["label"].to_pylist(), strict=True))


def replacements(evidence: Evidence) -> Iterator[Finding]:
    """No replaced image is still there, under its own id or with its bytes under another."""
    digest_by_id = _digests_of_images(evidence)
    for name in evidence.card.configs:
        rows = evidence.rows(name)
        replaced = set(rows["replaces"].drop_null().to_pylist())
        present = sorted(replaced.intersection(rows["image_id"].to_pylist()))
        if present:
            message = f"replaced images are still there: {abbreviate(present)}"
            yield error(message, name, len(present))
        digests = set(rows["sha256"].to_pylist())
        hidden = []
        for image_id in sorted(replaced.difference(present)):
            digest = digest_by_id.get(image_id)
            if digest in digests and not _is_in_source_twice(evidence, image_id, digest, rows):
                hidden.append(image_id)
        if hidden:
            message = f"replaced images are there under another id: {abbreviate(hidden)}"
            yield error(message, name, len(hidden))


def _digests_of_images(evidence: Evidence) -> dict[str, str]:
    """Return the sha256 of each image's bytes, where any shard holds the image."""
    digests: dict[str, str] = {}
    for shard in evidence.shards.values():
        ids, hashes = shard.rows["image_id"].to_pylist(), shard.rows["sha256"].to_pylist()
        digests.update(zip(ids, hashes, strict=True))
    return digests


def _is_in_source_twice(
    evidence: Evidence, image_id: str, digest: str | None, rows: pa.Table
) -> bool:
    """Return whether the source itself holds the same picture under each id that shows it."""
    ids = rows.filter(pc.equal(rows["sha256"], digest))["image_id"].to_pylist()
    return all(evidence.may_be_equal(image_id, twin) for twin in ids)


def _rows_as_text(rows: pa.Table) -> list[str]:
    """Return one string a row, for comparing tables as bags of rows."""
    columns = [pc.fill_null(rows[name].cast(pa.string()), "null") for name in PLAN_COLUMNS]
    lines: list[str] = pc.binary_join_element_wise(*columns, SEPARATOR).to_pylist()
    return lines


def _describe_row(line: str) -> str:
    values = zip(PLAN_COLUMNS, line.split(SEPARATOR), strict=True)
    return ", ".join(f"{column} {value}" for column, value in values)
