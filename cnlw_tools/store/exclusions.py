"""Exclusions: fetched images that must not become data.

- Placeholders ("photo unavailable"): a file that many image ids share, or one that is on a list of
  known placeholders (see placeholders.py).
- Copies of validation images: their fingerprint differs from that of a validation image in at most
  3 bits.
- Twins: candidates with the same file that people call wrong. One of them stays, since red noise
  would otherwise show an image twice.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.images.near_duplicates import near_duplicate_pairs
from cnlw_tools.store.placeholders import read_known_placeholders
from cnlw_tools.store.store import Store

MIN_IDS = 10  # a file that this many ids share is a placeholder

Fingerprints = NDArray[np.uint8]


def find_exclusions(
    store: Store,
    validation_fingerprints: Fingerprints | None = None,
    min_ids: int = MIN_IDS,
) -> dict[str, str]:
    """Return the ids of images to exclude, each with the reason.

    Args:
        store: the fetched images
        validation_fingerprints: (n, 16) of the validation images; see `pixels.fingerprint`
        min_ids: a file that this many ids share is a placeholder
    """
    images = list(store.fingerprints())
    shared_files = store.shared_files(min_ids)
    known_placeholders = read_known_placeholders(store.folder)
    reasons = {}
    for image_id, digest, _ in images:
        if digest in known_placeholders:
            description = known_placeholders[digest] or "on a list of known ones"
            reasons[image_id] = f"placeholder: {description}"
        elif digest in shared_files:
            reasons[image_id] = f"placeholder: one file for {shared_files[digest]} ids"
    if validation_fingerprints is None or not len(validation_fingerprints) or not images:
        return reasons
    joined = b"".join(fingerprint for _, _, fingerprint in images)
    fingerprints = np.frombuffer(joined, np.uint8).reshape(-1, 16)
    copies = _is_near_reference(fingerprints, validation_fingerprints)
    for row in np.flatnonzero(copies):
        image_id = images[row][0]
        reasons[image_id] = "near duplicate of a validation image"
    return reasons


def find_twins(votes: pa.Table, digests: Mapping[str, str]) -> set[str]:
    """Return the candidates whose file another candidate has, too, if both have a vote of no.

    Of such candidates, the one with the most votes of no, less those of yes, is left out of the
    result; of equal ones, the one with the first id. Without a vote of no, a candidate never
    becomes noise, so nothing else changes.

    Args:
        votes: on the candidates
        digests: the sha256 of the file of each candidate that is there, by its id
    """
    n_ids = Counter(digests.values())
    shared = [image_id for image_id, digest in digests.items() if n_ids[digest] > 1]
    votes_on_shared = votes.filter(pc.is_in(votes["image_id"], pa.array(shared, pa.string())))
    balance: Counter[str] = Counter()
    has_no = set()
    for vote in votes_on_shared.select(["image_id", "correct"]).to_pylist():
        if vote["correct"] is None:
            continue
        balance[vote["image_id"]] += -1 if vote["correct"] else 1
        if not vote["correct"]:
            has_no.add(vote["image_id"])
    twins = defaultdict(list)
    for image_id in sorted(has_no):
        twins[digests[image_id]].append(image_id)
    surplus: set[str] = set()
    for image_ids in twins.values():
        kept = max(image_ids, key=balance.__getitem__)
        surplus.update(image_id for image_id in image_ids if image_id != kept)
    return surplus


def _is_near_reference(fingerprints: Fingerprints, references: Fingerprints) -> NDArray[np.bool_]:
    """Return (m,) which of the (m, 16) fingerprints are near one of the (n, 16) references."""
    distinct, group = np.unique(fingerprints, axis=0, return_inverse=True)
    n = len(references)
    pairs = near_duplicate_pairs(np.concatenate([references, distinct]))
    is_mixed = (pairs[:, 0] < n) & (pairs[:, 1] >= n)
    near_distinct = pairs[is_mixed, 1] - n
    is_near = np.zeros(len(distinct), bool)
    is_near[near_distinct] = True
    return is_near[group.reshape(-1)]
