"""A dataset is four tables in two folders, and maybe a fifth; this is where they are found and checked.

    manifests/<name>/classes.csv     label, name
    manifests/<name>/base.parquet    the clean images; absent where the source makes it from the user's copy
    manifests/<name>/web.parquet     the web's candidates; optional
    annotations/<name>/votes.parquet what people said of them; optional
    annotations/<name>/side.parquet  per-image data that some noise asks for, sides.py; optional

A build keeps the same in its own ``tables/``, and beside them ``donor_<name>.parquet``, the images of each dataset that
noise took some of, ids and all: donors.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cnlw_tools import columns, reading, sides, tables
from cnlw_tools.lookup import suggest
from cnlw_tools.votes import judged_wrong

DONOR = "donor_"  # before the name of its table
LIKE = "looks_like"  # column of a donor's table: the class of the dataset that an image looks like
WHITE = ("white", "white_uniform")  # donors that are no datasets


@dataclass(frozen=True)
class Dataset:
    """The tables of one dataset, checked."""

    name: str
    classes: tuple[str, ...]
    base: pa.Table | None
    web: pa.Table
    votes: pa.Table
    side: pa.Table | None = None
    donors: Mapping[str, pa.Table] = field(default_factory=dict)  # their manifests, ids with the name before
    _pools: dict[int, pa.Table] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def digests(self) -> dict[str, str]:
        """Identify every table by its rows."""
        classes = pa.table({"name": pa.array(self.classes, pa.string())})
        found = {"classes": classes, "base": self.base, "web": self.web, "votes": self.votes, "side": self.side}
        found |= {f"{DONOR}{name}": table for name, table in self.donors.items()}
        return {name: columns.digest(table) for name, table in found.items() if table is not None}

    def pool(self, min_votes: int) -> pa.Table:
        """Return the candidates that people judged wrong: what red noise may use."""
        if min_votes not in self._pools:
            self._pools[min_votes] = judged_wrong(self.web, self.votes, min_votes)
        return self._pools[min_votes]

    def given(self, donors: Sequence[str], likeness: bool) -> pa.Table:
        """Return the training images of some donors: image_id, label, origin, donor (its number among these).

        Args:
            donors: their names
            likeness: their label is the class that they look like; else 0

        Raises:
            ValueError: no such donor is there, it has no image, or nobody knows what its images look like
        """
        parts = []
        for number, name in enumerate(donors):
            if name not in self.donors:
                raise ValueError(f"{self.name}: there are no images of donor {name!r}: give --donor {name}=DIR")
            rows = self.donors[name]
            rows = rows.filter(pc.equal(rows["split"], "train"))
            if not len(rows):
                raise ValueError(f"donor {name!r} has no training images: leave it out")
            if likeness and LIKE not in rows.column_names:
                raise ValueError(f"donor {name!r}: its table has no column {LIKE!r}: build it anew")
            label = rows[LIKE] if likeness else pa.array(np.zeros(len(rows), np.int32))
            kind = pa.array(["white" if name in WHITE else "other"])
            origin = kind.take(pa.array(np.zeros(len(rows), np.int32)))
            which = pa.array(np.full(len(rows), number, np.int32))
            names = ["image_id", "label", "origin", "donor"]
            parts.append(pa.table([rows["image_id"], label, origin, which], names))
        return pa.concat_tables(parts)

    def with_base(self, base: pa.Table, source: str) -> "Dataset":
        """Return the dataset with a base manifest that a source made.

        Raises:
            ValueError: it is no manifest, or an image of it is among the candidates
        """
        checked = tables.check_manifest(base, source, len(self.classes))
        _apart(checked, self.web, source)
        return replace(self, base=checked)

    def with_side(self, path: Path) -> "Dataset":
        """Return the dataset with the per-image data of a file; rows of an array are the training images in id order.

        Raises:
            ValueError: it is no such file; see sides.py
            FileNotFoundError: it is not there
        """
        if self.base is None:
            raise ValueError(f"{self.name}: its base manifest comes from the images: give --data-dir")
        train = self.base.filter(pc.equal(self.base["split"], "train"))["image_id"]
        return replace(self, side=sides.read(path, train.take(pc.sort_indices(train))))


def names(root: Path) -> list[str]:
    """Return the names of the datasets that lie under a root."""
    return sorted(p.parent.name for p in root.glob("manifests/*/classes.csv"))


def load(name: str, root: Path) -> Dataset:
    """Read a dataset of the project, or of a folder laid out like it.

    Raises:
        LookupError: no such dataset
        ValueError: a table is not what it should be; see tables.py
    """
    known = names(root)
    if name not in known:
        raise LookupError(f"unknown dataset {name!r}.{suggest(name, known)} There are: {', '.join(known)} (in {root})")
    return read(name, root / "manifests" / name, root / "annotations" / name)


def read(name: str, manifests: Path, annotations: Path) -> Dataset:
    """Read the tables of one dataset from the folders that hold them.

    Raises:
        ValueError: a table is not what it should be; see tables.py
    """
    classes = tables.read_classes(manifests / "classes.csv")
    count = len(classes)
    base, web, votes = manifests / "base.parquet", manifests / "web.parquet", annotations / "votes.parquet"
    clean = tables.read_manifest(base, count) if _there(base) else None
    candidates = tables.read_manifest(web, count, web=True) if _there(web) else tables.MANIFEST.empty_table()
    candidates = candidates if len(candidates) else tables.MANIFEST.empty_table()
    said = tables.read_votes(votes, candidates) if _there(votes) else tables.VOTES.empty_table()
    said = said if len(said) else tables.VOTES.empty_table()
    side = annotations / "side.parquet"
    if clean is not None:
        _apart(clean, candidates, str(web))
    donors = {p.stem.removeprefix(DONOR): tables.read_manifest(p, 1 << 31) for p in sorted(manifests.glob(f"{DONOR}*"))}
    return Dataset(name, classes, clean, candidates, said, sides.read(side) if _there(side) else None, donors)


def _apart(base: pa.Table, web: pa.Table, where: str) -> None:
    """Insist that no image is both: it could take a slot of a config in which it already has its own."""
    both = pc.is_in(web["image_id"], pc.unique(base["image_id"])).to_numpy()
    remedy = "a candidate may not be an image of the base manifest: drop it"
    reading.first(where, "image_id", both, web["image_id"], remedy)


def _there(path: Path) -> bool:
    """Is the table there? One of another kind in its place is not passed over."""
    if not path.exists() and path.with_suffix(".csv").exists():
        raise ValueError(f"{path.with_suffix('.csv')}: this table is read as Parquet: store it as {path.name}")
    return path.exists() or path.is_symlink()


def write(dataset: Dataset, folder: Path, anew: bool = True) -> None:
    """Write all tables of a dataset into one folder; ``anew = False``: only the ones that are not there."""
    labels = pa.array(range(len(dataset.classes)), pa.int32())
    if anew or not (folder / "classes.csv").exists():
        tables.write_csv(pa.table({"label": labels, "name": list(dataset.classes)}), folder / "classes.csv")
    found = {"base": dataset.base, "web": dataset.web, "votes": dataset.votes, "side": dataset.side}
    found |= {f"{DONOR}{name}": table for name, table in dataset.donors.items()}
    for name, table in found.items():
        path = folder / f"{name}.parquet"
        if table is not None and len(table) and (anew or not path.exists()):
            tables.write(table, path)
