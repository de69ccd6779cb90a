"""A dataset is four tables in two folders, and sometimes more: this module reads and checks them.

    manifests/<name>/classes.csv         label, name
    manifests/<name>/base.parquet        clean images; absent where a source makes it from images
    manifests/<name>/web.parquet         candidates from the web; optional
    annotations/<name>/votes.parquet     votes on the candidates; optional
    annotations/<name>/side.parquet      per-image data that some noise needs; optional
    annotations/<name>/official.parquet  published splits, image by image; optional
    annotations/<name>/withdrawn.parquet images that builds leave out; optional

A build keeps the same files in its own ``tables/``, with ``donor_<name>.parquet`` for the images
of each other dataset that noise took some of: ingest/donors.py.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cnlw_tools.dataset import hashing, tables
from cnlw_tools.dataset.row_numbers import find_values
from cnlw_tools.dataset.side_table import read_side_table
from cnlw_tools.dataset.table_io import cast_column, reject_bad_rows
from cnlw_tools.dataset.verdicts import wrong_candidates
from cnlw_tools.dataset.withdrawal import (
    WITHDRAWN,
    mark_candidates,
    read_withdrawn,
    remove_rows,
    withhold,
)
from cnlw_tools.files.parquet import read_schema
from cnlw_tools.files.roots import root_chain, suggest_root
from cnlw_tools.registry import pick, suggest

DONOR_PREFIX = "donor_"  # of the file of a donor's table
NEAREST_CLASS = "looks_like"  # column of a donor's table: the class that an image looks most like


@dataclass(frozen=True)
class Dataset:
    """The checked tables of one dataset."""

    name: str
    classes: tuple[str, ...]
    base: pa.Table | None  # None: the source makes it from the images
    web: pa.Table
    votes: pa.Table
    side_table: pa.Table | None = None
    published_splits: pa.Table | None = None
    donors: Mapping[str, pa.Table] = field(default_factory=dict)  # manifests; ids begin with a name
    withdrawn: pa.Table | None = None  # ids of images that builds leave out
    derived: dict[tuple[Any, ...], pa.Table] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )  # tables that were made from these and are asked for again, by what they are

    @cached_property
    def digests(self) -> dict[str, str]:
        """The digest of every table's rows, by the name of its file."""
        class_names = pa.table({"name": pa.array(self.classes, pa.string())})
        digests = {"classes": hashing.digest(class_names)}
        for name, table in self.tables_by_file_name().items():
            digests[name] = hashing.digest(table)
        return digests

    @property
    def source(self) -> str:
        """The name of the source that reads the images.

        It is the name of the dataset, unless the base manifest names another source.
        """
        if self.base is None:
            return self.name
        return _read_info(self.base, self.name, f"{self.name}: the base manifest").source

    @property
    def has_validation(self) -> bool:
        """Whether the base manifest has a split `validation`."""
        return self.base is not None and "validation" in pc.unique(self.base["split"]).to_pylist()

    @property
    def imported_validation(self) -> int:
        """Percent of each class that the import moved from train to validation; 0: it did not."""
        if self.base is None:
            return 0
        return _read_info(self.base, self.name, f"{self.name}: the base manifest").validation

    def tables_by_file_name(self) -> dict[str, pa.Table]:
        """Return all tables but the classes, by the name of their file, without suffix."""
        optional_tables = {
            "base": self.base,
            "web": self.web,
            "votes": self.votes,
            "side": self.side_table,
            "official": self.published_splits,
            WITHDRAWN: self.withdrawn,
        }
        by_file_name = {name: table for name, table in optional_tables.items() if table is not None}
        for name, table in self.donors.items():
            by_file_name[DONOR_PREFIX + name] = table
        return by_file_name

    def web_pool(
        self,
        min_votes: int,
        verdict: str = "majority",
        search: tuple[str, ...] = (),
    ) -> pa.Table:
        """Return the candidates that people judged wrong: what red noise may use.

        Args:
            min_votes: votes that a verdict takes
            verdict: the rule of verdicts
            search: the kinds of search that found the candidates; all if empty

        Raises:
            LookupError: there is no such rule of verdicts, or no candidate from such a search
            ValueError: the candidates have no column ``search``, or a vote names no annotator and
                the rule needs it
        """
        key = ("web pool", min_votes, verdict, search)
        if key not in self.derived:
            candidates = self._candidates_from(search)
            pool = wrong_candidates(candidates, self.votes, min_votes, verdict)
            self.derived[key] = withhold(pool)
        return self.derived[key]

    def _candidates_from(self, search: tuple[str, ...]) -> pa.Table:
        """Return the candidates that these kinds of search found; all if none is given."""
        if not search:
            return self.web
        path = f"{self.name}: web.parquet"
        if "search" not in self.web.column_names:
            raise ValueError(
                f"{path}: there is no column 'search', which says how images were found: add it, "
                f"or omit search = {list(search)}"
            )
        column = cast_column(path, pa.field("search", pa.string()), self.web["search"])
        existing = dict.fromkeys(pc.unique(column).drop_null().to_pylist())
        for kind in search:
            pick(existing, kind, "search")
        return self.web.filter(pc.is_in(column, pa.array(search)))

    def with_base(
        self,
        base: pa.Table,
        path: str,
    ) -> "Dataset":
        """Return the dataset with the base manifest that a source made; ``path`` is for errors.

        Raises:
            ValueError: it is not a manifest, or an image of it is among the candidates
        """
        checked_base = tables.check_manifest(base, path, len(self.classes))
        _check_disjoint(checked_base, self.web, path)
        return replace(self, base=checked_base)

    def with_web(
        self,
        web: pa.Table,
        votes: pa.Table,
        path: str,
    ) -> "Dataset":
        """Return the dataset with a source's candidates and votes; ``path`` is for errors.

        Raises:
            ValueError: they are not such tables, or a candidate is an image of the base manifest
        """
        web = tables.check_manifest(web, path, len(self.classes), web=True)
        votes = tables.check_votes(votes, path, web)
        if self.base is not None:
            _check_disjoint(self.base, web, path)
        return replace(self, web=web, votes=votes)

    def with_unavailable(self, is_unavailable: pa.ChunkedArray) -> "Dataset":
        """Return the dataset with candidates marked as unavailable, in their column ``dead``.

        Args:
            is_unavailable: (n,) bool, one for each candidate
        """
        web = self.web
        if "dead" in web.column_names:
            web = web.drop_columns(["dead"])
        return replace(self, web=web.append_column("dead", is_unavailable))

    def without_images(self, withdrawn: pa.Table) -> "Dataset":
        """Return the dataset without these images; see withdrawal.py.

        Args:
            withdrawn: the ids of the images, in a column ``image_id``
        """

        def remaining(table: pa.Table | None) -> pa.Table | None:
            return None if table is None else remove_rows(table, withdrawn)

        return replace(
            self,
            base=remaining(self.base),
            web=mark_candidates(self.web, withdrawn),
            side_table=remaining(self.side_table),
            published_splits=remaining(self.published_splits),
            donors={name: remove_rows(table, withdrawn) for name, table in self.donors.items()},
            withdrawn=withdrawn,
        )

    def with_published_splits(
        self,
        published_splits: pa.Table,
        path: str,
    ) -> "Dataset":
        """Return the dataset with published splits; ``path`` is for errors.

        Raises:
            ValueError: they are none; see `tables.check_published_splits`
        """
        checked = tables.check_published_splits(published_splits, path, len(self.classes))
        return replace(self, published_splits=checked)

    def with_side_table(self, path: Path) -> "Dataset":
        """Return the dataset with the side table of a file.

        Row i of an array belongs to the i-th training image in id order.

        Raises:
            ValueError: it is not such a file; see side_table.py
            FileNotFoundError: it does not exist
        """
        base = require_base_manifest(self)
        train = base.filter(pc.equal(base["split"], "train")).sort_by("image_id")
        side_table = read_side_table(path, train["image_id"], train["label"])
        return replace(self, side_table=side_table)


