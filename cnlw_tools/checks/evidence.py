"""What the checks look at: everything a build holds; gather.py reads it."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.card.metadata import CARD, BuildCard
from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.noise import NOISE, Expected
from cnlw_tools.plan.plan import outlier, promise
from cnlw_tools.plan.subsets import choose
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe, parse_recipe, recorded_choices
from cnlw_tools.sources import SOURCES, open_donor

COLUMNS = pa.schema(
    {
        "label": pa.int64(),
        "clean_label": pa.int64(),
        "is_noisy": pa.bool_(),
        "origin": pa.string(),
        "image_id": pa.string(),
        "replaces": pa.string(),
    }
)
ROW = tuple(COLUMNS.names)  # what a shard holds beside the image


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of data/, without its pixels."""

    name: str
    sha256: str
    schema: pa.Schema
    plain: bool  # images uncompressed, pages indexed
    rows: pa.Table  # COLUMNS, and `sha256` of the image's bytes
    paths: int  # rows whose image has a path, which may tell of noise


@dataclass(frozen=True, slots=True)
class Looks:
    """One distinct image."""

    size: tuple[int, int]  # width, height
    pixels: str  # sha256 of its RGB pixels
    print: bytes  # 16 bytes, see images.fingerprint


@dataclass
class Evidence:
    """All that a build holds."""

    folder: Path
    record: BuildCard
    inputs: Inputs  # what its images are compared with
    workers: int = 1  # processes that read the build back
    dataset: Dataset | None = None
    shards: dict[str, Shard] = field(default_factory=dict)
    looks: dict[str, Looks] = field(default_factory=dict)  # by the sha256 of the bytes
    plans: dict[str, pa.Table] = field(default_factory=dict)  # drawn again, by config
    broken_tables: str = ""  # why they cannot be read
    broken_plans: dict[str, str] = field(default_factory=dict)  # config -> why it cannot be drawn
    broken_shards: dict[str, str] = field(default_factory=dict)  # file -> why it cannot be read
    broken_images: dict[str, str] = field(default_factory=dict)  # place -> why it does not decode
    unlike: dict[str, str] = field(
        default_factory=dict
    )  # place -> id whose image the source has otherwise
    uncompared: set[str] = field(default_factory=set)  # ids of web images whose source is not here
    _rows: dict[str, pa.Table] = field(default_factory=dict)
    _source: dict[str, str] | None = None

    @property
    def source(self) -> str:
        """The source of the images, as the tables say, or the name of the dataset where they cannot be read."""
        return self.dataset.source if self.dataset else self.record.dataset

    def no_source(self) -> str | None:
        """Return why the source of the images cannot be opened here, or none."""
        if self.source not in SOURCES:
            return f"no source reads images of {self.source}"
        try:
            SOURCES[self.source](self.inputs.data_dir)
        except (ValueError, OSError) as error:
            return str(error)
        return None

    def donors(self) -> dict[str, str]:
        """Return every donor, and why its images cannot be opened here, or nothing."""
        found = {}
        for name in self.dataset.donors if self.dataset else ():
            try:
                open_donor(name, self.inputs)
                found[name] = ""
            except (KeyError, ValueError, OSError) as error:
                found[name] = str(error)
        return found

    def rows(self, config: str) -> pa.Table:
        """Return all rows of a config that can be read, with the column `split`."""
        if config not in self._rows:
            parts = [
                self.shards[name].rows.append_column(
                    "split", pa.array([split] * len(self.shards[name].rows), pa.string())
                )
                for split, segments in self.record.configs[config].segments.items()
                for segment in segments
                for name in sorted(self.shards)
                if name.startswith(f"{segment}-")
            ]
            more = [pa.field("sha256", pa.string()), pa.field("split", pa.string())]
            self._rows[config] = (
                pa.concat_tables(parts) if parts else pa.schema([*COLUMNS, *more]).empty_table()
            )
        return self._rows[config]

    def recipe(self, config: str) -> Recipe:
        """Return the recipe that a config was drawn by.

        Raises:
            ValueError: the card holds no recipe there
        """
        return parse_recipe(
            recorded_choices(self.record.configs[config].recipe), f"{CARD}: config {config}"
        )

    def promise(self, config: str) -> dict[str, Expected]:
        """Return what the noise model promises, by split, of a config that could be drawn again.

        Raises:
            ValueError: there are no tables
        """
        if self.dataset is None:
            raise ValueError(f"{self.folder}: the tables cannot be read: {self.broken_tables}")
        return promise(self.recipe(config), self.dataset, self.record.configs[config].level)

    def slots(self, config: str) -> dict[str, NDArray[np.int64]]:
        """Return (C,) how many images of each class noise could fall on, by split.

        Raises:
            ValueError: there are no tables
        """
        if self.dataset is None:
            raise ValueError(f"{self.folder}: the tables cannot be read: {self.broken_tables}")
        noisy, classes = choose(self.recipe(config), self.dataset).noisy, len(self.dataset.classes)
        return {
            split: np.bincount(rows["label"].to_numpy(), minlength=classes)
            for split, rows in noisy.items()
        }

    def outlier(self, config: str) -> int | None:
        """Return the label of the class of foreign images, of a config that could be drawn again; or none."""
        recipe = self.recipe(config) if config in self.plans else None
        return (
            outlier(NOISE[recipe.noise], recipe, self.dataset) if recipe and self.dataset else None
        )

    def source_digests(self) -> dict[str, str]:
        """Return the sha256 that the source tables give for image ids."""
        if self._source is None:
            held = self.dataset
            tables_ = (
                [t for t in (held.base, held.web, *held.donors.values()) if t is not None]
                if held
                else []
            )
            known = [t.filter(pc.is_valid(t["sha256"])) for t in tables_]
            self._source = {
                k: v
                for t in known
                for k, v in zip(t["image_id"].to_pylist(), t["sha256"].to_pylist(), strict=True)
            }
        return self._source

    def same_in_source(self, *image_ids: str) -> bool:
        """Do the source tables themselves give different ids one and the same sha256?"""
        digests = {self.source_digests().get(i) for i in image_ids}
        return len(set(image_ids)) == len(image_ids) and len(digests) == 1 and None not in digests

    def twins(self, *image_ids: str) -> bool:
        """Are equal images under different ids what the source has, or what a resize made of it?

        Of a resize only where each was compared with the source: a copied image looks the same.
        """
        compared = self.no_source() is None and not {*image_ids} & {
            *self.unlike.values(),
            *self.uncompared,
        }
        shrunk = (
            self.record.images.size is not None
            and compared
            and len(set(image_ids)) == len(image_ids)
        )
        return shrunk or self.same_in_source(*image_ids)

    def split(self, config: str, split: str) -> pa.Table:
        """Return the rows of one split of a config."""
        rows = self.rows(config)
        return rows.filter(pc.equal(rows["split"], split))
