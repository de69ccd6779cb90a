"""Labels in the order of the source, for a data loader that has the images from elsewhere.

    OUT/train.npy      the given label of each image, as the loader counts them; -1: it has none
    OUT/train.json     the same as a list
    OUT/train.csv      index, row, image_id, label, label_name of every row, by index

An array is as long as the part of the source that the split was taken from (`source_order.py`), so
no label is shifted. It has -1 where the split does not use the image: another image replaces it, it
is in another split, or it was left out. In noise that replaces images, -1 therefore reveals which
images were replaced. Images from elsewhere have no index; they are at the end of the table. `row`
is the number of the row in the order in which `datasets` reads the config, which the files of a run
use.

With ``truth``, there are also `train_clean_labels.npy` (-1: nobody knows) and `train_is_noisy.npy`,
and the table also has clean_label, is_noisy, origin and replaces.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.builds.exporters.base import ExportedConfig
from cnlw_tools.builds.exporters.file_names import safe_name
from cnlw_tools.builds.exporters.label_table import NO_LABEL, label_cells, label_columns, open_csv
from cnlw_tools.builds.exporters.source_order import SourceOrder, source_order

ROWS_PER_BATCH = 10_000  # in memory at a time, as Python objects


def export_labels(config: ExportedConfig, folder: Path, truth: bool = False) -> list[str]:
    """Labels in the order of the source (npy, json, csv) for each split, without images.

    Args:
        config: what to write
        folder: an empty folder
        truth: the files also say what is true of each image

    Returns:
        notes on labels that are -1
    """
    splits = {}
    for split, part in config.splits.items():
        numbers = pa.array(range(len(part.rows)), pa.int64())
        splits[split] = part.rows.append_column("row", numbers)
    order = source_order(config.read_dataset())
    return write_labels(folder, splits, order, config.classes, truth)


def write_labels(
    folder: Path,
    splits: Mapping[str, pa.Table],
    order: SourceOrder,
    classes: tuple[str, ...],
    truth: bool = False,
) -> list[str]:
    """Write the labels of some splits into an empty folder.

    Args:
        folder: where
        splits: rows of a plan by split; their column ``row``, if any, is written
        order: the images of the dataset
        classes: names in label order
        truth: the files also say what is true of each image

    Returns:
        notes on labels that are -1
    """
    notes = []
    for split, rows in splits.items():
        name = safe_name(split)
        indexed = _index_rows(rows, order)
        _write_table(folder / f"{name}.csv", indexed, classes, truth)
        problem = _why_no_array(indexed)
        if problem:
            notes.append(f"{split}: {problem}: read {name}.csv, which has every row")
            continue
        _write_arrays(folder, name, indexed, truth)
        notes += _describe_gaps(split, indexed, splits)
    return notes


@dataclass(frozen=True, slots=True)
class _IndexedRows:
    """The m rows of a split, sorted by index, and the n images of its part of the source."""

    rows: pa.Table  # (m,)
    index: NDArray[np.int64]  # (m,) of the image among the n; -1: it is from elsewhere
    image_ids: pa.Array  # (n,)

    def spread(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (n,) the value of each image, from (m,) those of the rows."""
        spread = np.full(len(self.image_ids), NO_LABEL, np.int64)
        is_known = self.index >= 0
        spread[self.index[is_known]] = values[is_known]
        return spread


def _index_rows(rows: pa.Table, order: SourceOrder) -> _IndexedRows:
    """Return the rows of a split in the order of the source; those from elsewhere come last."""
    places = order.places(rows["image_id"])
    is_known = places >= 0
    is_in_part = np.isin(order.parts, np.unique(order.parts[places[is_known]]))
    index = np.where(is_known, (np.cumsum(is_in_part) - 1)[places], -1)
    by_index = np.argsort(np.where(is_known, index, len(order.parts)), kind="stable")
    image_ids = order.image_ids.filter(pa.array(is_in_part))
    return _IndexedRows(rows.take(by_index), index[by_index], image_ids)


def _write_table(path: Path, indexed: _IndexedRows, classes: tuple[str, ...], truth: bool) -> None:
    """Write every row of a split."""
    has_row = "row" in indexed.rows.column_names
    first_columns = ("index", "row") if has_row else ("index",)
    with open_csv(path, (*first_columns, *label_columns(truth))) as table:
        indices = iter(indexed.index.tolist())
        for batch in indexed.rows.to_batches(max_chunksize=ROWS_PER_BATCH):
            for row, index in zip(batch.to_pylist(), indices, strict=False):
                first_cells = ["" if index < 0 else index]
                if has_row:
                    first_cells.append(row["row"])
                table.writerow([*first_cells, *label_cells(row, classes, truth)])


def _why_no_array(indexed: _IndexedRows) -> str:
    """Return why there is no array with one label an image; empty: there is one."""
    index = indexed.index[indexed.index >= 0]
    if not len(index):
        return "none of its images is of the dataset"
    images, counts = np.unique(index, return_counts=True)
    if counts.max() == 1:
        return ""
    image_id = indexed.image_ids[images[counts.argmax()]].as_py()
    return f"image {image_id!r} has {counts.max()} labels, and an array has room for one"


def _write_arrays(folder: Path, name: str, indexed: _IndexedRows, truth: bool) -> None:
    """Write one value an image of the source."""
    labels = indexed.spread(indexed.rows["label"].to_numpy().astype(np.int64))
    np.save(folder / f"{name}.npy", labels)
    text = json.dumps(labels.tolist())
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    if truth:
        clean_labels = pc.fill_null(indexed.rows["clean_label"], NO_LABEL).to_numpy()
        is_noisy = indexed.rows["is_noisy"].to_numpy().astype(np.int64)
        np.save(folder / f"{name}_clean_labels.npy", indexed.spread(clean_labels))
        np.save(folder / f"{name}_is_noisy.npy", indexed.spread(is_noisy) == 1)


def _describe_gaps(split: str, indexed: _IndexedRows, splits: Mapping[str, pa.Table]) -> list[str]:
    """Return a note on the images of the source that have no label in a split, if there are any."""
    n_images = len(indexed.image_ids)
    used = np.zeros(n_images, bool)
    used[indexed.index[indexed.index >= 0]] = True
    if used.all():
        return []
    unused = indexed.image_ids.filter(pa.array(~used))
    n_left_out = len(unused)
    reasons = []
    for other, rows in splits.items():
        n_replaced = _count_in(unused, rows["replaces"])
        n_there = 0 if other == split else _count_in(unused, rows["image_id"])
        if n_replaced:
            reasons.append(f"{n_replaced:,} replaced by other images in {other}")
        if n_there:
            reasons.append(f"{n_there:,} in {other}")
        n_left_out -= n_replaced + n_there
    if n_left_out:
        reasons.append(f"{n_left_out:,} left out")
    n_unused = f"{len(unused):,} of {n_images:,} labels are -1"
    return [f"{safe_name(split)}.npy: {n_unused}: {', '.join(reasons)}"]


def _count_in(image_ids: pa.Array, others: pa.ChunkedArray) -> int:
    """Return how many of some images occur among others."""
    count: int = pc.sum(pc.is_in(image_ids, others.combine_chunks().drop_null())).as_py() or 0
    return count
