"""Which pictures of a build look alike: groups of images that near duplicates connect.

Two images are near duplicates if their fingerprints differ in at most 3 bits
(images/near_duplicates.py). If a looks like b, and b like c, all three are of one group. An image
that is stored twice, under two labels, is no duplicate of itself.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cnlw_tools.browser.items import Column, ListColumn, NumberColumn, TextColumn
from cnlw_tools.browser.numbered_pictures import Pictures, name_errors
from cnlw_tools.executor import Progress, no_progress
from cnlw_tools.images.near_duplicates import near_duplicate_pairs
from cnlw_tools.images.pixels import decode, fingerprint

STATES = ("none", "with a near duplicate")
Ints = NDArray[np.int64]


def find_groups(
    image_ids: pa.ChunkedArray, pictures: Pictures, progress: Progress = no_progress
) -> Ints:
    """Return (n,) the number of the group of each picture from 1; 0: nothing looks like it.

    Args:
        image_ids: (n,) of the pictures; of equal ones, the first picture is looked at
        pictures: of these ids
        progress: is told how many pictures were read

    Raises:
        ValueError, OSError: a picture cannot be read
    """
    encoded = image_ids.combine_chunks().dictionary_encode()
    image = encoded.indices.to_numpy().astype(np.int64)
    _, first_picture = np.unique(image, return_index=True)
    prints = np.empty((len(first_picture), 16), np.uint8)
    for number in np.argsort(first_picture):  # in the order in which they are stored
        first = int(first_picture[number])
        with name_errors(image_ids[first].as_py()):
            picture = pictures.read(first)
            prints[number] = np.frombuffer(fingerprint(decode(picture.data)), np.uint8)
        progress("pictures", int(number) + 1, len(first_picture))
    groups: Ints = _connect(near_duplicate_pairs(prints), len(prints))[image]
    return groups


def duplicate_columns(image_ids: pa.ChunkedArray, groups: Ints) -> dict[str, Column]:
    """Return whether a picture has near duplicates, its group, and the ids of the group.

    Args:
        image_ids: (n,)
        groups: (n,) of `find_groups`
    """
    ids = image_ids.to_pylist()
    members: list[dict[str, None]] = [{} for _ in range(int(groups.max(initial=0)) + 1)]
    for row in np.flatnonzero(groups):
        members[groups[row]][ids[row]] = None
    names = [name for group in members for name in group]
    starts = np.concatenate([[0], np.cumsum([len(group) for group in members])])
    order = np.where(groups > 0, groups, np.nan)
    return {
        "duplicates": TextColumn(STATES, (groups > 0).astype(np.int64)),
        "group": NumberColumn(order),
        "twins": ListColumn({"id": TextColumn(names, np.arange(len(names)))}, starts, groups),
    }


def _connect(pairs: NDArray[np.integer], n: int) -> Ints:
    """Return (n,) the number of the group of each image from 1; 0: it is in no pair.

    Args:
        pairs: (pairs, 2) images
        n: number of images
    """
    parent = list(range(n))

    def find_root(image: int) -> int:
        while parent[image] != image:
            parent[image] = parent[parent[image]]
            image = parent[image]
        return image

    for first, second in pairs.tolist():
        roots = find_root(first), find_root(second)
        parent[max(roots)] = min(roots)
    groups = np.zeros(n, np.int64)
    number_of_root: dict[int, int] = {}
    for image in np.unique(pairs).tolist():
        root = find_root(image)
        groups[image] = number_of_root.setdefault(root, len(number_of_root) + 1)
    return groups
