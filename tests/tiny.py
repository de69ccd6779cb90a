"""A small cut of the embedded dataset, laid out as a root of its own."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from cnlw_tools import files, tables

TRAIN, VALIDATION, WEB = 20, 4, 28  # of each of the ten classes


def root(folder: Path) -> Path:
    """Write the tables of the cut and the recipes, and return the folder."""
    ours = files.root()
    shutil.copytree(ours / "pipelines", folder / "pipelines")
    manifests, annotations = folder / "manifests" / "shapes", folder / "annotations" / "shapes"
    manifests.mkdir(parents=True)
    shutil.copy(ours / "manifests/shapes/classes.csv", manifests)
    base = tables.read_manifest(ours / "manifests/shapes/base.parquet", 10)
    web = tables.read_manifest(ours / "manifests/shapes/web.parquet", 10, web=True)
    votes = tables.read_votes(ours / "annotations/shapes/votes.parquet", web)
    train, validation = (base.filter(pc.equal(base["split"], s)) for s in ("train", "validation"))
    web = _first(web, WEB)
    tables.write(pa.concat_tables([_first(train, TRAIN), _first(validation, VALIDATION)]), manifests / "base.parquet")
    tables.write(web, manifests / "web.parquet")
    known = pc.is_in(votes["image_id"], web["image_id"].combine_chunks())
    tables.write(votes.filter(known), annotations / "votes.parquet")
    return folder


def _first(table: pa.Table, n: int) -> pa.Table:
    """The first n rows of every label."""
    parts = [table.filter(pc.equal(table["label"], c))[:n] for c in range(10)]
    return pa.concat_tables(parts)
