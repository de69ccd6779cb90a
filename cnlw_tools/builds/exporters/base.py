"""What every exporter is given: one config of a build, read from its shards.

An exporter is a function `(config, folder, **options)` that writes the config into an empty folder
and returns notes: what a user must know about the files. Its own options are keyword arguments with
defaults, and the type of a default is binding. The first line of its docstring is what
`cnlw list exporters` says of it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cnlw_tools import files
from cnlw_tools.builds.parquet import COLUMNS, FIELDS, ROWS_PER_GROUP
from cnlw_tools.card.metadata import config_shards, read_card
from cnlw_tools.dataset import tables
from cnlw_tools.dataset.dataset import Dataset, empty_dataset
from cnlw_tools.executor import Progress, no_progress
from cnlw_tools.files.parquet import PARQUET, open_parquet, read_batches, read_table
from cnlw_tools.files.untrusted import translate_errors
from cnlw_tools.recipe.strict import describe_type
from cnlw_tools.registry import pick, suggest

Row = dict[str, Any]  # by the names of ROW_SCHEMA
Exporter = Callable[..., list[str]]  # (config, folder, **options) -> notes

ROW_SCHEMA = pa.schema(FIELDS[1:])  # of a shard, without the image
REMEDY = "see what `cnlw validate` says"


@dataclass(frozen=True, slots=True)
class ExportedSplit:
    """The rows of one split, in the order in which `datasets` reads them."""

    shards: tuple[Path, ...]
    rows: pa.Table  # (n,) of ROW_SCHEMA


@dataclass(frozen=True, slots=True)
class ExportedConfig:
    """One config of a build, with what it holds of each split."""

    build: Path
    dataset_name: str
    classes: tuple[str, ...]  # names in label order
    splits: Mapping[str, ExportedSplit]
    table_digests: Mapping[str, str]  # of the tables, as the card lists them
    progress: Progress = no_progress

    def read_dataset(self) -> Dataset:
        """Read the base manifest that the build was made from.

        Raises:
            ValueError: it is missing or damaged, or is not the one that the card lists
        """
        path = self.build / "tables" / "base.parquet"
        if not path.is_file():
            raise ValueError(f"{path}: the file is missing: {REMEDY}")
        base = tables.read_manifest(path, len(self.classes))
        dataset = empty_dataset(self.dataset_name, self.classes).with_base(base, str(path))
        _check_table(path, dataset, self.table_digests)
        return dataset

    def images(self, split: str) -> Iterator[tuple[Row, bytes]]:
        """Yield each row of a split with its image, the encoded file as it is stored.

        Raises:
            ValueError: a shard cannot be read
        """
        n_rows = {name: len(part.rows) for name, part in self.splits.items()}
        names = [*self.splits]
        earlier_splits = names[: names.index(split)]
        done = sum(n_rows[name] for name in earlier_splits)
        for path in self.splits[split].shards:
            for row, image in _read_images(path):
                yield row, image
                done += 1
                self.progress("images", done, sum(n_rows.values()))


def read_config(build: Path, config: str, progress: Progress = no_progress) -> ExportedConfig:
    """Read what a build holds of a config; images are read when they are asked for.

    Raises:
        ValueError: no build, or a damaged one
        LookupError: no such config
    """
    card = read_card(build)
    config_card = pick(card.configs, config, f"config of {build}")
    class_list = build / "tables" / "classes.csv"
    classes = tables.read_classes(class_list)
    _check_table(class_list, empty_dataset(card.dataset, classes), card.tables)
    splits = {}
    for split, names in config_shards(card, config).items():
        paths = tuple(build / "data" / name for name in names)
        _check_hashes(paths, card.shards)
        rows = _read_rows(paths)
        _check_rows(rows, config_card.rows.get(split), classes, f"{build}: {config}, {split}")
        splits[split] = ExportedSplit(paths, rows)
    return ExportedConfig(build, card.dataset, classes, splits, card.tables, progress)


def exporter_options(exporter: Exporter) -> dict[str, Any]:
    """Return the options of an exporter with their defaults."""
    parameters = signature(exporter).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def check_options(name: str, exporter: Exporter, options: Mapping[str, Any]) -> None:
    """Raise if an exporter does not have one of these options, or not with such a value.

    Raises:
        ValueError: it does not
    """
    defaults = exporter_options(exporter)
    for option, value in options.items():
        if option not in defaults:
            names = ", ".join(defaults) or "none"
            raise ValueError(
                f"exporter {name!r} has no option {option!r}.{suggest(option, defaults)} "
                f"The choices are: {names}"
            )
        kind = type(defaults[option])
        if type(value) is not kind:
            raise ValueError(
                f"exporter {name!r}: option {option} = {value!r} is not allowed: it must be "
                f"{describe_type(kind)}"
            )


def _check_table(path: Path, dataset: Dataset, digests: Mapping[str, str]) -> None:
    """Raise if a table is not the one that the card lists: rows in another order have other labels.

    Raises:
        ValueError: it has other rows
    """
    name = path.stem
    if dataset.digests[name] != digests.get(name):
        raise ValueError(f"{path}: the table is not the one that the card lists: {REMEDY}")


def _check_hashes(paths: tuple[Path, ...], hashes: Mapping[str, str]) -> None:
    """Raise if a shard is not the one that the card lists: another label would go unnoticed.

    Raises:
        ValueError: it is missing, or has other bytes
    """
    for path in paths:
        if not path.is_file():
            raise ValueError(f"{path}: the file is missing: {REMEDY}")
        if files.digest(path) != hashes[path.name]:
            raise ValueError(f"{path}: the file is not the one that its card lists: {REMEDY}")


def _read_rows(paths: tuple[Path, ...]) -> pa.Table:
    """Return the rows of some shards, without their images."""
    parts = [ROW_SCHEMA.empty_table()]
    for path in paths:
        rows = read_table(path, ROW_SCHEMA.names, REMEDY)
        parts.append(rows.replace_schema_metadata())
    with translate_errors(paths[0].parent if paths else "", PARQUET, REMEDY):
        return pa.concat_tables(parts)


def _read_images(path: Path) -> Iterator[tuple[Row, bytes]]:
    """Yield the rows of a shard with their images, a few hundred in memory at a time."""
    with open_parquet(path, REMEDY) as file:
        for batch in read_batches(file, path, ROWS_PER_GROUP, [*COLUMNS], REMEDY):
            for row in batch.to_pylist():
                image = row.pop("image")
                yield row, image["bytes"]


def _check_rows(rows: pa.Table, expected: int | None, classes: tuple[str, ...], place: str) -> None:
    """Raise if rows are missing, or a label is not that of a class."""
    if len(rows) != expected:
        raise ValueError(
            f"{place}: there are {len(rows)} rows, but the card says {expected}: {REMEDY}"
        )
    for name in ("image_id", "label", "is_noisy"):
        if rows[name].null_count:
            raise ValueError(f"{place}: a row has no {name}: {REMEDY}")
    labels = pc.min_max(rows["label"]).as_py()
    if len(rows) and not 0 <= labels["min"] <= labels["max"] < len(classes):
        raise ValueError(
            f"{place}: a label is outside of the range from 0 to {len(classes) - 1}: {REMEDY}"
        )
