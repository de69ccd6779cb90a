"""A picture of what a kind of noise looks like: a row a class, clean images left, noisy ones right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

from cnlw_tools.card.font import ALARM, FAINT, INK, PAPER, fitted, font
from cnlw_tools.files import atomic_write
from cnlw_tools.images.pixels import decode, resize

CELL, GAP, NAME, HEAD = (
    72,
    4,
    112,
    30,
)  # pixels: an image, between two, the column of names, the header
CLASSES, CLEAN, NOISY = 10, 4, 8  # at most


@dataclass(frozen=True, slots=True)
class Row:
    """One class: the images that the learner is told show it."""

    name: str
    clean: list[Image.Image]
    noisy: list[Image.Image]


def write(
    path: Path,
    noise: str,
    data: Path,
    plan: pa.Table,
    files: Mapping[str, pa.Table],
    classes: Sequence[str],
) -> None:
    """Write the samples of one config as a PNG; the rest is that of `sheet`."""
    with atomic_write(path) as draft:
        sheet(noise, data, plan, files, classes).save(draft, "PNG")


def sheet(
    noise: str, data: Path, plan: pa.Table, files: Mapping[str, pa.Table], classes: Sequence[str]
) -> Image.Image:
    """Draw the samples of one config.

    Args:
        noise: its name
        data: the folder of the shards
        plan: training rows in the corruption order: the first noisy ones are noisy at every level above
        files: the rows of each shard
        classes: names in label order
    """
    train = plan.filter(pc.equal(plan["split"], "train"))
    chosen: list[tuple[list[str], list[str]]] = []
    for label in _spread(len(classes)):
        chosen.append(_chosen(train, label, [i for _, noisy in chosen for i in noisy]))
    wanted = {i for clean, noisy in chosen for i in clean + noisy}
    images = _images(data, files, wanted)
    rows = [
        Row(classes[label], [images[i] for i in clean], [images[i] for i in noisy])
        for label, (clean, noisy) in zip(_spread(len(classes)), chosen, strict=True)
    ]
    return draw(rows, _title(noise, train))


def draw(rows: Sequence[Row], title: str) -> Image.Image:
    """Return the picture."""
    width = NAME + (CLEAN + NOISY) * (CELL + GAP) + 4 * GAP
    sheet = Image.new("RGB", (width, HEAD + len(rows) * (CELL + GAP) + GAP), PAPER)
    pen = ImageDraw.Draw(sheet)
    right = NAME + CLEAN * (CELL + GAP) + 3 * GAP
    pen.text((GAP, HEAD / 2), "given label", FAINT, font(13), anchor="lm")
    pen.text((NAME, HEAD / 2), "clean", FAINT, font(13), anchor="lm")
    pen.text((right, HEAD / 2), title, ALARM, font(13), anchor="lm")
    for i, row in enumerate(rows):
        top = HEAD + i * (CELL + GAP)
        pen.text(
            (GAP, top + CELL / 2), fitted(row.name, 14, NAME - 2 * GAP), INK, font(14), anchor="lm"
        )
        for left, images in ((NAME, row.clean), (right, row.noisy)):
            for j, image in enumerate(images):
                sheet.paste(_cell(image), (left + j * (CELL + GAP), top))
    return sheet


def _chosen(train: pa.Table, label: int, shown: list[str]) -> tuple[list[str], list[str]]:
    """Return ids under one given label: the last clean ones, the first noisy ones not shown yet."""
    told = train.filter(pc.equal(train["label"], label))
    fresh = pc.invert(pc.is_in(told["image_id"], pa.array(shown, pa.string())))
    noisy = pc.unique(told.filter(pc.and_(told["is_noisy"], fresh))["image_id"])[:NOISY].to_pylist()
    clean = pc.unique(told.filter(pc.invert(told["is_noisy"]))["image_id"])[-CLEAN:].to_pylist()
    return clean, noisy


def _spread(count: int) -> list[int]:
    """At most ten labels, evenly over all."""
    return sorted({int(i) for i in np.linspace(0, count - 1, min(count, CLASSES))})


def _images(data: Path, files: Mapping[str, pa.Table], wanted: set[str]) -> dict[str, Image.Image]:
    found: dict[str, Image.Image] = {}
    ids = pa.array(sorted(wanted))
    for name, rows in files.items():
        at = np.flatnonzero(pc.is_in(rows["image_id"], ids).to_numpy())
        if len(at) and len(found) < len(wanted):
            images = (
                pq.read_table(data / name, columns=["image"])["image"].take(at).combine_chunks()
            )
            for image_id, raw in zip(
                rows["image_id"].take(at).to_pylist(), images.field("bytes"), strict=True
            ):
                found[image_id] = decode(raw.as_py())
    return found


TITLES = {  # by the origins of noisy images
    "base": "images of other classes, label flipped",
    "web": "web images judged wrong, label kept",
    "other": "images of another dataset",
    "white": "white noise",
}


def _title(noise: str, train: pa.Table) -> str:
    """Say what is seen on the right."""
    there = pc.unique(train.filter(train["is_noisy"])["origin"]).to_pylist()
    return f"{noise} noise: " + "; ".join(TITLES[origin] for origin in TITLES if origin in there)


def _cell(image: Image.Image) -> Image.Image:
    if max(image.size) * 2 <= CELL:  # small images look best in whole multiples
        image = image.resize((image.width * 2, image.height * 2), Image.Resampling.NEAREST)
    return resize(image, CELL, "pad") if image.size != (CELL, CELL) else image
