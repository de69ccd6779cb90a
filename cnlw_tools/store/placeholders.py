"""Lists of known placeholders: pictures that a site sends where an image is gone, by their sha256.

A list is a CSV file with the columns `sha256` and, for human readers, `what`. The list of the
package is short: it has only files that several independent programs look for. A user's own list is
copied into the store, so that every build from this store leaves out the same files.
"""

import csv
import re
from pathlib import Path

from cnlw_tools.files import atomic_write
from cnlw_tools.files.texts import read_csv_rows
from cnlw_tools.store.store import Store

FILE_NAME = "placeholders.csv"  # in a store, and beside this module
PACKAGE_LIST = Path(__file__).with_name(FILE_NAME)
SHA256 = re.compile("[0-9a-fA-F]{64}")


def read_list(path: Path) -> dict[str, str]:
    """Return a list: sha256 -> description, which may be empty.

    Raises:
        OSError: there is no such file
        ValueError: a line has no valid sha256
    """
    descriptions = {}
    for line, row in enumerate(read_csv_rows(path), 2):
        digest = row.get("sha256", "")
        if not SHA256.fullmatch(digest):
            raise ValueError(
                f"{path}: line {line} has no sha256. Fix: write 64 hex digits into the column "
                "sha256"
            )
        descriptions[digest.lower()] = row.get("what", "")
    return descriptions


def read_known_placeholders(store_folder: Path) -> dict[str, str]:
    """Return the placeholders of the package and those that were added to a store."""
    placeholders = read_list(PACKAGE_LIST)
    store_list = store_folder / FILE_NAME
    if store_list.is_file():
        placeholders |= read_list(store_list)
    return placeholders


def add_placeholders(path: Path, store_folder: Path) -> None:
    """Add the placeholders of a user's list to a store."""
    placeholders = read_known_placeholders(store_folder) | read_list(path)
    for digest in read_list(PACKAGE_LIST):
        placeholders.pop(digest, None)
    store_list = store_folder / FILE_NAME
    with atomic_write(store_list) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["sha256", "what"])
        writer.writerows(sorted(placeholders.items()))


def count_placeholders(store: Store, min_ids: int) -> int:
    """Return how many images are placeholders: on a list, or a file that ``min_ids`` ids share."""
    shared_files = store.shared_files(min_ids)
    known_placeholders = read_known_placeholders(store.folder)
    remaining = sorted(known_placeholders.keys() - shared_files.keys())
    return sum(shared_files.values()) + store.count_images_with_sha256(remaining)
