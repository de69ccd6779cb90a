"""What the checks look at: everything that a build holds. collect.py reads it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.builds.segments import Segment, SegmentStock
from cnlw_tools.card.metadata import BuildCard, read_block
from cnlw_tools.card.table_files import BuildTables, describe_tables
from cnlw_tools.checks.digests import DIGEST, IMAGES, join_digests, store_digests
from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.dataset.row_numbers import find_values, last_places, number_values
from cnlw_tools.dataset.row_selection import BLOCK_ROWS, filter_rows
from cnlw_tools.dataset.shared_chunks import CHUNK_ROWS, ChunkStock
from cnlw_tools.executor import Progress, no_progress
from cnlw_tools.files.machine_faults import raise_machine_fault
from cnlw_tools.files.mapped import MappedFile
from cnlw_tools.noise import Expected
from cnlw_tools.plans.assemble import repeat_value
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
CONFIG_FIELDS = [*COLUMNS, pa.field("sha256", DIGEST), pa.field("split", pa.string())]
# What came of comparing the image of a row with that of its source.
FEW_CLASSES = 256  # of which matrices are kept
NOT_COMPARED, IS_SAME, HAS_NO_SOURCE = range(3)


@dataclass(frozen=True, slots=True)
class ShardContent:
    """One file of data/, without its pixels: 80 bytes a row, and the id."""

    name: str
    sha256: str
    schema: pa.Schema
    is_streamable: bool  # the images are not compressed, the pages are indexed
    writer: str  # the library that wrote the file, with its version
    rows: pa.Table  # COLUMNS, and `sha256` of the image's bytes
    n_image_paths: int  # rows whose image has a path, which may tell of noise


@dataclass(frozen=True, slots=True)
class Surplus:
    """What the file of an image holds besides its pixels, or how it holds them."""

    image_id: str
    sha256: str  # of the file
    parts: tuple[str, ...]  # such as a text, a comment, bytes after the end; see encoding.py
    is_compared: bool  # with the file that the source has, which does not hold them


class ImageInfo(NamedTuple):
    """One distinct image, as whoever decoded it describes it."""

    size: tuple[int, int]  # width, height
    pixel_digest: str  # sha256 of its RGB pixels
    fingerprint: bytes  # 16 bytes, see images.pixels.fingerprint


class ImageFacts(NamedTuple):
    """What is known of an image by its id, for comparing it with others that equal it."""

    recorded: bytes | None  # the sha256 that the source tables give
    is_own: bool  # it is of the base manifest
    is_proven: bool  # it is what the source has under its id, wherever a shard shows it


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
    images: pa.Table = field(default_factory=IMAGES.empty_table)  # each distinct image once
    outcomes: dict[str, NDArray[np.uint8]] = field(default_factory=dict)  # of rows, by file
    plans: dict[str, pa.Table] = field(default_factory=dict)  # drawn again, by config
    tables_error: str = ""  # why the tables cannot be read
    plan_errors: dict[str, str] = field(default_factory=dict)  # by config: why it cannot be drawn
    shard_errors: dict[str, str] = field(default_factory=dict)  # by file: why it cannot be read
    image_errors: dict[str, str] = field(default_factory=dict)  # by row: why it does not decode
    source_mismatches: dict[str, Mismatch] = field(default_factory=dict)  # by row
    surplus: dict[str, Surplus] = field(default_factory=dict)  # by row
    _held_segments: dict[str, bool] = field(default_factory=dict)  # by name: whether files hold it
    _expected: dict[str, dict[str, Expected]] = field(default_factory=dict)  # by config

    @cached_property
    def block(self) -> dict[str, Any]:
        """The whole YAML block of the card."""
        return read_block(self.folder)

    @cached_property
    def described_tables(self) -> BuildTables:
        """What the card and `croissant.json` say of the tables, which can be read."""
        return describe_tables(self.folder / "tables")

    @property
    def is_old_card(self) -> bool:
        """Whether an earlier version wrote the card: its block lists the shards."""
        return "shards" in self.block["cnlw"]

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
            raise_machine_fault(problem, str(self.inputs.data_dir or self.folder))
            return str(problem)

    def why_no_source(self) -> str | None:
        """Return why the source of the images cannot be opened here; none if it can."""
        return self.opened_source if isinstance(self.opened_source, str) else None

    def segments(self, config: str) -> Iterator[tuple[str, Segment]]:
        """Cut the plan of a config into the segments of its splits."""
        return self._segment_stock.cut(self.plans[config])

    @cached_property
    def _segment_stock(self) -> SegmentStock:
        """The segments of all plans that were cut."""
        return SegmentStock(self.card.images, self.card.layout)

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
        return self._join_segments(self.segments_of(config))

    def first_rows(self, config: str, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the first row of each file of a split that can be read, with the file."""
        segments = self.card.configs[config].segments.get(split, [])
        for file in sorted(self.shards):
            if file.partition("-")[0] in segments:
                rows = self.shards[file].rows.select(COLUMN_NAMES).slice(0, 1)
                yield file, rows.to_pylist()[0]

    def segments_of(self, config: str) -> Iterator[tuple[str, str]]:
        """Yield the splits of a config and the names of their segments that can be read."""
        for split, segments in self.card.configs[config].segments.items():
            for segment in segments:
                if segment in self.segment_rows:
                    yield split, segment

    @cached_property
    def segment_rows(self) -> dict[str, pa.Table]:
        """The rows of all files of a segment that can be read, in the order of their names.

        They lie on the disk once more, in chunks that are longer than a file.
        """
        files: dict[str, list[pa.Table]] = {}
        for file in sorted(self.shards):
            files.setdefault(file.partition("-")[0], []).append(self.shards[file].rows)
        stock = ChunkStock()
        return {segment: stock.share(pa.concat_tables(rows)) for segment, rows in files.items()}

    def holds_plan(self, config: str) -> bool:
        """Return whether the files hold the segments of a plan and no others, row by row."""
        cut = [*self.segments(config)]
        names = [(split, segment.name) for split, segment in cut]
        if sorted(names) != sorted(self.segments_of(config)):
            return False
        return all(self._holds_segment(segment) for _, segment in cut)

    def _holds_segment(self, segment: Segment) -> bool:
        """Return whether the files of a segment hold its rows in their order."""
        if segment.name not in self._held_segments:
            self._held_segments[segment.name] = has_same_rows(
                self.segment_rows[segment.name], segment.rows
            )
        return self._held_segments[segment.name]

    def shared_rows(self, configs: Sequence[str]) -> pa.Table:
        """Return all rows of some configs, with the column `split`; those that they share once.

        A segment stands where the last config has it.
        """
        segments = [pair for config in configs for pair in self.segments_of(config)]
        last_first = dict.fromkeys(reversed(segments))
        return self._join_segments(reversed(last_first))

    def _join_segments(self, segments: Iterable[tuple[str, str]]) -> pa.Table:
        """Return the rows of splits and their segments, with the column `split`."""
        parts = [pa.schema(CONFIG_FIELDS).empty_table()]
        for split, segment in segments:
            rows = self.segment_rows[segment]
            parts.append(rows.append_column("split", _repeat_name(split, len(rows))))
        return pa.concat_tables(parts)

    def all_rows(self) -> pa.Table:
        """Return the rows of all files in the order of their names, without the column `split`."""
        empty = pa.schema(CONFIG_FIELDS[:-1]).empty_table()
        return pa.concat_tables([empty, *self.segment_rows.values()])

    def split(self, config: str, split: str) -> pa.Table:
        """Return the rows of one split of a config."""
        pairs = self.segments_of(config)
        return self._join_segments(pair for pair in pairs if pair[0] == split)

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
        if config in self._expected:
            return self._expected[config]
        level = self.card.configs[config].level
        expected = expected_stats(self.recipe(config), self.require_dataset(), level)
        if len(self.require_dataset().classes) <= FEW_CLASSES:
            self._expected[config] = expected
        return expected

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

    @cached_property
    def pixel_numbers(self) -> NDArray[np.integer]:
        """A number for each distinct image, and one more; images of the same pixels have one."""
        return np.append(number_values(self.images["pixel_digest"]), -1)

    def source_digests(self, ids: pa.Array | pa.ChunkedArray) -> pa.Array:
        """Return (n,) the sha256 that the source tables give for image ids; null if none does."""
        return join_digests(self.source_places(ids), slice(0, len(ids)))

    def source_places(
        self, ids: pa.Array | pa.ChunkedArray
    ) -> list[tuple[NDArray[np.integer], pa.ChunkedArray]]:
        """Return (n,) where each source table has the sha256 of image ids, or -1; and its sha256.

        They are what `join_digests` reads.
        """
        return [(find_values(ids, known), digests) for known, digests in self._recorded_digests]

    @cached_property
    def _recorded_digests(self) -> list[tuple[pa.ChunkedArray, pa.ChunkedArray]]:
        """Ids and sha256 of each source table, on the disk; of an id with several, the last."""
        columns = []
        for table in self._source_tables():
            rows = table.select(["image_id", "sha256"])
            rows = filter_rows(rows, rows["sha256"].is_valid().to_numpy())
            last = last_places(number_values(rows["image_id"]))
            rows = filter_rows(rows, last == np.arange(len(rows)))
            columns.append((rows["image_id"], store_digests(rows["sha256"])))
        return columns

    def _source_tables(self) -> list[pa.Table]:
        if self.dataset is None:
            return []
        tables = [self.dataset.base, self.dataset.web, *self.dataset.donors.values()]
        return [table for table in tables if table is not None]

    def may_be_equal(self, *image_ids: str) -> bool:
        """Return whether the source has these equal images, or a resize made them so."""
        return self.may_be_equal_groups([image_ids])[0]

    def may_be_equal_groups(self, groups: Sequence[Sequence[str]]) -> list[bool]:
        """Return of groups of equal images whether the source has them, or a resize made them so.

        The tables may say so, or each image is proven to be what the source has under its id. Of
        images that were not resized all must be the dataset's own: noise must not bring in what is
        there already.

        Args:
            groups: the ids of images that are equal
        """
        if not groups:
            return []
        facts = self._image_facts(sorted({image_id for group in groups for image_id in group}))
        was_resized = self.card.images.size is not None
        results = []
        for group in groups:
            members = [facts[image_id] for image_id in group]
            recorded = {member.recorded for member in members}
            is_recorded = len(recorded) == 1 and None not in recorded
            may_repeat = was_resized or all(member.is_own for member in members)
            is_proven = may_repeat and all(member.is_proven for member in members)
            results.append(len({*group}) == len(group) and (is_recorded or is_proven))
        return results

    def outcomes_of(self, file: str) -> NDArray[np.uint8]:
        """Return (n,) what came of comparing the image of each row of a file with its source."""
        if file not in self.outcomes:
            self.outcomes[file] = np.full(len(self.shards[file].rows), NOT_COMPARED, np.uint8)
        return self.outcomes[file]

    def _image_facts(self, ids: Sequence[str]) -> dict[str, ImageFacts]:
        """Return what is known of images, by id."""
        wanted = pa.array(ids, pa.string())
        base = self.dataset.base if self.dataset else None
        is_own = [False] * len(ids)
        if base is not None:
            is_own = (find_values(wanted, base["image_id"]) >= 0).tolist()
        recorded = self.source_digests(wanted).to_pylist()
        is_proven = self._proven_images(wanted, recorded)
        facts = map(ImageFacts, recorded, is_own, is_proven)
        return dict(zip(ids, facts, strict=True))

    def _proven_images(self, ids: pa.Array, recorded: Sequence[bytes | None]) -> list[bool]:
        """Return whether images are what the source has under their ids, wherever a shard has them.

        They were compared with the source, or have the sha256 that the tables give.
        """
        mismatched = {mismatch.image_id for mismatch in self.source_mismatches.values()}
        digests: dict[str, set[bytes | None]] = {}
        compared: set[str] = set()
        for file, shard in self.shards.items():
            rows = np.flatnonzero(pc.is_in(shard.rows["image_id"], ids).to_numpy())
            outcomes = self.outcomes_of(file)[rows]
            shown = shard.rows.select(["image_id", "sha256"]).take(rows).to_pydict()
            for image_id, digest, outcome in zip(*shown.values(), outcomes, strict=True):
                digests.setdefault(image_id, set()).add(digest)
                if outcome == IS_SAME:
                    compared.add(image_id)
        pixels = self._pixel_digests({digest for group in digests.values() for digest in group})
        results = []
        for image_id, expected in zip(ids.to_pylist(), recorded, strict=True):
            shown_digests = digests.get(image_id, set())
            is_recorded = bool(shown_digests) and all(
                digest in pixels and expected in (digest, pixels[digest])
                for digest in shown_digests
            )
            is_same = image_id in compared or is_recorded
            results.append(image_id not in mismatched and is_same)
        return results

    def _pixel_digests(self, digests: set[bytes | None]) -> dict[bytes | None, bytes]:
        """Return the sha256 of the pixels of images by that of their bytes, if they decode."""
        is_wanted = pc.is_in(self.images["sha256"], pa.array([*digests], DIGEST), skip_nulls=True)
        images = self.images.filter(is_wanted)
        columns = (images["sha256"].to_pylist(), images["pixel_digest"].to_pylist())
        return dict(zip(*columns, strict=True))

    def ids_of_outcome(self, outcome: int) -> pa.Array:
        """Return the distinct ids of the images whose comparison with the source came to this."""
        ids = [pa.chunked_array([], pa.string())]
        for file, outcomes in self.outcomes.items():
            rows = np.flatnonzero(outcomes == outcome)
            ids.append(self.shards[file].rows["image_id"].take(rows))
        return pc.unique(pa.chunked_array([c for part in ids for c in part.chunks], pa.string()))


