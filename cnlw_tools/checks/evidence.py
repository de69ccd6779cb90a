"""What the checks look at: everything that a build holds. collect.py reads it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.builds.segments import Segment, cut_segments
from cnlw_tools.card.metadata import BuildCard, read_block
from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.executor import Progress, no_progress
from cnlw_tools.files.machine_faults import raise_machine_fault
from cnlw_tools.noise import Expected
from cnlw_tools.plans.noise_inputs import outlier_label
from cnlw_tools.plans.plan import expected_stats
from cnlw_tools.plans.subsets import choose_subsets
from cnlw_tools.recipe.inputs import ImageSource, Inputs
from cnlw_tools.recipe.recipe import Recipe
from cnlw_tools.sources import has_source, open_donor, open_source

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
COLUMN_NAMES = tuple(COLUMNS.names)  # what a shard holds besides the image
CONFIG_FIELDS = [*COLUMNS, pa.field("sha256", pa.string()), pa.field("split", pa.string())]


@dataclass(frozen=True, slots=True)
class ShardContent:
    """One file of data/, without its pixels."""

    name: str
    sha256: str
    schema: pa.Schema
    is_streamable: bool  # the images are not compressed, the pages are indexed
    writer: str  # the library that wrote the file, with its version
    rows: pa.Table  # COLUMNS, and `sha256` of the image's bytes
    n_image_paths: int  # rows whose image has a path, which may tell of noise


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """One distinct image."""

    size: tuple[int, int]  # width, height
    pixel_digest: str  # sha256 of its RGB pixels
    fingerprint: bytes  # 16 bytes, see images.pixels.fingerprint


@dataclass(frozen=True, slots=True)
class Surplus:
    """What the file of an image holds besides its pixels, or how it holds them."""

    image_id: str
    sha256: str  # of the file
    parts: tuple[str, ...]  # such as a text, a comment, bytes after the end; see encoding.py
    is_compared: bool  # with the file that the source has, which does not hold them


class Mismatch(NamedTuple):
    """An image that is not the one that its source has under its id."""

    image_id: str
    message: str


@dataclass
class Evidence:
    """All that a build holds, and what its images were compared with."""

    folder: Path
    card: BuildCard
    inputs: Inputs  # where the images lie that the build is compared with
    workers: int = 1  # processes that read the build back
    progress: Progress = no_progress  # is told how many configs are read back
    entries: dict[str, str] = field(default_factory=dict)  # path -> file, link, folder or other
    dataset: Dataset | None = None
    shards: dict[str, ShardContent] = field(default_factory=dict)  # by file
    images: dict[str, ImageInfo] = field(default_factory=dict)  # by the sha256 of the bytes
    plans: dict[str, pa.Table] = field(default_factory=dict)  # drawn again, by config
    tables_error: str = ""  # why the tables cannot be read
    plan_errors: dict[str, str] = field(default_factory=dict)  # by config: why it cannot be drawn
    shard_errors: dict[str, str] = field(default_factory=dict)  # by file: why it cannot be read
    image_errors: dict[str, str] = field(default_factory=dict)  # by row: why it does not decode
    source_mismatches: dict[str, Mismatch] = field(default_factory=dict)  # by row
    surplus: dict[str, Surplus] = field(default_factory=dict)  # by row
    compared: set[str] = field(default_factory=set)  # ids of images that equal their source's
    uncompared: set[str] = field(default_factory=set)  # ids of web images whose source is not here
    rows_by_config: dict[str, pa.Table] = field(default_factory=dict)  # filled by `rows`
    segments_by_config: dict[str, list[tuple[str, Segment]]] = field(default_factory=dict)
    digest_by_id: dict[str, str] | None = None  # filled by `source_digests`

    @cached_property
    def block(self) -> dict[str, Any]:
        """The whole YAML block of the card."""
        return read_block(self.folder)

    @property
    def tables_folder(self) -> Path | None:
        """The folder of the tables that the build was made from; none if they cannot be read."""
        return self.folder / "tables" if self.dataset else None

    @property
    def source(self) -> str:
        """The source of the images, as the tables say, or else the name of the dataset."""
        return self.dataset.source if self.dataset else self.card.dataset

    @cached_property
    def opened_source(self) -> ImageSource | str:
        """The source of the images, or why it cannot be opened here."""
        base = self.tables_folder / "base.parquet" if self.tables_folder else None
        try:
            if not has_source(self.card.dataset, self.inputs, base):
                return f"no source reads images of {self.source}"
            return open_source(self.card.dataset, self.inputs, base)
        except (ValueError, OSError) as problem:
            raise_machine_fault(problem, str(self.inputs.data_dir))
            return str(problem)

    def why_no_source(self) -> str | None:
        """Return why the source of the images cannot be opened here; none if it can."""
        return self.opened_source if isinstance(self.opened_source, str) else None

    def segments(self, config: str) -> list[tuple[str, Segment]]:
        """Return the splits and segments of the plan of a config."""
        if config not in self.segments_by_config:
            parts = cut_segments(self.plans[config], self.card.images, self.card.layout)
            self.segments_by_config[config] = list(parts)
        return self.segments_by_config[config]

    def donors(self) -> dict[str, str]:
        """Return every donor, with the reason why its images cannot be opened here, or nothing."""
        reasons = {}
        for name in self.dataset.donors if self.dataset else ():
            try:
                open_donor(name, self.inputs, self.tables_folder)
                reasons[name] = ""
            except (KeyError, ValueError, OSError) as problem:
                reasons[name] = str(problem)
        return reasons

    def rows(self, config: str) -> pa.Table:
        """Return all rows of a config that can be read, with the column `split`."""
        if config not in self.rows_by_config:
            parts = list(self._shard_rows(config))
            empty = pa.schema(CONFIG_FIELDS).empty_table()
            self.rows_by_config[config] = pa.concat_tables(parts) if parts else empty
        return self.rows_by_config[config]

    def _shard_rows(self, config: str) -> Iterator[pa.Table]:
        for split, segments in self.card.configs[config].segments.items():
            for segment in segments:
                for file in sorted(self.shards):
                    if file.startswith(f"{segment}-"):
                        rows = self.shards[file].rows
                        splits = pa.array([split] * len(rows), pa.string())
                        yield rows.append_column("split", splits)

    def split(self, config: str, split: str) -> pa.Table:
        """Return the rows of one split of a config."""
        rows = self.rows(config)
        return rows.filter(pc.equal(rows["split"], split))

    def recipe(self, config: str) -> Recipe:
        """Return the recipe that a config was drawn by, as the card says."""
        return self.card.configs[config].recipe

    def require_dataset(self) -> Dataset:
        """Return the tables of the build.

        Raises:
            ValueError: they cannot be read
        """
        if self.dataset is None:
            raise ValueError(f"{self.folder}: the tables cannot be read: {self.tables_error}")
        return self.dataset

    def expected(self, config: str) -> dict[str, Expected]:
        """Return what the noise model expects of each split of a config that can be drawn again.

        Raises:
            ValueError: the tables cannot be read
        """
        level = self.card.configs[config].level
        return expected_stats(self.recipe(config), self.require_dataset(), level)

    def slots_per_class(self, config: str) -> dict[str, NDArray[np.int64]]:
        """Return (C,) how many images of each class the noise could fall on, by split.

        Raises:
            ValueError: the tables cannot be read
        """
        dataset = self.require_dataset()
        slots = choose_subsets(self.recipe(config), dataset).noisy
        counts = {}
        for split, rows in slots.items():
            counts[split] = np.bincount(rows["label"].to_numpy(), minlength=len(dataset.classes))
        return counts

    def outlier_label(self, config: str) -> int | None:
        """Return the label of the class of foreign images, if a config has such a class."""
        if config not in self.plans or self.dataset is None:
            return None
        recipe = self.recipe(config)
        return outlier_label(recipe, self.dataset)

    def source_digests(self) -> dict[str, str]:
        """Return the sha256 that the source tables give for image ids."""
        if self.digest_by_id is None:
            self.digest_by_id = {}
            for table in self._source_tables():
                rows = table.filter(pc.is_valid(table["sha256"]))
                pairs = zip(rows["image_id"].to_pylist(), rows["sha256"].to_pylist(), strict=True)
                self.digest_by_id.update(pairs)
        return self.digest_by_id

    def _source_tables(self) -> list[pa.Table]:
        if self.dataset is None:
            return []
        tables = [self.dataset.base, self.dataset.web, *self.dataset.donors.values()]
        return [table for table in tables if table is not None]

    def have_one_digest(self, *image_ids: str) -> bool:
        """Return whether the source tables give different ids one and the same sha256."""
        digests = {self.source_digests().get(image_id) for image_id in image_ids}
        return len(set(image_ids)) == len(image_ids) and len(digests) == 1 and None not in digests

    def may_be_equal(self, *image_ids: str) -> bool:
        """Return whether it is the source that has these equal images, or a resize made them equal.

        The tables may say so, or each image is proven to be what the source has under its id. Of
        images that were not resized all must be the dataset's own: noise must not bring in what is
        there already.
        """
        if len(set(image_ids)) < len(image_ids):
            return False
        if self.have_one_digest(*image_ids):
            return True
        was_resized = self.card.images.size is not None
        if not (was_resized or self._are_own(image_ids)):
            return False
        return all(self._is_proven(image_id) for image_id in image_ids)

    def _are_own(self, image_ids: tuple[str, ...]) -> bool:
        """Return whether all these images are of the base manifest."""
        if self.dataset is None or self.dataset.base is None:
            return False
        ids = pa.array(image_ids, pa.string())
        return bool(pc.all(pc.is_in(ids, self.dataset.base["image_id"].combine_chunks())).as_py())

    def _is_proven(self, image_id: str) -> bool:
        """Return whether an image is what the source has under its id, wherever a shard shows it.

        It was compared with the source, or it has the sha256 that the tables give.
        """
        if any(mismatch.image_id == image_id for mismatch in self.source_mismatches.values()):
            return False
        if image_id in self.compared:
            return True
        recorded = self.source_digests().get(image_id)
        digests = self.digests_of_id.get(image_id, set())
        for digest in digests:
            image = self.images.get(digest)
            if image is None or recorded not in (digest, image.pixel_digest):
                return False
        return bool(digests)

    @cached_property
    def digests_of_id(self) -> dict[str, set[str]]:
        """The sha256 of the bytes of each image by its id: one, unless something is wrong."""
        digests: dict[str, set[str]] = {}
        for shard in self.shards.values():
            rows = shard.rows.select(["image_id", "sha256"])
            for image_id, digest in zip(*rows.to_pydict().values(), strict=True):
                digests.setdefault(image_id, set()).add(digest)
        return digests
