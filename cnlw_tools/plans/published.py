"""Published splits: lists of image and label that are read, not drawn.

An image of a list that is a candidate of the web manifest is foreign, whatever people said of it,
and so it is noisy. An image of the base manifest is noisy where its label is not the list's. Where
ids of the base manifest are paths, a list may name an image by its path or by the name of its file,
with suffix or without. Rows that the lists of one noise share are kept together, so that a build
stores them once, or a few times; see `shared_rows`.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.dataset import hashing
from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.dataset.tables import MANIFEST, PLAN
from cnlw_tools.plans.assemble import repeat_value
from cnlw_tools.plans.shared_rows import assign_patterns
from cnlw_tools.recipe.keys import declared_keys
from cnlw_tools.recipe.recipe import BENCHMARK_LEVELS, Recipe

LABEL_BITS = 32  # of an int32


class PublishedSplit(NamedTuple):
    """A published split, and the images beside it."""

    rows: pa.Table  # (n,) of the PLAN schema
    clean: pa.Table  # rows of the base manifest outside train
    ends: list[int]  # row numbers: all rows between two of them are stored together
    changed: float | None  # share of rows that are not in level 0; None: there is no such list


def published_levels(recipe: Recipe, dataset: Dataset) -> tuple[int, ...]:
    """Return the published levels that a recipe asks for; all of them if it names no levels.

    Raises:
        ValueError: there are no lists of its noise or of a level, or a key goes with drawing only
    """
    published = sorted(_levels_of(_lists_of_noise(recipe, dataset)))
    if recipe.levels == BENCHMARK_LEVELS:
        return tuple(published)
    missing = [level for level in sorted(recipe.levels) if level not in published]
    if missing:
        names = ", ".join(map(str, published))
        raise ValueError(
            f"{dataset.name}: there is no published split of {recipe.noise} noise at level "
            f"{missing[0]}: the published levels are {names}"
        )
    return recipe.levels


def read_published_split(
    recipe: Recipe,
    dataset: Dataset,
    level: int,
) -> PublishedSplit:
    """Return one published split.

    Raises:
        ValueError: no split is published for this noise and level, one of its images is missing,
            or a key of the recipe is only for noise that is drawn
    """
    published_levels(replace(recipe, levels=(level,)), dataset)
    base = dataset.base
    if base is None:
        base = MANIFEST.empty_table()
    is_train = pc.equal(base["split"], "train")
    train, clean = base.filter(is_train), base.filter(pc.invert(is_train))
    lists = _shared_lists(recipe, dataset, train)
    split = lists.filter(pc.equal(lists["level"], level))
    order, ends = _group_rows(split, recipe.seed)
    source = f"{dataset.name}: the published split of {recipe.noise} noise at level {level}"
    _check_available(split, dataset.web, source)
    changed = None
    if 0 in _levels_of(lists) and len(split):
        changed = 1 - pc.mean(split["is_in_level_0"]).as_py()
    rows = _plan_rows(split.take(order), train, dataset.web)
    return PublishedSplit(rows, clean, ends, changed)


def _shared_lists(recipe: Recipe, dataset: Dataset, train: pa.Table) -> pa.Table:
    """Return the lists of all levels of a noise, with columns that say what they share.

    Ids are those of the base manifest. The column ``group`` says with which rows each is stored, as
    a number that means the same at all levels.
    """
    key = ("published lists", recipe.noise)
    if key not in dataset.derived:
        lists = _lists_of_noise(recipe, dataset)
        lists = _with_manifest_ids(lists, train["image_id"], dataset.web["image_id"])
        dataset.derived[key] = _share_rows(lists)
    return dataset.derived[key]


def _share_rows(lists: pa.Table) -> pa.Table:
    """Return lists with the columns ``group`` and ``is_in_level_0``."""
    image = lists["image_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    label = lists["label"].to_numpy()
    image_and_label = image.astype(np.int64) << LABEL_BITS | label
    _, row = np.unique(image_and_label, return_inverse=True)
    levels, column = np.unique(lists["level"].to_numpy(), return_inverse=True)
    membership = np.zeros((row.max() + 1, len(levels)), bool)
    membership[row, column] = True
    group = assign_patterns(membership)[row, column]
    is_in_level_0 = np.any(membership[row][:, levels == 0], axis=1)
    lists = lists.append_column("group", pa.array(group))
    return lists.append_column("is_in_level_0", pa.array(is_in_level_0))


def _group_rows(split: pa.Table, seed: int) -> tuple[NDArray[np.int64], list[int]]:
    """Sort the rows of a list by group, then by key.

    Args:
        split: (n,) the list
        seed: of the keys

    Returns:
        (n,) the order, and the row numbers at which groups begin and end
    """
    group = split["group"].to_numpy()
    keys = hashing.random_keys(split["image_id"], seed)
    order = np.lexsort((keys, group))
    changes = np.flatnonzero(np.diff(group[order]))
    begins = (1 + changes).tolist()
    return order, [0, *begins, len(order)]


def _lists_of_noise(recipe: Recipe, dataset: Dataset) -> pa.Table:
    """Return the published lists of the recipe's noise."""
    _check_keys(recipe)
    lists = dataset.published_splits
    if lists is not None:
        same_noise = pc.equal(lists["noise"], recipe.noise)
        lists = lists.filter(same_noise)
    if lists is None or not len(lists):
        raise ValueError(
            f"{dataset.name}: there are no published splits of {recipe.noise} noise: "
            "point --data-dir at a folder with split/ of the release"
        )
    return lists


