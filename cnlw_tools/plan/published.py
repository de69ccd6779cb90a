"""Published splits: lists of image and label, read and not drawn.

Where an image of a list is a candidate of the web manifest it is foreign, whatever people said of it, and so noisy; an
image of the base manifest is noisy where its label is not the list's. Where ids of the base manifest are paths, lists
may name an image by its path or by the name of its file, with ending or without. Rows that the lists of one noise share
are kept together, so that a build stores them once.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools import hashing
from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.dataset.tables import MANIFEST, PLAN
from cnlw_tools.recipe.keys import declared_keys
from cnlw_tools.recipe.recipe import BENCHMARK_LEVELS, Recipe

MOST = 200  # parts of a split: lists that share so little are kept whole


class Read(NamedTuple):
    """A published split."""

    rows: pa.Table  # (n,) of the PLAN schema
    kept: pa.Table  # rows of the base manifest that are not to be trained on
    ends: list[int]  # where rows that other lists have, or have not, begin and end
    changed: (
        float | None
    )  # share of rows that stand otherwise, or not at all, in level 0, if there is such a list


def levels(recipe: Recipe, dataset: Dataset) -> tuple[int, ...]:
    """Return the published levels that a recipe asks for; all that there are if it asks for the benchmark's.

    Raises:
        ValueError: there are no lists of its noise, or not of a level, or it makes a choice that goes with drawing
    """
    there = sorted(_levels(_lists(recipe, dataset)))
    if recipe.levels == BENCHMARK_LEVELS:
        return tuple(there)
    if missing := sorted(set(recipe.levels) - set(there)):
        said = f"no published split of {recipe.noise} noise at level {missing[0]}"
        raise ValueError(f"{dataset.name}: {said}: there are {', '.join(map(str, there))}")
    return recipe.levels


def read(recipe: Recipe, dataset: Dataset, level: int) -> Read:
    """Return one published split.

    Raises:
        ValueError: there is no such list, or it makes a choice that goes with drawing, or images of it cannot be had
    """
    levels(replace(recipe, levels=(level,)), dataset)
    base = dataset.base if dataset.base is not None else MANIFEST.empty_table()
    is_train = pc.equal(base["split"], "train")
    lists = _met(
        _lists(recipe, dataset), base.filter(is_train)["image_id"], dataset.web["image_id"]
    )
    here = lists.filter(pc.equal(lists["level"], level))
    elsewhere = {
        other: _among(here, lists.filter(pc.equal(lists["level"], other)))
        for other in sorted(_levels(lists))
    }
    sign = np.unique(np.stack(list(elsewhere.values()), 1), axis=0, return_inverse=True)[1].ravel()
    order = np.lexsort((hashing.random_keys(here["image_id"], recipe.seed), sign))
    ends = [0, *(1 + np.flatnonzero(np.diff(sign[order]))).tolist(), len(order)]
    changed = float(1 - elsewhere[0].mean()) if 0 in elsewhere and len(order) else None
    _there(
        here,
        dataset.web,
        f"{dataset.name}: the published split of {recipe.noise} noise at level {level}",
    )
    rows = _rows(here.take(order), base.filter(is_train), dataset.web)
    return Read(
        rows,
        base.filter(pc.invert(is_train)),
        ends if len(ends) <= MOST else [0, len(order)],
        changed,
    )


def _lists(recipe: Recipe, dataset: Dataset) -> pa.Table:
    """Return the lists of a noise."""
    _only_read(recipe)
    lists = dataset.published_splits
    found = None if lists is None else lists.filter(pc.equal(lists["noise"], recipe.noise))
    if found is None or not len(found):
        wants = "--data-dir wants the folder split/ of the release"
        raise ValueError(
            f"{dataset.name}: there are no published splits of {recipe.noise} noise: {wants}"
        )
    return found


def _only_read(recipe: Recipe) -> None:
    """Insist that a recipe makes no choice that goes with drawing.

    Raises:
        ValueError: a key that does not go with published splits has another value than its default
    """
    for name, declared in declared_keys(Recipe).items():
        value = getattr(recipe, name)
        if not declared.published and value != declared.default:
            raise ValueError(f"published splits are read, not drawn: remove {name} = {value!r}")


def _met(lists: pa.Table, ids: pa.ChunkedArray, web: pa.ChunkedArray) -> pa.Table:
    """Return the lists with ids of the base manifest that are paths for what they call otherwise.

    Raises:
        ValueError: an image is neither of the base manifest, by path or by a name that no other has, nor a candidate
    """
    paths = pc.replace_substring_regex(ids, r"\.\w+$", "")
    names = pc.replace_substring_regex(paths, "^.*/", "")
    if names == ids:
        return lists
    said = pc.value_counts(names.combine_chunks())
    names = pc.if_else(
        pc.is_in(names, said.field("values").filter(pc.equal(said.field("counts"), 1))), names, None
    )
    theirs = lists["image_id"]
    at = pc.coalesce(
        *(
            pc.index_in(theirs, known.combine_chunks(), skip_nulls=True)
            for known in (ids, paths, names)
        )
    )
    strange = theirs.filter(pc.and_not(at.is_null(), pc.is_in(theirs, web.combine_chunks())))
    if len(strange):
        what = f"{len(strange):,} rows of the published splits name neither an image here nor a candidate"
        raise ValueError(
            f"{what}, such as {strange[0]}; an image here is called {ids[0]}: mend the lists"
        )
    where = lists.schema.get_field_index("image_id")
    return lists.set_column(where, lists.schema.field(where), pc.coalesce(ids.take(at), theirs))


def _there(here: pa.Table, web: pa.Table, what: str) -> None:
    """Insist that no image of a list is dead: nothing may step in for it."""
    if "dead" in web.column_names:
        lost = here["image_id"].filter(
            pc.is_in(here["image_id"], web.filter(web["dead"])["image_id"].combine_chunks())
        )
        if len(lost):
            missing = f"{len(lost):,} of {len(here):,} images are not there, such as {lost[0]}"
            raise ValueError(
                f"{what}: {missing}: complete the web images, or draw the noise: leave out --splits"
            )


def _levels(lists: pa.Table) -> set[int]:
    return set(lists["level"].to_pylist())


def _among(rows: pa.Table, others: pa.Table) -> NDArray[np.bool_]:
    """Return (n,) whether each row, image and label, is one of the others."""
    at = pc.index_in(rows["image_id"], others["image_id"].combine_chunks())
    same = pc.equal(rows["label"], others["label"].take(at))
    found: NDArray[np.bool_] = pc.fill_null(same, False).to_numpy()
    return found


def _rows(here: pa.Table, base: pa.Table, candidates: pa.Table) -> pa.Table:
    """Return the rows of a list as those of a plan.

    An image that is neither a candidate nor of the base manifest is one of another dataset, and of no class here.
    """
    web = pc.is_in(here["image_id"], candidates["image_id"].combine_chunks()).to_numpy()
    at = pc.index_in(here["image_id"], base["image_id"].combine_chunks())
    ours = at.is_valid().to_numpy() & ~web
    truth = pc.if_else(ours, base["label"].take(at), None)
    values = [
        here["image_id"],
        here["label"],
        truth,
        pa.array(np.select([web, ours], ["web", "base"], "other"), pa.string()),
        pa.nulls(len(here), pa.string()),
        pc.fill_null(pc.not_equal(here["label"], truth), True),
        pa.array(["train"] * len(here), pa.string()),
    ]
    return pa.table(values, schema=PLAN)
