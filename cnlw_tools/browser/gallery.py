"""The gallery of a build: every stored row of it, with its labels, its origin, and its configs.

A row that several configs share is one picture. On request, pictures that look alike are found
(images/near_duplicates.py), and what runs took for wrong is added (run_columns.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.browser.candidate_columns import hide_addresses, vote_column, web_columns
from cnlw_tools.browser.duplicates import duplicate_columns, find_groups
from cnlw_tools.browser.items import (
    Fact,
    Filter,
    Items,
    ListColumn,
    Sort,
    TextColumn,
    choose_texts,
    text_column,
)
from cnlw_tools.browser.numbered_pictures import ShardPictures
from cnlw_tools.browser.run_columns import read_runs
from cnlw_tools.card.metadata import BuildCard, config_shards, read_card
from cnlw_tools.dataset import tables
from cnlw_tools.dataset.table_io import cast_column, reject_bad_rows
from cnlw_tools.executor import Progress, no_progress
from cnlw_tools.files.parquet import read_table
from cnlw_tools.registry import pick
from cnlw_tools.registry.counts import count_things, list_first

REMEDY = "see what `cnlw validate` says"
COLUMNS = ["image_id", "label", "clean_label", "origin", "is_noisy", "replaces"]
LABEL_STATES = ("right", "wrong")  # of the given label
UNKNOWN = "not known"  # the true class of a wrong web image
MAX_CONFIGS = 4  # in the title


@dataclass(frozen=True, slots=True, eq=False)
class StoredRows:
    """The rows of a build as its shards store them; configs share rows."""

    paths: list[Path]  # of the shards
    starts: dict[str, int]  # name of a shard -> the item of its first row
    shard: NDArray[np.int64]  # (n,) the number of the shard of each row
    row: NDArray[np.int64]  # (n,) the row there
    table: pa.Table  # (n,) of COLUMNS


@dataclass(frozen=True, slots=True)
class GalleryOptions:
    """What a gallery shows of a build."""

    config: str | None = None  # only this one
    runs: Path | None = None  # a folder of runs, or of one
    finds_duplicates: bool = False


def make_gallery(
    build: Path,
    options: GalleryOptions,
    progress: Progress = no_progress,
    on_problem: Callable[[str], object] = lambda problem: None,
) -> tuple[Items, ShardPictures]:
    """Return what the page of a build shows, and its pictures.

    Args:
        build: the folder
        options: what to show
        progress: is told how many pictures were compared
        on_problem: is told which runs are not shown, and why

    Raises:
        ValueError, LookupError, OSError: there is no such build, config or run, or it is damaged
    """
    card = read_card(build)
    if options.config is not None:
        pick(card.configs, options.config, f"config of {build}")
    configs = [options.config] if options.config is not None else sorted(card.configs)
    classes = tables.read_classes(build / "tables" / "classes.csv")
    stored = _read_rows(build, card, configs, len(classes))
    pictures = ShardPictures(stored.paths, stored.shard, stored.row)
    items = Items(
        title=f"{card.dataset}: {list_first(configs, MAX_CONFIGS)}",
        about=f"{count_things(len(stored.table), 'picture')} of the build {build}",
        n_items=len(stored.table),
        name="id",
        caption=["given", "note", "origin"],
        mark="noisy",
    )
    _add_labels(items, stored.table, classes)
    _add_places(items, stored, card, configs)
    _add_candidates(items, stored.table, build / "tables", len(classes))
    if options.finds_duplicates:
        _add_duplicates(items, stored.table, pictures, progress)
    if options.runs is not None:
        _add_runs(items, build, options.runs, configs, stored.starts, on_problem)
    return items, pictures


def _read_rows(build: Path, card: BuildCard, configs: Sequence[str], n_classes: int) -> StoredRows:
    """Read the rows of configs from their shards, in the order of the names of these.

    Raises:
        ValueError, OSError: a shard is missing or damaged
    """
    names: set[str] = set()
    for config in configs:
        for shards in config_shards(card, config).values():
            names.update(shards)
    paths, parts, starts = [], [], {}
    n_rows = 0
    for name in sorted(names):
        path = build / "data" / name
        part = _check_rows(read_table(path, COLUMNS, REMEDY), path, n_classes)
        paths.append(path)
        parts.append(part)
        starts[name] = n_rows
        n_rows += len(part)
    sizes = [len(part) for part in parts]
    shard = np.repeat(np.arange(len(sizes)), sizes)
    first = np.array(list(starts.values()), np.int64)
    row = np.arange(n_rows) - first[shard]
    return StoredRows(paths, starts, shard, row, pa.concat_tables(parts))


def _check_rows(rows: pa.Table, path: Path, n_classes: int) -> pa.Table:
    """Return the rows of a shard in the types of a plan.

    Raises:
        ValueError: a value is missing or of another type, or a label is none of the classes
    """
    columns = [cast_column(path, tables.PLAN.field(name), rows[name]) for name in COLUMNS]
    checked = pa.table(columns, COLUMNS)
    for name in ("label", "clean_label"):
        labels = pc.fill_null(checked[name], 0).to_numpy()
        is_bad = (labels < 0) | (labels >= n_classes)
        remedy = f"the classes are 0 to {n_classes - 1}; {REMEDY}"
        reject_bad_rows(path, name, is_bad, labels, remedy)
    return checked


def _add_places(items: Items, stored: StoredRows, card: BuildCard, configs: Sequence[str]) -> None:
    """Add the configs and splits that each row is in: those of its shard."""
    config_codes, split_codes, starts = [], [], [0]
    splits: list[str] = []
    for path in stored.paths:
        for number, config in enumerate(configs):
            for split, names in config_shards(card, config).items():
                if path.name in names:
                    if split not in splits:
                        splits.append(split)
                    config_codes.append(number)
                    split_codes.append(splits.index(split))
        starts.append(len(config_codes))
    fields = {
        "config": TextColumn(configs, np.array(config_codes, np.int64)),
        "split": TextColumn(splits, np.array(split_codes, np.int64)),
    }
    items.columns["place"] = ListColumn(fields, np.array(starts), stored.shard)
    places = [Filter("place", "Config", "config"), Filter("place", "Split", "split")]
    items.filters = places + items.filters
    items.facts.append(Fact("in", "place", ["config", "split"]))


def _add_labels(items: Items, rows: pa.Table, classes: tuple[str, ...]) -> None:
    """Add id, given and true class, whether the label is wrong, and where the image is from."""
    given_labels = rows["label"].to_numpy()
    truth = pc.fill_null(rows["clean_label"], len(classes)).to_numpy()
    is_noisy = np.asarray(rows["is_noisy"].to_numpy(), bool)
    note = np.where(truth == given_labels, len(classes) + 1, truth)
    notes = [*(f"true: {name}" for name in classes), "wrong", ""]  # by the number of the class
    items.columns |= {
        "id": text_column(rows["image_id"]),
        "given": choose_texts(given_labels, classes),
        "truth": choose_texts(truth, [*classes, UNKNOWN]),
        "note": choose_texts(note, notes),
        "noisy": choose_texts(is_noisy.astype(np.int64), LABEL_STATES),
        "origin": text_column(rows["origin"]),
        "replaces": text_column(rows["replaces"]),
    }
    items.filters += [
        Filter("given", "Given class"),
        Filter("truth", "True class"),
        Filter("noisy", "Given label"),
        Filter("origin", "Origin"),
    ]
    items.sorts += [Sort("given", "given class", "given"), Sort("id", "id", "id")]
    items.facts += [
        Fact("id", "id"),
        Fact("given class", "given"),
        Fact("true class", "truth"),
        Fact("given label", "noisy"),
        Fact("origin", "origin"),
        Fact("replaces", "replaces"),
    ]


def _add_candidates(items: Items, rows: pa.Table, folder: Path, n_classes: int) -> None:
    """Add what the tables of a build say of candidates: votes, and the web manifest."""
    if not (folder / "web.parquet").exists():
        return
    web = tables.read_manifest(folder / "web.parquet", n_classes, web=True)
    columns = web_columns(rows, web)
    host = columns.pop("host", None)
    for name, column in columns.items():
        items.columns[f"web {name}"] = column
        items.facts.append(Fact(name, f"web {name}"))
    if host is not None:
        items.columns["host"] = host
    if (folder / "votes.parquet").exists():
        votes = tables.read_votes(folder / "votes.parquet", web)
        items.columns["votes"] = vote_column(rows, hide_addresses(votes))
        items.facts.append(Fact("votes", "votes", ["annotator", "answer"]))


def _add_duplicates(
    items: Items, rows: pa.Table, pictures: ShardPictures, progress: Progress
) -> None:
    """Add which pictures look alike."""
    groups = find_groups(rows["image_id"], pictures, progress)
    items.columns |= duplicate_columns(rows["image_id"], groups)
    items.filters.append(Filter("duplicates", "Near duplicates"))
    items.sorts.append(Sort("duplicates", "near duplicates side by side", "group"))
    items.facts.append(Fact("near duplicates", "twins", ["id"]))


def _add_runs(
    items: Items,
    build: Path,
    folder: Path,
    configs: Sequence[str],
    starts: dict[str, int],
    on_problem: Callable[[str], object],
) -> None:
    """Add what runs recorded of their examples: verdict and loss in the last epoch."""
    items.columns["runs"] = read_runs(build, folder, configs, starts, items.n_items, on_problem)
    items.filters += [Filter("runs", "Run", "run"), Filter("runs", "Verdict of the run", "verdict")]
    items.sorts += [
        Sort("loss", "loss, highest first", "runs", "loss", descending=True),
        Sort("lowloss", "loss, lowest first", "runs", "loss"),
    ]
    items.facts.append(Fact("runs", "runs", ["run", "verdict", "loss"]))
