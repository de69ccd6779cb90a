"""A dataset is four tables in two folders, and maybe a fifth; this is where they are found and checked.

    manifests/<name>/classes.csv     label, name; absent where the source knows them
    manifests/<name>/base.parquet    the clean images; absent where the source makes it from the user's copy
    manifests/<name>/web.parquet     the web's candidates; optional
    annotations/<name>/votes.parquet what people said of them; optional
    annotations/<name>/side.parquet  per-image data that some noise asks for, side_table.py; optional
    annotations/<name>/official.parquet  published splits, image by image; optional

A build keeps the same in its own ``tables/``, and beside them ``donor_<name>.parquet``, the images of each dataset that
noise took some of, ids and all: ingest/donors.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cnlw_tools import hashing
from cnlw_tools.dataset import side_table, table_io, tables
from cnlw_tools.dataset.verdicts import judged_wrong
from cnlw_tools.registry import pick, suggest

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
    official: pa.Table | None = None
    donors: Mapping[str, pa.Table] = field(
        default_factory=dict
    )  # their manifests, ids with the name before
    _pools: dict[tuple[Any, ...], pa.Table] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def digests(self) -> dict[str, str]:
        """Identify every table by its rows."""
        classes = pa.table({"name": pa.array(self.classes, pa.string())})
        found = {
            "classes": classes,
            "base": self.base,
            "web": self.web,
            "votes": self.votes,
            "side": self.side,
        }
        found |= {"official": self.official}
        found |= {f"{DONOR}{name}": table for name, table in self.donors.items()}
        return {name: hashing.digest(table) for name, table in found.items() if table is not None}

    @property
    def source(self) -> str:
        """Say which source reads its images: the one of its name, unless its base manifest names another."""
        if self.base is None:
            return self.name
        return _source(self.base, self.name, f"{self.name}: the base manifest")

    def pool(
        self, min_votes: int, verdict: str = "majority", search: tuple[str, ...] = ()
    ) -> pa.Table:
        """Return the candidates that people judged wrong: what red noise may use.

        Raises:
            LookupError: there is no such rule of verdicts, or no candidate was found by such a search
            ValueError: the candidates do not say how they were found, or the votes not by whom they are
        """
        key = (min_votes, verdict, search)
        if key not in self._pools:
            self._pools[key] = judged_wrong(self._found_by(search), self.votes, min_votes, verdict)
        return self._pools[key]

    def _found_by(self, search: tuple[str, ...]) -> pa.Table:
        """Return the candidates whose column ``search`` says one of these; all where none is asked for."""
        if not search:
            return self.web
        where = f"{self.name}: web.parquet"
        if "search" not in self.web.column_names:
            asked = f"search = {list(search)}"
            raise ValueError(
                f"{where}: no column 'search' says how images were found: add it, or leave out {asked}"
            )
        found = table_io.cast(where, pa.field("search", pa.string()), self.web["search"])
        for word in search:
            pick(dict.fromkeys(pc.unique(found).drop_null().to_pylist()), word, "search")
        return self.web.filter(pc.is_in(found, pa.array(search)))

    def with_base(self, base: pa.Table, source: str) -> "Dataset":
        """Return the dataset with a base manifest that a source made.

        Raises:
            ValueError: it is no manifest, or an image of it is among the candidates
        """
        checked = tables.check_manifest(base, source, len(self.classes))
        _apart(checked, self.web, source)
        return replace(self, base=checked)

    def with_web(self, web: pa.Table, votes: pa.Table, source: str) -> "Dataset":
        """Return the dataset with candidates that a source found, and what was said of them.

        Raises:
            ValueError: they are no such tables, or a candidate is an image of the base manifest
        """
        web = tables.check_manifest(web, source, len(self.classes), web=True)
        votes = tables.check_votes(votes, source, web)
        if self.base is not None:
            _apart(self.base, web, source)
        return replace(self, web=web, votes=votes)

    def with_dead(self, dead: pa.ChunkedArray) -> "Dataset":
        """Return the dataset with candidates of which these, (n,) bool, cannot be had."""
        kept = self.web.drop_columns(["dead"]) if "dead" in self.web.column_names else self.web
        return replace(self, web=kept.append_column("dead", dead))

    def with_official(self, official: pa.Table, source: str) -> "Dataset":
        """Return the dataset with published splits.

        Raises:
            ValueError: they are none; see tables.check_official
        """
        return replace(self, official=tables.check_official(official, source, len(self.classes)))

    def with_side(self, path: Path) -> "Dataset":
        """Return the dataset with the per-image data of a file; rows of an array are the training images in id order.

        Raises:
            ValueError: it is no such file; see side_table.py
            FileNotFoundError: it is not there
        """
        base = known_base(self)
        train = base.filter(pc.equal(base["split"], "train"))["image_id"]
        return replace(self, side=side_table.read(path, train.take(pc.sort_indices(train))))


def known_base(found: Dataset) -> pa.Table:
    """Return the base manifest.

    Raises:
        ValueError: it comes from the images, and they were not given
    """
    if found.base is None:
        raise ValueError(f"{found.name}: its base manifest comes from the images: give --data-dir")
    return found.base


def bare(name: str, classes: tuple[str, ...]) -> Dataset:
    """Return a dataset of which nothing but the classes is known.

    Raises:
        ValueError: there is no class, or a name comes twice
    """
    if len(set(classes)) < len(classes) or not classes:
        twice = next((c for c in classes if classes.count(c) > 1), None)
        said = "there is no class" if twice is None else f"two classes are called {twice!r}"
        raise ValueError(f"{name}: {said}: give each a name of its own")
    return Dataset(name, classes, None, tables.MANIFEST.empty_table(), tables.VOTES.empty_table())


def names(root: Path) -> list[str]:
    """Return the names of the datasets that lie under a root."""
    return sorted(p.parent.name for p in root.glob("manifests/*/classes.csv"))


def source(name: str, root: Path) -> str:
    """Say which source reads a dataset's images, without reading its tables."""
    path = root / "manifests" / name / "base.parquet"
    if not path.is_file():
        return name
    return _source(pq.read_schema(path).empty_table(), name, str(path))


