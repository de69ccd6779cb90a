"""Checks of rows: do the shards hold what the tables imply, and do the columns tell the truth?"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.checks.evidence import COLUMNS, Evidence
from cnlw_tools.checks.finding import REBUILD, Finding, abbreviate, error
from cnlw_tools.dataset import hashing
from cnlw_tools.dataset.row_numbers import (
    distinct_values,
    find_values,
    last_places,
    number_rows,
    number_values,
    surplus_rows,
)
from cnlw_tools.dataset.row_selection import filter_rows, take_or_null
from cnlw_tools.dataset.shared_chunks import store_values
from cnlw_tools.dataset.tables import NOISY_SPLITS

PLAN_ROWS = COLUMNS.append(pa.field("split", pa.string()))
IDS_FIRST = sorted(PLAN_ROWS.names, key=lambda name: name != "image_id")  # they choose parts
DELETE_AND_BUILD = "delete the shards that hold them and build again"


def counts(evidence: Evidence) -> Iterator[Finding]:
    """Every split has as many rows as the card says and the plan has."""
    for name, config in evidence.card.configs.items():
        actual = planned = _count_values(evidence.rows(name)["split"])
        if name in evidence.plans:
            planned = _count_values(evidence.plans[name]["split"])
        for split in sorted({*actual, *planned, *config.rows}):
            held, stated, due = (n.get(split, 0) for n in (actual, config.rows, planned))
            if not held == stated == due:
                numbers = f"holds {held}, card {stated}, plan {due}"
                difference = abs(held - due)
                yield error(f"rows of {split} differ: {numbers}", name, difference)


def _count_values(column: pa.ChunkedArray) -> dict[str, int]:
    """Return how often each value comes."""
    counts = pc.value_counts(column)
    return dict(zip(*(part.to_pylist() for part in counts.flatten()), strict=True))


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
        if evidence.holds_plan(name):  # far quicker than to look for a difference
            continue
        actual = evidence.rows(name).select(PLAN_ROWS.names)
        planned = plan.select(PLAN_ROWS.names)
        numbers, planned_numbers = number_rows([actual, planned], IDS_FIRST)
        n_unplanned, unplanned = surplus_rows(numbers, planned_numbers)
        n_missing, missing = surplus_rows(planned_numbers, numbers)
        if n_unplanned:
            example = _describe_row(actual, unplanned)
            message = f"rows that are not in the plan, such as {example}"
            yield error(message, name, n_unplanned, DELETE_AND_BUILD)
        if n_missing:
            example = _describe_row(planned, missing)
            yield error(f"rows of the plan are missing, such as {example}", name, n_missing)


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
    judged: dict[str, TrueLabels] = {}  # by segment, since configs share them
    for name in evidence.card.configs:
        foreign_labels: dict[int | None, None] = {}
        n_foreign, mislabelled = 0, []
        for _, segment in evidence.segments_of(name):
            if segment not in judged:
                judged[segment] = _judge_labels(evidence.segment_rows[segment], base)
            foreign_labels |= dict.fromkeys(judged[segment].foreign_labels)
            n_foreign += judged[segment].n_foreign
            mislabelled += judged[segment].mislabelled
        expected = evidence.outlier_label(name)
        if list(foreign_labels) not in ([], [expected]):
            message = f"clean_label of foreign images is {list(foreign_labels)}, not {expected}"
            yield error(message, name, n_foreign)
        if mislabelled:
            ids = abbreviate(mislabelled)
            yield error(
                f"clean_label differs from the base manifest: {ids}", name, len(mislabelled)
            )


class TrueLabels(NamedTuple):
    """What some rows say of true labels."""

    foreign_labels: list[int | None]  # that foreign images have
    n_foreign: int
    mislabelled: list[str]  # ids of base images with another label than in the base manifest


def _judge_labels(rows: pa.Table, base: pa.Table) -> TrueLabels:
    """Return what rows say of true labels, beside the base manifest."""
    rows = rows.select(["image_id", "clean_label", "origin"])
    is_base = pc.equal(rows["origin"], "base").to_numpy()
    foreign = filter_rows(rows, ~is_base)
    mislabelled = _mislabelled(filter_rows(rows, is_base), base)["image_id"]
    foreign_labels = foreign["clean_label"].unique().to_pylist()
    return TrueLabels(foreign_labels, len(foreign), mislabelled.to_pylist())


def _mislabelled(rows: pa.Table, base: pa.Table) -> pa.Table:
    """Return the rows whose clean label is not that of the base manifest."""
    true_label = take_or_null(base["label"], find_values(rows["image_id"], base["image_id"]))
    differs = pc.fill_null(pc.not_equal(true_label.cast(pa.int64()), rows["clean_label"]), True)
    return rows.filter(differs)


def verdicts(evidence: Evidence) -> Iterator[Finding]:
    """Every web image was judged wrong for the label that it has.

    Published lists are not checked: they are what their authors made them.
    """
    for name, config in evidence.card.configs.items():
        rows = evidence.rows(name).select(["image_id", "label", "origin"])
        web = filter_rows(rows, pc.equal(rows["origin"], "web").to_numpy())
        if config.recipe.published_splits or not len(web):
            continue
        try:
            pool = _web_pool(evidence, name)
        except (ValueError, LookupError):
            continue  # the check `plans` reports it
        unjudged = web["image_id"].filter(pa.array(~_has_pairs(pool, web)))
        if len(unjudged):
            ids = abbreviate(unjudged.to_pylist())
            message = f"web images not judged wrong for their label: {ids}"
            yield error(message, name, len(unjudged))


def _web_pool(evidence: Evidence, config: str) -> pa.Table:
    """Return the web images that a config's recipe takes for wrong."""
    recipe = evidence.recipe(config)
    dataset = evidence.require_dataset()
    return dataset.web_pool(recipe.min_votes, recipe.verdict, recipe.search)