def require_base_manifest(dataset: Dataset) -> pa.Table:
    """Return the base manifest.

    Raises:
        ValueError: it must be made from the images, and these were not given
    """
    if dataset.base is None:
        raise ValueError(
            f"{dataset.name}: the base manifest of this dataset is made from its images: give the "
            "folder of the images with --data-dir"
        )
    return dataset.base


def empty_dataset(name: str, classes: tuple[str, ...]) -> Dataset:
    """Return a dataset that has classes and nothing else.

    Raises:
        ValueError: there is no class, or a name occurs twice
    """
    if not classes:
        raise ValueError(f"{name}: there is no class: give at least one")
    if len(set(classes)) < len(classes):
        duplicate = next(class_name for class_name in classes if classes.count(class_name) > 1)
        raise ValueError(
            f"{name}: two classes are called {duplicate!r}: give every class a different name"
        )
    return Dataset(
        name,
        classes,
        None,
        tables.MANIFEST.empty_table(),
        tables.VOTES.empty_table(),
    )


def dataset_root(name: str, root: Path) -> Path:
    """Return the first root that has a table of a dataset; the one given if none has.

    All tables of a dataset come from one root, so that those of two are never mixed.
    """
    for folder in root_chain(root):
        for tables_folder in (folder / "manifests" / name, folder / "annotations" / name):
            if tables_folder.is_dir():
                return folder
    return root


