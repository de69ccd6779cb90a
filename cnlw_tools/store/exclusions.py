"""What of a store should not become data: placeholders ("photo unavailable"), and copies of validation images.

A placeholder is a file that many ids have in common, or one that is known (placeholders.py). A copy has a fingerprint
that differs from a validation image's in at most 3 bits.
"""

import numpy as np
from numpy.typing import NDArray

from cnlw_tools.images import near_duplicates
from cnlw_tools.store import placeholders
from cnlw_tools.store.store import Store

SHARED = 10  # ids with one and the same file


def find_exclusions(
    store: Store, validation_fingerprints: NDArray[np.uint8] | None = None, min_ids: int = SHARED
) -> dict[str, str]:
    """Return image ids that should stay out of a pool, and why.

    Args:
        store: what was fetched
        validation_fingerprints: (n, 16) fingerprints of validation images; see `images.fingerprint`
        min_ids: how many ids make a file a placeholder
    """
    ask = "SELECT image_id, sha256, fingerprint FROM ledger WHERE class = 'ok' ORDER BY image_id"
    rows, common = list(store.query(ask)), store.repeated(min_ids)
    found = {
        i: f"placeholder: one file of {common[digest]} ids"
        for i, digest, _ in rows
        if digest in common
    }
    known = placeholders.known(store.folder)
    found |= {
        i: f"placeholder: {known[digest] or 'a known one'}"
        for i, digest, _ in rows
        if digest in known
    }
    if validation_fingerprints is not None and len(validation_fingerprints) and rows:
        prints = np.frombuffer(b"".join(row[2] for row in rows), np.uint8).reshape(-1, 16)
        found |= {
            rows[i][0]: "like a validation image"
            for i in np.flatnonzero(_near(prints, validation_fingerprints))
        }
    return found


def _near(prints: NDArray[np.uint8], beside: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of the (m, 16) fingerprints are like one of the (n, 16)?"""
    distinct, which = np.unique(prints, axis=0, return_inverse=True)
    pairs = near_duplicates.near_duplicate_pairs(np.concatenate([beside, distinct]))
    n = len(beside)
    near = np.zeros(len(distinct), bool)
    near[pairs[(pairs[:, 0] < n) & (pairs[:, 1] >= n), 1] - n] = True
    return near[which.reshape(-1)]
