"""The images that `cnlw predict` is given: a file, a folder of files at any depth, or a build."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from cnlw_tools.card import metadata
from cnlw_tools.executor import Progress, limits, no_progress
from cnlw_tools.recipe.run_files import read_config
from cnlw_tools.registry import pick
from cnlw_tools.sources.formats.image_files import read_image_file
from cnlw_tools.sources.formats.listing import list_folder
from cnlw_tools.trainer.pixel_cache import read_column
from cnlw_tools.trainer.predict import NamedImage, Predictor, predict_images

Images = Iterator[NamedImage]


class OwnImages(NamedTuple):
    """Images to predict."""

    images: Images
    n_images: int


def predict_own_images(
    run: Path,
    place: Path,
    predictor: Predictor,
    config: str | None = None,
    top: int = 1,
    threads: int | None = None,
    progress: Progress = no_progress,
) -> pa.Table:
    """Return what the network of a run predicts for images; see `predict_images` for the columns.

    Args:
        run: the folder of the run
        place: a file, a folder of images, or a build
        predictor: the network of the run
        config: name of a config of the build; None: that of the run
        top: how many of the likeliest classes to return for each image
        threads: how many threads read and decode; None: one for each processor
        progress: called with the stage, the images done and the images in all

    Raises:
        ValueError, LookupError, OSError: see `find_images` and `predict_images`
    """
    images, n_images = find_images(place, config, read_config(run).config)
    return predict_images(predictor, images, n_images, top, threads or limits.cores(), progress)


def find_images(place: Path, config: str | None, run_config: str) -> OwnImages:
    """Return the images of a file, of a folder, or of one config of a build.

    Images of a folder are named by their paths below it, those of a build by their image ids. Each
    id comes once.

    Args:
        place: the file or folder
        config: name of a config of the build; None: that of the run
        run_config: the config that the run learned from

    Raises:
        FileNotFoundError: there is no such place
        ValueError: it holds no image, or a config is given and it is not a build
        LookupError: the build has no such config
        OSError: it cannot be read
    """
    if not place.exists():
        raise FileNotFoundError(
            f"{place}: there is no such file or folder: give a folder of images"
        )
    if (place / metadata.CARD).is_file() and any((place / "data").glob("*.parquet")):
        return _build_images(place, config or run_config)
    if config is not None:
        raise ValueError(
            f"{place}: this is not a build, so it has no config {config}: omit --config"
        )
    if place.is_file():
        return OwnImages(iter([NamedImage(place.name, place.read_bytes)]), 1)
    names = list_folder(place).images
    if not names:
        raise ValueError(f"{place}: there is no image here: give a folder of image files")
    return OwnImages(_folder_images(place, names), len(names))


def _folder_images(folder: Path, names: Sequence[str]) -> Images:
    for name in names:
        yield NamedImage(name, partial(read_image_file, folder, name))


def _build_images(build: Path, config: str) -> OwnImages:
    """Return the images of all splits of a config of a build."""
    card = metadata.read_card(build)
    pick(card.configs, config, f"config of {build}")
    paths = []
    for names in metadata.config_shards(card, config).values():
        paths += [build / "data" / name for name in names]
    ids: set[str] = set()
    for path in paths:
        ids.update(read_column(path, "image_id"))
    return OwnImages(_shard_images(paths), len(ids))


def _shard_images(paths: Sequence[Path]) -> Images:
    earlier_ids = set()
    for path in dict.fromkeys(paths):
        columns = (read_column(path, "image_id"), read_column(path, "image.bytes"))
        for image_id, data in zip(*columns, strict=True):
            if image_id not in earlier_ids:
                earlier_ids.add(image_id)
                yield NamedImage(image_id, partial(bytes, data))
