"""Checks of the tables against what they were made from: class names, labels and splits."""

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cnlw_tools.checks.evidence import Evidence
from cnlw_tools.checks.finding import Finding, abbreviate, error, note
from cnlw_tools.dataset import tables
from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.dataset.row_numbers import find_values
from cnlw_tools.dataset.row_selection import values_differ
from cnlw_tools.dataset.validation_split import VALIDATION, split_off_validation
from cnlw_tools.files import default_root
from cnlw_tools.files.machine_faults import raise_machine_fault
from cnlw_tools.images.pixels import picture_digest
from cnlw_tools.plans.noise_inputs import has_outlier_class
from cnlw_tools.recipe.inputs import ImageSource

CLASSES = "tables/classes.csv"
BASE = "tables/base"
OUTLIER = "outlier"  # the class that noise adds behind those of the dataset
SPLIT_COLUMNS = ["image_id", "label", "split", "sha256"]  # decide what the import takes
BUILD_ANEW = "build it again from the tables of the dataset"
OWN_NAMES = "ignore this if you renamed the class; else import the dataset again"


def classes(evidence: Evidence) -> Iterator[Finding]:
    """Every label has the name that the source gives it, or the class list of the package.

    A name that the source does not know is a note: a user may have renamed a class. One that the
    source has for another label is an error: the labels have moved.
    """
    expected = _source_classes(evidence)
    if expected is None:
        return
    actual = evidence.require_dataset().classes
    if any(has_outlier_class(evidence.recipe(name)) for name in evidence.plans):
        expected = (*expected, OUTLIER)
    if len(actual) != len(expected):
        message = f"{len(actual)} classes, but {evidence.source} has {len(expected)}"
        yield error(message, CLASSES, abs(len(actual) - len(expected)), BUILD_ANEW)
        return
    moved: list[str] = []
    renamed: list[str] = []
    for label, (name, original) in enumerate(zip(actual, expected, strict=True)):
        difference = f"{label} is {name!r}, in {evidence.source} {original!r}"
        if name != original:
            (moved if name in expected else renamed).append(difference)
    if moved:
        yield error(f"labels have moved: {abbreviate(moved)}", CLASSES, len(moved), BUILD_ANEW)
    if renamed:
        message = f"classes have other names: {abbreviate(renamed)}"
        report = error if _package_classes(evidence.source) else note
        yield report(message, CLASSES, len(renamed), OWN_NAMES)


def _source_classes(evidence: Evidence) -> tuple[str, ...] | None:
    """Return the class names of the open source, or of the package; none if neither has any."""
    source = evidence.opened_source
    if not isinstance(source, str):
        with suppress(ValueError, LookupError, OSError):  # the check `manifest` says why
            return source.classes()
    return _package_classes(evidence.source)


def _package_classes(source: str) -> tuple[str, ...] | None:
    """Return the class list that comes with the package for a source; none if there is none."""
    path = default_root() / "manifests" / source / "classes.csv"
    return tables.read_classes(path) if path.is_file() else None


def manifest(evidence: Evidence) -> Iterator[Finding]:
    """Every base image has the label and the split that the source gives it.

    A validation split that the import took from train holds the images that it should.
    """
    dataset = evidence.require_dataset()
    source, base = evidence.opened_source, dataset.base
    if isinstance(source, str) or base is None:
        return
    try:
        original = source.manifest()
    except (ValueError, LookupError, OSError) as problem:
        raise_machine_fault(problem, f"the images of {evidence.source}")
        yield note(f"labels were not compared with {evidence.source}: {problem}", BASE)
        return
    if dataset.imported_validation:
        yield from _report_validation(dataset, base, original, source)
        base = _with_validation_in_train(base)
    place = find_values(base["image_id"], original["image_id"])
    ids = base["image_id"]
    unknown = ids.filter(pa.array(place < 0))
    yield from _report(unknown, "images that the source does not have")
    for column in ("label", "split"):
        differs = values_differ(base[column], original[column], place)
        message = f"images whose {column} differs from the source"
        yield from _report(ids.filter(pa.array(differs)), message)
    n_left_out = len(original) - int(np.sum(place >= 0))
    if dataset.withdrawn is not None:  # nobody expects these
        withdrawn = find_values(dataset.withdrawn["image_id"], original["image_id"])
        n_left_out -= int(np.sum(withdrawn >= 0))
    if n_left_out:
        message = "images of the source that the base manifest leaves out"
        yield note(message, BASE, n_left_out)


def _with_validation_in_train(base: pa.Table) -> pa.Table:
    """Return the base manifest as it was before the import took validation from train."""
    splits = pc.if_else(pc.equal(base["split"], VALIDATION), "train", base["split"])
    column = base.column_names.index("split")
    return base.set_column(column, base.schema.field(column), splits)


def _report_validation(
    dataset: Dataset, base: pa.Table, original: pa.Table, source: ImageSource
) -> Iterator[Finding]:
    """Yield an error if validation does not hold the images that the import takes.

    Images that were left out later were there when the import took them.
    """
    withdrawn = _find_withdrawn(dataset, original, source)
    if withdrawn is None:
        message = "validation was not compared: the source has not all images that were left out"
        yield note(message, BASE)
        return
    before = pa.concat_tables(
        [_with_validation_in_train(base).select(SPLIT_COLUMNS), withdrawn.select(SPLIT_COLUMNS)]
    )
    percent = dataset.imported_validation
    all_splits = split_off_validation(before, percent, dataset.classes)["split"]
    expected = all_splits.slice(0, len(base))
    ids = base["image_id"].filter(pc.not_equal(base["split"], expected))
    message = f"validation does not hold the {percent} % of each class that the import takes"
    yield from _report(ids, message)


def _find_withdrawn(dataset: Dataset, original: pa.Table, source: ImageSource) -> pa.Table | None:
    """Return the rows of the images that were left out; none if the source lacks one of them.

    Args:
        dataset: of the build
        original: the manifest of the source
        source: reads the images, whose sha256 says whether another one has the same bytes
    """
    if dataset.withdrawn is None:
        return original.slice(0, 0)
    ids = dataset.withdrawn["image_id"]
    if dataset.web is not None:
        is_candidate = pc.is_in(ids, dataset.web["image_id"].combine_chunks())
        ids = ids.filter(pc.invert(is_candidate))
    place = find_values(ids, original["image_id"])
    if (place < 0).any():
        return None
    rows = original.take(place)
    hashes = []
    for image_id, sha256 in zip(ids.to_pylist(), rows["sha256"].to_pylist(), strict=True):
        hashes.append(sha256 or picture_digest(source.read(image_id)))
    column = rows.column_names.index("sha256")
    return rows.set_column(column, rows.schema.field(column), pa.array(hashes, pa.string()))


def _report(ids: pa.ChunkedArray, message: str) -> Iterator[Finding]:
    """Yield an error if there are such images."""
    if len(ids):
        yield error(f"{message}: {abbreviate(ids.to_pylist())}", BASE, len(ids), BUILD_ANEW)
