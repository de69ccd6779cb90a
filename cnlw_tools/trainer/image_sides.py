"""A preset that adapts to a build: it has to know which sizes the images have.

A build that stores squares of one size says so in its card. Otherwise the header of each image is
read, of up to 100,000; if there are more, they count as images of several sizes.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median_low
from typing import Any

from cnlw_tools.card import metadata
from cnlw_tools.images import pixels
from cnlw_tools.recipe.adapt import ImageSides, adapt_preset
from cnlw_tools.recipe.preset import Preset
from cnlw_tools.registry import pick
from cnlw_tools.trainer.pixel_cache import read_column

MAX_HEADERS = 100_000


def adapt_to_build(
    preset: Preset, changes: Mapping[str, Any], build: Path, config: str, split: str = "train"
) -> Preset:
    """Return a preset with the values that the user gives and those that a build asks for.

    Raises:
        ValueError, LookupError, OSError: see `measure_sides` and `adapt_preset`
    """
    sides = measure_sides(build, config)
    n_examples = metadata.read_card(build).configs[config].rows[split]
    return adapt_preset(preset, changes, n_examples, sides)


def measure_sides(build: Path, config: str) -> ImageSides:
    """Return which sizes the images of a config have, in all of its splits.

    Raises:
        ValueError: no build, or an image that cannot be decoded
        LookupError: the build has no such config
        OSError: a shard is missing
    """
    card = metadata.read_card(build)
    pick(card.configs, config, f"config of {build}")
    side = card.images.size
    if side is not None and card.images.resize != "short":
        return ImageSides((side, side), side)
    sizes: list[tuple[int, int]] = []
    is_whole = True
    for size in _read_sizes(build, card, config):
        if len(sizes) == MAX_HEADERS:
            is_whole = False
            break
        sizes.append(size)
    common = sizes[0] if is_whole and len({*sizes}) == 1 else None
    return ImageSides(common, median_low([min(size) for size in sizes]))


def first_size(build: Path, config: str) -> tuple[int, int]:
    """Return height and width of the first image of a config, and of all if they have one size.

    Raises:
        ValueError: no build, or the image cannot be decoded
        OSError: a shard is missing
    """
    card = metadata.read_card(build)
    side = card.images.size
    if side is not None and card.images.resize != "short":
        return side, side
    return next(_read_sizes(build, card, config))


def _read_sizes(build: Path, card: metadata.BuildCard, config: str) -> Iterator[tuple[int, int]]:
    """Yield height and width of the images of a config."""
    for names in metadata.config_shards(card, config).values():
        for name in names:
            path = build / "data" / name
            for row, data in enumerate(read_column(path, "image.bytes")):
                try:
                    yield pixels.read_size(data)
                except ValueError as error:
                    raise ValueError(
                        f"{path}: row {row} cannot be read ({error}): run `cnlw validate` on "
                        "the build"
                    ) from error
