"""A picture of a kind of noise: a row for each class, clean images left of noisy ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import Z_RLE

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image, ImageDraw

from cnlw_tools.card.font import ALARM, FAINT, INK, PAPER, drawable_names, load_font, shorten
from cnlw_tools.files import atomic_write
from cnlw_tools.files.parquet import read_table
from cnlw_tools.images.pixels import decode, resize

# in pixels
CELL = 72  # an image
GAP = 4  # between two images
STEP = CELL + GAP
NAME_WIDTH = 112  # the column of class names
HEADER_HEIGHT = 30

MAX_CLASSES, MAX_CLEAN, MAX_NOISY = 10, 4, 8  # rows, and images of a row
HEADER_SIZE, NAME_SIZE = 13, 14  # of letters
NOISY_LEFT = NAME_WIDTH + MAX_CLEAN * STEP + 3 * GAP  # where noisy images begin
BLOCK_ROWS = 1 << 18  # of a plan, that are in memory at a time

TITLES = {  # by the origin of noisy images
    "base": "images of other classes, label flipped",
    "web": "web images judged wrong, label kept",
    "other": "images of another dataset",
    "white": "white noise",
}


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class: images that have its label."""

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
    picture = draw_samples(noise, data, plan, files, classes)
    with atomic_write(path) as draft:
        # a third of the seconds, for one byte in fifteen more
        picture.save(draft, "PNG", compress_type=Z_RLE)


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
    train = _train_rows(plan)
    labels = _spread_labels(len(classes))
    samples = []
    noisy_ids: list[str] = []
    for label in labels:
        clean, noisy = _choose_images(train, label, noisy_ids)
        samples.append((label, clean, noisy))
        noisy_ids += noisy
    ids = {*noisy_ids}
    for _, clean, _ in samples:
        ids.update(clean)
    images = read_images(data, files, ids)
    names = drawable_names(classes)
    rows = []
    for label, clean, noisy in samples:
        clean_images = [images[image_id] for image_id in clean]
        noisy_images = [images[image_id] for image_id in noisy]
        rows.append(ClassRow(names[label], clean_images, noisy_images))
    title = _describe_noise(noise, train)
    return _draw_grid(rows, title)


def _train_rows(plan: pa.Table) -> pa.Table:
    """Return the rows of train; a block that has no others is not copied."""
    parts = [plan.slice(0, 0)]
    for start in range(0, len(plan), BLOCK_ROWS):
        rows = plan.slice(start, BLOCK_ROWS)
        is_train = pc.equal(rows["split"], "train")
        parts.append(rows if pc.all(is_train).as_py() else rows.filter(is_train))
    return pa.concat_tables(parts)


def _draw_grid(rows: Sequence[ClassRow], title: str) -> Image.Image:
    """Return the picture; the title stands above the noisy images."""
    n_columns = MAX_CLEAN + MAX_NOISY
    width = NAME_WIDTH + n_columns * STEP + 4 * GAP
    height = HEADER_HEIGHT + len(rows) * STEP + GAP
    picture = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(picture)
    middle = HEADER_HEIGHT / 2
    font, name_font = load_font(HEADER_SIZE), load_font(NAME_SIZE)
    name_width = NAME_WIDTH - 2 * GAP
    pen.text((GAP, middle), "given label", FAINT, font, anchor="lm")
    pen.text((NAME_WIDTH, middle), "clean", FAINT, font, anchor="lm")
    pen.text((NOISY_LEFT, middle), title, ALARM, font, anchor="lm")
    for i, row in enumerate(rows):
        top = HEADER_HEIGHT + i * STEP
        middle = top + CELL / 2
        name = shorten(row.name, NAME_SIZE, name_width)
        pen.text((GAP, middle), name, INK, name_font, anchor="lm")
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
        cell_left = left + j * STEP
        picture.paste(fit_cell(image), (cell_left, top))


def _choose_images(
    train: pa.Table,
    label: int,
    used: Sequence[str],
) -> tuple[list[str], list[str]]:
    """Return ids of images with one given label.

    Args:
        train: rows in corruption order
        label: the given label
        used: ids that already stand in the picture

    Returns:
        the last clean ones, and the first noisy ones that are not used yet
    """
    has_label = pc.equal(train["label"], label)
    rows = train.filter(has_label)
    ids, is_noisy = rows["image_id"], rows["is_noisy"]
    is_used = pc.is_in(ids, pa.array(used, pa.string()))
    noisy = ids.filter(pc.and_not(is_noisy, is_used))
    clean = ids.filter(pc.invert(is_noisy))
    first_noisy = pc.unique(noisy)[:MAX_NOISY]
    last_clean = pc.unique(clean)[-MAX_CLEAN:]
    return last_clean.to_pylist(), first_noisy.to_pylist()


def _spread_labels(n_classes: int) -> list[int]:
    """Return at most ten labels, evenly over all."""
    n_shown = min(n_classes, MAX_CLASSES)
    labels = np.linspace(0, n_classes - 1, n_shown)
    return sorted(set(labels.astype(int).tolist()))


def read_images(
    data: Path,
    files: Mapping[str, pa.Table],
    ids: set[str],
) -> dict[str, Image.Image]:
    """Return images by id, from the first shards that hold them.

    Args:
        data: the folder of the shards
        files: the rows of each shard
        ids: of the images; those that no shard holds are left out

    Raises:
        ValueError: a shard or an image of it cannot be read
    """
    images: dict[str, Image.Image] = {}
    sorted_ids = pa.array(sorted(ids))
    for name, rows in files.items():
        is_sample = pc.is_in(rows["image_id"], sorted_ids)
        positions = np.flatnonzero(is_sample.to_numpy())
        if len(images) == len(ids):
            break
        if not len(positions):
            continue
        shard = read_table(data / name, ["image"])
        column = shard["image"].take(positions)
        encoded = column.combine_chunks().field("bytes")
        image_ids = rows["image_id"].take(positions)
        for image_id, raw in zip(image_ids.to_pylist(), encoded.to_pylist(), strict=True):
            images[image_id] = decode(raw)
    return images


def _describe_noise(noise: str, train: pa.Table) -> str:
    """Say what the noisy images are."""
    origins: set[str] = set()
    for start in range(0, len(train), BLOCK_ROWS):
        rows = train.slice(start, BLOCK_ROWS)
        origins.update(rows["origin"].filter(rows["is_noisy"]).unique().to_pylist())
    kinds = []
    for origin, title in TITLES.items():
        if origin in origins:
            kinds.append(title)
    titles = "; ".join(kinds)
    return f"{noise} noise: {titles}"


def fit_cell(image: Image.Image) -> Image.Image:
    """Return an image as it fills a cell; a small one looks best in whole multiples."""
    if max(image.size) * 2 <= CELL:
        doubled = (image.width * 2, image.height * 2)
        image = image.resize(doubled, Image.Resampling.NEAREST)
    if image.size == (CELL, CELL):
        return image
    return resize(image, CELL, "pad")
