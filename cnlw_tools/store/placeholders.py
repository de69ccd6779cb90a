"""Known placeholder pictures: the sha256 of files that sites send where an image is gone.

A list is a csv with the columns `sha256` and, for readers, `what`. Ours has only what several independent programs
look for; it is short. A user's own lie in the store, so that a build from it leaves out the same files everywhere.
"""

import csv
import re
from pathlib import Path

from cnlw_tools.files import atomic_write
from cnlw_tools.store.store import Store

OURS = Path(__file__).with_name("placeholders.csv")
THEIRS = "placeholders.csv"  # in a store


def read(path: Path) -> dict[str, str]:
    """Return what each file of a list is, by its sha256.

    Raises:
        OSError: there is no such list
        ValueError: a line without a sha256
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for line, row in enumerate(rows, 2):
        if not re.fullmatch("[0-9a-fA-F]{64}", row.get("sha256") or ""):
            raise ValueError(
                f"{path}: line {line}: no sha256, 64 hex digits in a column of that name: mend it"
            )
    return {row["sha256"].lower(): row.get("what") or "" for row in rows}


def known(store: Path) -> dict[str, str]:
    """Return the placeholders that are known for a store: ours, and those of its user."""
    theirs = store / THEIRS
    return read(OURS) | (read(theirs) if theirs.is_file() else {})


def count(store: Store, shared: int) -> int:
    """Return how many images are placeholders: of known files, or of files that so many ids have in common."""
    common = store.repeated(shared)
    rest = sorted(known(store.folder).keys() - common.keys())
    ask = f"SELECT count(*) FROM ledger WHERE class = 'ok' AND sha256 IN ({', '.join('?' * len(rest))})"  # noqa: S608
    return sum(common.values()) + int(next(store.query(ask, rest))[0])


def note(path: Path, store: Path) -> None:
    """Add a user's list to those that a store knows."""
    found = {k: what for k, what in (known(store) | read(path)).items() if k not in read(OURS)}
    with (
        atomic_write(store / THEIRS) as draft,
        draft.open("w", encoding="utf-8", newline="") as file,
    ):
        out = csv.writer(file, lineterminator="\n")
        out.writerows([("sha256", "what"), *sorted(found.items())])
