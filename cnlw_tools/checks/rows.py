"""Checks of rows: is what the shards hold what the tables imply, and what the columns say true?"""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cnlw_tools import hashing
from cnlw_tools.checks.evidence import ROW, Evidence
from cnlw_tools.checks.finding import Finding, error, some
from cnlw_tools.dataset.tables import NOISY_SPLITS


def counts(found: Evidence) -> Iterator[Finding]:
    """Every split has as many rows as the card says and the plan has."""
    for name, config in found.record.configs.items():
        actual = Counter(found.rows(name)["split"].to_pylist())
        planned = Counter(found.plans[name]["split"].to_pylist()) if name in found.plans else actual
        for split in sorted({*actual, *planned, *config.rows}):
            n = {"holds": actual[split], "card": config.rows.get(split, 0), "plan": planned[split]}
            if len(set(n.values())) > 1:
                said = ", ".join(f"{who} {k}" for who, k in n.items())
                yield error(
                    "counts", f"rows of {split} differ: {said}", name, abs(n["holds"] - n["plan"])
                )


def plans(found: Evidence) -> Iterator[Finding]:
    """The plan drawn again from the tables has the digest on the card."""
    for name, config in found.record.configs.items():
        if name in found.broken_plans:
            yield error(
                "plans",
                f"cannot be drawn again: {found.broken_plans[name]}",
                name,
                mend="build it anew",
            )
        elif name in found.plans and hashing.digest(found.plans[name]) != config.digest:
            yield error(
                "plans",
                "drawn again from the tables, its digest is not the one on the card",
                name,
                mend="build it anew",
            )


def rows(found: Evidence) -> Iterator[Finding]:
    """Every row of every shard equals its row of the plan."""
    for name, plan in found.plans.items():
        held, planned = Counter(_lines(found.rows(name))), Counter(_lines(plan))
        foreign, missing = list((held - planned).elements()), list((planned - held).elements())
        if foreign:
            what = f"rows that are not in the plan, such as {_shown(foreign[0])}"
            yield error(
                "rows", what, name, len(foreign), "delete the shards that hold them and build again"
            )
        if missing:
            yield error(
                "rows",
                f"rows of the plan are missing, such as {_shown(missing[0])}",
                name,
                len(missing),
            )


def flags(found: Evidence) -> Iterator[Finding]:
    """`is_noisy` if and only if the label is not the true one or the image is foreign; other splits are clean."""
    for name in found.record.configs:
        held = found.rows(name)
        wrong = pc.fill_null(pc.not_equal(held["label"], held["clean_label"]), True)
        noisy = held["is_noisy"]
        lies = held.filter(pc.not_equal(noisy, wrong))
        if len(lies):
            yield error(
                "flags",
                f"is_noisy is not true to the labels: {some(lies['image_id'].to_pylist())}",
                name,
                len(lies),
            )
        elsewhere = held.filter(
            pc.and_(pc.invert(pc.is_in(held["split"], pa.array(NOISY_SPLITS))), noisy)
        )
        if len(elsewhere):
            what = f"noise outside of {' and '.join(NOISY_SPLITS)}: {some(elsewhere['image_id'].to_pylist())}"
            yield error("flags", what, name, len(elsewhere))


def labels(found: Evidence) -> Iterator[Finding]:
    """Labels are those of the class list."""
    classes = len(found.dataset.classes) if found.dataset else 0
    for file, shard in sorted(found.shards.items()):
        for column in ("label", "clean_label"):
            values = shard.rows[column].drop_null().to_numpy()
            bad = int(np.sum((values < 0) | (values >= classes)))
            if bad:
                yield error(
                    "labels", f"{column} outside of 0 to {classes - 1}", f"data/{file}", bad
                )


