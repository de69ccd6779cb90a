"""Exclusions: fetched images that must not become data.

- Placeholders ("photo unavailable"): a file that many image ids share, or one that is on a list of
  known placeholders (see placeholders.py).
- Copies of validation images: their fingerprint differs from that of a validation image in at most
  3 bits.
"""

import numpy as np
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
