"""Checks of images: do all decode, are they those of the tables, and is none there twice?"""

import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.checks.digests import fixed_bytes, join_digests, to_hex
from cnlw_tools.checks.evidence import HAS_NO_SOURCE, Evidence
from cnlw_tools.checks.finding import REBUILD_FILE, Finding, abbreviate, error, note
from cnlw_tools.dataset.row_numbers import (
    find_values,
    first_places,
    group_repeats,
    number_rows,
    number_values,
    repeats_before,
)
from cnlw_tools.dataset.row_selection import (
    BLOCK_ROWS,
    filter_rows,
    take_or_null,
    take_rows,
    take_values,
    values_differ,
)
from cnlw_tools.dataset.shared_chunks import store_values
from cnlw_tools.images.near_duplicates import near_duplicate_pairs

ALL_CONFIGS = "all configs"
FIX_TWINS = (
    "if your own data have them, or a resize made them equal, give --data-dir, and --store for web "
    "images, or let `cnlw import` write the sha256 of each into the base manifest; otherwise "
    f"{REBUILD_FILE}"
)
KEEP_ONE = "remove all but one from the base manifest, or accept it"
COMPARE = "give --data-dir, and --store for web images, to compare them with their source"
LOOK = "look at them before you trust small differences, the first two with"


def decode(evidence: Evidence) -> Iterator[Finding]:
    """Every image decodes, and has the size that the build was asked for."""
    for location, reason in sorted(evidence.image_errors.items()):
        yield error(reason, location)
    size, resize = evidence.card.images.size, evidence.card.images.resize
    if size is None:
        return
    images = evidence.images
    width, height = images["width"].to_numpy(), images["height"].to_numpy()
    is_short = np.minimum(width, height) == size
    fits = is_short if resize == "short" else (width == size) & (height == size)
    odd = images.filter(pa.array(~fits))
    for digest, *pixels in zip(to_hex(odd["sha256"]), *_sizes(odd), strict=True):
        message = f"an image has {tuple(pixels)} pixels, not those of {resize} {size}"
        yield error(message, f"sha256 {digest}")


def _sizes(images: pa.Table) -> tuple[list[int], list[int]]:
    """Return the widths and heights of images."""
    return images["width"].to_pylist(), images["height"].to_pylist()


def contents(evidence: Evidence) -> Iterator[Finding]:
    """An id stands for one image in all files, and for the one whose sha256 the tables have."""
    rows = evidence.all_rows()
    names = sorted(evidence.shards)
    ends = np.cumsum([len(evidence.shards[name].rows) for name in names])
    differs = _has_other_image(rows)
    is_unrecorded = np.zeros(len(rows), bool)
    if evidence.card.images.size is None:
        is_unrecorded = _contradicts_tables(evidence, rows)
    for row in np.flatnonzero(differs | is_unrecorded):
        image_id = rows["image_id"][row].as_py()
        location = f"data/{names[np.searchsorted(ends, row, side='right')]}"
        if differs[row]:
            yield error(f"{image_id} is a different image in another file", location)
        if is_unrecorded[row]:
            yield error(f"{image_id} differs from its sha256 in the tables", location)


def _has_other_image(rows: pa.Table) -> NDArray[np.bool_]:
    """Return (n,) whether the first row with an image's id shows another image."""
    first = first_places(number_values(rows["image_id"]))
    return values_differ(rows["sha256"], rows["sha256"], first)


def _contradicts_tables(evidence: Evidence, rows: pa.Table) -> NDArray[np.bool_]:
    """Return (n,) whether an image decodes and the tables give its id another sha256."""
    sources = evidence.source_places(rows["image_id"])
    place = find_values(rows["sha256"], evidence.images["sha256"])
    contradicts = place >= 0
    for start in range(0, len(rows), BLOCK_ROWS):
        block = slice(start, min(start + BLOCK_ROWS, len(rows)))
        digests = rows["sha256"].slice(start, BLOCK_ROWS)
        recorded = join_digests(sources, block)
        pixels = take_or_null(evidence.images["pixel_digest"], place[block])
        is_other = pc.and_(pc.not_equal(recorded, digests), pc.not_equal(recorded, pixels))
        contradicts[block] &= pc.fill_null(is_other, False).to_numpy()
    return contradicts


