"""Checks of images: do all decode, are they those of the tables, and is none there twice?"""

import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from cnlw_tools.checks.evidence import Evidence
from cnlw_tools.checks.finding import REBUILD_FILE, Finding, abbreviate, error, note
from cnlw_tools.images.near_duplicates import near_duplicate_pairs

ALL_CONFIGS = "all configs"
FIX_TWINS = (
    "if your own data have them, or a resize made them equal, give --data-dir, and --store for web "
    "images, or let `cnlw import` write the sha256 of each into the base manifest; otherwise "
    f"{REBUILD_FILE}"
)
KEEP_ONE = "drop all but one from the base manifest, or accept it"
COMPARE = "give --data-dir, and --store for web images, to compare them with their source"
LOOK = "look at them before you trust small differences, the first two with"


def decode(evidence: Evidence) -> Iterator[Finding]:
    """Every image decodes, and has the size that the build was asked for."""
    for location, reason in sorted(evidence.image_errors.items()):
        yield error(reason, location)
    size, resize = evidence.card.images.size, evidence.card.images.resize
    if size is None:
        return
    for digest, image in evidence.images.items():
        fits = min(image.size) == size if resize == "short" else image.size == (size, size)
        if not fits:
            message = f"an image has {image.size} pixels, not those of {resize} {size}"
            yield error(message, f"sha256 {digest}")


def contents(evidence: Evidence) -> Iterator[Finding]:
    """An id stands for one image in all files, and for the one whose sha256 the tables have."""
    recorded = evidence.source_digests() if evidence.card.images.size is None else {}
    first_digest: dict[str, str] = {}
    for name, shard in sorted(evidence.shards.items()):
        ids, digests = shard.rows["image_id"].to_pylist(), shard.rows["sha256"].to_pylist()
        for image_id, digest in zip(ids, digests, strict=True):
            if first_digest.setdefault(image_id, digest) != digest:
                message = f"{image_id} is a different image in another file"
                yield error(message, f"data/{name}")
            image = evidence.images.get(digest)
            expected = recorded.get(image_id, digest)
            if image and expected not in (digest, image.pixel_digest):
                message = f"{image_id} differs from its sha256 in the tables"
                yield error(message, f"data/{name}")


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
    if evidence.uncompared:
        example = f"such as {min(evidence.uncompared)}: no source here has them"
        fix = "give --data-dir" if inputs.store else "give --store"
        message = f"web images were not compared, {example}"
        yield note(message, ALL_CONFIGS, len(evidence.uncompared), fix)
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
    recorded = evidence.source_digests()
    unproven = []
    for location, surplus in sorted(evidence.surplus.items()):
        digest = recorded.get(surplus.image_id)
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
        ids, splits = rows["image_id"].to_pylist(), rows["split"].to_pylist()
        faults, allowed = [], []
        for positions in _equal_images(evidence, name, rows):
            group = " = ".join(f"{ids[i]} ({splits[i]})" for i in positions)
            if evidence.may_be_equal(*(ids[i] for i in positions)):
                allowed.append(group)
            else:
                faults.append(group)
        if faults:
            message = f"the same image several times: {abbreviate(faults)}"
            yield error(message, name, len(faults), FIX_TWINS)
        if allowed:
            groups = abbreviate(allowed)
            message = f"the same image several times in the source, or after resizing: {groups}"
            yield note(message, name, len(allowed), KEEP_ONE)


def _equal_images(evidence: Evidence, config: str, rows: pa.Table) -> list[list[int]]:
    """Group the positions of rows with equal images, without the repeats that the plan has."""
    pairs = list(zip(rows["image_id"].to_pylist(), rows["split"].to_pylist(), strict=True))
    repeats_left = _planned_repeats(evidence, config)
    groups: dict[str, list[int]] = {}
    for position, digest in enumerate(rows["sha256"].to_pylist()):
        repeats_left[pairs[position]] -= 1
        if repeats_left[pairs[position]] > 0:
            continue  # the plan has this image again further on
        image = evidence.images.get(digest)
        key = image.pixel_digest if image else str(digest)
        groups.setdefault(key, []).append(position)
    return [positions for positions in groups.values() if len(positions) > 1]


def _planned_repeats(evidence: Evidence, config: str) -> Counter[tuple[str, str]]:
    """Return how often each image of a split comes, by the plan; noise may repeat it."""
    plan = evidence.plans.get(config)
    if plan is None:
        return Counter()
    return Counter(zip(plan["image_id"].to_pylist(), plan["split"].to_pylist(), strict=True))


def near_duplicates(evidence: Evidence) -> Iterator[Finding]:
    """Images look alike though their bytes differ: perceptual hashes within 3 of 128 bits."""
    split_of: dict[str, str] = {}
    id_of: dict[str, str] = {}
    for name in evidence.card.configs:
        rows = evidence.rows(name)
        digests = rows["sha256"].to_pylist()
        split_of.update(zip(digests, rows["split"].to_pylist(), strict=True))
        id_of.update(zip(digests, rows["image_id"].to_pylist(), strict=True))
    digests = sorted(digest for digest in evidence.images if digest in id_of)
    between_splits, within_split = [], []
    for first, second in _alike_pairs(evidence, digests):
        pair = (id_of[first], id_of[second])
        if split_of[first] == split_of[second]:
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


def _alike_pairs(evidence: Evidence, digests: list[str]) -> list[tuple[str, str]]:
    """Return the pairs of images, by the sha256 of their bytes, whose fingerprints are close."""
    if len(digests) < 2:
        return []
    joined = b"".join(evidence.images[digest].fingerprint for digest in digests)
    fingerprints = np.frombuffer(joined, np.uint8).reshape(-1, 16)
    return [(digests[i], digests[j]) for i, j in near_duplicate_pairs(fingerprints)]
