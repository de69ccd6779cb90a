"""A dataset of three classes with candidates in a store, as import and fetch would leave it."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from cnlw_tools.dataset import tables
from cnlw_tools.dataset.tables import MANIFEST
from cnlw_tools.ingest.import_dataset import import_source
from cnlw_tools.store.store import Row, open_ledger

NAME = "flowers"
CLASSES = ("daisy", "rose", "tulip")
SIDES = (160, 120)  # pixels of a photograph and of a candidate
EVIL_NAMES = (
    '<script>alert("rose")</script><img src=x onerror=alert(1)>',
    "\"quoted\" & 'so', \u202eesor\u202c, a\\b, &lt;i&gt; ${1} {{ 7*7 }}",
    " ".join(["long"] * 60),  # 299 letters
)
HUES = {0: (235, 225, 120), 1: (200, 40, 60), 2: (150, 60, 170)}


@dataclass(frozen=True)
class Flowers:
    """Where the parts of the dataset are."""

    root: Path  # holds manifests/ and annotations/
    photos: Path  # class folders
    store: Path  # of the candidates
    candidates: Mapping[int, Sequence[str]]  # ids of those that have an image, by label
    dead: Sequence[str]  # ids of those that have none
    copies: Sequence[str]  # ids of those that repeat an image of another id


def draw(label: int, seed: int) -> bytes:
    """Draw a picture whose colour is that of its class, as JPEG."""
    noise = np.random.default_rng([label, seed]).normal(0, 24, (6, 8, 3))
    pixels = np.clip(np.array(HUES[label % 3]) + noise, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    picture = Image.fromarray(pixels).resize(SIDES, Image.Resampling.BICUBIC)
    picture.save(file, "JPEG", quality=80)
    return file.getvalue()


def make_flowers(folder: Path, each: int = 6, classes: Sequence[str] = CLASSES) -> Flowers:
    """Write the dataset into a folder.

    Args:
        folder: an empty one
        each: candidates of every class that have an image of their own; beside these, a class has
            one whose address is dead, and one that repeats the image of its first
        classes: names of their folders
    """
    root, photos, store = folder / "root", folder / "photos", folder / "store"
    for label, name in enumerate(classes):
        for number in range(4):
            path = photos / name / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(draw(label, 1000 + number))
    import_source("folder", photos, NAME, root)
    ids = {label: [f"{label}-{i:05d}" for i in range(each)] for label in range(len(classes))}
    return add_candidates(root, photos, store, ids)


def rename_classes(flowers: Flowers, names: Sequence[str]) -> None:
    """Give the classes other names, also such as no folder can have."""
    with (flowers.root / "manifests" / NAME / "classes.csv").open("w", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "name"])
        writer.writerows(enumerate(names))


def add_candidates(
    root: Path, photos: Path, store: Path, ids: Mapping[int, Sequence[str]]
) -> Flowers:
    """Write the candidates of a dataset that has its base manifest; their ids are by label."""
    dead = [f"{label}-dead" for label in ids]
    copies = [f"{label}-copy" for label in ids]
    rows = []
    for label, image_ids in ids.items():
        for image_id in (*image_ids, dead[label], copies[label]):
            uri = f"http://127.0.0.1:9/{image_id}.jpg"
            rows.append({"image_id": image_id, "label": label, "split": "web", "uri": uri})
    table = pa.Table.from_pylist(rows, MANIFEST)
    tables.write_parquet(table, root / "manifests" / NAME / "web.parquet")
    with open_ledger(store) as ledger:
        stored = []
        for image_id, data, mark in image_files(ids, copies):
            mtime = ledger.write_image(image_id, "jpeg", data)
            stored.append(image_row(image_id, data, mark, mtime))
        for image_id in dead:
            uri = f"http://127.0.0.1:9/{image_id}.jpg"
            stored.append(Row(image_id, uri, "http_404", "HTTP 404", 1, 1e9, status=404))
        ledger.write_rows(stored)
    return Flowers(root, photos, store, ids, dead, copies)


def image_files(
    ids: Mapping[int, Sequence[str]], copies: Sequence[str]
) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield id, file and fingerprint of every candidate that has an image.

    A class draws few pictures; bytes after the end of a JPEG make each file another one.
    """
    for label, image_ids in ids.items():
        pictures = [draw(label, seed) for seed in range(8)]
        for number, image_id in enumerate(image_ids):
            data = pictures[number % len(pictures)]
            if number >= len(pictures):
                data += number.to_bytes(4)
            yield image_id, data, sha256(data).digest()[:16]
        yield copies[label], pictures[0], sha256(pictures[0]).digest()[:16]


def image_row(image_id: str, data: bytes, fingerprint: bytes, mtime: int) -> Row:
    """Return the row of the ledger for an image that was fetched."""
    uri = f"http://127.0.0.1:9/{image_id}.jpg"
    return Row(
        image_id,
        uri,
        "ok",
        None,
        1,
        1e9,
        final_uri=uri,
        status=200,
        sha256=sha256(data).hexdigest(),
        size=len(data),
        format="jpeg",
        width=SIDES[0],
        height=SIDES[1],
        fingerprint=fingerprint,
        mtime=mtime,
        source="uri",
    )
