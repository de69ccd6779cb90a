"""Checks of images: do all decode, are they the ones that the tables name, and is none there twice?"""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from cnlw_tools.checks.evidence import Evidence
from cnlw_tools.checks.finding import REBUILD, Finding, error, some
from cnlw_tools.images.near_duplicates import near_duplicate_pairs


def decode(found: Evidence) -> Iterator[Finding]:
    """Every image decodes, and has the size that the build was asked for."""
    for where, why in sorted(found.broken_images.items()):
        yield error("decode", why, where)
    size, how = found.record.images.size, found.record.images.resize
    if size is None:
        return
    for digest, looks in found.looks.items():
        fits = min(looks.size) == size if how == "short" else looks.size == (size, size)
        if not fits:
            yield error(
                "decode",
                f"an image of {looks.size} pixels where {how} {size} was asked",
                f"sha256 {digest}",
            )


def contents(found: Evidence) -> Iterator[Finding]:
    """An id stands for one image throughout the build, and for the one that the tables have the sha256 of."""
    source = found.source_digests() if found.record.images.size is None else {}
    seen: dict[str, str] = {}
    for name, shard in sorted(found.shards.items()):
        for image_id, digest in zip(
            shard.rows["image_id"].to_pylist(), shard.rows["sha256"].to_pylist(), strict=True
        ):
            if seen.setdefault(image_id, digest) != digest:
                yield error(
                    "contents",
                    f"{image_id} is another image here than in another file",
                    f"data/{name}",
                )
            looks = found.looks.get(digest)
            if looks and source.get(image_id, digest) not in (digest, looks.pixels):
                yield error(
                    "contents",
                    f"{image_id} is not the image that the tables have the sha256 of",
                    f"data/{name}",
                )


def source(found: Evidence) -> Iterator[Finding]:
    """Every image is the one that the source has under its id."""
    for where, image_id in sorted(found.unlike.items()):
        yield error(
            "source", f"{image_id} is not the image that the source has under this id", where
        )
    if why := found.no_source():
        what = f"images of {found.source} itself were not compared: {why}"
        yield Finding("source", "note", what, "all configs", 1, "give --data-dir")
    if found.uncompared:
        what = f"web images were not compared, such as {min(found.uncompared)}: no source here has them"
        mend = "give --data-dir" if found.inputs.store else "give --store"
        yield Finding("source", "note", what, "all configs", len(found.uncompared), mend)
    for name, why in found.donors().items():
        if why:
            what = f"images of donor {name} were not compared: {why}"
            yield Finding("source", "note", what, "all configs", 1, f"give --donor {name}=DIR")


def duplicates(found: Evidence) -> Iterator[Finding]:
    """No image is in a config more often than planned, nor in two splits, by the sha256 of its bytes and pixels.

    A pair that the source tables themselves hold, with equal sha256, is a note; so is one that only the resize
    made equal, where the images were compared with the source.
    """
    for name in found.record.configs:
        held = found.rows(name)
        ids, splits = held["image_id"].to_pylist(), held["split"].to_pylist()
        planned = _times(found, name)
        groups: dict[str, list[int]] = {}
        for row, digest in enumerate(held["sha256"].to_pylist()):
            planned[ids[row], splits[row]] -= 1
            if planned[ids[row], splits[row]] > 0:
                continue  # it is still to come, as the plan says
            looks = found.looks.get(digest)
            groups.setdefault(looks.pixels if looks else str(digest), []).append(row)
        many = [rows for rows in groups.values() if len(rows) > 1]
        own = [rows for rows in many if found.twins(*(ids[r] for r in rows))]
        alien = [rows for rows in many if rows not in own]
        if alien:
            shown = some([" = ".join(f"{ids[r]} ({splits[r]})" for r in rows) for rows in alien])
            mend = f"{REBUILD}; if the source holds them so, drop all but one from its tables, or fill in their sha256; "
            mend += "if a resize made them equal, give --data-dir, and --store for web images"
            yield error("duplicates", f"one image several times: {shown}", name, len(alien), mend)
        if own:
            shown = some([" = ".join(f"{ids[r]} ({splits[r]})" for r in rows) for rows in own])
            what = f"one image several times in the source, or once resized: {shown}"
            yield Finding(
                "duplicates",
                "note",
                what,
                name,
                len(own),
                "drop all but one from the base manifest, or live with it",
            )


def _times(found: Evidence, config: str) -> Counter[tuple[str, str]]:
    """Return how often each image of a split comes, by the plan; noise may repeat it."""
    plan = found.plans.get(config)
    return Counter(
        zip(plan["image_id"].to_pylist(), plan["split"].to_pylist(), strict=True) if plan else ()
    )


def near(found: Evidence) -> Iterator[Finding]:
    """Images that look alike, though their bytes differ: the perceptual hashes differ in at most 3 of 128 bits."""
    split_of: dict[str, str] = {}
    id_of: dict[str, str] = {}
    for name in found.record.configs:
        held = found.rows(name)
        split_of |= dict(zip(held["sha256"].to_pylist(), held["split"].to_pylist(), strict=True))
        id_of |= dict(zip(held["sha256"].to_pylist(), held["image_id"].to_pylist(), strict=True))
    digests = sorted(d for d in found.looks if d in id_of)
    if len(digests) < 2:
        return
    pairs = near_duplicate_pairs(
        np.frombuffer(b"".join(found.looks[d].print for d in digests), np.uint8).reshape(-1, 16)
    )
    for kind, across in (("of train and another split", True), ("within a split", False)):
        chosen = [
            (digests[a], digests[b])
            for a, b in pairs
            if (split_of[digests[a]] != split_of[digests[b]]) == across
        ]
        if chosen:
            what = (
                f"near-duplicates {kind}: {some([f'{id_of[a]} ~ {id_of[b]}' for a, b in chosen])}"
            )
            yield Finding(
                "near",
                "note",
                what,
                "all configs",
                len(chosen),
                "look at them before you trust small differences",
            )