def has_same_rows(rows: pa.Table, planned: pa.Table) -> bool:
    """Return whether rows of shards are those of a plan, in the same order.

    Args:
        rows: with at least the columns of shards besides the image
        planned: of the PLAN schema
    """
    if len(rows) != len(planned):
        return False
    for start in range(0, len(rows), BLOCK_ROWS):
        expected = planned.slice(start, BLOCK_ROWS).select(COLUMN_NAMES).cast(COLUMNS)
        if not rows.slice(start, BLOCK_ROWS).select(COLUMN_NAMES).equals(expected):
            return False
    return True


def slot_ids(rows: pa.Table) -> pa.ChunkedArray:
    """Return (n,) the image that stood in the slot of each row: the replaced one, or its own.

    Args:
        rows: image_id, replaces
    """
    file = MappedFile()
    chunks = []
    for start in range(0, len(rows), CHUNK_ROWS):
        part = rows.slice(start, CHUNK_ROWS)
        if part["replaces"].null_count == len(part):
            chunks += part["image_id"].chunks
        else:
            slots = pc.coalesce(part["replaces"], part["image_id"])
            chunks.append(file.add(slots.combine_chunks()))
    return pa.chunked_array(chunks, pa.string())


def _repeat_name(split: str, n: int) -> pa.ChunkedArray:
    """Return (n,) the name of a split, in chunks that share their memory."""
    chunk = repeat_value(split, min(n, CHUNK_ROWS))
    sizes = [min(CHUNK_ROWS, n - start) for start in range(0, n, CHUNK_ROWS)]
    return pa.chunked_array([chunk.slice(0, size) for size in sizes], pa.string())
