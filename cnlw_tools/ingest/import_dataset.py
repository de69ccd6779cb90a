"""Writing down what a source finds: the tables of a dataset of your own, under any name."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from cnlw_tools import files, hashing
from cnlw_tools.dataset import dataset, table_io, tables
from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.registry import pick
from cnlw_tools.sources import SOURCES
from cnlw_tools.sources.formats.release import NAMES, Release


def adopt_release(path: Path, root: Path) -> list[Dataset]:
    """Write down the release of 2020: web manifest, consensus votes and published splits of each dataset that it has.

    Raises:
        ValueError: there is no release in the folder or zip, or it is damaged, or other tables lie there already
    """
    made = []
    for name in NAMES:
        release, classes = (
            Release(path, name),
            tables.read_classes(files.default_root() / "manifests" / name / "classes.csv"),
        )
        candidates = release.candidates()
        if candidates is None:
            continue
        release.agree(classes)
        found = dataset.bare(name, classes).with_web(*candidates, str(path))
        lists = release.official(partial(_label, classes))
        found = found.with_official(lists, str(path)) if len(lists) else found
        _written(found, root)
        made.append(found)
    if not made:
        raise ValueError(f"{path}: no release here: give the folder or the zip dataset_no_images")
    return made


def _label(classes: Sequence[str], name: str) -> int:
    """Return the label of a class folder, which is called by it or by the name of the class."""
    return (
        int(name)
        if name.isdecimal()
        else pick({said: i for i, said in enumerate(classes)}, name, "class")
    )


def _written(found: Dataset, root: Path) -> None:
    """Write the tables of candidates where they belong, unless others are there."""
    manifests, annotations = root / "manifests" / found.name, root / "annotations" / found.name
    places = {"web": manifests, "votes": annotations, "official": annotations}
    if (manifests / "web.parquet").exists():
        there = dataset.read(found.name, manifests, annotations).digests
        if any(there.get(name) != found.digests.get(name) for name in places):
            raise ValueError(
                f"{manifests}: other candidates lie there: give another --root, or delete them"
            )
        return
    if not (manifests / "classes.csv").exists():
        source = files.default_root() / "manifests" / found.name / "classes.csv"
        tables.write_csv(table_io.load(source, tables.CLASSES), manifests / "classes.csv")
    for name, folder in places.items():
        table = getattr(found, name)
        if table is not None and len(table):
            tables.write(table, folder / f"{name}.parquet")


def adopt(source: str, data_dir: Path, name: str, root: Path) -> Dataset:
    """Write `manifests/NAME/` below a root: class list and base manifest, which says what source reads the images.

    Raises:
        LookupError: there is no such source
        ValueError: the name is none, or tables with other rows bear it already
        OSError: the data are not where they should be
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise ValueError(
            f"dataset {name!r}: give a name of small letters, digits, - and _ with --as"
        )
    found = pick(SOURCES, source, "source")(data_dir)
    base = tables.with_info(found.manifest(), asdict(tables.ManifestInfo(source)))
    made = dataset.bare(name, found.classes()).with_base(base, str(data_dir))
    folder = root / "manifests" / name
    if (folder / "base.parquet").exists():
        there = tables.read_manifest(folder / "base.parquet", len(made.classes))
        if hashing.digest(there) != made.digests["base"]:
            raise ValueError(
                f"{folder}: holds another base manifest: give another --as or --root, or delete it"
            )
    dataset.write(made, folder)
    return made
