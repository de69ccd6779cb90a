"""Checks of splits: did so many of each class leave train, and is nobody in two splits?"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.checks.evidence import Evidence
from cnlw_tools.checks.finding import Finding, error, some
from cnlw_tools.noise.base import prefix_per_class

MEND = "build it anew"


def parts(found: Evidence) -> Iterator[Finding]:
    """The splits that the recipe takes from train have as many images of each class as it says."""
    if found.dataset is None or found.dataset.base is None:
        return
    base, classes = found.dataset.base, len(found.dataset.classes)
    there = _count(base.filter(pc.equal(base["split"], "train")), classes) > 0
    for name in found.plans:
        recipe = found.recipe(name)
        for split, asked in (("probe", recipe.probe), ("verified", recipe.verified)):
            held = _count(_came(found.split(name, split), base), classes)
            off = held != asked * there
            if off.any():
                c = int(np.argmax(off))
                said = f"{split} has {held[c]} images of class {c} that were in train, not {asked * there[c]}"
                yield error("parts", said, name, int(off.sum()), MEND)


def thinned(found: Evidence) -> Iterator[Finding]:
    """Train has the images that `clean` asks for, and each class its share of them; no more under a long tail."""
    if found.dataset is None or found.dataset.base is None:
        return
    base, classes = found.dataset.base, len(found.dataset.classes)
    there = _count(base.filter(pc.equal(base["split"], "train")), classes)
    for name in found.plans:
        recipe = found.recipe(name)
        if recipe.clean:
            share = prefix_per_class(
                there - (recipe.probe + recipe.verified) * (there > 0), recipe.clean
            )
            held = _count(_came(found.split(name, "train"), base), classes)
            off = (held - share >= 1) | ((share - held >= 1) & (recipe.longtail == 1))
            if off.any() or (held.sum() != recipe.clean and recipe.longtail == 1):
                c = int(np.argmax(off))
                said = f"train has {held.sum()} images, {held[c]} of class {c}, not {recipe.clean} and {share[c]:.1f}"
                yield error("thinned", said, name, int(off.sum()) or 1, MEND)


def apart(found: Evidence) -> Iterator[Finding]:
    """An image is in one split at all levels of a recipe, and so is one that lost its slot."""
    groups: dict[str, list[str]] = {}
    for name, config in found.record.configs.items():
        groups.setdefault(repr(config.recipe), []).append(name)
    for names in groups.values():
        rows = pa.concat_tables(
            [found.rows(name).select(["image_id", "replaces", "split"]) for name in names]
        )
        ids = pa.chunked_array([*rows["image_id"].chunks, *rows["replaces"].chunks], pa.string())
        splits = pa.chunked_array([*rows["split"].chunks, *rows["split"].chunks], pa.string())
        each = pa.table({"image_id": ids, "split": splits}).filter(pc.is_valid(ids))
        count = each.group_by("image_id").aggregate([("split", "count_distinct")])
        both = sorted(
            count.filter(pc.greater(count["split_count_distinct"], 1))["image_id"].to_pylist()
        )
        if both:
            yield error(
                "apart",
                f"images of several splits: {some(both)}",
                ", ".join(names),
                len(both),
                MEND,
            )


def _came(rows: pa.Table, base: pa.Table) -> pa.Table:
    """Return the base manifest's rows of the slots that it has in train."""
    slots = pc.unique(pc.coalesce(rows["replaces"], rows["image_id"]))
    came = base.take(pc.index_in(slots, base["image_id"].combine_chunks()).drop_null())
    return came.filter(pc.equal(came["split"], "train"))


def _count(rows: pa.Table, classes: int) -> NDArray[np.int64]:
    return np.bincount(rows["label"].to_numpy(), minlength=classes)