def source(evidence: Evidence) -> Iterator[Finding]:
    """Every image is the one that the source has under its id.

    What could not be compared is a note, or an error if the user said where it lies.
    """
    inputs = evidence.inputs
    for location, mismatch in sorted(evidence.source_mismatches.items()):
        yield error(mismatch.message, location)
    reason = evidence.why_no_source()
    if reason:
        message = f"images of {evidence.source} itself were not compared: {reason}"
        report = error if inputs.data_dir else note
        yield report(message, ALL_CONFIGS, fix="give --data-dir")
    uncompared = evidence.ids_of_outcome(HAS_NO_SOURCE)
    if len(uncompared):
        example = f"such as {pc.min(uncompared)}: no source here has them"
        fix = "give --data-dir" if inputs.store else "give --store"
        message = f"web images were not compared, {example}"
        yield note(message, ALL_CONFIGS, len(uncompared), fix)
    for name, reason in evidence.donors().items():
        if reason:
            message = f"images of donor {name} were not compared: {reason}"
            report = error if inputs.donors.get(name) else note
            yield report(message, ALL_CONFIGS, fix=f"give --donor {name}=DIR")


def plain(evidence: Evidence) -> Iterator[Finding]:
    """The file of an image holds pixels alone, or is the file that the source has.

    Where the source is not here and the tables have no sha256 of the file, anything else in it is a
    note: the source's file may hold it too.
    """
    locations = sorted(evidence.surplus)
    ids = [evidence.surplus[location].image_id for location in locations]
    recorded = to_hex(evidence.source_digests(pa.array(ids, pa.string())))
    unproven = []
    for location, digest in zip(locations, recorded, strict=True):
        surplus = evidence.surplus[location]
        if digest == surplus.sha256:
            continue
        parts = ", ".join(surplus.parts)
        if surplus.is_compared or digest is not None:
            message = (
                f"{surplus.image_id} has parts that its image in the source does not have: {parts}"
            )
            yield error(message, location)
        else:
            unproven.append(f"{surplus.image_id} ({parts})")
    if unproven:
        message = f"images hold more than pixels: {abbreviate(unproven)}"
        yield note(message, ALL_CONFIGS, len(unproven), COMPARE)


def duplicates(evidence: Evidence) -> Iterator[Finding]:
    """No image is in a config more often than planned, nor in two splits.

    Images are equal if the sha256 of their bytes or pixels is. A pair that the source itself has is
    a note: the tables give both one sha256, or each image of the pair is proven to be the source's.
    So is a pair that only the resize made equal, where the images were compared with the source.
    """
    for name in evidence.card.configs:
        rows = evidence.rows(name)
        shown = rows.select(["image_id", "split"])
        equal = [take_rows(shown, group) for group in _equal_images(evidence, name, rows)]
        groups = [group["image_id"].to_pylist() for group in equal]
        faults: list[str] = []
        allowed: list[str] = []
        for ids, group, is_allowed in zip(
            groups, equal, evidence.may_be_equal_groups(groups), strict=True
        ):
            pairs = zip(ids, group["split"].to_pylist(), strict=True)
            text = " = ".join(f"{image_id} ({split})" for image_id, split in pairs)
            (allowed if is_allowed else faults).append(text)
        if faults:
            message = f"the same image several times: {abbreviate(faults)}"
            yield error(message, name, len(faults), FIX_TWINS)
        if allowed:
            listed = abbreviate(allowed)
            message = f"the same image several times in the source, or after resizing: {listed}"
            yield note(message, name, len(allowed), KEEP_ONE)


