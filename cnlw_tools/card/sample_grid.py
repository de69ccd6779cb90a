"""A picture of what a kind of noise looks like: a row for each class, clean images left of noisy ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

from cnlw_tools.card.font import ALARM, FAINT, INK, PAPER, load_font, shorten
from cnlw_tools.files import atomic_write
from cnlw_tools.images.pixels import decode, resize

# in pixels
CELL = 72  # an image
GAP = 4  # between two images
NAME_WIDTH = 112  # the column of class names
HEADER_HEIGHT = 30

MAX_CLASSES, MAX_CLEAN, MAX_NOISY = 10, 4, 8  # rows, and images of a row
HEADER_SIZE, NAME_SIZE = 13, 14  # of letters
NOISY_LEFT = NAME_WIDTH + MAX_CLEAN * (CELL + GAP) + 3 * GAP  # where noisy images begin

TITLES = {  # by the origin of noisy images
    "base": "images of other classes, label flipped",
    "web": "web images judged wrong, label kept",
    "other": "images of another dataset",
    "white": "white noise",
}


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class: images that bear its label."""

    name: str
    clean: list[Image.Image]
    noisy: list[Image.Image]


def write_samples(
    path: Path,
    noise: str,
    data: Path,
    plan: pa.Table,
    files: Mapping[str, pa.Table],
    classes: Sequence[str],
) -> None:
    """Write samples of one config as a PNG; see `draw_samples` for the other arguments."""
    with atomic_write(path) as draft:
        draw_samples(noise, data, plan, files, classes).save(draft, "PNG")


def draw_samples(
    noise: str,
    data: Path,
    plan: pa.Table,
    files: Mapping[str, pa.Table],
    classes: Sequence[str],
) -> Image.Image:
    """Draw samples of one config.

    Args:
        noise: its name
        data: the folder of the shards
        plan: rows in corruption order: the first noisy ones are noisy at every higher level too
        files: the rows of each shard
        classes: names in label order
    """
    train = plan.filter(pc.equal(plan["split"], "train"))
    labels = _spread_labels(len(classes))
    clean_ids: dict[int, list[str]] = {}
    noisy_ids: dict[int, list[str]] = {}
    shown: list[str] = []
    for label in labels:
        clean_ids[label], noisy_ids[label] = _choose_images(train, label, shown)
        shown += noisy_ids[label]
    ids = {*shown}
    for label in labels:
        ids.update(clean_ids[label])
    images = _read_images(data, files, ids)
    rows = []
    for label in labels:
        clean = [images[i] for i in clean_ids[label]]
        noisy = [images[i] for i in noisy_ids[label]]
        rows.append(ClassRow(classes[label], clean, noisy))
    return _draw_grid(rows, _describe_noise(noise, train))


def _draw_grid(rows: Sequence[ClassRow], title: str) -> Image.Image:
    """Return the picture; the title stands above the noisy images."""
    n_columns = MAX_CLEAN + MAX_NOISY
    width = NAME_WIDTH + n_columns * (CELL + GAP) + 4 * GAP
    height = HEADER_HEIGHT + len(rows) * (CELL + GAP) + GAP
    picture = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(picture)
    middle, font = HEADER_HEIGHT / 2, load_font(HEADER_SIZE)
    pen.text((GAP, middle), "given label", FAINT, font, anchor="lm")
    pen.text((NAME_WIDTH, middle), "clean", FAINT, font, anchor="lm")
    pen.text((NOISY_LEFT, middle), title, ALARM, font, anchor="lm")
    for i, row in enumerate(rows):
        top = HEADER_HEIGHT + i * (CELL + GAP)
        name = shorten(row.name, NAME_SIZE, NAME_WIDTH - 2 * GAP)
        start = (GAP, top + CELL / 2)
        pen.text(start, name, INK, load_font(NAME_SIZE), anchor="lm")
        _paste_row(picture, NAME_WIDTH, top, row.clean)
        _paste_row(picture, NOISY_LEFT, top, row.noisy)
    return picture


def _paste_row(
    picture: Image.Image,
    left: int,
    top: int,
    images: Sequence[Image.Image],
) -> None:
    for j, image in enumerate(images):
        picture.paste(_fit_cell(image), (left + j * (CELL + GAP), top))


def _choose_images(
    train: pa.Table,
    label: int,
    shown: Sequence[str],
) -> tuple[list[str], list[str]]:
    """Return ids of images with one given label.

    Args:
        train: rows in corruption order
        label: the given label
        shown: ids that already stand in the picture

    Returns:
        the last clean ones, and the first noisy ones that are not shown yet
    """
    rows = train.filter(pc.equal(train["label"], label))
    is_noisy = rows["is_noisy"]
    is_shown = pc.is_in(rows["image_id"], pa.array(shown, pa.string()))
    noisy = rows["image_id"].filter(pc.and_not(is_noisy, is_shown))
    clean = rows["image_id"].filter(pc.invert(is_noisy))
    first_noisy = pc.unique(noisy)[:MAX_NOISY]
    last_clean = pc.unique(clean)[-MAX_CLEAN:]
    return last_clean.to_pylist(), first_noisy.to_pylist()


def _spread_labels(n_classes: int) -> list[int]:
    """Return at most ten labels, evenly over all."""
    n_shown = min(n_classes, MAX_CLASSES)
    return sorted({int(label) for label in np.linspace(0, n_classes - 1, n_shown)})


def _read_images(
    data: Path,
    files: Mapping[str, pa.Table],
    ids: set[str],
) -> dict[str, Image.Image]:
    """Return images by id, from the first shards that hold them."""
    images: dict[str, Image.Image] = {}
    sorted_ids = pa.array(sorted(ids))
    for name, rows in files.items():
        is_sample = pc.is_in(rows["image_id"], sorted_ids)
        positions = np.flatnonzero(is_sample.to_numpy())
        if not len(positions) or len(images) == len(ids):
            continue
        column = pq.read_table(data / name, columns=["image"])["image"]
        encoded = column.take(positions).combine_chunks().field("bytes").to_pylist()
        image_ids = rows["image_id"].take(positions).to_pylist()
        for image_id, raw in zip(image_ids, encoded, strict=True):
            images[image_id] = decode(raw)
    return images


def _describe_noise(noise: str, train: pa.Table) -> str:
    """Say what the noisy images are."""
    noisy = train.filter(train["is_noisy"])
    origins = pc.unique(noisy["origin"]).to_pylist()
    kinds = [title for origin, title in TITLES.items() if origin in origins]
    return f"{noise} noise: {'; '.join(kinds)}"


def _fit_cell(image: Image.Image) -> Image.Image:
    """Return an image as it fills a cell; a small one looks best in whole multiples."""
    if max(image.size) * 2 <= CELL:
        doubled = (image.width * 2, image.height * 2)
        image = image.resize(doubled, Image.Resampling.NEAREST)
    if image.size == (CELL, CELL):
        return image
    return resize(image, CELL, "pad")
