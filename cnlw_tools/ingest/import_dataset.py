"""The tables of a dataset, written from the images of a source or from the release of 2020."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from cnlw_tools import files
from cnlw_tools.dataset import dataset, hashing, table_io, tables
from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.dataset.tables import ManifestInfo
from cnlw_tools.dataset.validation_split import split_off_validation
from cnlw_tools.executor import SERIAL, Executor, Progress, no_progress
from cnlw_tools.files.locks import wait_for_lock
from cnlw_tools.files.outputs import check_output, output_file
from cnlw_tools.ingest.hash_images import HashJob, hash_images
from cnlw_tools.ingest.import_notes import describe_oddities
from cnlw_tools.ingest.places import write_places
from cnlw_tools.recipe.inputs import SourceOptions
from cnlw_tools.recipe.recipe import MAX_VALIDATION
from cnlw_tools.registry import pick
from cnlw_tools.registry.counts import count_things
from cnlw_tools.sources import left_out, open_new_source, options_of
from cnlw_tools.sources.formats.listing import enumerate_names
from cnlw_tools.sources.formats.release import SPELLINGS, Release

MAX_SHOWN = 10  # broken images in an error
DATASET_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


class Import(NamedTuple):
    """What was imported."""

    dataset: Dataset
    broken: Mapping[str, str]  # the ids of images that were left out, and why
    left_out: Mapping[str, int]  # the number of other files by extension, and of links
    has_new_validation: bool = False  # whether the import has split validation off

    @property
    def notes(self) -> list[str]:
        """What a user should know, though it is not an error."""
        base = self.dataset.base
        return (
            []
            if base is None
            else describe_oddities(base, self.dataset.classes, self.has_new_validation)
        )


def import_source(
    source_name: str,
    data_dir: Path,
    name: str,
    root: Path,
    *,
    options: SourceOptions | None = None,
    validation: int = 0,
    skip_broken: Path | str | None = None,
    list_broken: Path | str | None = None,
    executor: Executor = SERIAL,
    progress: Progress = no_progress,
) -> Import:
    """Write class list and base manifest of a source's images to `manifests/NAME/` in the root.

    Every image is read once. The manifest has its sha256, and says which source reads it.

    Args:
        source_name: a key of SOURCES
        data_dir: where they lie
        name: of the new dataset
        root: the folder that holds `manifests/`
        options: which part of the images the source reads. Default: all that belongs together
        validation: percent of each class that moves from train to validation
        skip_broken: path or address of a CSV list of images that cannot be used: leave these out
        list_broken: path or address of a CSV list of them, before the error that there are some
        executor, progress: where the images are read, and what is told how many are done

    Raises:
        LookupError: there is no such source
        ValueError: the name is taken, images cannot be used, or validation cannot be made
        OSError: the images are not in the folder
    """
    _check_arguments(name, skip_broken, list_broken)
    source = open_new_source(ManifestInfo(source_name, options or SourceOptions()), data_dir)
    info = ManifestInfo(source_name, options_of(source), validation)
    empty = dataset.empty_dataset(name, source.classes())
    manifest = source.manifest()
    empty.with_base(manifest, str(data_dir))  # fails before images are read
    _split_off_validation(manifest, validation, empty)  # likewise
    job = HashJob(info, getattr(source, "data_dir", data_dir))  # so that no worker asks the Hub
    report = hash_images(job, manifest, executor, progress)
    _write_broken(report.broken, skip_broken or list_broken)
    if skip_broken is None:
        _reject_broken(data_dir, report.broken, len(manifest))
    manifest = _without_broken(manifest, report.broken, empty.classes, data_dir)
    base = _split_off_validation(_with_digests(manifest, report.digests), validation, empty)
    imported = empty.with_base(tables.with_info(base, info.as_block()), str(data_dir))
    _write_tables(root, imported, data_dir)
    return Import(imported, report.broken, left_out(source), validation > 0)


def _check_arguments(
    name: str, skip_broken: Path | str | None, list_broken: Path | str | None
) -> None:
    """Raise if a dataset may not have this name, or a list of broken images cannot be written."""
    if skip_broken and list_broken:
        raise ValueError(
            f"{skip_broken}, {list_broken}: both options would list the images that cannot be "
            "used: "
            "give one of --skip-broken and --list-broken"
        )
    check_dataset_name(name)
    for place in (skip_broken, list_broken):
        if place is not None:
            check_output(place)


def check_dataset_name(name: str) -> None:
    """Raise if a dataset may not have this name.

    Raises:
        ValueError: it has other characters than those that are allowed
    """
    if not DATASET_NAME.fullmatch(name):
        raise ValueError(
            f"the name {name!r} of the dataset is not allowed: give a name of lower-case "
            "letters, digits, - and _"
        )


def _split_off_validation(manifest: pa.Table, percent: int, empty: Dataset) -> pa.Table:
    """Return a manifest with a validation split of this many percent; 0: as it is."""
    if not 0 <= percent <= MAX_VALIDATION:
        raise ValueError(
            f"validation = {percent} is not allowed: give a whole percentage from 1 to "
            f"{MAX_VALIDATION}"
        )
    return split_off_validation(manifest, percent, empty.classes) if percent else manifest


def _write_broken(broken: Mapping[str, str], place: Path | str | None) -> None:
    """Write the ids of images, and why each cannot be used."""
    if place is not None:
        ids = sorted(broken)
        reasons = [broken[image_id] for image_id in ids]
        columns = [pa.array(ids, pa.string()), pa.array(reasons, pa.string())]
        with output_file(place) as path:
            tables.write_csv(pa.table(columns, ["image_id", "reason"]), path)


def _reject_broken(data_dir: Path, broken: Mapping[str, str], n_images: int) -> None:
    """Raise if images cannot be used; the error has the first of them."""
    if not broken:
        return
    lines = [f"{data_dir}: {len(broken):,} of {count_things(n_images, 'image')} cannot be used:"]
    for image_id in sorted(broken)[:MAX_SHOWN]:
        lines.append(f"  {image_id}: {broken[image_id]}")
    n_hidden = len(broken) - MAX_SHOWN
    if n_hidden > 0:
        lines.append(f"  and {n_hidden:,} more; --list-broken FILE lists them all")
    lines.append("Replace or remove them, or leave them out with --skip-broken FILE.")
    raise ValueError("\n".join(lines))


def _without_broken(
    manifest: pa.Table, broken: Mapping[str, str], classes: Sequence[str], data_dir: Path
) -> pa.Table:
    """Return a manifest without these images.

    Raises:
        ValueError: a class would have no image to train on
    """
    is_broken = pc.is_in(manifest["image_id"], pa.array(broken, pa.string()))
    rest = manifest.filter(pc.invert(is_broken))
    empty_labels = sorted(_training_labels(manifest) - _training_labels(rest))
    if empty_labels:
        names = enumerate_names([classes[label] for label in empty_labels])
        raise ValueError(
            f"{data_dir}: no training image of these classes can be used: {names}: "
            "replace their images, or remove the classes"
        )
    return rest


def _training_labels(manifest: pa.Table) -> set[int]:
    train = manifest.filter(pc.equal(manifest["split"], "train"))
    return set(pc.unique(train["label"]).to_pylist())


def _with_digests(manifest: pa.Table, digests: Mapping[str, str]) -> pa.Table:
    """Return a manifest with the sha256 of images filled in that did not have it."""
    ids, existing = manifest["image_id"].to_pylist(), manifest["sha256"].to_pylist()
    filled = []
    for image_id, digest in zip(ids, existing, strict=True):
        filled.append(digest or digests[image_id])
    position = manifest.schema.get_field_index("sha256")
    field = manifest.schema.field(position)
    return manifest.set_column(position, field, pa.array(filled, pa.string()))


def _write_tables(root: Path, imported: Dataset, data_dir: Path) -> None:
    """Write the tables, unless the folder holds others; imports at the same time wait."""
    folder = root / "manifests" / imported.name
    folder.mkdir(parents=True, exist_ok=True)
    with wait_for_lock(folder):
        _check_existing(folder, imported)
        dataset.write_tables(imported, folder)
        write_places(imported.name, root, data_dir)


def _check_existing(folder: Path, imported: Dataset) -> None:
    """Raise if the folder holds other tables; a base manifest without any sha256 may get them.

    Candidates and votes may be there before the images are, and their labels count on the classes.
    """
    classes, base = folder / "classes.csv", folder / "base.parquet"
    remedy = "choose another name or another --root, or delete it"
    if classes.exists() and tables.read_classes(classes) != imported.classes:
        raise ValueError(
            f"{classes} contains other classes, or the same in another order: {remedy}"
        )
    if not base.exists() or imported.base is None:
        return
    existing = tables.read_manifest(base, len(imported.classes))
    new = imported.base
    if existing["sha256"].null_count == len(existing):
        existing, new = existing.drop_columns(["sha256"]), new.drop_columns(["sha256"])
    if hashing.digest(existing) != hashing.digest(new):
        existing, new = existing.drop_columns(["split"]), new.drop_columns(["split"])
        if hashing.digest(existing) == hashing.digest(new):
            remedy = (
                "only the splits differ: leave --validation as it was when these were imported, "
                "and give --validation to `cnlw build`"
            )
        raise ValueError(f"{folder} contains another base manifest: {remedy}")


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
            folder = root / "manifests" / name
            folder.mkdir(parents=True, exist_ok=True)
            with wait_for_lock(folder):
                _write_candidates(release_dataset, root)
            imported.append(release_dataset)
    if not imported:
        raise ValueError(
            f"{path}: the release of Jiang et al. (2020) is not here: "
            "give its folder, or dataset_no_images.zip"
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
    """Write the tables of candidates unless they exist; other candidates are an error.

    The web manifest comes last: it says that the others are there.
    """
    name = release_dataset.name
    manifests = root / "manifests" / name
    annotations = root / "annotations" / name
    folder_of_table = {"votes": annotations, "official": annotations, "web": manifests}
    if not (manifests / "classes.csv").exists():
        classes = table_io.read_table(_package_classes(name), tables.CLASSES)
        tables.write_csv(classes, manifests / "classes.csv")
    if (manifests / "web.parquet").exists():
        existing = dataset.read_tables(name, manifests, annotations).digests
        for table_name in folder_of_table:
            if existing.get(table_name) != release_dataset.digests.get(table_name):
                raise ValueError(
                    f"{manifests} contains other candidates: give another --root, or delete them"
                )
        return
    for table_name, folder in folder_of_table.items():
        table = release_dataset.tables_by_file_name().get(table_name)
        if table is not None and len(table):
            tables.write_parquet(table, folder / f"{table_name}.parquet")


def _package_classes(name: str) -> Path:
    """Return the path of the class list that comes with the package."""
    return files.default_root() / "manifests" / name / "classes.csv"