def _equal_images(evidence: Evidence, config: str, rows: pa.Table) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of each image that several have, without the repeats that the plan has."""
    plan = evidence.plans.get(config, rows.slice(0, 0))
    numbers, planned = number_rows([rows, plan], ["image_id", "split"])
    n_planned = np.bincount(planned, minlength=numbers.max(initial=-1) + 1)[numbers]
    # Of an image that the plan has p times, only the last of the first p rows counts.
    positions = np.flatnonzero(repeats_before(numbers) >= n_planned - 1)
    for group in group_repeats(_number_images(evidence, rows["sha256"])[positions]):
        yield positions[group]


def _number_images(evidence: Evidence, digests: pa.ChunkedArray) -> NDArray[np.integer]:
    """Return (n,) a number for each image, by the sha256 of its bytes; equal ones have one number.

    Images that decode are equal if their pixels are; others, if their bytes are.
    """
    place = find_values(digests, evidence.images["sha256"])
    is_known = place >= 0
    by_pixels = evidence.pixel_numbers[place]
    if is_known.all():
        return by_pixels
    by_bytes = number_values(digests) + len(evidence.images)
    return np.where(is_known, by_pixels, by_bytes)


def near_duplicates(evidence: Evidence) -> Iterator[Finding]:
    """Images look alike though their bytes differ: perceptual hashes within 3 of 128 bits."""
    rows = evidence.shared_rows([*evidence.card.configs])
    images = _images_of(evidence, rows)
    chunks = [fixed_bytes(chunk) for chunk in images["fingerprint"].chunks]
    fingerprints = np.concatenate([np.empty((0, 16), np.uint8), *chunks])
    alike = near_duplicate_pairs(fingerprints)
    shown = _last_shown(rows, take_values(images["sha256"], np.unique(alike)))
    digests = take_values(images["sha256"], alike.ravel()).to_pylist()
    between_splits, within_split = [], []
    for first, second in zip(digests[::2], digests[1::2], strict=True):
        pair = (shown[first][0], shown[second][0])
        if shown[first][1] == shown[second][1]:
            within_split.append(pair)
        else:
            between_splits.append(pair)
    for kind, pairs in (
        ("of train and another split", between_splits),
        ("within a split", within_split),
    ):
        if pairs:
            names = [f"{first} ~ {second}" for first, second in pairs]
            message = f"near-duplicates {kind}: {abbreviate(names)}"
            command = _show_command(evidence.folder, pairs[0])
            yield note(message, ALL_CONFIGS, len(pairs), f"{LOOK} `{command}`")


def _show_command(folder: Path, ids: tuple[str, ...]) -> str:
    """Return the command that shows some images of a build."""
    words = ["cnlw", "show", str(folder)]
    for image_id in ids:
        words += ["--image", image_id]
    return shlex.join(words)


def _images_of(evidence: Evidence, rows: pa.Table) -> pa.Table:
    """Return the images of some rows that decode, in the order of their sha256."""
    place = find_values(rows["sha256"], evidence.images["sha256"])
    is_shown = np.zeros(len(evidence.images), bool)
    is_shown[place[place >= 0]] = True
    images = filter_rows(evidence.images.select(["sha256", "fingerprint"]), is_shown)
    digests = [fixed_bytes(chunk) for chunk in images["sha256"].chunks]
    first_half = np.concatenate([np.empty((0, 32), np.uint8), *digests])[:, :16]
    order = np.lexsort(np.ascontiguousarray(first_half).view(">u8").T[::-1])
    columns = [store_values(column, order) for column in images.columns]
    return pa.table(columns, schema=images.schema)


def _last_shown(rows: pa.Table, digests: pa.Array) -> dict[bytes, tuple[str, str]]:
    """Return the id and the split of the last row that shows an image, by its sha256."""
    is_wanted = pc.is_in(rows["sha256"], digests, skip_nulls=True)
    columns = rows.filter(is_wanted).select(["sha256", "image_id", "split"]).to_pydict()
    digest, *names = columns.values()
    return dict(zip(digest, zip(*names, strict=True), strict=True))