def has_dataset(name: str, root: Path) -> bool:
    """Return whether a root has a dataset of a name, or the package behind it."""
    is_name = bool(name) and Path(name).name == name  # else it would lead to another folder
    return is_name and (dataset_root(name, root) / "manifests" / name / "classes.csv").exists()


def list_datasets(root: Path) -> list[str]:
    """Return the names of the datasets that a root has, or the package behind it."""
    names: set[str] = set()
    for folder in root_chain(root):
        names.update(path.parent.name for path in folder.glob("manifests/*/classes.csv"))
    return sorted(name for name in names if has_dataset(name, root))


def base_manifest_path(name: str, root: Path) -> Path:
    """Return the path of the base manifest of a dataset."""
    return dataset_root(name, root) / "manifests" / name / "base.parquet"


def read_manifest_info(path: Path, dataset_name: str) -> tables.ManifestInfo:
    """Return what the file of a base manifest says about it, without reading its rows.

    The source is that of the dataset's name where the file names none, or does not exist.

    Raises:
        ValueError: it is not a Parquet file, or says what no manifest says
    """
    if not path.is_file():
        return tables.ManifestInfo(dataset_name)
    schema = read_schema(path, "import the dataset again")
    return _read_info(schema.empty_table(), dataset_name, str(path))


def check_name(name: str, names: Iterable[str], root: Path) -> None:
    """Check that a name is one of those of datasets.

    Args:
        name: what a user calls a dataset
        names: that there are
        root: where the dataset was looked up

    Raises:
        LookupError: there is no such dataset; the message lists those there are, and says which
            --root has it
    """
    names = list(names)
    if name not in names:
        other_root = suggest_root(root, Path("manifests") / name)
        roots = " and ".join(map(str, root_chain(root)))
        raise LookupError(
            f"unknown dataset {name!r}.{suggest(name, names)}{other_root} "
            f"The choices are: {', '.join(names)} (in {roots})"
        )


def require_dataset(name: str, root: Path) -> None:
    """Check that a root has a dataset of a name, or the package behind it.

    Raises:
        LookupError: there is no such dataset; see `check_name`
    """
    if not has_dataset(name, root):
        check_name(name, list_datasets(root), root)


def check_writable(name: str, root: Path) -> None:
    """Check that a root has a dataset itself, so that tables can be added to it.

    Raises:
        LookupError: no such dataset, or only the package has it
    """
    require_dataset(name, root)
    if dataset_root(name, root) != root:
        raise LookupError(
            f"{root}: the dataset {name!r} comes with the package and is never changed: "
            f"copy its folders in manifests/ and annotations/ from {dataset_root(name, root)} "
            f"into {root}"
        )


def read_dataset(name: str, root: Path) -> Dataset:
    """Read a dataset of a root, or of the package behind it.

    Raises:
        LookupError: no such dataset
        ValueError: a table is not what it should be; see tables.py
    """
    require_dataset(name, root)
    folder = dataset_root(name, root)
    return read_tables(name, folder / "manifests" / name, folder / "annotations" / name)


