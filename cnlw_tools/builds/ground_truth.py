"""The truth that a build knows: rows of a config as `datasets` reads them, and which are noisy.

Rows are numbered in the order of `datasets`, files end to end. The digest says which data a run
learned from: sha256 of the content keys, in order, and of the labels in the same order.
trainer/data.py computes the same of what it decodes.
"""

from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b, sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from PIL import Image

from cnlw_tools.card import sample_grid
from cnlw_tools.card.metadata import config_shards, read_card
from cnlw_tools.dataset import tables
from cnlw_tools.files.parquet import read_table
from cnlw_tools.plans.statistics import realised_stats
from cnlw_tools.registry import pick

REMEDY = "see what `cnlw validate` says"
COLUMNS = ["label", "clean_label", "is_noisy", "origin", "image_id"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """A config of a build: rows of every split in the order of `datasets`."""

    build: Path
    config: str
    noise: str
    level: int | None  # percent
    shards: dict[str, pa.Table]  # file -> its rows
    rows: pa.Table  # with `split`, files end to end

    @property
    def noisy(self) -> NDArray[np.bool_]:
        """Which training examples are noisy, by row."""
        is_train = pc.equal(self.rows["split"], "train")
        column = self.rows["is_noisy"].filter(is_train)
        return np.asarray(column.to_numpy(), bool)

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names in label order, from the tables of the build."""
        path = self.build / "tables" / "classes.csv"
        return tables.read_classes(path)

    @property
    def matrix(self) -> Floats:
        """P(given label | true label) as realised, (C, C)."""
        return realised_stats(self.rows, len(self.classes)).matrix

    @property
    def foreign(self) -> list[str]:
        """Where noisy images come from: base, web ..."""
        origins = self.rows["origin"].filter(self.rows["is_noisy"])
        return sorted(origins.unique().to_pylist())

    @cached_property
    def digest(self) -> str:
        """What a run that learned from `train` says of its data."""
        keys, labels = [], []
        for name in self.file_names("train"):
            path = self.build / "data" / name
            shard = read_table(path, ["image", "label"], REMEDY)
            images = shard["image"].combine_chunks()
            for encoded in images.field("bytes").to_pylist():
                keys.append(_content_key(encoded))
            labels += shard["label"].to_pylist()
        key = np.array(keys, np.uint64)
        label = np.array(labels, np.int64)
        order = np.lexsort((label, key))
        content = key[order].tobytes() + label[order].tobytes()
        return sha256(content).hexdigest()

    def file_names(self, split: str) -> list[str]:
        """Return the files of a split in order."""
        files = config_shards(read_card(self.build), self.config)
        return files.get(split, [])

    def gallery(self, origin: str) -> Image.Image:
        """Draw clean images beside the noisy ones of an origin, by class."""
        is_clean = pc.invert(self.rows["is_noisy"])
        is_of_origin = pc.equal(self.rows["origin"], origin)
        rows = self.rows.filter(pc.or_(is_clean, is_of_origin))
        data = self.build / "data"
        return sample_grid.draw_samples(
            self.config,
            data,
            rows,
            self.shards,
            self.classes,
        )


def load(build: Path, config: str) -> Truth:
    """Read what a build knows of a config.

    Raises:
        ValueError, LookupError, OSError: no build, no such config, a missing or damaged shard
    """
    card = read_card(build)
    config_card = pick(card.configs, config, f"config of {build}")
    shards, parts = {}, []
    for split, names in config_shards(card, config).items():
        for name in names:
            rows = _read_rows(build / "data" / name)
            shards[name] = rows
            splits = pa.array([split] * len(rows), pa.string())
            parts.append(rows.append_column("split", splits))
    rows = pa.concat_tables(parts).replace_schema_metadata()
    noise = config_card.recipe.noise
    return Truth(build, config, noise, config_card.level, shards, rows)


def _read_rows(path: Path) -> pa.Table:
    return read_table(path, COLUMNS, REMEDY)


def _content_key(image: bytes) -> int:
    content_hash = blake2b(image, digest_size=8)
    return int.from_bytes(content_hash.digest(), "little")
