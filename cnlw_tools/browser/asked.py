"""Which candidates people are asked about, for commands that open no page."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cnlw_tools.browser.candidates import find_available, find_copies
from cnlw_tools.ingest.label_studio import count_answers
from cnlw_tools.store.pack import open_store

Flags = NDArray[np.bool_]


class AskedCandidates(NamedTuple):
    """The candidates that people are asked about, as the page for votes chooses them."""

    is_asked: Flags  # (n,) by row of the web manifest
    n_unavailable: int  # without an image, withdrawn, or with one that builds do not use
    n_copies: int  # that look like another candidate of their class


def find_asked(web: pa.Table, votes: pa.Table, store_place: Path | str | None) -> AskedCandidates:
    """Return which candidates people are asked about.

    Args:
        web: the candidates
        votes: all votes on them so far
        store_place: folder or address of their images; none: all of them count as available

    Raises:
        OSError, ValueError: there is no store, or it cannot be read
    """
    if store_place is None:
        is_available = find_available(web, None)
        n_unavailable = int(np.count_nonzero(~is_available))
        return AskedCandidates(is_available, n_unavailable, n_copies=0)
    with open_store(store_place) as store:
        is_available = find_available(web, store)
        is_copy = find_copies(web, store, is_available, count_answers(web, votes))
    return AskedCandidates(
        is_available & ~is_copy,
        n_unavailable=int(np.count_nonzero(~is_available)),
        n_copies=int(np.count_nonzero(is_copy)),
    )