def _source(base: pa.Table, name: str, path: str) -> str:
    """Return the source that a base manifest names, or the name of its dataset."""
    info = tables.read_info(tables.ManifestInfo, base, path, "import the dataset again")
    return info.source or name


def load(name: str, root: Path) -> Dataset:
    """Read a dataset of the project, or of a folder laid out like it.

    Raises:
        LookupError: no such dataset
        ValueError: a table is not what it should be; see tables.py
    """
    known = names(root)
    if name not in known:
        raise LookupError(
            f"unknown dataset {name!r}.{suggest(name, known)} There are: {', '.join(known)} (in {root})"
        )
    return read(name, root / "manifests" / name, root / "annotations" / name)


def read(name: str, manifests: Path, annotations: Path) -> Dataset:
    """Read the tables of one dataset from the folders that hold them.

    Raises:
        ValueError: a table is not what it should be; see tables.py
    """
    classes = tables.read_classes(manifests / "classes.csv")
    count = len(classes)
    base, web, votes = (
        manifests / "base.parquet",
        manifests / "web.parquet",
        annotations / "votes.parquet",
    )
    clean = tables.read_manifest(base, count) if _there(base) else None
    candidates = (
        tables.read_manifest(web, count, web=True) if _there(web) else tables.MANIFEST.empty_table()
    )
    candidates = candidates if len(candidates) else tables.MANIFEST.empty_table()
    said = tables.read_votes(votes, candidates) if _there(votes) else tables.VOTES.empty_table()
    said = said if len(said) else tables.VOTES.empty_table()
    side = annotations / "side.parquet"
    if clean is not None:
        _apart(clean, candidates, str(web))
    donors = {
        p.stem.removeprefix(DONOR): tables.read_manifest(p, 1 << 31)
        for p in sorted(manifests.glob(f"{DONOR}*"))
    }
    lists = annotations / "official.parquet"
    official = tables.read_official(lists, count) if _there(lists) else None
    return Dataset(
        name,
        classes,
        clean,
        candidates,
        said,
        side_table.read(side) if _there(side) else None,
        official,
        donors,
    )


def _apart(base: pa.Table, web: pa.Table, where: str) -> None:
    """Insist that no image is both: it could take a slot of a config in which it already has its own."""
    both = pc.is_in(web["image_id"], pc.unique(base["image_id"])).to_numpy()
    remedy = "a candidate may not be an image of the base manifest: drop it"
    table_io.first(where, "image_id", both, web["image_id"], remedy)


def _there(path: Path) -> bool:
    """Is the table there? One of another kind in its place is not passed over."""
    if not path.exists() and path.with_suffix(".csv").exists():
        raise ValueError(
            f"{path.with_suffix('.csv')}: this table is read as Parquet: store it as {path.name}"
        )
    return path.exists() or path.is_symlink()


def write(dataset: Dataset, folder: Path, anew: bool = True) -> None:
    """Write all tables of a dataset into one folder; ``anew = False``: only the ones that are not there."""
    labels = pa.array(range(len(dataset.classes)), pa.int32())
    if anew or not (folder / "classes.csv").exists():
        tables.write_csv(
            pa.table({"label": labels, "name": list(dataset.classes)}), folder / "classes.csv"
        )
    found = {"base": dataset.base, "web": dataset.web, "votes": dataset.votes, "side": dataset.side}
    found |= {"official": dataset.official}
    found |= {f"{DONOR}{name}": table for name, table in dataset.donors.items()}
    for name, table in found.items():
        path = folder / f"{name}.parquet"
        if table is not None and len(table) and (anew or not path.exists()):
            tables.write(table, path)
