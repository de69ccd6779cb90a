"""A plan says, slot by slot, which image the learner gets and under which label. No pixels.

Training rows stand in the order in which their slots turn noisy (noise/base.py, `victims`, or the model's own), so a
level is a prefix and the bands that configs share are slices; so do the verified ones after them, on which noise falls
apart; the rows of the other splits follow, in key order.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools import __version__, hashing, prng
from cnlw_tools.dataset import side_table
from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.noise import NOISE, DonorTooSmall, Expected, Items, NoiseModel, TooFewImages
from cnlw_tools.noise.base import corruption_order
from cnlw_tools.plan import assemble, published
from cnlw_tools.plan.info import PlanInfo, with_plan_info
from cnlw_tools.plan.subsets import choose, deal
from cnlw_tools.recipe.recipe import BENCHMARK_LEVELS, HIGHEST_LEVEL, Recipe
from cnlw_tools.recipe.recipe import config_name as name_config
from cnlw_tools.registry import pick, suggest


def levels(recipe: Recipe, dataset: Dataset | None = None) -> tuple[int | None, ...]:
    """Return the levels that a recipe asks for; (None,) of noise that has none.

    Of published splits, "all" are the ones that the dataset has, where it is given.

    Raises:
        LookupError: unknown noise
        ValueError: levels for noise that has none
    """
    if pick(NOISE, recipe.noise, "noise").has_level:
        if recipe.splits != "official" or dataset is None:
            return recipe.levels
        return published.levels(recipe, dataset)
    if recipe.levels != BENCHMARK_LEVELS:
        asked = ", ".join(map(str, recipe.levels))
        raise ValueError(
            f"{recipe.noise} noise has no level, its options say how much: leave out level {asked}"
        )
    return (None,)


def plan(recipe: Recipe, dataset: Dataset, level: int | None) -> pa.Table:
    """Draw the noise of one level and write down what it did.

    Args:
        recipe: names the noise, its options and seed; its levels are not looked at
        dataset: with its base manifest; noise falls on the split ``train``, as subsets.py parts it
        level: percent; none for noise that has none

    Returns:
        a table of the PLAN schema; the metadata say how it was made and what rate and matrix to expect

    Raises:
        LookupError: unknown noise
        ValueError: an unknown option, nothing to train on, or noise that cannot be had
    """
    noise = pick(NOISE, recipe.noise, "noise")
    percent = _percent(noise, recipe, level)
    if recipe.splits == "official":
        return _published(recipe, dataset, percent)
    chosen = options(noise, recipe)
    noisy, kept = choose(recipe, dataset)
    alike = noise.needs_nearest_class or not noise.needs_donors
    pools = deal(
        _pool(noise, recipe, dataset), noisy, len(dataset.classes), recipe.seed, by_class=alike
    )
    bases = _bases(recipe, dataset, level, noisy)
    made: list[pa.Table] = []
    swapped: dict[str, str] = {}
    for split, base in bases.items():
        web = items(pools[split], key_seed(recipe, level), noise)
        try:
            draw = noise.draw(base, web, percent, len(dataset.classes), **chosen)
        except TooFewImages as few:
            raise ValueError(_too_few(few, split, percent, recipe, dataset)) from few
        except DonorTooSmall as few:
            who = f"donor {recipe.donors[few.donor]!r} has {few.stock} images for {split}"
            raise ValueError(
                f"{who}, and noise asks for {few.need}: ask for less, or give another donor"
            ) from few
        if np.any(web.side.get("dead", False)):  # what had been drawn, were no link dead
            alive = web._replace(side={k: v for k, v in web.side.items() if k != "dead"})
            meant = noise.draw(base, alive, percent, len(dataset.classes), **chosen)
            swapped |= assemble.swapped(pools[split], meant, draw)
        order = noise.custom_order(base, **chosen) if noise.custom_order else corruption_order(base)
        made.append(
            assemble.joined(
                noisy[split], pools[split], draw, order, split, outlier(noise, recipe, dataset)
            )
        )
    made += [
        assemble.kept(kept, recipe.seed),
        assemble.held_back(recipe, dataset, outlier(noise, recipe, dataset)),
    ]
    expected = noise.expected(bases["train"], percent, len(dataset.classes), **chosen)
    info = replace(_info(recipe, dataset, level, chosen, expected), substituted=swapped)
    return with_plan_info(pa.concat_tables(made), info)


def _published(recipe: Recipe, dataset: Dataset, level: int) -> pa.Table:
    """Return a published split as a plan, and the validation images behind it."""
    read = published.read(recipe, dataset, level)
    table = pa.concat_tables([read.rows, assemble.kept(read.kept, recipe.seed)])
    info = _info(recipe, dataset, level, {}, realised(table, len(dataset.classes)))
    ends = {"train": tuple(read.ends)}
    return with_plan_info(table, replace(info, ends=ends, changed=read.changed))


def _info(
    recipe: Recipe,
    dataset: Dataset,
    level: int | None,
    chosen: dict[str, Any],
    expected: Expected,
) -> PlanInfo:
    """Return how a plan was made, and what rate and matrix to expect."""
    return PlanInfo(
        recipe=replace(recipe, options=chosen),
        level=level,
        version=__version__,
        inputs=dataset.digests,
        rate=expected.rate,
        foreign=expected.foreign_rate,
        matrix=hashing.encode_matrix(expected.matrix),
    )


def config_name(recipe: Recipe, level: int | None) -> str:
    """Return the name of the config that a recipe makes of a level.

    Raises:
        LookupError: unknown noise
    """
    noise = pick(NOISE, recipe.noise, "noise")
    return name_config(recipe, level, noise.options, noise.always_in_name)


def promise(recipe: Recipe, dataset: Dataset, level: int | None) -> dict[str, Expected]:
    """Return what the noise model promises of each split that it falls on, before anything is drawn.

    Of published splits, what they hold: nobody promised more.
    """
    if recipe.splits == "official":
        found = realised(plan(recipe, dataset, level), len(dataset.classes))
        return {"train": found._replace(nested=False)}
    noise = pick(NOISE, recipe.noise, "noise")
    chosen, percent = options(noise, recipe), _percent(noise, recipe, level)
    bases = _bases(recipe, dataset, level, choose(recipe, dataset).noisy)
    return {
        split: noise.expected(base, percent, len(dataset.classes), **chosen)
        for split, base in bases.items()
    }


def _bases(
    recipe: Recipe, dataset: Dataset, level: int | None, noisy: Mapping[str, pa.Table]
) -> dict[str, Items]:
    """Return what noise may see of each split that it falls on."""
    noise, seed = NOISE[recipe.noise], key_seed(recipe, level)
    return {
        split: items(slots, seed, noise, dataset.side_table, options(noise, recipe))
        for split, slots in noisy.items()
    }


def _pool(noise: NoiseModel, recipe: Recipe, dataset: Dataset) -> pa.Table:
    """Return the images that noise may bring in, with their column ``origin``."""
    needed = noise.needs_donors and not options(noise, recipe).get("own", False)
    if recipe.donors and not needed:
        raise ValueError(
            f"{recipe.noise} noise takes no image of a donor: leave out {', '.join(recipe.donors)}"
        )
    if needed:
        if not recipe.donors:
            raise ValueError(
                f"{recipe.noise} noise takes images of another dataset: give --donor NAME=DIR, or white"
            )
        return assemble.given(dataset, recipe.donors, noise.needs_nearest_class)
    pool = (
        dataset.web_pool(recipe.min_votes, recipe.verdict, recipe.search)
        if noise.needs_web_pool
        else dataset.web[:0]
    )
    return pool.append_column("origin", assemble.repeat("web", len(pool)))


def realised(plan: pa.Table, classes: int) -> Expected:
    """Measure of a plan what `promise` says of train beforehand: noisy share, foreign share, (C, C) matrix.

    A class that keeps no image has a row of zeros in the matrix.
    """
    train = plan.filter(pc.equal(plan["split"], "train"))
    stayed = train.filter(
        pc.and_(pc.equal(train["origin"], "base"), pc.is_valid(train["clean_label"]))
    )
    true, given = stayed["clean_label"].to_numpy().astype(np.int64), stayed["label"].to_numpy()
    counts = np.bincount(true * classes + given, minlength=classes**2).reshape(classes, classes)
    foreign = 1 - np.mean(pc.equal(train["origin"], "base").to_numpy())
    noisy = np.mean(train["is_noisy"].to_numpy())
    rates = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    return Expected(float(noisy), float(foreign), rates, np.diag(counts))


def regularity(matrix: NDArray[np.float64]) -> str:
    """Say how well a (C, C) matrix can be undone, as methods do that correct a loss by it."""
    determinant, condition = np.linalg.det(matrix), np.linalg.cond(matrix)
    singular = np.linalg.matrix_rank(matrix) < len(matrix)
    said = f"determinant {determinant:.3g}, condition number {condition:.3g}"
    return f"{said}: singular, it cannot be undone" if singular else said


def options(noise: NoiseModel, recipe: Recipe) -> dict[str, Any]:
    """Return the model's options, with the recipe's choices in place of the defaults.

    Raises:
        ValueError: the model has no such option, or wants another type
    """
    for name, value in recipe.options.items():
        if name not in noise.options:
            known = ", ".join(noise.options) or "none"
            near = suggest(name, noise.options)
            raise ValueError(
                f"noise {recipe.noise!r} has no option {name!r}.{near} There are: {known}"
            )
        wanted = type(noise.options[name])
        if type(value) is not wanted and (wanted, type(value)) != (float, int):
            raise ValueError(
                f"noise {recipe.noise!r}: option {name} = {value!r}: it must be of type {wanted.__name__}"
            )
    return {
        name: type(default)(recipe.options.get(name, default))
        for name, default in noise.options.items()
    }


def items(
    manifest: pa.Table,
    seed: int,
    noise: NoiseModel,
    side: pa.Table | None = None,
    chosen: Mapping[str, Any] = {},
) -> Items:
    """Reduce a manifest to what noise may see: labels, keys, and the per-image data that it asks for.

    Args:
        manifest: (n,) images
        seed: of the keys
        noise: says what it asks for
        side: per-image data beside the manifest
        chosen: the model's options, some of which may name columns of ``side``; a pool has neither

    Raises:
        ValueError: no side table, no such column in it, or an image that is not there
    """
    found = {
        name: manifest[name].to_numpy()
        for name in noise.pool_columns
        if name in manifest.column_names
    }
    there = set(side.column_names) if side is not None else set()
    asked = [
        k
        for k in sorted({*chosen})
        if k in noise.column_options or (k in noise.optional_column_options and chosen[k] in there)
    ]
    found |= {
        name: side_table.column_values(side, chosen[name], manifest["image_id"]) for name in asked
    }
    return Items(
        manifest["label"].to_numpy().astype(np.int64),
        hashing.random_keys(manifest["image_id"], seed),
        found,
    )


def key_seed(recipe: Recipe, level: int | None) -> int:
    """Return the seed of the keys: levels share one, unless each is to be drawn anew."""
    return recipe.seed if recipe.nested else prng.random_key(f"level {level}", recipe.seed)


def _percent(noise: NoiseModel, recipe: Recipe, level: int | None) -> int:
    """Return the level that a model is given: 0 for one that has none."""
    if (level is None) == noise.has_level:
        has, asked = (
            ("a level", "none was given") if noise.has_level else ("no level", f"{level} was given")
        )
        raise ValueError(f"{recipe.noise} noise has {has}, and {asked}")
    if level is not None and not 0 <= level <= HIGHEST_LEVEL:
        raise ValueError(f"level {level}: give a whole percent from 0 to {HIGHEST_LEVEL}")
    return level or 0


def _too_few(few: TooFewImages, split: str, level: int, recipe: Recipe, dataset: Dataset) -> str:
    """Say of which class a split wants for wrong images, and what to do."""
    if recipe.donors:
        need = f"{few.need} images that look like it for {split}, and the donors have {few.stock}"
        return f"level {level}: class {dataset.classes[few.label]!r} needs {need}: lower the level, or add a donor"
    none = not len(dataset.web_pool(recipe.min_votes, recipe.verdict, recipe.search))
    where, lower = (
        (f" for {split}", "the level or verified") if recipe.verified else ("", "the level")
    )
    return (
        f"level {level}: class {dataset.classes[few.label]!r} needs {few.need} wrong web images{where} and has "
        f"{few.stock}: collect and annotate more, or lower {lower}"
        + ("; nobody has voted on any, see annotations/README.md" if none else "")
        + (
            f"; {few.reserved} more are kept for higher levels: give them up with -o top={level}"
            if few.reserved
            else ""
        )
    )


def outlier(noise: NoiseModel, recipe: Recipe, dataset: Dataset) -> int | None:
    """Return the label of the class of foreign images; none where there is no such class."""
    return (
        len(dataset.classes) - 1
        if noise.outlier_option and options(noise, recipe)[noise.outlier_option]
        else None
    )
