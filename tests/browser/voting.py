"""A dataset with pictures to vote on: some good, one dead, some that look alike."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from cnlw_tools.dataset.tables import MANIFEST, write_csv
from cnlw_tools.images.pixels import fingerprint
from cnlw_tools.store.store import Row, open_ledger

NAME = "plants"
CLASSES = ("rose", "tulip & <b>", "oak")


def candidate(image_id: str, label: int, **marks: Any) -> dict[str, Any]:
    """Return a row of a web manifest."""
    return {"image_id": image_id, "label": label, "split": "web", **marks}


def write_root(root: Path, candidates: list[dict[str, Any]]) -> Path:
    """Write the tables of a dataset with these candidates and no votes."""
    folder = root / "manifests" / NAME
    folder.mkdir(parents=True)
    labels = pa.array(range(len(CLASSES)), pa.int32())
    write_csv(pa.table({"label": labels, "name": list(CLASSES)}), folder / "classes.csv")
    schema = MANIFEST
    if any("dead" in row for row in candidates):
        schema = schema.append(pa.field("dead", pa.bool_()))
        candidates = [{"dead": False, **row} for row in candidates]
    pq.write_table(pa.Table.from_pylist(candidates, schema), folder / "web.parquet")
    return root


def noise_picture(seed: int, side: int = 40) -> bytes:
    """Return a PNG of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def write_store(folder: Path, pictures: dict[str, bytes | None]) -> Path:
    """Write a store of pictures by id; one that is none could not be fetched."""
    with open_ledger(folder) as ledger:
        for image_id, data in pictures.items():
            if data is None:
                ledger.write_row(Row(image_id, "x", "http_404", "gone", 1, 0.0))
                continue
            mtime = ledger.write_image(image_id, "png", data)
            image = Image.open(BytesIO(data)).convert("RGB")
            ledger.write_row(
                Row(
                    image_id,
                    "x",
                    "ok",
                    None,
                    1,
                    0.0,
                    sha256=sha256(data).hexdigest(),
                    size=len(data),
                    format="png",
                    width=image.width,
                    height=image.height,
                    fingerprint=fingerprint(image),
                    mtime=mtime,
                )
            )
    return folder


def run_at_once(tasks: Iterable[Callable[[], object]]) -> None:
    """Run each task in a thread of its own; raise the first error."""
    tasks = list(tasks)
    with ThreadPoolExecutor(len(tasks)) as pool:
        results = [pool.submit(task) for task in tasks]
    for result in results:
        result.result()
