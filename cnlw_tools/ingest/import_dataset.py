"""The tables of a dataset, written from the images of a source or from the release of 2020."""

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
from cnlw_tools.sources.formats.release import SPELLINGS, Release

DATASET_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


def import_source(source_name: str, data_dir: Path, name: str, root: Path) -> Dataset:
    """Write the class list and the base manifest of the images that a source finds.

    They are written to `manifests/NAME/` below the root. The base manifest says which source reads
    the images.

    Args:
        source_name: a key of SOURCES
        data_dir: where the images lie
        name: of the new dataset
        root: the folder that holds `manifests/`

    Raises:
        LookupError: there is no such source
        ValueError: the name is not allowed, or a dataset with other rows has it already
        OSError: the images are not in the folder
    """
    if not DATASET_NAME.fullmatch(name):
        raise ValueError(
            f"dataset {name!r}: give a name of small letters, digits, - and _ with --as"
        )
    source = pick(SOURCES, source_name, "source")(data_dir)
    info = tables.ManifestInfo(source_name)
    base = tables.with_info(source.manifest(), asdict(info))
    imported = dataset.empty_dataset(name, source.classes()).with_base(base, str(data_dir))
    folder = root / "manifests" / name
    if (folder / "base.parquet").exists():
        existing = tables.read_manifest(folder / "base.parquet", len(imported.classes))
        if hashing.digest(existing) != imported.digests["base"]:
            raise ValueError(
                f"{folder}: holds another base manifest: give another --as or --root, or delete it"
            )
    dataset.write_tables(imported, folder)
    return imported


def import_release(path: Path, root: Path) -> list[Dataset]:
    """Write the web manifest, consensus votes and published splits of the release of 2020.

    They are written for each dataset that the release holds.

    Args:
        path: a folder that holds the release, or its zip
        root: the folder that holds `manifests/` and `annotations/`

    Raises:
        ValueError: there is no release, or it is damaged, or a dataset has other tables already
    """
    imported = []
    for name in SPELLINGS:
        release_dataset = _read_release(path, name)
        if release_dataset is not None:
            _write_candidates(release_dataset, root)
            imported.append(release_dataset)
    if not imported:
        raise ValueError(
            f"{path}: the release is not here: give the folder or the zip dataset_no_images"
        )
    return imported


def _read_release(path: Path, name: str) -> Dataset | None:
    """Return what the release holds for one dataset; none without verdicts."""
    release = Release(path, name)
    candidates = release.read_candidates()
    if candidates is None:
        return None
    classes = tables.read_classes(_package_classes(name))
    release.check_class_order(classes)
    web, votes = candidates
    release_dataset = dataset.empty_dataset(name, classes).with_web(web, votes, str(path))
    splits = release.read_published_splits(partial(_label_of, classes))
    if len(splits):
        release_dataset = release_dataset.with_published_splits(splits, str(path))
    return release_dataset


def _label_of(classes: Sequence[str], name: str) -> int:
    """Return the label of a class folder, which has the label or the name of the class."""
    if name.isdecimal():
        return int(name)
    labels = {class_name: label for label, class_name in enumerate(classes)}
    return pick(labels, name, "class")


def _write_candidates(release_dataset: Dataset, root: Path) -> None:
    """Write the tables of candidates unless they exist; other candidates are an error."""
    name = release_dataset.name
    manifests = root / "manifests" / name
    annotations = root / "annotations" / name
    folder_of_table = {"web": manifests, "votes": annotations, "official": annotations}
    if (manifests / "web.parquet").exists():
        existing = dataset.read_tables(name, manifests, annotations).digests
        for table_name in folder_of_table:
            if existing.get(table_name) != release_dataset.digests.get(table_name):
                raise ValueError(
                    f"{manifests}: holds other candidates: give another --root, or delete them"
                )
        return
    if not (manifests / "classes.csv").exists():
        classes = table_io.read_table(_package_classes(name), tables.CLASSES)
        tables.write_csv(classes, manifests / "classes.csv")
    for table_name, folder in folder_of_table.items():
        table = release_dataset.tables_by_file_name().get(table_name)
        if table is not None and len(table):
            tables.write_parquet(table, folder / f"{table_name}.parquet")


def _package_classes(name: str) -> Path:
    """Return the path of the class list that comes with the package."""
    return files.default_root() / "manifests" / name / "classes.csv"