def read_tables(
    name: str,
    manifests: Path,
    annotations: Path,
) -> Dataset:
    """Read the tables of one dataset from the two folders that hold them.

    Raises:
        ValueError: a table is not what it should be; see tables.py
    """
    classes = tables.read_classes(manifests / "classes.csv")
    base_path = manifests / "base.parquet"
    side_path = annotations / "side.parquet"
    published_path = annotations / "official.parquet"
    withdrawn_path = annotations / f"{WITHDRAWN}.parquet"

    base = side = published_splits = withdrawn = None
    if _table_exists(base_path):
        base = tables.read_manifest(base_path, len(classes))
    web = _read_web(manifests, len(classes))
    votes = _read_votes(annotations, web)
    if _table_exists(side_path):
        side = read_side_table(side_path)
    if base is not None:
        _check_disjoint(base, web, str(manifests / "web.parquet"))
    donors = {}
    for path in sorted(manifests.glob(f"{DONOR_PREFIX}*")):
        manifest = tables.read_manifest(path, tables.MAX_CLASSES)
        donors[path.stem.removeprefix(DONOR_PREFIX)] = manifest
    if _table_exists(published_path):
        published_splits = tables.read_published_splits(published_path, len(classes))
    if _table_exists(withdrawn_path):
        withdrawn = read_withdrawn(withdrawn_path)
    return Dataset(
        name,
        classes,
        base,
        web,
        votes,
        side,
        published_splits,
        donors,
        withdrawn,
    )


def write_tables(
    dataset: Dataset,
    folder: Path,
    overwrite: bool = True,
) -> None:
    """Write all tables of a dataset into one folder.

    Without ``overwrite``, tables that exist already are not changed.
    """
    classes_path = folder / "classes.csv"
    if overwrite or not classes_path.exists():
        labels = pa.array(range(len(dataset.classes)), pa.int32())
        classes = pa.table({"label": labels, "name": list(dataset.classes)})
        tables.write_csv(classes, classes_path)
    for name, table in dataset.tables_by_file_name().items():
        path = folder / f"{name}.parquet"
        if len(table) and (overwrite or not path.exists()):
            tables.write_parquet(table, path)


def _read_info(base: pa.Table, dataset_name: str, path: str) -> tables.ManifestInfo:
    """Return what a base manifest says, with the source of the dataset's name if it names none."""
    info = tables.read_info(tables.ManifestInfo, base, path, "import the dataset again")
    return replace(info, source=info.source or dataset_name)


def _read_web(manifests: Path, n_classes: int) -> pa.Table:
    """Return the candidates; without rows, and so without further columns, where there are none."""
    path = manifests / "web.parquet"
    if _table_exists(path):
        web = tables.read_manifest(path, n_classes, web=True)
        if len(web):
            return web
    return tables.MANIFEST.empty_table()


def _read_votes(annotations: Path, web: pa.Table) -> pa.Table:
    """Return the votes; without rows, and so without further columns, where there are none."""
    path = annotations / "votes.parquet"
    if _table_exists(path):
        votes = tables.read_votes(path, web)
        if len(votes):
            return votes
    return tables.VOTES.empty_table()


def _check_disjoint(
    base: pa.Table,
    web: pa.Table,
    path: str,
) -> None:
    """Insist that no base image is a candidate: it could take a slot beside its own one."""
    if not len(web):
        return
    in_both = find_values(web["image_id"], base["image_id"]) >= 0
    remedy = "a candidate may not be an image of the base manifest: remove it"
    reject_bad_rows(
        path,
        "image_id",
        in_both,
        web["image_id"],
        remedy,
    )


def _table_exists(path: Path) -> bool:
    """Tell whether a table exists; a broken link counts, so that reading it is an error.

    Raises:
        ValueError: a CSV file stands in its place, which would not be read
    """
    csv_path = path.with_suffix(".csv")
    if not path.exists() and csv_path.exists():
        raise ValueError(f"{csv_path}: this table must be a Parquet file: store it as {path.name}")
    return path.exists() or path.is_symlink()