def _check_keys(recipe: Recipe) -> None:
    """Raise if a key that goes with drawing only has another value than its default."""
    for name, declared in declared_keys(Recipe).items():
        value = getattr(recipe, name)
        if not declared.published and value != declared.default:
            raise ValueError(
                "published splits are read, not drawn, so this key has no effect: remove "
                f"{name} = {value!r}"
            )


def _with_manifest_ids(
    lists: pa.Table,
    base_ids: pa.ChunkedArray,
    web_ids: pa.ChunkedArray,
) -> pa.Table:
    """Return the lists with the base manifest's ids in place of paths and file names.

    Args:
        lists: of one noise
        base_ids: of the training images; where they are not paths, the lists stay as they are
        web_ids: of the candidates

    Raises:
        ValueError: an image is neither a candidate nor in the base manifest, by its path or by a
            file name that no other image has
    """
    paths = pc.replace_substring_regex(base_ids, r"\.\w+$", "")
    names = pc.replace_substring_regex(paths, "^.*/", "")
    if names == base_ids:
        return lists
    listed = lists["image_id"]
    matches = []
    for keys in (base_ids, paths, _unique_or_null(names)):
        matches.append(pc.index_in(listed, keys.combine_chunks(), skip_nulls=True))
    row = pc.coalesce(*matches)
    is_candidate = pc.is_in(listed, web_ids.combine_chunks())
    unknown = listed.filter(pc.and_not(row.is_null(), is_candidate))
    if len(unknown):
        raise ValueError(
            f"{len(unknown):,} rows of the published splits name neither an image of the dataset "
            f"nor a candidate, such as {unknown[0]}; an image of the dataset is called "
            f"{base_ids[0]}: fix the lists"
        )
    column = lists.schema.get_field_index("image_id")
    image_ids = pc.coalesce(base_ids.take(row), listed)
    return lists.set_column(column, lists.schema.field(column), image_ids)


def _unique_or_null(names: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return names with null in place of those that stand there more than once."""
    counts = pc.value_counts(names.combine_chunks())
    is_unique = pc.equal(counts.field("counts"), 1)
    unique = counts.field("values").filter(is_unique)
    return pc.if_else(pc.is_in(names, unique), names, None)


def _check_available(
    split: pa.Table,
    web: pa.Table,
    source: str,
) -> None:
    """Raise if a web image of a list is unavailable: no other image may replace it."""
    if "dead" not in web.column_names:
        return
    unavailable = web.filter(web["dead"])["image_id"].combine_chunks()
    ids = split["image_id"]
    missing = ids.filter(pc.is_in(ids, unavailable))
    if len(missing):
        raise ValueError(
            f"{source}: {len(missing):,} of {len(split):,} images are not there, "
            f"such as {missing[0]}: "
            "complete the web images, or remove --published-splits to draw the noise instead"
        )


def _levels_of(lists: pa.Table) -> set[int]:
    return set(pc.unique(lists["level"]).to_pylist())


def _plan_rows(
    split: pa.Table,
    train: pa.Table,
    web: pa.Table,
) -> pa.Table:
    """Return a published split as rows of a plan.

    An image that is neither a candidate nor in the base manifest is from another dataset, and its
    clean label is unknown.
    """
    ids = split["image_id"]
    is_candidate = pc.is_in(ids, web["image_id"].combine_chunks())
    is_web = is_candidate.to_numpy()
    position = pc.index_in(ids, train["image_id"].combine_chunks())
    is_base = position.is_valid().to_numpy() & ~is_web
    base_label = train["label"].take(position)
    clean_label = pc.if_else(is_base, base_label, None)
    is_flipped = pc.not_equal(split["label"], clean_label)
    origin = np.select([is_web, is_base], ["web", "base"], "other")
    columns = {
        "image_id": ids,
        "label": split["label"],
        "clean_label": clean_label,
        "origin": pa.array(origin, pa.string()),
        "replaces": pa.nulls(len(split), pa.string()),
        "is_noisy": pc.fill_null(is_flipped, True),
        "split": repeat_value("train", len(split)),
    }
    return pa.table(columns, schema=PLAN)
