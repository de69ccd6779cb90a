"""Writing down what a source finds: the tables of a dataset of your own, under any name."""

import re
from pathlib import Path

from cnlw_tools import columns, dataset, tables
from cnlw_tools.dataset import Dataset
from cnlw_tools.lookup import pick
from cnlw_tools.sources import SOURCES


def adopt(source: str, data_dir: Path, name: str, root: Path) -> Dataset:
    """Write `manifests/NAME/` below a root: class list and base manifest, which says what source reads the images.

    Raises:
        LookupError: there is no such source
        ValueError: the name is none, or tables with other rows bear it already
        OSError: the data are not where they should be
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise ValueError(f"dataset {name!r}: give a name of small letters, digits, - and _ with --as")
    found = pick(SOURCES, source, "source")(data_dir)
    base = tables.with_metadata(found.manifest(), {"source": source})
    made = dataset.bare(name, found.classes()).with_base(base, str(data_dir))
    folder = root / "manifests" / name
    if (folder / "base.parquet").exists():
        there = tables.read_manifest(folder / "base.parquet", len(made.classes))
        if columns.digest(there) != made.digests["base"]:
            raise ValueError(f"{folder}: holds another base manifest: give another --as or --root, or delete it")
    dataset.write(made, folder)
    return made