def truth(found: Evidence) -> Iterator[Finding]:
    """The true label of every base image is the base manifest's; of a foreign one unknown, or the class of outliers."""
    if found.dataset is None or found.dataset.base is None:
        return
    base = found.dataset.base
    for name in found.record.configs:
        foreign = found.rows(name).filter(pc.not_equal(found.rows(name)["origin"], "base"))
        known = found.outlier(name)
        if foreign["clean_label"].unique().to_pylist() not in ([], [known]):
            such = f"clean_label of foreign images is {foreign['clean_label'].unique().to_pylist()}, not {known}"
            yield error("truth", such, name, len(foreign))
        held = found.rows(name)
        held = held.filter(pc.equal(held["origin"], "base"))
        at = pc.index_in(held["image_id"], base["image_id"].combine_chunks())
        known = base["label"].take(at)
        lies = held.filter(
            pc.fill_null(pc.not_equal(known.cast(pa.int64()), held["clean_label"]), True)
        )
        if len(lies):
            what = f"clean_label is not the base manifest's: {some(lies['image_id'].to_pylist())}"
            yield error("truth", what, name, len(lies))


def judged(found: Evidence) -> Iterator[Finding]:
    """Every web image was judged wrong for the label it bears."""
    if found.dataset is None:
        return
    for name, config in found.record.configs.items():
        held = found.rows(name)
        web = held.filter(pc.equal(held["origin"], "web"))
        if config.recipe.splits == "official":
            continue  # published lists are what they are
        try:
            recipe = found.recipe(name)
            pool = found.dataset.web_pool(recipe.min_votes, recipe.verdict, recipe.search)
        except (ValueError, LookupError):
            continue  # `plans` says so
        wrong = set(zip(pool["image_id"].to_pylist(), pool["label"].to_pylist(), strict=True))
        used = zip(web["image_id"].to_pylist(), web["label"].to_pylist(), strict=True)
        lies = [i for i, label in used if (i, label) not in wrong]
        if lies:
            yield error(
                "judged",
                f"web images not judged wrong for their label: {some(lies)}",
                name,
                len(lies),
            )


def replaced(found: Evidence) -> Iterator[Finding]:
    """No image that lost its slot is still there, under its own id or with its bytes under another."""
    bytes_of = _bytes_of(found)
    for name in found.record.configs:
        held = found.rows(name)
        gone = set(held["replaces"].drop_null().to_pylist())
        still = sorted(gone & set(held["image_id"].to_pylist()))
        if still:
            yield error(
                "replaced", f"replaced images are still there: {some(still)}", name, len(still)
            )
        there = set(held["sha256"].to_pylist())
        hidden = sorted(i for i in gone - set(still) if bytes_of.get(i) in there)
        hidden = [i for i in hidden if not _twin(found, i, bytes_of[i], held)]
        if hidden:
            what = f"replaced images are there under another id: {some(hidden)}"
            yield error("replaced", what, name, len(hidden))


def _bytes_of(found: Evidence) -> dict[str, str]:
    """The sha256 of each image's bytes, where any shard holds the image."""
    pairs: dict[str, str] = {}
    for shard in found.shards.values():
        pairs.update(
            zip(shard.rows["image_id"].to_pylist(), shard.rows["sha256"].to_pylist(), strict=True)
        )
    return pairs


def _twin(found: Evidence, gone: str, digest: str, held: pa.Table) -> bool:
    """Does the source itself hold the same picture under the id that shows it?"""
    ids = held.filter(pc.equal(held["sha256"], digest))["image_id"].to_pylist()
    return all(found.same_in_source(gone, other) for other in ids)


def _lines(rows: pa.Table) -> list[str]:
    """One string a row, for comparing tables as bags of rows."""
    names = (*ROW, "split")
    columns = [pc.fill_null(rows[name].cast(pa.string()), "null") for name in names]
    lines: list[str] = pc.binary_join_element_wise(*columns, "\x1f").to_pylist()
    return lines


def _shown(line: str) -> str:
    return ", ".join(f"{k} {v}" for k, v in zip((*ROW, "split"), line.split("\x1f"), strict=True))
