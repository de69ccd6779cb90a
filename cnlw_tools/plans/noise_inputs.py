"""What a noise model is given: its options, and of each image what it may know."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from cnlw_tools import prng
from cnlw_tools.dataset import hashing, side_table
from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.files.mapped import zeros
from cnlw_tools.noise import NOISE, Items, NoiseModel
from cnlw_tools.recipe.recipe import Recipe
from cnlw_tools.recipe.strict import describe_type
from cnlw_tools.registry import pick, suggest

RENAMED_OPTIONS = {
    "way": "variant",
    "known": "known_share",
    "own": "copy_own",
    "part": "proportion_first",
}


def noise_options(recipe: Recipe) -> dict[str, Any]:
    """Return every option of the recipe's noise model, at its default where the recipe has none.

    Raises:
        LookupError: unknown noise
        ValueError: the model has no such option, or the value is of the wrong type
    """
    defaults = pick(NOISE, recipe.noise, "noise").options
    for name, value in recipe.options.items():
        _check_option(recipe.noise, defaults, name, value)
    options = {}
    for name, default in defaults.items():
        options[name] = type(default)(recipe.options.get(name, default))
    return options


def _check_option(
    noise: str,
    defaults: Mapping[str, Any],
    name: str,
    value: Any,
) -> None:
    new_name = RENAMED_OPTIONS.get(name)
    if new_name in defaults:
        raise ValueError(f"noise {noise!r}: option {name!r} is called {new_name!r} now: rename it")
    if name not in defaults:
        names = ", ".join(defaults) or "none"
        raise ValueError(
            f"noise {noise!r} has no option {name!r}.{suggest(name, defaults)} "
            f"The choices are: {names}"
        )
    kind = type(defaults[name])
    is_whole_float = kind is float and type(value) is int
    if type(value) is not kind and not is_whole_float:
        raise ValueError(
            f"noise {noise!r}: option {name} = {value!r} is not allowed: it must be "
            f"{describe_type(kind)}"
        )


def noise_items(
    manifest: pa.Table,
    seed: int,
    noise: NoiseModel,
    side: pa.Table | None = None,
    options: Mapping[str, Any] | None = None,
) -> Items:
    """Reduce a manifest to what noise may know: labels, keys, and the per-image data that it needs.

    Args:
        manifest: (n,) images
        seed: of the keys
        noise: the model, which names its columns
        side: per-image data beside the manifest; a pool has none
        options: the model's options, some of which name columns of ``side``; a pool has none

    Raises:
        ValueError: a column needs a side table, which is missing or lacks the column or an image
    """
    columns = {}
    for name in noise.pool_columns:
        if name in manifest.column_names:
            columns[name] = manifest[name].to_numpy()
    for name, column in _side_columns(noise, side, options or {}).items():
        columns[name] = side_table.column_values(side, column, manifest["image_id"])
    labels = zeros(len(manifest), np.int64)
    start = 0
    for chunk in manifest["label"].chunks:
        labels[start : start + len(chunk)] = chunk.to_numpy()
        start += len(chunk)
    keys = hashing.random_keys(manifest["image_id"], seed)
    return Items(labels, keys, columns, seed, zeros)


def _side_columns(
    noise: NoiseModel,
    side: pa.Table | None,
    options: Mapping[str, Any],
) -> dict[str, str]:
    """Return which column of the side table stands behind each option that names one."""
    names = side.column_names if side is not None else []
    columns = {}
    for option, value in sorted(options.items()):
        is_optional = option in noise.optional_column_options and value in names
        if option in noise.column_options or is_optional:
            columns[option] = value
    return columns


def key_seed(recipe: Recipe, level: int | None) -> int:
    """Return the seed of the keys: all levels share one, unless each is drawn independently."""
    if recipe.nested:
        return recipe.seed
    return prng.random_key(f"level {level}", recipe.seed)


def has_outlier_class(recipe: Recipe) -> bool:
    """Return whether the noise puts its foreign images into a class of their own."""
    option = NOISE[recipe.noise].outlier_option
    return bool(option and noise_options(recipe)[option])


def outlier_label(recipe: Recipe, dataset: Dataset) -> int | None:
    """Return the label of the class of foreign images; None where there is no such class."""
    return len(dataset.classes) - 1 if has_outlier_class(recipe) else None
