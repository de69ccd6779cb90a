"""Which web images exist: the column `dead` of the candidates, which a build with a store marks.

The marks describe a moment, not the candidates, and only noise that takes web images needs them. So
other noise may be built without a store, before such noise is added or after it.
"""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from cnlw_tools.card.metadata import BuildCard
from cnlw_tools.dataset import hashing, tables
from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.noise import NOISE
from cnlw_tools.recipe.recipe import Recipe

DEAD = "dead"
WEB = "web"  # the name of the table


def match_availability(
    folder: Path, card: BuildCard, data: Dataset, recipe: Recipe
) -> tuple[BuildCard, Dataset]:
    """Copy the marks between a build and a dataset, where only one of them has marks.

    If no noise of the build needs marks, the build gets those of the dataset: its card has their
    digest, and the caller writes the table. If the noise that is added does not need them, the
    dataset gets those of the build.

    Args:
        folder: of the tables of the build
        card: of the build
        data: of the recipe
        recipe: of the configs that come into the build

    Returns:
        the card, with the new digest if its candidates were marked; the dataset
    """
    path = folder / f"{WEB}.parquet"
    recorded = card.tables.get(WEB)
    if recorded in (None, data.digests.get(WEB)) or not path.exists():
        return card, data
    if _is_marked(data.web):
        needs_marks = any(_needs_marks(config.recipe) for config in card.configs.values())
        if recorded == _digest_without_marks(data.web) and not needs_marks:
            return replace(card, tables={**card.tables, WEB: data.digests[WEB]}), data
    elif not _needs_marks(recipe):
        web = tables.read_manifest(path, len(data.classes), web=True)
        if _digest_without_marks(web) == data.digests.get(WEB):
            return card, replace(data, web=web)
    return card, data


def explain_difference(folder: Path, data: Dataset) -> str:
    """Return which option makes the candidates of a build differ from a dataset; or nothing.

    Args:
        folder: of the tables of the build
        data: of the recipe, which does not fit the build
    """
    path = folder / f"{WEB}.parquet"
    if not path.exists():
        return ""
    web = tables.read_manifest(path, len(data.classes), web=True)
    if _is_marked(web) == _is_marked(data.web):
        return ""
    if _digest_without_marks(web) != _digest_without_marks(data.web):
        return ""
    if _is_marked(web):
        return "it was made with a store of web images, and this command has none: give --store"
    return "it was made without a store of web images: omit --store"


def _is_marked(web: pa.Table) -> bool:
    return DEAD in web.column_names


def _digest_without_marks(web: pa.Table) -> str:
    return hashing.digest(web.drop_columns([DEAD]) if _is_marked(web) else web)


def _needs_marks(recipe: Recipe) -> bool:
    """Return whether a plan depends on which web images are there."""
    model = NOISE.get(recipe.noise)
    return model is None or DEAD in model.pool_columns
