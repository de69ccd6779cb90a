"""A plan says, slot by slot, which image the learner gets and under which label. No pixels.

Rows of train come first, in the order in which their slots turn noisy (`corruption_order` of
noise/base.py, or the model's own), so that a level is a prefix and the bands that configs share are
slices. The rows of verified follow in such an order, since noise falls on them separately; then
those of the other splits, by split and key.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cnlw_tools import __version__
from cnlw_tools.dataset import hashing
from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.dataset.shared_chunks import ChunkStock
from cnlw_tools.files.mapped import store_numbers
from cnlw_tools.noise import NOISE, DonorTooSmall, Draw, Expected, Items, NoiseModel, TooFewImages
from cnlw_tools.noise.base import corruption_order, row_type
from cnlw_tools.plans import assemble
from cnlw_tools.plans.info import PlanInfo, with_plan_info
from cnlw_tools.plans.noise_inputs import key_seed, noise_items, noise_options, outlier_label
from cnlw_tools.plans.published import published_levels, read_published_split
from cnlw_tools.plans.statistics import realised_stats
from cnlw_tools.plans.subsets import Subsets, choose_subsets, split_pool
from cnlw_tools.recipe.recipe import BENCHMARK_LEVELS, HIGHEST_LEVEL, Recipe
from cnlw_tools.recipe.recipe import config_name as name_config
from cnlw_tools.registry import pick


def recipe_levels(recipe: Recipe, dataset: Dataset | None = None) -> tuple[int | None, ...]:
    """Return the levels of a recipe; (None,) of noise without levels.

    The levels of published splits default to all that the dataset has, where it is given.

    Raises:
        LookupError: unknown noise
        ValueError: levels for noise that has none, or that no published split has
    """
    if pick(NOISE, recipe.noise, "noise").has_level:
        if not recipe.published_splits or dataset is None:
            return recipe.levels
        return published_levels(recipe, dataset)
    if recipe.levels != BENCHMARK_LEVELS:
        levels = ", ".join(map(str, recipe.levels))
        raise ValueError(
            f"{recipe.noise} noise has no level, because its options say how much noise there "
            f"is: remove level {levels}"
        )
    return (None,)


def config_name(recipe: Recipe, level: int | None) -> str:
    """Return the name of the config that a recipe makes of a level.

    Raises:
        LookupError: unknown noise
    """
    noise = pick(NOISE, recipe.noise, "noise")
    return name_config(recipe, level, noise.options, noise.always_in_name)


def plan(
    recipe: Recipe,
    dataset: Dataset,
    level: int | None,
    stock: ChunkStock | None = None,
) -> pa.Table:
    """Draw the noise of one level and write down what it did.

    Args:
        recipe: names the noise, its options and seed; its levels have no part
        dataset: with its base manifest; noise falls on the splits that `choose_subsets` makes of it
        level: percent; None for noise without levels
        stock: keeps the rows, which may also be those of other plans; one of its own if not given

    Returns:
        a table of the PLAN schema, with its `PlanInfo` in the metadata

    Raises:
        LookupError: unknown noise
        ValueError: an unknown option, nothing to train on, or noise that cannot be drawn
    """
    noise = pick(NOISE, recipe.noise, "noise")
    percent = _check_level(noise, recipe, level)
    stock = stock or ChunkStock()
    if recipe.published_splits:
        return stock.share(_plan_published_split(recipe, dataset, percent))
    drawing = _Drawing(recipe, dataset, level, noise, noise_options(recipe))
    subsets = choose_subsets(recipe, dataset)
    parts, substituted, expected = _draw_splits(drawing, subsets, stock)
    parts.append(stock.share(assemble.build_clean_rows(subsets.clean, recipe.seed)))
    outlier = outlier_label(recipe, dataset)
    parts.append(assemble.outlier_test_rows(recipe, dataset, outlier))
    info = _plan_info(recipe, dataset, level, drawing.options, expected)
    info = replace(info, substituted=substituted)
    return with_plan_info(pa.concat_tables(parts), info)


def _draw_splits(
    drawing: "_Drawing", subsets: Subsets, stock: ChunkStock
) -> tuple[list[pa.Table], dict[str, str], Expected]:
    """Draw the noise of each split that it falls on.

    Returns:
        the rows in parts, in order; which image replaces each unavailable one; what the model
        expects of train
    """
    recipe, dataset = drawing.recipe, drawing.dataset
    pools = drawing.split_pool(subsets)
    bases = drawing.bases(subsets)
    outlier = outlier_label(recipe, dataset)
    parts: list[pa.Table] = []
    substituted: dict[str, str] = {}
    for split, slots in subsets.noisy.items():
        base = bases.pop(split)
        pool = noise_items(pools[split], key_seed(recipe, drawing.level), drawing.noise)
        draw = drawing.draw(base, pool, split)
        if np.any(pool.side.get("dead", False)):
            planned = drawing.draw(base, _all_available(pool), split)
            substituted |= assemble.substitutions(pools[split], planned, draw)
        order = drawing.corruption_order(base)
        if split == "train":
            expected = drawing.expected(base)
        del base
        rows = assemble.build_noisy_rows(slots, pools[split], draw, order, split, outlier)
        parts += [stock.share(part) for part in rows]
    return parts, substituted, expected


def expected_stats(
    recipe: Recipe,
    dataset: Dataset,
    level: int | None,
) -> dict[str, Expected]:
    """Return what the noise model expects of each split that it falls on, before any draw.

    Published splits are expected to hold what they hold.
    """
    if recipe.published_splits:
        table = plan(recipe, dataset, level)
        stats = realised_stats(table, len(dataset.classes))
        return {"train": stats._replace(nested=False)}
    noise = pick(NOISE, recipe.noise, "noise")
    _check_level(noise, recipe, level)
    drawing = _Drawing(recipe, dataset, level, noise, noise_options(recipe))
    bases = drawing.bases(choose_subsets(recipe, dataset))
    return {split: drawing.expected(base) for split, base in bases.items()}


@dataclass(frozen=True, slots=True)
class _Drawing:
    """One level of the noise of a recipe, on one dataset."""

    recipe: Recipe
    dataset: Dataset
    level: int | None
    noise: NoiseModel
    options: Mapping[str, Any]  # all of the model's

    def bases(self, subsets: Subsets) -> dict[str, Items]:
        """Return what noise may know of each split that it falls on."""
        seed = key_seed(self.recipe, self.level)
        side = self.dataset.side_table
        bases = {}
        for split, slots in subsets.noisy.items():
            bases[split] = noise_items(slots, seed, self.noise, side, self.options)
        return bases

    def split_pool(self, subsets: Subsets) -> dict[str, pa.Table]:
        """Return the images that noise may bring into each split."""
        by_class = self.noise.needs_nearest_class or not self.noise.needs_donors
        return split_pool(
            self.pool(),
            subsets.noisy,
            len(self.dataset.classes),
            self.recipe.seed,
            by_class=by_class,
        )

    def pool(self) -> pa.Table:
        """Return the images that noise may bring in, with their column ``origin``."""
        recipe, dataset = self.recipe, self.dataset
        needs_donors = self.noise.needs_donors and not self.options.get("copy_own", False)
        if recipe.donors and not needs_donors:
            donors = ", ".join(recipe.donors)
            raise ValueError(f"{recipe.noise} noise uses no images of donors: remove {donors}")
        if needs_donors:
            if not recipe.donors:
                raise ValueError(
                    f"{recipe.noise} noise needs images of another dataset: "
                    "give --donor NAME=DIR, or --donor white"
                )
            return assemble.donor_pool(dataset, recipe.donors, self.noise.needs_nearest_class)
        pool = dataset.web[:0]
        if self.noise.needs_web_pool:
            pool = dataset.web_pool(recipe.min_votes, recipe.verdict, recipe.search)
        return pool.append_column("origin", assemble.repeat_value("web", len(pool)))

    def draw(
        self,
        base: Items,
        pool: Items,
        split: str,
    ) -> Draw:
        """Return the draw of one split.

        Raises:
            ValueError: there are too few images; the message says of what, and what to do
        """
        n_classes = len(self.dataset.classes)
        try:
            draw = self.noise.draw(base, pool, self.level or 0, n_classes, **self.options)
            return _store_draw(draw, len(base.label) + len(pool.label))
        except TooFewImages as shortage:
            self._explain_shortage(shortage, split)
        except DonorTooSmall as shortage:
            donor = f"donor {self.recipe.donors[shortage.donor]!r} has {shortage.stock} images"
            raise ValueError(
                f"{donor} for {split}, but the noise needs {shortage.need}: "
                "lower the level or the options of the noise, or give another donor"
            ) from shortage

    def expected(self, base: Items) -> Expected:
        """Return what the model expects of a split."""
        return self.noise.expected(base, self.level or 0, len(self.dataset.classes), **self.options)

    def corruption_order(self, base: Items) -> NDArray[np.integer]:
        """Return (n,) the order in which the images of a split turn noisy; it lies on the disk."""
        if self.noise.custom_order:
            return store_numbers(self.noise.custom_order(base, **self.options))
        return corruption_order(base)

    def _explain_shortage(self, shortage: TooFewImages, split: str) -> NoReturn:
        """Raise an error that says which class has too few images, and what to do."""
        recipe = self.recipe
        class_needs = (
            f"level {self.level or 0}: class {self.dataset.classes[shortage.label]!r} "
            f"needs {shortage.need}"
        )
        if recipe.donors:
            raise ValueError(
                f"{class_needs} images that look like it for {split}, but the donors have "
                f"{shortage.stock}: lower the level, or add a donor"
            ) from shortage
        for_split, knobs = "", "the level"
        if recipe.verified:
            for_split, knobs = f" for {split}", "the level or verified"
        message = (
            f"{class_needs} wrong web images{for_split} and has {shortage.stock}: "
            f"collect and annotate more, or lower {knobs}"
        )
        if not len(self.dataset.web_pool(recipe.min_votes, recipe.verdict, recipe.search)):
            message += (
                "; nobody has voted on any: show people the candidates with "
                f"`cnlw votes annotate --dataset {self.dataset.name}`, with --root and --store as "
                "here"
            )
        if shortage.reserved:
            message += (
                f"; {shortage.reserved} more are kept for higher levels: "
                f"give them up with -o top={self.level}"
            )
        raise ValueError(message) from shortage


def _check_level(
    noise: NoiseModel,
    recipe: Recipe,
    level: int | None,
) -> int:
    """Return the level that a model is given: 0 for one that has none."""
    if noise.has_level and level is None:
        raise ValueError(f"{recipe.noise} noise needs a level, but none was given: give --level")
    if not noise.has_level and level is not None:
        raise ValueError(f"{recipe.noise} noise has no level: remove level {level}")
    if level is not None and not 0 <= level <= HIGHEST_LEVEL:
        raise ValueError(
            f"level {level} is not allowed: give a whole percentage from 0 to {HIGHEST_LEVEL}"
        )
    return level or 0


def _store_draw(draw: Draw, n: int) -> Draw:
    """Return a draw that lies on the disk, in numbers as short as n images and classes allow."""
    kind = row_type(n)
    return Draw(
        slot=store_numbers(draw.slot, kind),
        label=store_numbers(draw.label, np.int32),
        pool=store_numbers(draw.pool, kind),
    )


def _all_available(pool: Items) -> Items:
    """Return a pool as if every image of it were available."""
    columns = dict(pool.side)
    columns.pop("dead", None)
    return pool._replace(side=columns)


def _plan_published_split(
    recipe: Recipe,
    dataset: Dataset,
    level: int,
) -> pa.Table:
    """Return a published split as a plan, followed by the other splits of the base manifest."""
    split = read_published_split(recipe, dataset, level)
    clean_rows = assemble.build_clean_rows(split.clean, recipe.seed)
    table = pa.concat_tables([split.rows, clean_rows])
    stats = realised_stats(table, len(dataset.classes))
    info = _plan_info(recipe, dataset, level, {}, stats)
    ends = {"train": tuple(split.ends)}
    return with_plan_info(table, replace(info, ends=ends, changed=split.changed))


def _plan_info(
    recipe: Recipe,
    dataset: Dataset,
    level: int | None,
    options: Mapping[str, Any],
    expected: Expected,
) -> PlanInfo:
    """Return how a plan was made, and what is expected of it."""
    withdrawn = [] if dataset.withdrawn is None else dataset.withdrawn["image_id"].to_pylist()
    return PlanInfo(
        recipe=replace(recipe, options=options),
        level=level,
        version=__version__,
        inputs=dataset.digests,
        rate=expected.rate,
        foreign=expected.foreign_rate,
        matrix=hashing.encode_matrix(expected.matrix),
        withdrawn=tuple(withdrawn),
    )