def _has_pairs(pool: pa.Table, rows: pa.Table) -> NDArray[np.bool_]:
    """Return (n,) whether a pool has the image of a row with its label."""
    numbers, pool_numbers = number_rows([rows, pool], ["image_id", "label"])
    return np.isin(numbers, pool_numbers)


def replacements(evidence: Evidence) -> Iterator[Finding]:
    """No replaced image is still there, under its own id or with its bytes under another."""
    shown = evidence.all_rows().select(["image_id", "sha256"])
    for name in evidence.card.configs:
        rows = evidence.rows(name)
        replaced = distinct_values(rows["replaces"])
        is_present = find_values(replaced, rows["image_id"]) >= 0
        present = sorted(replaced.filter(pa.array(is_present)).to_pylist())
        if present:
            message = f"replaced images are still there: {abbreviate(present)}"
            yield error(message, name, len(present))
        absent = filter_rows(pa.table({"image_id": replaced}), ~is_present)["image_id"]
        hidden = _hidden_images(evidence, absent, shown, rows)
        if hidden:
            message = f"replaced images are there under another id: {abbreviate(hidden)}"
            yield error(message, name, len(hidden))


def _hidden_images(
    evidence: Evidence, replaced: pa.ChunkedArray, shown: pa.Table, rows: pa.Table
) -> list[str]:
    """Return the replaced images whose bytes a config has under another id.

    If the source itself holds the same picture under each id that shows it, the image is not
    hidden.

    Args:
        evidence: the build
        replaced: ids that the config does not have
        shown: image_id, sha256 of the rows of all files; of an id, the last row counts
        rows: of the config
    """
    place = find_values(replaced, shown["image_id"])
    is_shown = place >= 0
    place = last_places(number_values(shown["image_id"]))[place[is_shown]]
    suspects = filter_rows(pa.table({"image_id": replaced}), is_shown)
    suspects = suspects.append_column("sha256", store_values(shown["sha256"], place))
    is_there = find_values(suspects["sha256"], rows["sha256"]) >= 0
    suspects = filter_rows(suspects, is_there).sort_by("image_id")
    twins = rows.filter(pc.is_in(rows["sha256"], suspects["sha256"].combine_chunks()))
    ids_of_digest: dict[bytes, list[str]] = {}
    for image_id, digest in zip(*_ids_and_digests(twins), strict=True):
        ids_of_digest.setdefault(digest, []).append(image_id)
    groups, owners = [], []
    for image_id, digest in zip(*_ids_and_digests(suspects), strict=True):
        groups += [(image_id, twin) for twin in ids_of_digest[digest]]
        owners += [image_id] * len(ids_of_digest[digest])
    allowed = evidence.may_be_equal_groups(groups)
    hidden = [owner for owner, is_allowed in zip(owners, allowed, strict=True) if not is_allowed]
    return list(dict.fromkeys(hidden))


def _ids_and_digests(rows: pa.Table) -> tuple[list[str], list[bytes]]:
    return rows["image_id"].to_pylist(), rows["sha256"].to_pylist()


def _describe_row(rows: pa.Table, row: int) -> str:
    """Return the values of one row in words."""
    texts = [rows[name][row].cast(pa.string()).as_py() for name in rows.column_names]
    values = ["null" if text is None else text for text in texts]
    named = zip(rows.column_names, values, strict=True)
    return ", ".join(f"{column} {value}" for column, value in named)
