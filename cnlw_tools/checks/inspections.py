"""What one look at an image says, and the files in which `cnlw validate --shard` keeps it.

To decode an image and to compare it with its source is nearly all the work of `cnlw validate`. What
comes of it depends only on the image and on its id. So several processes do it without a
coordinator, each for its part of the files, and write

    DIR/shard-2-of-5.parquet

A last `cnlw validate --join DIR` hashes every file and every image itself, takes what these files
say of images with the same id and the same sha256, looks at the others, and runs all checks.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cnlw_tools import files
from cnlw_tools.checks.digests import IMAGES, ImageRows, store_digests, to_digests
from cnlw_tools.checks.evidence import (
    HAS_NO_SOURCE,
    IS_SAME,
    Evidence,
    ImageInfo,
    Mismatch,
    Surplus,
)
from cnlw_tools.dataset.row_numbers import first_places, number_rows
from cnlw_tools.dataset.row_selection import take_rows
from cnlw_tools.dataset.shared_chunks import ChunkStock, store_values
from cnlw_tools.executor.remote import SAME_VERSIONS, describe_difference, program_versions
from cnlw_tools.executor.work_shard import WorkShard, describe_mixed_counts
from cnlw_tools.files.parquet import open_parquet, read_batches, read_schema
from cnlw_tools.files.texts import parse_json
from cnlw_tools.files.untrusted import translate_errors
from cnlw_tools.recipe.strict import between, read_dataclass

Rows = NDArray[np.integer]
BATCH_ROWS = 1 << 14  # that are Python objects at a time
FILES = "shard-*-of-*.parquet"
REMEDY = "delete it, and run `cnlw validate --shard` of this part again"
REQUIRED = ("error", "mismatch", "is_compared", "surplus")  # without nulls
RECORD_KEY = b"cnlw"  # of the metadata of a file
SCHEMA = pa.schema(
    {
        "image_id": pa.string(),
        "origin": pa.string(),
        "sha256": pa.string(),
        "error": pa.string(),
        "width": pa.int64(),
        "height": pa.int64(),
        "pixel_digest": pa.string(),
        "fingerprint": pa.binary(),
        "mismatch": pa.string(),
        "is_compared": pa.bool_(),
        "surplus": pa.list_(pa.string()),
    }
)


class ImageKey(NamedTuple):
    """What decides how an image looks and what it is compared with."""

    image_id: str
    origin: str
    sha256: str | None  # of the bytes; none: there are no bytes


@dataclass(frozen=True, slots=True)
class Inspection:
    """What one look at an image says."""

    key: ImageKey
    info: ImageInfo | None = None  # none: it cannot be decoded
    error: str = ""  # why it cannot be decoded
    mismatch: str = ""  # why it is not the image that its source has under its id
    is_compared: bool = False  # with its source, which is here
    surplus: tuple[str, ...] = ()  # what its file holds besides its pixels


@dataclass(frozen=True, slots=True)
class InspectionRecord:
    """What a file says of the process that wrote it."""

    number: int = field(metadata={"check": between(1)})
    count: int = field(metadata={"check": between(1)})
    made_with: dict[str, str]  # versions of this package, and of those that read images
    compared_with: dict[str, Any]  # the build, and which sources were here

    @property
    def file_name(self) -> str:
        """The name of the file."""
        return f"shard-{self.number}-of-{self.count}.parquet"


def make_record(work_shard: WorkShard, compared_with: Mapping[str, Any]) -> InspectionRecord:
    """Return the record of a process."""
    versions = program_versions()
    return InspectionRecord(work_shard.number, work_shard.count, versions, dict(compared_with))


def add_inspection(
    evidence: Evidence, images: ImageRows, file: str, row: int, inspection: Inspection
) -> None:
    """Add what a look at an image says to the evidence.

    Args:
        evidence: of the build, with its shards
        images: is given the row of the image, if it decodes
        file, row: that show the image
        inspection: of the image
    """
    image_id, origin, digest = inspection.key
    location = f"data/{file} row {row}"
    info = inspection.info
    if info is None or digest is None:
        evidence.image_errors[location] = inspection.error
        return
    pixels = bytes.fromhex(info.pixel_digest)
    images.add(bytes.fromhex(digest), *info.size, pixels, info.fingerprint)
    outcomes = evidence.outcomes_of(file)
    if inspection.mismatch:
        evidence.source_mismatches[location] = Mismatch(image_id, inspection.mismatch)
    elif inspection.is_compared:
        outcomes[row] = IS_SAME
    elif origin == "web":
        outcomes[row] = HAS_NO_SOURCE
    if inspection.surplus:
        parts, is_compared = inspection.surplus, inspection.is_compared
        evidence.surplus[location] = Surplus(image_id, digest, parts, is_compared)


def write_inspections(
    folder: Path, record: InspectionRecord, inspections: Iterable[Inspection]
) -> Path:
    """Write the file of a process, whole or not at all; return its path."""
    table = _sort_by_key(_to_table(inspections))
    path = folder / record.file_name
    metadata = {RECORD_KEY: json.dumps(asdict(record))}
    with files.atomic_write(path) as draft:
        pq.write_table(table.replace_schema_metadata(metadata), draft, compression="zstd")
    return path


def _to_table(inspections: Iterable[Inspection]) -> pa.Table:
    """Return the rows of a file, on the disk."""
    stock, parts = ChunkStock(), [SCHEMA.empty_table()]
    values = map(_to_values, inspections)
    while batch := list(islice(values, BATCH_ROWS)):
        columns = [list(column) for column in zip(*batch, strict=True)]
        parts.append(stock.share(pa.table(columns, schema=SCHEMA)))
    return pa.concat_tables(parts)


def _sort_by_key(table: pa.Table) -> pa.Table:
    """Return the rows in an order that does not depend on that of the work."""
    keys = [(name, "ascending") for name in ImageKey._fields]
    order = pc.sort_indices(table, keys).to_numpy()
    columns = [store_values(column, order) for column in table.columns]
    return pa.table(columns, schema=table.schema)


def _to_values(inspection: Inspection) -> tuple[Any, ...]:
    """Return the values of a row."""
    key, info = inspection.key, inspection.info
    width, height = info.size if info else (None, None)
    pixels, print_ = (info.pixel_digest, info.fingerprint) if info else (None, None)
    outcome = (inspection.mismatch, inspection.is_compared, inspection.surplus)
    return (*key, inspection.error, width, height, pixels, print_, *outcome)


def read_records(folder: Path) -> dict[Path, InspectionRecord]:
    """Return what the files of a folder say of the processes that wrote them, by path.

    Raises:
        ValueError: a file has such a name and is none
    """
    records = {}
    for path in sorted(folder.glob(FILES)):
        metadata = read_schema(path, REMEDY).metadata or {}
        raw = parse_json(metadata.get(RECORD_KEY, b"null"), str(path), REMEDY)
        records[path] = read_dataclass(InspectionRecord, raw, str(path), REMEDY)
    return records


def check_records(
    compared_with: Mapping[str, Any], records: Mapping[Path, InspectionRecord]
) -> None:
    """Check that all files are of one build, one number of processes, and the same programs.

    Args:
        compared_with: the build that is checked now, and which sources are here
        records: of the files, by path

    Raises:
        ValueError: with the file that does not fit
    """
    for path, record in records.items():
        if record.compared_with != json.loads(json.dumps(compared_with)):
            raise ValueError(
                f"{path} belongs to another build, or to other sources: give the same --data-dir, "
                "--donor and --store, or another folder"
            )
        difference = describe_difference(record.made_with, program_versions())
        if difference:
            raise ValueError(f"{path}: this process has {difference}: {SAME_VERSIONS}")
    mixed = describe_mixed_counts({path: record.count for path, record in records.items()})
    if mixed:
        raise ValueError(f"{mixed}, or delete the files {FILES} of one division")


def read_inspections(folders: Sequence[Path], compared_with: Mapping[str, Any]) -> pa.Table:
    """Return what processes wrote into some folders: rows of SCHEMA, which lie on the disk.

    Args:
        folders: that were given as --out to `cnlw validate --shard`
        compared_with: the build that is checked now, and which sources are here

    Raises:
        FileNotFoundError: a folder has no such file
        ValueError: a file cannot be read, or is of another build, other sources or other programs
    """
    records: dict[Path, InspectionRecord] = {}
    for folder in folders:
        records_of_folder = read_records(folder)
        if not records_of_folder:
            raise FileNotFoundError(
                f"{folder}: there is no shard of a check here: give a folder that `cnlw "
                "validate --shard` "
                "wrote"
            )
        records |= records_of_folder
    check_records(compared_with, records)
    stock = ChunkStock()
    parts = [SCHEMA.empty_table()]
    for path in records:
        parts += [stock.share(part) for part in _read_file(path)]
    return pa.concat_tables(parts)


def _read_file(path: Path) -> Iterator[pa.Table]:
    """Yield what one file says, in parts.

    Raises:
        ValueError: it is damaged
    """
    with open_parquet(path, REMEDY) as file:
        for batch in read_batches(file, path, BATCH_ROWS, SCHEMA.names, REMEDY):
            with translate_errors(path, "a file of inspections", REMEDY):
                part = pa.Table.from_batches([batch]).select(SCHEMA.names).cast(SCHEMA)
                for row in part.to_pylist():
                    to_inspection(row)
            yield part


def add_known(evidence: Evidence, images: ImageRows, known: pa.Table) -> dict[str, Rows]:
    """Add what other processes saw of the images of a build to the evidence.

    Args:
        evidence: of the build, with its shards
        images: is given the images that decode
        known: of `read_inspections`; of an image that several rows describe, the last counts

    Returns:
        the rows of each shard that show an image for the first time, and are not known
    """
    rows = evidence.all_rows().select(ImageKey._fields)
    (numbers,) = number_rows([rows], ["sha256", "image_id"])
    first = np.flatnonzero(first_places(numbers) == np.arange(len(numbers)))
    place = np.full(len(first), -1)
    if len(known):
        place = _find_known(_take_keys(rows, first), known)
        _add_plain(evidence, images, known, first, place)
    return _rows_by_shard(evidence, first[place < 0])


def _take_keys(rows: pa.Table, numbers: Rows) -> pa.Table:
    """Return some rows, on the disk."""
    columns = [store_values(column, numbers) for column in rows.columns]
    return pa.table(columns, schema=rows.schema)


def _find_known(keys: pa.Table, known: pa.Table) -> Rows:
    """Return (n,) the last row of a table that has the key of each image; -1 where none has."""
    known_keys = pa.table(
        {
            "image_id": known["image_id"],
            "origin": known["origin"],
            "sha256": store_digests(known["sha256"]),
        }
    )
    numbers, known_numbers = number_rows([keys, known_keys], ["image_id", "origin", "sha256"])
    last = np.full(max(numbers.max(initial=0), known_numbers.max(initial=0)) + 1, -1)
    last[known_numbers] = np.arange(len(known))
    place: Rows = last[numbers]
    return place


def _add_plain(
    evidence: Evidence, images: ImageRows, known: pa.Table, rows: Rows, place: Rows
) -> None:
    """Add what is known of images: those without any fault as columns, each other one by itself.

    Args:
        evidence, images, known: as for `add_known`
        rows: (n,) of all shards that show the images
        place: (n,) row of ``known`` for each image, or -1
    """
    is_plain = _is_plain(known)
    for start in range(0, len(rows), BATCH_ROWS):
        block = slice(start, start + BATCH_ROWS)
        is_known = place[block] >= 0
        shown, found = rows[block][is_known], place[block][is_known]
        plain = is_plain[found]
        part = take_rows(known, found[plain])
        images.add_table(_to_images(part))
        is_web = pc.equal(part["origin"], "web").to_numpy()
        outcome = np.where(part["is_compared"].to_numpy(), IS_SAME, HAS_NO_SOURCE * is_web)
        for (file, row), value in zip(_places(evidence, shown[plain]), outcome, strict=True):
            evidence.outcomes_of(file)[row] = value
        others = take_rows(known, found[~plain]).to_pylist()
        for (file, row), other in zip(_places(evidence, shown[~plain]), others, strict=True):
            add_inspection(evidence, images, file, row, to_inspection(other))


def _is_plain(known: pa.Table) -> NDArray[np.bool_]:
    """Return (n,) whether nothing is wrong with an image, and its file holds only pixels."""
    is_silent = pc.and_(pc.equal(known["error"], ""), pc.equal(known["mismatch"], ""))
    has_no_surplus = pc.equal(pc.list_value_length(known["surplus"]), 0)
    has_bytes = known["sha256"].is_valid()
    is_plain: NDArray[np.bool_] = pc.and_(pc.and_(is_silent, has_no_surplus), has_bytes).to_numpy()
    return is_plain


def _to_images(known: pa.Table) -> pa.Table:
    """Return images without faults as rows of IMAGES."""
    columns = [
        to_digests(known["sha256"]),
        known["width"].cast(pa.int32()),
        known["height"].cast(pa.int32()),
        to_digests(known["pixel_digest"]),
        known["fingerprint"].cast(IMAGES.field("fingerprint").type),
    ]
    return pa.table(columns, schema=IMAGES)


def _places(evidence: Evidence, rows: Rows) -> Iterator[tuple[str, int]]:
    """Yield the shard of each of some rows of all shards, and the row in that shard."""
    names = sorted(evidence.shards)
    starts = np.cumsum([0, *(len(evidence.shards[name].rows) for name in names)])
    numbers = np.searchsorted(starts, rows, side="right") - 1
    for number, row in zip(numbers.tolist(), (rows - starts[numbers]).tolist(), strict=True):
        yield names[number], row


def _rows_by_shard(evidence: Evidence, rows: Rows) -> dict[str, Rows]:
    """Return rows of all shards, which are sorted, as rows of each shard that has any."""
    parts: dict[str, Rows] = {}
    start = 0
    for name in sorted(evidence.shards):
        end = start + len(evidence.shards[name].rows)
        begin, stop = np.searchsorted(rows, (start, end))
        if stop > begin:
            parts[name] = (rows[begin:stop] - start).astype(np.int32)
        start = end
    return parts


def to_inspection(row: Mapping[str, Any]) -> Inspection:
    """Return what a row says.

    Raises:
        ValueError: it says what `write_inspections` does not write
    """
    for name in REQUIRED:
        if row[name] is None:
            raise ValueError(f"a row without {name}")
    info = None
    is_decoded = row["pixel_digest"] is not None
    if is_decoded == bool(row["error"]):
        raise ValueError("a row with both pixels and an error, or with neither")
    if is_decoded:
        size = (row["width"], row["height"])
        if None in size or min(size) < 1:
            raise ValueError(f"an image of {size[0]} x {size[1]} pixels")
        info = ImageInfo(size, row["pixel_digest"], row["fingerprint"])
        if (len(bytes.fromhex(info.pixel_digest)), len(info.fingerprint)) != (32, 16):
            raise ValueError("a sha256 or a fingerprint of another length")
    key = ImageKey(row["image_id"], row["origin"], row["sha256"])
    outcome = (row["mismatch"], row["is_compared"], tuple(row["surplus"]))
    return Inspection(key, info, row["error"], *outcome)
